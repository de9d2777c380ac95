//! A node before and at the birth of its cluster.

use std::net::SocketAddr;
use std::time::Duration;

use quorate::{Effect, NodeInput, NodeMachine, PeerMessage};
use quorate_core::{
    BootEpoch, ClusterId, ClusterTime, Configuration, Entry, Identity, Instant, LeaseTerms, LogId,
    LogIndex, Machine as _, NodeId, Outbox, Payload, Pledge, PledgeBallot, Proposal, Record,
    Recovered, Rng, Term, Token, check_laws,
};
use quorate_election::{BootstrapMessage, BootstrapStatus};
use quorate_membership::{self as gossip, Channel, Membership, Tags};

use crate::desk::{DISK, Desk, id, membership};

/// Another node, as far as gossip is concerned.
struct Other {
    membership: Membership,
    address: SocketAddr,
}

impl Other {
    /// A node that looks for `a`.
    fn new(name: &str, address: &str, cluster: ClusterId) -> Self {
        let seeds = vec![A.to_owned()];
        let config = gossip::Config { seeds, ..membership(address) };
        let tags = Tags { cluster, ..Tags::default() };
        let rng = Rng::seeded(9);
        let membership =
            Membership::new(id(name), BootEpoch(1), 9, config, tags, rng, Instant::ZERO);
        Self { membership, address: address.parse().expect("it is an address") }
    }

    /// Lets it and the node on the desk talk for a second. What `a` said.
    fn meet(&mut self, desk: &mut Desk) -> Vec<gossip::Packet> {
        let mut said = Vec::new();
        for _ in 0..20 {
            let now = desk.now + Duration::from_millis(50);
            let mut out = Outbox::new();
            self.membership.wake(now, &mut out);
            let seen = desk.effects.len();
            desk.pass(now, false);
            for output in out.drain() {
                if let gossip::Output::Send { packet, .. } = output {
                    desk.handle(NodeInput::Packet {
                        from: self.address,
                        over: Channel::Datagram,
                        packet,
                    });
                }
            }
            for effect in desk.effects.split_off(seen) {
                match effect {
                    Effect::Packet { to, packet, .. } if to == self.address => {
                        said.push(packet.clone());
                        let from = A.parse().expect("it is an address");
                        let input =
                            gossip::Input::Received { from, over: Channel::Datagram, packet };
                        self.membership.handle(now, input, &mut Outbox::new());
                    }
                    effect => desk.effects.push(effect),
                }
            }
        }
        said
    }
}

const A: &str = "10.0.0.1:7946";
const B: &str = "10.0.0.2:7946";

fn identity(cluster: ClusterId) -> Option<Identity> {
    Some(Identity {
        node: id("a"),
        cluster,
        boot: BootEpoch(1),
        disk: DISK,
        lease: LeaseTerms::NONE,
    })
}

fn accepted(round: u64, cluster: ClusterId) -> Pledge {
    let ballot = PledgeBallot { round, priority: 100, proposer: Some(id("b")) };
    let configuration = Configuration::of_voters(["a", "b", "c"].map(id));
    let proposal = Proposal { cluster, configuration };
    Pledge { promised: ballot.clone(), accepted: Some((ballot, proposal)) }
}

fn belongs(desk: &Desk) -> Vec<ClusterId> {
    let cluster = |effect: &Effect| match effect {
        Effect::Belong { cluster } => Some(*cluster),
        _ => None,
    };
    desk.effects.iter().filter_map(cluster).collect()
}

/// It crashed between the record of its cluster and the first entry: it is a member all the same,
/// and tells the others of the birth.
#[test]
fn a_birth_cut_short_by_a_crash_is_a_birth() {
    let recovered = Recovered {
        identity: identity(ClusterId(7)),
        pledge: accepted(1, ClusterId(7)),
        ..Recovered::default()
    };
    let mut desk = Desk::unborn(3, &[A, B], &recovered);
    assert_eq!(desk.node.status().bootstrap, BootstrapStatus::Formed(ClusterId(7)));
    desk.sync();
    let ballot = PledgeBallot { round: 9, priority: 100, proposer: Some(id("c")) };
    desk.receive("c", PeerMessage::Bootstrap(BootstrapMessage::Prepare { ballot }));
    let tells = |effect: &Effect| {
        let Effect::Send { message: PeerMessage::Bootstrap(message), .. } = effect else {
            return false;
        };
        matches!(message, BootstrapMessage::Chosen { .. })
    };
    assert!(desk.effects.iter().any(tells), "{:?}", desk.effects);
}

/// Whoever hears of a cluster founds no other. A crash that takes the cluster back must not leave
/// the rumour behind.
#[test]
fn gossip_names_a_cluster_when_its_record_is_durable() {
    let mut desk = Desk::unborn(1, &[], &Recovered::default());
    let mut other = Other::new("b", B, ClusterId::NONE);
    let said = other.meet(&mut desk);
    assert!(!said.is_empty());
    assert!(desk.node.status().cluster.is_some(), "it has founded alone");
    for packet in &said {
        assert_eq!(packet.cluster, 0, "{packet:?}");
        let mut tags = packet.updates.iter().map(|update| &update.info.tags);
        assert!(tags.all(|tags| tags.cluster == ClusterId::NONE), "{packet:?}");
    }
    desk.sync();
    let said = other.meet(&mut desk);
    assert!(said.iter().any(|packet| packet.cluster != 0), "{said:?}");
}

