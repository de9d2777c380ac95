//! A node on a desk: time and disk move when the test says so.

use std::time::Duration;

use bytes::Bytes;
use quorate::{
    Answer, Command, ConsistencyLevel, Effect, NodeInput, NodeMachine, NodeSetup, Op, PeerMessage,
    Query, ReadLevel, Request, RequestId,
};
use quorate_core::{
    BootEpoch, ClusterId, Configuration, DiskId, Instant, Machine as _, NodeId, Outbox, Proposal,
    Recovered, Token,
};

/// The disk of every node that a test does not give another one.
pub(crate) const DISK: DiskId = DiskId(0xd15c);

/// A node, its clock, and what it has wanted done so far.
pub(crate) struct Desk {
    pub(crate) node: NodeMachine,
    pub(crate) now: Instant,
    /// The last record handed over, durable or not.
    pub(crate) written: Token,
    pub(crate) effects: Vec<Effect>,
    out: Outbox<Effect>,
}

pub(crate) fn id(name: &str) -> NodeId {
    NodeId::new(name).expect("a letter is an id")
}

pub(crate) fn set(key: &'static str, value: &'static str) -> Request {
    let (key, value) = (Bytes::from(key), Bytes::from(value));
    let command = Command { tag: None, op: Op::Set { key, value } };
    Request::Write { command, level: ConsistencyLevel::Quorum }
}

/// The same, and every data voter must hold it.
pub(crate) fn set_strong(key: &'static str, value: &'static str) -> Request {
    match set(key, value) {
        Request::Write { command, .. } => {
            Request::Write { command, level: ConsistencyLevel::Strong }
        }
        other => other,
    }
}

pub(crate) fn get(key: &'static str) -> Request {
    let query = Query::Get { key: Bytes::from(key) };
    Request::Read { query, level: ReadLevel::Linearizable }
}

/// How gossip is set up at a node that is at `address`.
pub(crate) fn membership(address: &str) -> quorate_membership::Config {
    quorate_membership::Config {
        cluster_name: "desk".into(),
        address: address.into(),
        ..quorate_membership::Config::lan()
    }
}

impl Desk {
    /// The node `a` of a new cluster of `members`.
    pub(crate) fn new(members: &[&str]) -> Self {
        Self::with(members, quorate_replication::Config::default())
    }

    /// The node `a` of a new cluster with this configuration.
    pub(crate) fn founding(configuration: Configuration) -> Self {
        let mut setup = Self::setup_unborn(1, &[]);
        setup.founders = Some(Proposal { cluster: ClusterId(7), configuration });
        Self::start(setup, &Recovered::default())
    }

    /// As [`Self::new`], its log set up as `replication` says.
    pub(crate) fn with(members: &[&str], replication: quorate_replication::Config) -> Self {
        let setup = NodeSetup {
            me: id("a"),
            election: quorate_election::Config::lan(),
            replication,
            limits: quorate_dist_state::Limits::default(),
            membership: membership("10.0.0.1:7946"),
            tags: quorate_membership::Tags::default(),
            bootstrap: quorate_election::BootstrapConfig::new(members.len()),
            boot: BootEpoch(1),
            disk: DISK,
            instance: 1,
            founders: Some(Proposal {
                cluster: ClusterId(7),
                configuration: Configuration::of_voters(members.iter().map(|name| id(name))),
            }),
            autopilot: None,
        };
        Self::start(setup, &Recovered::default())
    }

    /// The node `a`, to found a cluster with others that it finds through `seeds`, or to go on with
    /// what its disk says.
    pub(crate) fn unborn(min_nodes: usize, seeds: &[&str], recovered: &Recovered) -> Self {
        Self::start(Self::setup_unborn(min_nodes, seeds), recovered)
    }

    pub(crate) fn setup_unborn(min_nodes: usize, seeds: &[&str]) -> NodeSetup {
        let bootstrap = quorate_election::BootstrapConfig::new(min_nodes);
        let settle = if min_nodes == 1 { Duration::ZERO } else { bootstrap.settle };
        let seeds = seeds.iter().map(ToString::to_string).collect();
        NodeSetup {
            me: id("a"),
            election: quorate_election::Config::lan(),
            replication: quorate_replication::Config::default(),
            limits: quorate_dist_state::Limits::default(),
            membership: quorate_membership::Config { seeds, ..membership("10.0.0.1:7946") },
            tags: quorate_membership::Tags::default(),
            bootstrap: quorate_election::BootstrapConfig { settle, ..bootstrap },
            boot: BootEpoch(1),
            disk: DISK,
            instance: 1,
            founders: None,
            autopilot: None,
        }
    }

    pub(crate) fn start(setup: NodeSetup, recovered: &Recovered) -> Self {
        let now = Instant::from_millis(1);
        let mut out = Outbox::new();
        let node = NodeMachine::new(setup, recovered, 1, now, &mut out).expect("a new node starts");
        let mut desk = Self { node, now, written: Token(0), effects: Vec::new(), out };
        desk.collect();
        desk
    }

    pub(crate) fn collect(&mut self) {
        for effect in self.out.drain() {
            if let Effect::Persist { token, .. } = &effect {
                self.written = *token;
            }
            self.effects.push(effect);
        }
    }

    pub(crate) fn handle(&mut self, input: NodeInput) {
        self.node.handle(self.now, input, &mut self.out);
        self.collect();
    }

    /// Everything handed over so far is durable.
    pub(crate) fn sync(&mut self) {
        self.handle(NodeInput::Persisted(self.written));
    }

    /// Lets time pass to `end`; with `disk`, every record is durable at once.
    pub(crate) fn pass(&mut self, end: Instant, disk: bool) {
        let mut wakes = 0;
        while let Some(due) = self.node.deadline().filter(|due| *due <= end) {
            wakes += 1;
            assert!(wakes < 10_000, "a node that always wants to be woken makes no progress");
            self.now = self.now.max(due);
            self.node.wake(self.now, &mut self.out);
            self.collect();
            if disk {
                self.sync();
            }
        }
        self.now = end;
    }

    pub(crate) fn ask(&mut self, number: u64, deadline: Instant, request: Request) {
        self.handle(NodeInput::Request { id: RequestId(number), deadline, request });
    }

    pub(crate) fn receive(&mut self, from: &str, message: PeerMessage) {
        self.handle(NodeInput::Message { from: id(from), disk: DISK, message });
    }

    /// What was answered to request `number`.
    pub(crate) fn answers(&self, number: u64) -> Vec<&Answer> {
        let answer = |effect| match effect {
            &Effect::Reply { id: RequestId(id), ref answer } if id == number => Some(answer),
            _ => None,
        };
        self.effects.iter().filter_map(answer).collect()
    }

    pub(crate) fn sends(&self) -> usize {
        self.effects.iter().filter(|effect| matches!(effect, Effect::Send { .. })).count()
    }
}
