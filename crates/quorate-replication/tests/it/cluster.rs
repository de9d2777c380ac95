//! A deterministic cluster: late disks, a bad network, crashes, and elections that are always
//! lawful (a mandate comes from a tally of certificates) though often untimely.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quorate_core::{
    Configuration, Entry, Instant, Kind, LogId, LogIndex, LogView, NodeId, Outbox, Record, Rng,
    Snapshot, Tally, Term, Token, VoteCertificate,
};
use quorate_replication::{Config, Input, Message, Output, ProposalId, ReadId};

use crate::node::{Node, decode, encode};

#[derive(Debug)]
enum Event {
    Deliver { from: NodeId, to: usize, message: Message },
    Written { node: usize, boot: u64, token: Token },
    Wake { node: usize, boot: u64 },
    Snapshot { node: usize, boot: u64 },
    Client,
    Chaos,
}

/// How bad the world is, in millionths.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) voters: usize,
    pub(crate) learners: usize,
    pub(crate) loss: u32,
    pub(crate) copies: u32,
    pub(crate) delay_max: Duration,
    pub(crate) fsync_max: Duration,
    pub(crate) crash: u32,
    pub(crate) election: u32,
    pub(crate) partition: u32,
    pub(crate) pause_max_micros: u64,
    pub(crate) config: Config,
}

impl World {
    /// Any of the worlds below.
    pub(crate) fn mixed(seed: u64) -> Self {
        match seed % 4 {
            0 => Self::restless(seed),
            1 => Self::parted(seed),
            _ => Self::drawn(seed),
        }
    }

    /// A world drawn from `seed`: each fault is off in half of the seeds.
    pub(crate) fn drawn(seed: u64) -> Self {
        let mut rng = Rng::stream(seed, "world");
        let mut rate = |most: u64| if rng.chance(500_000) { rng.below(most) as u32 } else { 0 };
        let (loss, copies) = (rate(150_000), rate(150_000));
        let (crash, partition) = (rate(150_000), rate(300_000));
        let election = 50_000 + rate(400_000);
        let millis =
            |rng: &mut Rng, most: u64| Duration::from_micros(rng.between(100, most * 1_000));
        Self {
            voters: rng.pick(&[1, 2, 3, 3, 3, 5]).copied().unwrap(),
            learners: rng.index(2),
            loss,
            copies,
            delay_max: millis(&mut rng, 20),
            fsync_max: millis(&mut rng, 30),
            crash,
            election,
            partition,
            pause_max_micros: rng.between(1_000, 30_000),
            config: small_config(&mut rng),
        }
    }
}

impl World {
    /// A world of leaders that fall as soon as they rise, so that entries of older terms spread
    /// slowly under newer ones.
    pub(crate) fn restless(seed: u64) -> Self {
        let mut world = Self::drawn(seed);
        world.voters = if seed.is_multiple_of(2) { 3 } else { 5 };
        (world.election, world.loss, world.crash) = (800_000, 250_000, 50_000);
        (world.config.batch_bytes, world.config.inflight_messages) = (1, 1);
        world.config.resend_after = Duration::from_millis(5);
        (world.delay_max, world.fsync_max) = (Duration::from_millis(4), Duration::from_millis(2));
        world
    }
}

impl World {
    /// A world without faults, with the limits that ship.
    pub(crate) fn calm(seed: u64) -> Self {
        let mut world = Self { config: Config::default(), ..Self::drawn(seed) };
        (world.loss, world.copies, world.crash, world.partition) = (0, 0, 0, 0);
        (world.election, world.pause_max_micros) = (10_000, 5_000);
        (world.delay_max, world.fsync_max) = (Duration::from_micros(300), Duration::from_millis(1));
        world
    }

