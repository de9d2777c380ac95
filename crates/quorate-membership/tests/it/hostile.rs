//! Packets from anybody: no panic, no broken view, no unbounded memory.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use quorate_core::{BootEpoch, ClusterId, Instant, Kind, Machine, NodeId, Outbox, Rng, check_laws};
use quorate_membership::{
    Accusation, Body, Broadcast, Channel, Config, Coordinate, Incarnation, Info, Input, Membership,
    Output, Packet, Protocol, State, Sum, Tags, Update,
};

use crate::net::{address_of, id};
use crate::script::gossip;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn names() -> impl Strategy<Value = NodeId> {
    // `a` is the node under test: its own id comes back to it, from twins and from liars.
    proptest::sample::select(NAMES.as_slice()).prop_map(id)
}

fn incarnations() -> impl Strategy<Value = Incarnation> {
    let counter =
        prop_oneof![8 => 0..4_u64, 1 => Just(Incarnation::COUNTER_MAX), 1 => any::<u64>()];
    (0..3_u64, counter).prop_map(|(boot, counter)| Incarnation { boot: BootEpoch(boot), counter })
}

fn tags() -> impl Strategy<Value = Tags> {
    let cluster = prop_oneof![3 => Just(0), 2 => Just(1), 1 => Just(2)];
    let zone = prop_oneof![9 => "[xy]?", 1 => "z{60,70}"];
    (any::<u8>(), cluster, zone).prop_map(|(priority, cluster, zone)| Tags {
        kind: Kind::Voter,
        priority,
        zone,
        cluster: ClusterId(cluster),
        ..Tags::default()
    })
}

fn accusations() -> impl Strategy<Value = Option<Accusation>> {
    proptest::option::of((0..3_u32, any::<bool>()))
        .prop_map(|grounds| grounds.map(|(by, corroborated)| Accusation { by, corroborated }))
}

fn broadcasts() -> impl Strategy<Value = Broadcast> {
    let payload = prop_oneof![9 => Just(Vec::new()), 1 => Just(vec![7; 600])];
    (names(), 0..3_u64, 0..4_u64, payload).prop_map(|(from, boot, number, payload)| Broadcast {
        from,
        boot: BootEpoch(boot),
        number,
        payload,
    })
}

fn states() -> impl Strategy<Value = State> {
    proptest::sample::select([State::Alive, State::Suspect, State::Dead, State::Left].as_slice())
}

pub(crate) fn updates() -> impl Strategy<Value = Update> {
    let address = prop_oneof![
        8 => (0..6_usize).prop_map(|index| address_of(index).to_string()),
        2 => Just("name.example:1".to_owned()),
        1 => ".{0,5}",
    ];
    let age = prop_oneof![Just(0), Just(3_600), Just(u32::MAX)];
    (names(), states(), age, incarnations(), address, tags(), accusations()).prop_map(
        |(id, state, gone_secs, incarnation, address, tags, accusation)| Update {
            id,
            state,
            gone_secs,
            accusation: accusation.filter(|_| state == State::Suspect),
            info: Info { incarnation, address, tags, protocol: Protocol::SUPPORTED }.into(),
        },
    )
}

/// Any that can come over the wire, also those out of bounds.
fn coordinates() -> impl Strategy<Value = Coordinate> {
    let far = 600_000_000;
    let axis = prop_oneof![
        4 => -200..200_i32,
        2 => proptest::sample::select(vec![-far, far, i32::MIN, i32::MAX]),
        1 => any::<i32>(),
    ];
    let height = prop_oneof![0..300_u32, Just(far as u32), any::<u32>()];
    let error = prop_oneof![0..=1_000_u16, any::<u16>()];
    (proptest::array::uniform3(axis), height, error).prop_map(|parts| {
        let bytes = quorate_wire::encode(&parts).expect("numbers have bytes");
        quorate_wire::decode(&bytes).expect("they are laid out like a coordinate")
    })
}