/// A node gets its log before the word of its birth. What it accepted itself need not be what was
/// decided, even if that names the same members; and not every rumour is about its own cluster.
#[test]
fn the_cluster_of_a_log_is_the_one_its_members_belong_to() {
    let recovered = Recovered { pledge: accepted(1, ClusterId(1)), ..Recovered::default() };
    let mut desk = Desk::unborn(3, &[A, B], &recovered);
    let mut stale = Other::new("_", "10.0.0.9:7946", ClusterId(9));
    stale.meet(&mut desk);
    append(&mut desk);
    desk.sync();
    assert_eq!(desk.node.status().configuration.ids().count(), 3, "it has the log");
    assert_eq!(belongs(&desk), [], "nobody of its cluster has said which it is");
    let mut leader = Other::new("b", B, ClusterId(3));
    leader.meet(&mut desk);
    desk.sync();
    assert_eq!(belongs(&desk), [ClusterId(3)]);
    let identities: Vec<ClusterId> = (desk.effects.iter())
        .filter_map(|effect| match effect {
            Effect::Persist { record: Record::Identity(identity), .. } => Some(identity.cluster),
            _ => None,
        })
        .collect();
    assert_eq!(identities, [ClusterId(3)]);
}

/// A node that has a configuration is never founded again, also before it knows its cluster.
#[test]
fn a_node_with_a_log_pledges_to_no_other_birth() {
    for has_log in [false, true] {
        let mut desk = Desk::unborn(3, &[A, B], &Recovered::default());
        if has_log {
            append(&mut desk);
        }
        let ballot = PledgeBallot { round: 7, priority: 100, proposer: Some(id("z")) };
        desk.receive("z", PeerMessage::Bootstrap(BootstrapMessage::Prepare { ballot }));
        let pledges =
            |effect: &Effect| matches!(effect, Effect::Persist { record: Record::Pledge(_), .. });
        assert_eq!(desk.effects.iter().any(pledges), !has_log);
    }
}

fn append(desk: &mut Desk) {
    let configuration = Configuration::of_voters(["a", "b", "c"].map(id));
    let payload = Payload::Configuration(configuration);
    let entry = Entry { id: LogId::new(0, 1), time: ClusterTime::ZERO, payload };
    let message = quorate_replication::Message::Append {
        term: Term(1),
        prev: LogId::ZERO,
        commit: LogIndex(1),
        attempt: 1,
        entries: vec![entry],
    };
    desk.receive("b", PeerMessage::Replication(message));
}

/// The laws of machines, for a node that looks for others and founds with them.
#[test]
fn an_unborn_node_keeps_the_laws() {
    for seed in 0..60 {
        let mut rng = Rng::stream(seed, "laws");
        let (min_nodes, seeds): (usize, &[&str]) =
            [(1, &[][..]), (2, &[A, B]), (2, &["name:7946"]), (3, &[B])][rng.index(4)];
        let make = || {
            let setup = Desk::setup_unborn(min_nodes, seeds);
            let mut out = Outbox::new();
            NodeMachine::new(setup, &Recovered::default(), seed, Instant::ZERO, &mut out)
                .expect("a new node starts")
        };
        check_laws(make, script(&mut rng)).unwrap_or_else(|law| panic!("seed {seed}: {law}"));
    }
}

/// Half a minute of what another node says, of a slow disk, and of streams that come and go.
fn script(rng: &mut Rng) -> Vec<(Instant, NodeInput)> {
    let mut other = Other::new("b", B, [ClusterId::NONE, ClusterId(3)][rng.index(2)]).membership;
    let (mut now, mut script) = (Instant::ZERO, Vec::new());
    let (from, b): (SocketAddr, NodeId) = (B.parse().expect("it is an address"), id("b"));
    while now < Instant::from_millis(30_000) {
        now += Duration::from_millis(rng.below(300));
        let mut out = Outbox::new();
        other.wake(now, &mut out);
        for output in out.drain() {
            if let gossip::Output::Send { packet, .. } = output {
                script.push((now, NodeInput::Packet { from, over: Channel::Datagram, packet }));
            }
        }
        let ballot = PledgeBallot { round: rng.below(9), priority: 100, proposer: Some(id("b")) };
        let proposal = || {
            let configuration = Configuration::of_voters(["a", "b"].map(id));
            Proposal { cluster: ClusterId(3), configuration }
        };
        let message = match rng.below(6) {
            0 => BootstrapMessage::Prepare { ballot },
            1 => BootstrapMessage::Promise { ballot, accepted: None },
            2 => BootstrapMessage::Accept { ballot, proposal: proposal() },
            3 => BootstrapMessage::Accepted { ballot },
            4 => BootstrapMessage::Refused { promised: ballot.clone(), ballot },
            _ => BootstrapMessage::Chosen { ballot, proposal: proposal() },
        };
        script.push(match rng.below(6) {
            0 => (now, NodeInput::PeerConnected { peer: b.clone(), disk: DISK }),
            1 if rng.chance(200_000) => {
                (now, NodeInput::PeerLost { peer: b.clone(), refused: true })
            }
            2 | 3 => (now, NodeInput::Persisted(Token(rng.below(40)))),
            4 if rng.chance(300_000) => {
                let message = PeerMessage::Bootstrap(message);
                (now, NodeInput::Message { from: b.clone(), disk: DISK, message })
            }
            _ => {
                let addresses = vec![from];
                (now, NodeInput::Resolved { name: "name:7946".into(), addresses })
            }
        });
    }
    script
}