    /// A world of long partitions and early snapshots, so that a leader that was cut off comes
    /// back with a longer log than the snapshot it is sent.
    pub(crate) fn parted(seed: u64) -> Self {
        let mut world = Self::drawn(seed);
        world.voters = 3;
        (world.election, world.partition, world.loss) = (400_000, 700_000, 0);
        world.config.compact_log_entries = 5;
        (world.config.keep_log_bytes, world.config.uncommitted_entries) = (0, 60);
        (world.config.batch_bytes, world.config.inflight_bytes) = (400, 4_000);
        (world.delay_max, world.fsync_max) = (Duration::from_millis(2), Duration::from_millis(1));
        world
    }
}

/// Limits that every run reaches.
fn small_config(rng: &mut Rng) -> Config {
    Config {
        batch_bytes: rng.between(1, 400) as usize,
        inflight_messages: rng.between(1, 8) as usize,
        inflight_bytes: rng.between(1, 1_000) as usize,
        uncommitted_entries: rng.between(5, 60),
        resend_after: Duration::from_millis(rng.between(20, 80)),
        commit_notice_after: Duration::from_millis(rng.below(3)),
        commit_mark_after: Duration::from_millis(rng.between(5, 100)),
        compact_log_entries: rng.between(5, 80),
        keep_log_bytes: rng.below(1_000) as usize,
        snapshot_chunk_bytes: rng.between(16, 200) as usize,
        snapshot_chunks: rng.between(1, 4) as usize,
        ..Config::default()
    }
}

/// What happened at least so often; so that a test can tell that it tested something.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) events: u64,
    pub(crate) leaders: u64,
    pub(crate) crashes: u64,
    pub(crate) acked: u64,
    pub(crate) reads: u64,
    pub(crate) installs: u64,
    pub(crate) compactions: u64,
    pub(crate) truncations: u64,
    pub(crate) refusals: u64,
    pub(crate) asked: u64,
    pub(crate) messages: u64,
}

impl Marks {
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            events: self.events + other.events,
            leaders: self.leaders + other.leaders,
            crashes: self.crashes + other.crashes,
            acked: self.acked + other.acked,
            reads: self.reads + other.reads,
            installs: self.installs + other.installs,
            compactions: self.compactions + other.compactions,
            truncations: self.truncations + other.truncations,
            refusals: self.refusals + other.refusals,
            asked: self.asked + other.asked,
            messages: self.messages + other.messages,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Cluster {
    world: World,
    rng: Rng,
    now: Instant,
    sequence: u64,
    events: BTreeMap<(Instant, u64), Event>,
    pub(crate) nodes: Vec<Node>,
    cut: BTreeSet<(usize, usize)>,
    calm: bool,
    next_id: u64,
    /// R3: what was committed at each index, by whoever said so first.
    chosen: BTreeMap<LogIndex, Entry>,
    /// R1: the entry of each identity, with the identity before it.
    seen: BTreeMap<LogId, (LogId, Entry)>,
    acked: BTreeMap<u64, LogId>,
    acked_to: LogIndex,
    pub(crate) marks: Marks,
}

impl Cluster {
    /// A founded cluster in the world of `seed`.
    pub(crate) fn founded(seed: u64, world: World) -> Self {
        let total = world.voters + world.learners;
        let ids: Vec<NodeId> =
            (0..total).map(|at| NodeId::new(&format!("n{at}")).unwrap()).collect();
        let mut configuration = Configuration::of_voters(ids.clone());
        for id in &ids[world.voters..] {
            configuration.members.get_mut(id).unwrap().kind = Kind::Learner;
        }
        let now = Instant::from_millis(1_000);
        let nodes = ids.iter().map(|id| Node::new(id.clone(), &world.config, now)).collect();
        let mut cluster = Self {
            rng: Rng::stream(seed, "cluster"),
            now,
            sequence: 0,
            events: BTreeMap::new(),
            nodes,
            cut: BTreeSet::new(),
            calm: false,
            next_id: 0,
            chosen: BTreeMap::new(),
            seen: BTreeMap::new(),
            acked: BTreeMap::new(),
            acked_to: LogIndex::ZERO,
            marks: Marks::default(),
            world,
        };
        // A founder whose first record was lost would found again; a learner gets it by append.
        for at in 0..cluster.world.voters {
            let mut out = Outbox::new();
            let (now, configuration) = (Instant::ZERO, configuration.clone());
            assert!(cluster.nodes[at].replicator.found(now, configuration, &mut out));
            cluster.perform(at, &mut out);
            cluster.sync(at);
        }
        cluster.at(Duration::ZERO, Event::Client);
        cluster.at(Duration::ZERO, Event::Chaos);
        cluster
    }