fn bodies() -> impl Strategy<Value = Body> {
    let (seq, seeds) = (|| any::<u32>(), || 0..3_u64);
    prop_oneof![
        (seq(), 0..3_u64, seeds()).prop_map(|(seq, instance, seeds)| Body::Announce {
            cluster: ClusterId::NONE,
            seq,
            instance,
            seeds
        }),
        (seq(), seeds()).prop_map(|(seq, seeds)| Body::Welcome {
            seq,
            seeds,
            cluster: ClusterId::NONE
        }),
        (seq(), names()).prop_map(|(seq, target)| Body::ping(seq, &target)),
        seq().prop_map(|seq| Body::Ack { seq }),
        (seq(), names()).prop_map(|(seq, target)| Body::PingReq { seq, target }),
        seq().prop_map(|seq| Body::Nack { seq }),
        (seq(), names()).prop_map(|(seq, target)| Body::Observe { seq, target }),
        (seq(), names())
            .prop_map(|(seq, holder)| Body::Refused { seq, holder: holder.to_string() }),
        proptest::collection::vec(broadcasts(), 0..3)
            .prop_map(|broadcasts| Body::Gossip { broadcasts }),
        (seq(), coordinates()).prop_map(|(seq, coordinate)| Body::AckAt { seq, coordinate }),
        proptest::collection::vec(any::<u64>().prop_map(Sum), 60..70)
            .prop_map(|parts| Body::Digest { parts }),
        Just(Body::Digest { parts: vec![Sum(7); 64] }),
        any::<u64>().prop_map(|parts| Body::Pull { parts }),
        any::<u64>().prop_map(|left| Body::Page { left }),
    ]
}

fn packets(updates_max: usize) -> impl Strategy<Value = Packet> {
    let head = (
        prop_oneof![20 => Just(Packet::VERSION), 1 => any::<u8>()],
        prop_oneof![20 => Just(own_name()), 1 => any::<u32>()],
        prop_oneof![3 => Just(0), 3 => Just(1), 1 => Just(2)],
        any::<u64>(),
    );
    let updates = proptest::collection::vec(updates(), 0..=updates_max);
    (head, names(), incarnations(), bodies(), updates).prop_map(
        |((version, name, cluster, view), from, incarnation, body, updates)| Packet {
            version,
            name,
            cluster: cluster as u32,
            from,
            incarnation,
            view,
            body,
            updates,
        },
    )
}

/// One claim for each packet, so that every change of a view can be seen.
fn inputs() -> impl Strategy<Value = Input> {
    let over = prop_oneof![3 => Just(Channel::Datagram), 1 => Just(Channel::Stream)];
    let received = (0..6_usize, over, packets(1))
        .prop_map(|(from, over, packet)| Input::Received { from: address_of(from), over, packet });
    let resolved = (0..3_usize).prop_map(|count| Input::Resolved {
        name: "name.example:1".to_owned(),
        addresses: (0..count).map(address_of).collect(),
    });
    let known = (names(), 0..6_usize)
        .prop_map(|(id, at)| Input::Known { id, address: address_of(at).to_string() });
    prop_oneof![
        60 => received,
        2 => resolved,
        2 => known,
        2 => (0..3_u128).prop_map(|cluster| {
            Input::SetTags(Tags { cluster: ClusterId(cluster), ..Tags::default() })
        }),
        2 => (0..6_usize).prop_map(|at| Input::Refused { address: address_of(at) }),
        1 => (0..600_usize).prop_map(|length| Input::Broadcast { payload: vec![1; length] }),
        1 => (0..6_usize, any::<u8>()).prop_map(|(from, version)| {
            Input::Unreadable { from: address_of(from), version }
        }),
        1 => Just(Input::Leave),
        1 => Just(Input::Join),
    ]
}

fn script(length: usize) -> impl Strategy<Value = Vec<(Instant, Input)>> {
    proptest::collection::vec((0..900_u64, inputs()), 0..length).prop_map(|steps| {
        let mut now = Instant::ZERO;
        let timed = steps.into_iter().map(|(pause, input)| {
            now += Duration::from_millis(pause);
            (now, input)
        });
        timed.collect()
    })
}

pub(crate) fn node(config: Config) -> Membership {
    let config = Config {
        cluster_name: "test".to_owned(),
        address: address_of(0).to_string(),
        seeds: vec![address_of(1).to_string(), "name.example:1".to_owned()],
        ..config
    };
    let rng = Rng::seeded(1);
    Membership::new(id("a"), BootEpoch(1), 1, config, Tags::default(), rng, Instant::ZERO)
}

