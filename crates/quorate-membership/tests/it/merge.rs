//! Merging views is a total order: in whatever order, how often and in whatever company claims
//! arrive, all end up with the same.

use proptest::prelude::*;
use quorate_core::{BootEpoch, Instant, Machine, Outbox, Rng};
use quorate_membership::{
    Accusation, Body, Channel, Config, Incarnation, Input, Membership, Packet, State, Tags, Update,
};
use std::sync::Arc;

use crate::hostile::updates;
use crate::net::{address_of, id};

/// The view of a node that heard `claims` in this order, each in a packet of its own, and then had
/// the time for what takes time.
fn view(name: u32, claims: &[Update]) -> Vec<(State, Update)> {
    let config = Config {
        cluster_name: "test".to_owned(),
        address: address_of(9).to_string(),
        ..Config::lan()
    };
    let rng = Rng::seeded(1);
    let tags = Tags::default();
    let mut node = Membership::new(id("me"), BootEpoch(1), 1, config, tags, rng, Instant::ZERO);
    let mut out = Outbox::new();
    for update in claims {
        let packet = Packet {
            version: Packet::VERSION,
            name,
            cluster: 0,
            from: id("teller"),
            incarnation: Incarnation::first(BootEpoch(1)),
            view: 0,
            body: Body::Gossip { broadcasts: Vec::new() },
            updates: vec![update.clone()],
        };
        node.handle(
            Instant::ZERO,
            Input::Received { from: address_of(8), over: Channel::Datagram, packet },
            &mut out,
        );
    }
    let members = node.members().filter(|(member, _)| **member != id("me"));
    let claims = members.map(|(id, member)| {
        let update = Update {
            id: id.clone(),
            state: member.state,
            gone_secs: 0,
            accusation: member
                .suspected
                .map(|(_, corroborated)| Accusation { by: 0, corroborated }),
            info: member.info.clone().into(),
        };
        (member.state, update)
    });
    claims.collect()
}

/// The hash of the name `test`.
fn name() -> u32 {
    let config = Config {
        cluster_name: "test".to_owned(),
        address: address_of(9).to_string(),
        seeds: vec![address_of(1).to_string()],
        ..Config::lan()
    };
    let rng = Rng::seeded(1);
    let tags = Tags::default();
    let mut node = Membership::new(id("me"), BootEpoch(1), 1, config, tags, rng, Instant::ZERO);
    let mut out = Outbox::new();
    node.wake(Instant::ZERO, &mut out);
    match out.as_slice() {
        [quorate_membership::Output::Send { packet, .. }] => packet.name,
        other => panic!("{other:?}"),
    }
}

/// Claims that honest nodes could make: a death of a live member takes time, and is tested where
/// time passes.
fn claims() -> impl Strategy<Value = Vec<Update>> {
    let honest = |mut update: Update| {
        if update.state == State::Dead {
            update.state = State::Suspect;
        }
        update.gone_secs = 0;
        Arc::make_mut(&mut update.info).incarnation.counter %= 4;
        Arc::make_mut(&mut update.info).tags.zone.truncate(1);
        Arc::make_mut(&mut update.info).address =
            format!("host-{}:7946", update.info.address.len() % 3);
        update
    };
    proptest::collection::vec(updates().prop_map(honest), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn merging_is_commutative_associative_and_idempotent(
        claims in claims(),
        seed in any::<u64>(),
    ) {
        let name = name();
        let expected = view(name, &claims);
        let mut shuffled = claims.clone();
        Rng::seeded(seed).shuffle(&mut shuffled);
        prop_assert_eq!(&view(name, &shuffled), &expected);
        shuffled.extend(claims);
        prop_assert_eq!(&view(name, &shuffled), &expected);
    }

    #[test]
    fn claims_are_in_a_total_order(a in updates(), b in updates(), c in updates()) {
        let newer = |a: &Update, b: &Update| a.supersedes(b);
        prop_assert!(!newer(&a, &a));
        prop_assert!(!(newer(&a, &b) && newer(&b, &a)));
        let same = (a.state, &a.info) == (b.state, &b.info);
        prop_assert!(same || newer(&a, &b) || newer(&b, &a));
        prop_assert!(!(newer(&a, &b) && newer(&b, &c)) || newer(&a, &c));
    }
}