    fn at(&mut self, after: Duration, event: Event) {
        self.sequence += 1;
        self.events.insert((self.now + after, self.sequence), event);
    }

    /// Runs `steps` events in the bad world.
    pub(crate) fn run(&mut self, steps: u64) {
        for _ in 0..steps {
            self.step();
        }
    }

    /// Heals everything, demands progress, and compares all nodes.
    pub(crate) fn settle(&mut self) {
        self.calm = true;
        self.cut.clear();
        for at in 0..self.nodes.len() {
            if !self.nodes[at].up {
                self.restart(at);
            }
        }
        let before = self.chosen.len();
        let end = self.now + Duration::from_secs(1);
        while self.now < end {
            self.step();
        }
        // A silent end: no client, so that what is under way arrives.
        self.events.retain(|_, event| !matches!(event, Event::Client | Event::Chaos));
        let end = self.now + Duration::from_secs(60);
        while self.events.keys().next().is_some_and(|(due, _)| *due < end) {
            self.step();
        }
        assert!(self.events.is_empty(), "an idle and healthy cluster is not silent");
        assert!(self.chosen.len() > before, "no progress after healing");
        let commit = self.nodes.iter().map(|node| node.applied).max().unwrap();
        for node in &self.nodes {
            assert_eq!(node.applied, commit, "{} lags behind in silence", node.id);
            assert_eq!(node.commands, self.nodes[0].commands, "states differ at {commit}");
        }
        let commands: BTreeSet<u64> = self.nodes[0].commands.iter().copied().collect();
        assert_eq!(commands.len(), self.nodes[0].commands.len(), "R6: a command applied twice");
        for (command, id) in &self.acked {
            assert!(commands.contains(command), "R4: the write at {id} was lost");
        }
    }

    fn step(&mut self) {
        let Some(((now, _), event)) = self.events.pop_first() else { return };
        self.now = now;
        self.marks.events += 1;
        match event {
            Event::Deliver { from, to, message } => self.deliver(from, to, message),
            Event::Written { node, boot, token } if self.lives(node, boot) => {
                self.written(node, token);
            }
            Event::Wake { node, boot } if self.lives(node, boot) => {
                if self.nodes[node].wake_at.is_some_and(|(at, _)| at == now) {
                    self.nodes[node].wake_at = None;
                    self.wake(node);
                }
            }
            Event::Snapshot { node, boot } if self.lives(node, boot) => {
                let it = &self.nodes[node];
                let state = encode(&it.commands);
                if let Some(snapshot) = it.replicator.log().snapshot_of(it.applied, state) {
                    self.marks.compactions += 1;
                    self.input(node, Input::Snapshotted(snapshot));
                }
            }
            Event::Written { .. } | Event::Wake { .. } | Event::Snapshot { .. } => {}
            Event::Client => self.client(),
            Event::Chaos => self.chaos(),
        }
    }

    fn lives(&self, node: usize, boot: u64) -> bool {
        self.nodes[node].up && self.nodes[node].boot == boot
    }

    fn deliver(&mut self, from: NodeId, to: usize, message: Message) {
        let sender = self.nodes.iter().position(|node| node.id == from).unwrap();
        if !self.nodes[to].up || self.cut.contains(&(sender, to)) {
            return;
        }
        self.raise(to, message.term());
        self.input(to, Input::Received { from, message });
    }

    /// The voter's part: promises `term`.
    fn raise(&mut self, at: usize, term: Term) -> bool {
        let news = self.nodes[at].raise(term);
        if news && self.nodes[at].replicator.is_leading() {
            self.input(at, Input::StepDown);
        }
        news
    }