/// The hash of the name of the cluster of [`node`], as its first packet says.
pub(crate) fn own_name() -> u32 {
    let (mut node, mut out) = (node(Config::lan()), Outbox::new());
    node.wake(Instant::ZERO, &mut out);
    let sent = out.drain().find_map(|output| match output {
        Output::Send { packet, .. } => Some(packet.name),
        _ => None,
    });
    sent.expect("it announces itself to its seed")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_of_machines_hold(script in script(40)) {
        check_laws(|| node(Config::lan()), script).unwrap();
    }

    #[test]
    fn hostile_packets_break_no_view(script in script(60)) {
        // Room for all the names: to forget one and meet it anew is no return.
        let config = Config { members_max: NAMES.len(), ..Config::lan() };
        let suspicion = config.pause_tolerance;
        let (mut node, mut out) = (node(config), Outbox::new());
        let mut before: BTreeMap<NodeId, (State, Incarnation)> = BTreeMap::new();
        let mut suspected: BTreeMap<(NodeId, Incarnation), Instant> = BTreeMap::new();
        for (now, input) in script {
            let mut steps: Vec<(Instant, Option<Input>)> = Vec::new();
            steps.push((now, Some(input)));
            while let Some((at, input)) = steps.pop() {
                // Wake at each deadline on the way.
                match node.deadline().filter(|due| *due <= at && input.is_some()) {
                    Some(due) => {
                        steps.push((at, input));
                        node.wake(due, &mut out);
                        check(&node, due, suspicion, &mut before, &mut suspected)?;
                    }
                    None => {
                        node.handle(at, input.expect("each has one"), &mut out);
                        check(&node, at, suspicion, &mut before, &mut suspected)?;
                    }
                }
            }
            for output in out.drain() {
                if let Output::Send { packet, .. } = output {
                    prop_assert!(packet.bytes() <= Packet::BYTES_MAX, "M5: {packet:?}");
                }
            }
        }
    }

    #[test]
    fn the_bytes_of_a_packet_are_those_of_its_encoding(packet in packets(6)) {
        let bytes = quorate_wire::encode(&packet).unwrap();
        prop_assert_eq!(bytes.len(), packet.bytes());
        let again: Packet = quorate_wire::decode(&bytes).unwrap();
        prop_assert_eq!(again, packet);
    }
}

fn check(
    node: &Membership,
    now: Instant,
    suspicion: Duration,
    before: &mut BTreeMap<NodeId, (State, Incarnation)>,
    suspected: &mut BTreeMap<(NodeId, Incarnation), Instant>,
) -> Result<(), TestCaseError> {
    prop_assert!(node.members().count() <= NAMES.len(), "memory");
    let mut seen = BTreeMap::new();
    for (id, member) in node.members() {
        let (state, incarnation) = (member.state, member.info.incarnation);
        if state == State::Suspect {
            suspected.entry((id.clone(), incarnation)).or_insert(now);
        }
        if let Some((was, old)) = before.get(id) {
            prop_assert!(incarnation >= *old, "M1: {id} {old:?} {incarnation:?}");
            // The node itself, driven to the last counter by a forger, has none left for a return.
            let spent = id.as_str() == "a" && old.counter == Incarnation::COUNTER_MAX;
            let returned = !was.is_live() && state.is_live() && !spent;
            prop_assert!(!returned || incarnation > *old, "M3: {id} {old:?}");
            if was.is_live() && state == State::Dead {
                let since = suspected.get(&(id.clone(), incarnation));
                let held = since.map(|since| now.since(*since));
                prop_assert!(held.is_some_and(|held| held >= suspicion), "M2: {id} {held:?}");
            }
        }
        seen.insert(id.clone(), (state, incarnation));
    }
    *before = seen;
    Ok(())
}

#[test]
fn m5_the_answer_to_a_foreigner_fits_whatever_the_cluster_is_called() {
    let config = Config {
        cluster_name: "\u{1f980}".repeat(1_000),
        address: address_of(0).to_string(),
        ..Config::lan()
    };
    let (rng, now, mut out) = (Rng::seeded(1), Instant::ZERO, Outbox::new());
    let mut node = Membership::new(id("a"), BootEpoch(1), 1, config, Tags::default(), rng, now);
    let packet = packet(
        "b",
        Body::Announce { seq: 1, instance: 1, seeds: 0, cluster: ClusterId::NONE },
        Vec::new(),
    );
    node.handle(
        now,
        Input::Received { from: address_of(1), over: Channel::Datagram, packet },
        &mut out,
    );
    let [Output::Send { packet, .. }, Output::Event(_)] = out.as_slice() else { panic!("{out:?}") };
    assert!(packet.bytes() <= Packet::BYTES_MAX, "{}", packet.bytes());
}

/// A packet of the cluster of [`node`].
pub(crate) fn packet(from: &str, body: Body, updates: Vec<Update>) -> Packet {
    Packet {
        version: Packet::VERSION,
        name: own_name(),
        cluster: 0,
        from: id(from),
        incarnation: Incarnation::first(BootEpoch(1)),
        view: 0,
        body,
        updates,
    }
}

