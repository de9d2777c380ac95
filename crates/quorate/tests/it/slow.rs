//! Three whole nodes and their disks, which are slow: messages take a millisecond, and syncs what a
//! test says.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use quorate::{Answer, Effect, NodeEvent, NodeInput, NodeMachine, PeerMessage, RequestId};
use quorate_core::{
    ClusterId, Configuration, DiskId, Instant, Machine as _, Outbox, Proposal, Record, Recovered,
    Token,
};
use quorate_election::Role;
use quorate_replication::Config;

use crate::desk::{Desk, id, membership, set};

const NAMES: [&str; 3] = ["a", "b", "c"];
const MILLISECOND: Duration = Duration::from_millis(1);

/// What waits for the next sync, and how long that takes; and the sync under way.
#[derive(Default)]
struct Drive {
    queued: Option<(Token, Duration)>,
    syncing: Option<(Instant, Token)>,
}

struct Cluster {
    nodes: Vec<NodeMachine>,
    is_down: [bool; 3],
    drives: [Drive; 3],
    /// How long a sync takes, and one with a snapshot.
    sync: Duration,
    snapshot_sync: Duration,
    mail: VecDeque<(Instant, usize, usize, PeerMessage)>,
    now: Instant,
    asked: BTreeMap<u64, Instant>,
    next: u64,
    seen: Seen,
}

#[derive(Debug, Default)]
struct Seen {
    reigns: usize,
    hand_overs: usize,
    written: usize,
    unwritten: usize,
}

const fn disk(place: usize) -> DiskId {
    DiskId(100 + place as u64)
}

impl Cluster {
    /// Nodes that are set to the priorities `own`, of which the cluster has `ruled` others perhaps.
    fn new(own: [u8; 3], ruled: [u8; 3], config: &Config) -> Self {
        let mut configuration = Configuration::of_voters(NAMES.map(id));
        for (place, name) in NAMES.into_iter().enumerate() {
            let member = configuration.members.get_mut(&id(name)).expect("it is a member");
            (member.priority, member.disk) = (ruled[place], disk(place));
        }
        let mut cluster = Self {
            nodes: Vec::new(),
            is_down: [false; 3],
            drives: Default::default(),
            sync: MILLISECOND * 2,
            snapshot_sync: MILLISECOND * 2,
            mail: VecDeque::new(),
            now: Instant::from_millis(1),
            asked: BTreeMap::new(),
            next: 0,
            seen: Seen::default(),
        };
        for (place, name) in NAMES.into_iter().enumerate() {
            let mut setup = Desk::setup_unborn(3, &[]);
            (setup.me, setup.disk, setup.instance) = (id(name), disk(place), place as u64);
            setup.membership = membership(&format!("10.0.0.{place}:7946"));
            setup.election.priority = own[place];
            setup.replication = config.clone();
            let configuration = configuration.clone();
            setup.founders = Some(Proposal { cluster: ClusterId(7), configuration });
            let (mut out, seed) = (Outbox::new(), place as u64 + 1);
            let node = NodeMachine::new(setup, &Recovered::default(), seed, cluster.now, &mut out)
                .expect("an empty disk fits");
            cluster.nodes.push(node);
            cluster.perform(place, &mut out);
        }
        for (place, peer) in (0..9).map(|pair| (pair / 3, pair % 3)).filter(|(a, b)| a != b) {
            let connected = NodeInput::PeerConnected { peer: id(NAMES[peer]), disk: disk(peer) };
            cluster.handle(place, connected);
        }
        cluster
    }

    fn handle(&mut self, place: usize, input: NodeInput) {
        if !self.is_down[place] {
            let mut out = Outbox::new();
            self.nodes[place].handle(self.now, input, &mut out);
            self.perform(place, &mut out);
        }
    }

    fn perform(&mut self, place: usize, out: &mut Outbox<Effect>) {
        for effect in out.drain() {
            match effect {
                Effect::Persist { token, record } => {
                    let is_snapshot = matches!(record, Record::Snapshot(_));
                    let takes = if is_snapshot { self.snapshot_sync } else { self.sync };
                    let queued = &mut self.drives[place].queued;
                    let before = queued.map_or(Duration::ZERO, |(_, takes)| takes);
                    *queued = Some((token, takes.max(before)));
                }
                Effect::Send { to, message, .. } => {
                    let to =
                        NAMES.iter().position(|name| id(name) == to).expect("one of the three");
                    self.mail.push_back((self.now + MILLISECOND, place, to, message));
                }
                Effect::Reply { id: RequestId(id), answer } => {
                    self.asked.remove(&id).expect("each is answered once");
                    let written = matches!(answer, Answer::Written { .. });
                    *(if written { &mut self.seen.written } else { &mut self.seen.unwritten }) += 1;
                }
                Effect::Event(NodeEvent::HandingOver { .. }) => self.seen.hand_overs += 1,
                Effect::Event(NodeEvent::BecameLeader { .. }) => self.seen.reigns += 1,
                _ => {}
            }
        }
    }