    fn input(&mut self, at: usize, input: Input) {
        let mut out = Outbox::new();
        let node = &mut self.nodes[at];
        let before = (node.replicator.log().commit(), node.tip());
        node.replicator.step(self.now, input, &node.gate, &mut out);
        let log = node.replicator.log();
        assert!(log.commit() >= before.0, "R5: the commit of {} fell", node.id);
        assert!(log.tip().index >= log.commit(), "R5: {} truncated below its commit", node.id);
        self.marks.truncations += u64::from(!log.holds(before.1));
        self.check_log(at);
        let early = out.len();
        let deadline = self.nodes[at].replicator.deadline();
        if deadline.is_none_or(|due| due > self.now) {
            let node = &mut self.nodes[at];
            node.replicator.wake(self.now, &node.gate, &mut out);
            assert_eq!(out.len(), early, "law 3: patience");
            assert_eq!(node.replicator.deadline(), deadline, "law 3: patience");
        }
        self.perform(at, &mut out);
        self.arm(at);
    }

    fn wake(&mut self, at: usize) {
        let mut out = Outbox::new();
        let node = &mut self.nodes[at];
        node.replicator.wake(self.now, &node.gate, &mut out);
        assert!(node.replicator.deadline().is_none_or(|due| due > self.now), "law 4: progress");
        self.perform(at, &mut out);
        self.arm(at);
    }

    fn arm(&mut self, at: usize) {
        let Some(due) = self.nodes[at].replicator.deadline() else { return };
        if self.nodes[at].wake_at.is_some_and(|(_, armed)| armed <= due) {
            return;
        }
        // Sometimes more inputs come first: they share the flush.
        let patience = Duration::from_micros(self.rng.below(300));
        let after = due.since(self.now) + patience;
        self.nodes[at].wake_at = Some((self.now + after, due));
        self.at(after, Event::Wake { node: at, boot: self.nodes[at].boot });
    }

    fn perform(&mut self, at: usize, out: &mut Outbox<Output>) {
        for output in out.drain().collect::<Vec<_>>() {
            self.carry_out(at, output);
        }
    }

    fn carry_out(&mut self, at: usize, output: Output) {
        match output {
            Output::Persist(record) => self.persist(at, record),
            Output::Send { to, message, overtakes: true, .. } => self.send(at, &to, message),
            Output::Send { to, message, overtakes: false, .. } => {
                let mut ready = Vec::new();
                self.nodes[at].hold.push((to, message), |held| ready.push(held));
                ready.into_iter().for_each(|(to, message)| self.send(at, &to, message));
            }
            Output::Proposed { id, at: place } => {
                self.nodes[at].open.writes.insert(place.index, (place, id.0));
            }
            Output::Refused { .. } => self.marks.refusals += 1,
            Output::ChangeRefused { .. } | Output::Removed => panic!("nobody changes the members"),
            Output::ReadAt { id, index } => {
                let least = self.nodes[at].open.reads.remove(&id).unwrap();
                assert!(
                    index >= least,
                    "a read at {index} misses the write acknowledged at {least}"
                );
                self.marks.reads += 1;
            }
            Output::ReadRefused { id } => {
                self.nodes[at].open.reads.remove(&id).unwrap();
            }
            Output::Committed(index) => self.committed(at, index),
            Output::Install(snapshot) => self.installed(at, &snapshot),
            Output::Deposed => self.nodes[at].open.writes.clear(),
            Output::SnapshotWanted => {
                let after = Duration::from_micros(self.rng.below(20_000));
                self.at(after, Event::Snapshot { node: at, boot: self.nodes[at].boot });
            }
            Output::LeaderHeard { .. } | Output::PeerHeard { .. } | Output::CaughtUp { .. } => {}
            Output::Distrusted { peer, why } => panic!("{} distrusts {peer}: {why}", at),
        }
    }