#[test]
fn a_flood_of_members_is_bounded() {
    let (mut node, mut out) = (node(Config { members_max: 100, ..Config::lan() }), Outbox::new());
    for round in 0..2_000_u64 {
        let updates = (0..10).map(|index| Update {
            id: id(&format!("m{}", round * 10 + index)),
            state: [State::Alive, State::Suspect, State::Dead, State::Left][index as usize % 4],
            gone_secs: 0,
            accusation: None,
            info: Info {
                protocol: Protocol::SUPPORTED,
                incarnation: Incarnation::first(BootEpoch(1)),
                address: format!("name-{round}.example:7946"),
                tags: Tags::default(),
            }
            .into(),
        });
        let packet = Packet {
            version: Packet::VERSION,
            name: own_name(),
            cluster: 0,
            from: id(&format!("x{round}")),
            incarnation: Incarnation::first(BootEpoch(1)),
            view: round,
            body: Body::PingReq { seq: round as u32, target: id("a") },
            updates: updates.collect(),
        };
        let now = Instant::from_millis(round);
        node.wake(now, &mut out);
        node.handle(
            now,
            Input::Received { from: address_of(round as usize), over: Channel::Datagram, packet },
            &mut out,
        );
        out.drain();
    }
    assert!(node.members().count() <= 100);
    assert!(node.counters().no_room > 1_000);
}

pub(crate) fn invented(name: &str, state: State) -> Update {
    let incarnation = Incarnation::first(BootEpoch(1));
    let info = Info {
        incarnation,
        address: "h:1".to_owned(),
        tags: Tags::default(),
        protocol: Protocol::SUPPORTED,
    };
    Update { id: id(name), state, gone_secs: 0, accusation: None, info: info.into() }
}

pub(crate) fn hear(node: &mut Membership, now: Instant, packet: Packet) -> Vec<Output> {
    let mut out = Outbox::new();
    node.handle(
        now,
        Input::Received { from: address_of(1), over: Channel::Datagram, packet },
        &mut out,
    );
    out.drain().collect()
}

#[test]
fn a_page_of_the_smallest_members_is_sent() {
    let (mut node, now) = (node(Config::lan()), Instant::ZERO);
    for index in 0..500 {
        let update = invented(&format!("{index}"), State::Alive);
        hear(&mut node, now, packet("b", gossip(), vec![update]));
    }
    hear(&mut node, now, packet("b", gossip(), vec![invented("b", State::Alive)]));
    let sent = hear(&mut node, now, packet("b", Body::Pull { parts: u64::MAX }, Vec::new()));
    let claims = sent.iter().map(|output| match output {
        Output::Send { packet, .. } => packet.updates.len(),
        _ => 0,
    });
    assert!(claims.sum::<usize>() >= 500);
}

#[test]
fn members_that_come_and_go_leave_nothing_behind() {
    let (mut node, mut out) = (node(Config { members_max: 20, ..Config::lan() }), Outbox::new());
    for name in ["b", "c", "d", "e", "f", "g", "h", "i"] {
        let alive = vec![invented(name, State::Alive)];
        hear(&mut node, Instant::ZERO, packet("b", gossip(), alive));
    }
    let mut size = 0;
    for round in 0..3_000_u64 {
        let name = format!("m{:05}", round);
        let updates = vec![invented(&name, State::Alive), invented(&name, State::Left)];
        hear(&mut node, Instant::from_millis(round), packet("b", gossip(), updates));
        node.wake(Instant::from_millis(round), &mut out);
        out.drain();
        if round == 100 {
            size = format!("{node:?}").len();
        }
    }
    let now = format!("{node:?}").len();
    assert!(now < size * 3 / 2, "it grew from {size} to {now}");
}

#[test]
fn absurd_periods_are_an_error_and_no_panic() {
    for config in [
        Config { pause_tolerance: Duration::MAX, ..Config::lan() },
        Config { probe_interval: Duration::MAX, ..Config::lan() },
        Config { probe_timeout: Duration::MAX, ..Config::lan() },
        Config { announce_min: Duration::MAX, announce_max: Duration::MAX, ..Config::lan() },
    ] {
        let (name, address) = ("test".to_owned(), address_of(0).to_string());
        let config = Config { cluster_name: name, address, ..config };
        assert!(config.validate().is_err(), "{config:?}");
    }
}