    /// Lets `millis` pass; every `each` milliseconds a client of every node writes.
    fn run(&mut self, millis: u64, each: u64) {
        for millisecond in 0..millis {
            self.now += MILLISECOND;
            for place in 0..3 {
                let done = self.drives[place].syncing.take_if(|(at, _)| *at <= self.now);
                if let Some((_, token)) = done {
                    self.handle(place, NodeInput::Persisted(token));
                }
            }
            while let Some((_, from, to, message)) =
                self.mail.pop_front_if(|(at, ..)| *at <= self.now)
            {
                let (from, disk) = (id(NAMES[from]), disk(from));
                self.handle(to, NodeInput::Message { from, disk, message });
            }
            for place in (0..3).filter(|place| !self.is_down[*place]).collect::<Vec<_>>() {
                if millisecond % each == 0 {
                    self.next += 1;
                    self.asked.insert(self.next, self.now);
                    let deadline = self.now + Duration::from_secs(5);
                    let (id, request) = (RequestId(self.next), set("k", "v"));
                    self.handle(place, NodeInput::Request { id, deadline, request });
                }
                while self.nodes[place].deadline().is_some_and(|due| due <= self.now) {
                    let mut out = Outbox::new();
                    self.nodes[place].wake(self.now, &mut out);
                    self.perform(place, &mut out);
                }
                let Drive { queued, syncing } = &mut self.drives[place];
                if syncing.is_none() {
                    *syncing = queued.take().map(|(token, takes)| (self.now + takes, token));
                }
            }
        }
    }

    fn has_leader(&self) -> bool {
        let leads = |node: &NodeMachine| node.voter().role() == Role::Leader;
        (0..3).any(|place| !self.is_down[place] && leads(&self.nodes[place]))
    }
}

#[test]
fn a_cluster_on_slow_disks_is_slow_and_no_more() {
    let mut cluster = Cluster::new([100; 3], [100; 3], &Config::default());
    cluster.run(2_000, 50);
    cluster.seen = Seen::default();
    // Longer than an election timeout, and no disk hangs.
    cluster.sync = MILLISECOND * 500;
    cluster.run(60_000, 50);
    let Seen { reigns, hand_overs, written, unwritten } = cluster.seen;
    assert_eq!((reigns, hand_overs, unwritten), (0, 0, 0), "{written} were written");
    assert!(written > 3_000, "{written}");
}

#[test]
fn e11_a_disk_that_hangs_while_the_others_work_costs_the_lead() {
    let mut cluster = Cluster::new([100; 3], [100; 3], &Config::default());
    cluster.run(2_000, 50);
    cluster.seen = Seen::default();
    let leads = |node: &NodeMachine| node.voter().role() == Role::Leader;
    let leader = cluster.nodes.iter().position(leads).expect("one leads");
    cluster.drives[leader].syncing = Some((Instant::FAR, Token(0)));
    // Two election timeouts.
    cluster.run(600, 50);
    assert_eq!((cluster.seen.hand_overs, cluster.seen.reigns), (1, 1), "{:?}", cluster.seen);
    assert!(!leads(&cluster.nodes[leader]));
}

#[test]
fn a_snapshot_that_takes_its_time_does_not_cost_the_lead() {
    let config = Config { compact_log_entries: 600, ..Config::default() };
    let mut cluster = Cluster::new([100; 3], [100; 3], &config);
    cluster.snapshot_sync = MILLISECOND * 1_000;
    cluster.run(60_000, 50);
    assert_eq!((cluster.seen.reigns, cluster.seen.unwritten), (1, 0), "{:?}", cluster.seen);
}

#[test]
fn e9_what_a_node_is_set_to_does_not_count_against_what_the_cluster_has_ruled() {
    let mut cluster = Cluster::new([50, 100, 100], [200, 100, 100], &Config::default());
    cluster.run(600_000, 1_000);
    assert!(cluster.seen.hand_overs <= 1, "{:?}", cluster.seen);
}

#[test]
fn e7_two_that_are_set_not_to_lead_do_not_wait_for_each_other() {
    let mut cluster = Cluster::new([0, 0, 100], [100; 3], &Config::default());
    cluster.run(10_000, 100);
    cluster.is_down[2] = true;
    for place in 0..2 {
        cluster.handle(place, NodeInput::PeerLost { peer: id("c"), refused: true });
    }
    cluster.run(10_000, 100);
    assert!(cluster.has_leader(), "{:?}", cluster.seen);
}