    fn persist(&mut self, at: usize, record: Record) {
        let fsync = self.rng.duration(Duration::from_micros(20), self.world.fsync_max);
        let node = &mut self.nodes[at];
        node.token = Token(node.token.0 + 1);
        node.hold.rest_on(node.token);
        node.writing.push_back((node.token, record));
        let (token, boot) = (node.token, node.boot);
        self.at(fsync, Event::Written { node: at, boot, token });
    }

    fn written(&mut self, at: usize, token: Token) {
        let tips = self.nodes[at].written(token);
        let mut ready = Vec::new();
        self.nodes[at].hold.release(token, |held| ready.push(held));
        ready.into_iter().for_each(|(to, message)| self.send(at, &to, message));
        for tip in tips {
            self.input(at, Input::Persisted { tip });
        }
    }

    /// Waits for the disk.
    fn sync(&mut self, at: usize) {
        let token = self.nodes[at].token;
        self.written(at, token);
    }

    fn send(&mut self, from: usize, to: &NodeId, message: Message) {
        let (world, calm) = (&self.world, self.calm);
        let Some(to) = self.nodes.iter().position(|node| node.id == *to) else { return };
        self.marks.messages += 1;
        if !calm && self.rng.chance(world.loss) {
            return;
        }
        let copies = if !calm && self.rng.chance(world.copies) { 2 } else { 1 };
        for copy in 0..copies {
            // A copy may be very late.
            let most = self.world.delay_max * if copy == 0 { 1 } else { 20 };
            let least = if calm { most } else { Duration::from_micros(50) };
            let delay = self.rng.duration(least, most);
            let from = self.nodes[from].id.clone();
            self.at(delay, Event::Deliver { from, to, message: message.clone() });
        }
    }

    fn committed(&mut self, at: usize, index: LogIndex) {
        self.apply_to(at, index);
        let node = &mut self.nodes[at];
        while let Some(first) = node.open.writes.first_entry().filter(|it| *it.key() <= index) {
            let (place, command) = first.remove();
            if self.chosen.get(&place.index).is_some_and(|entry| entry.id == place) {
                self.acked.insert(command, place);
                self.acked_to = self.acked_to.max(place.index);
                self.marks.acked += 1;
            }
        }
    }

    fn apply_to(&mut self, at: usize, index: LogIndex) {
        let node = &mut self.nodes[at];
        while node.applied < index {
            let entry = node.replicator.log().entry(node.applied.next()).expect("R3: kept").clone();
            let chosen = self.chosen.entry(entry.id.index).or_insert_with(|| entry.clone());
            assert_eq!(*chosen, entry, "R3: {} committed another entry", node.id);
            node.apply(&entry);
        }
    }

    fn installed(&mut self, at: usize, snapshot: &Snapshot) {
        self.marks.installs += 1;
        let node = &mut self.nodes[at];
        assert!(snapshot.last.index > node.applied, "R6: a snapshot of what was applied");
        let chosen = self.chosen.get(&snapshot.last.index).map(|entry| entry.id);
        assert_eq!(chosen, Some(snapshot.last), "R3: a snapshot of an uncommitted entry");
        node.applied = snapshot.last.index;
        node.commands = decode(&snapshot.state);
        node.checked = LogId::ZERO;
        self.check_log(at);
    }

    fn client(&mut self) {
        let pause = Duration::from_micros(self.rng.between(100, self.world.pause_max_micros));
        self.at(pause, Event::Client);
        let leaders: Vec<usize> = (0..self.nodes.len())
            .filter(|at| self.nodes[*at].up && self.nodes[*at].replicator.is_leading())
            .collect();
        let Some(at) = self.rng.pick(&leaders).copied() else { return };
        for _ in 0..self.rng.between(1, 4) {
            self.next_id += 1;
            self.marks.asked += 1;
            if self.rng.chance(200_000) {
                let id = ReadId(self.next_id);
                self.nodes[at].open.reads.insert(id, self.acked_to);
                self.input(at, Input::Read { id });
            } else {
                let command = encode(&[self.next_id]);
                self.input(at, Input::Propose { id: ProposalId(self.next_id), command });
            }
        }
    }

    fn chaos(&mut self) {
        let pause = Duration::from_millis(self.rng.between(1, 40));
        self.at(pause, Event::Chaos);
        let at = self.rng.index(self.nodes.len());
        if self.calm {
            let leads = |node: &Node| node.replicator.is_leading();
            let newest = self.nodes.iter().map(|node| node.gate.current()).max();
            let led =
                self.nodes.iter().any(|node| leads(node) && Some(node.gate.current()) == newest);
            if !led {
                self.elect(at, true);
            }
            return;
        }
        if self.rng.chance(self.world.election) && self.nodes[at].up {
            self.elect(at, false);
        }
        if self.rng.chance(self.world.crash) && self.nodes[at].up {
            self.marks.crashes += 1;
            let kept = self.rng.index(self.nodes[at].writing.len() + 1);
            self.nodes[at].crash(kept);
        } else if !self.nodes[at].up {
            self.restart(at);
        }
        if self.rng.chance(self.world.partition) {
            let other = self.rng.index(self.nodes.len());
            self.cut.insert((at, other));
            if self.rng.chance(500_000) {
                self.cut.insert((other, at));
            }
        } else if self.rng.chance(300_000) {
            self.cut.clear();
            self.connected(at);
        }
    }

    /// Connections are made anew.
    fn connected(&mut self, at: usize) {
        let ids: Vec<NodeId> = self.nodes.iter().map(|node| node.id.clone()).collect();
        if self.nodes[at].up {
            for id in ids {
                let lost = self.rng.chance(300_000);
                let event = if lost { Input::PeerLost(id) } else { Input::PeerConnected(id) };
                self.input(at, event);
            }
        }
    }

    fn restart(&mut self, at: usize) {
        self.nodes[at].restart(&self.world.config, self.now);
        let commit = self.nodes[at].replicator.log().commit();
        self.apply_to(at, commit);
        self.arm(at);
    }

    /// A whole election in one moment. Nodes whose gate is not asked keep the older leader.
    fn elect(&mut self, candidate: usize, all: bool) {
        let term = self.nodes[candidate].gate.current().next();
        let mut tally = Tally::new(term, self.nodes[candidate].id.clone());
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        self.rng.shuffle(&mut order);
        order.retain(|at| *at != candidate);
        order.insert(0, candidate);
        for at in order {
            let reachable = !self.cut.contains(&(candidate, at)) && self.nodes[at].up;
            let asked = at == candidate || (reachable && (all || self.rng.chance(700_000)));
            if !asked || !self.raise(at, term) {
                continue;
            }
            let (mine, theirs) = (self.nodes[at].tip(), self.nodes[candidate].tip());
            if mine <= theirs {
                // The grant rests on all that was written before it.
                self.sync(at);
                let (voter, candidate) = (at, self.nodes[candidate].id.clone());
                let voter = self.nodes[voter].id.clone();
                tally.grant(VoteCertificate { voter, term, candidate, tip: mine });
            }
        }
        let Ok(mandate) = tally.finish(self.nodes[candidate].replicator.log()) else { return };
        let log = self.nodes[candidate].replicator.log();
        for (index, entry) in self.chosen.range(log.first_index()..) {
            assert!(log.holds(entry.id), "R2: the leader of {term:?} lacks {index}");
        }
        self.marks.leaders += 1;
        self.input(candidate, Input::Lead(mandate));
    }

    /// R1, over every entry that is new in a log: one identity, one entry, one predecessor.
    fn check_log(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let log = node.replicator.log();
        let base = log.first_index().previous();
        let base = LogId { term: log.term_at(base).unwrap(), index: base };
        let checked = node.checked.index >= base.index && log.holds(node.checked);
        let mut before = if checked { node.checked } else { base };
        for entry in log.entries(before.index.next()..=log.tip().index) {
            let known = self.seen.entry(entry.id).or_insert_with(|| (before, entry.clone()));
            assert_eq!((&known.0, &known.1), (&before, entry), "R1: in the log of {}", node.id);
            before = entry.id;
        }
        node.checked = before;
    }
}
