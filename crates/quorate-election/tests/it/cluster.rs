//! A small cluster in one thread: messages are lost, late and repeated, disks are slow, nodes
//! crash with what was durable, links break; every claim is checked at every step.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use quorate_core::{
    Ballot, Configuration, DiskId, Hold, Instant, Kind, LogId, LogIndex, LogView, Mandate, Member,
    NodeId, Outbox, Rng, Term, Token,
};
use quorate_election::{Config, Input, Message, Output, Role, Voter};

use crate::script::id;

/// What a run is like.
#[derive(Clone)]
pub(crate) struct Weather {
    /// Lost messages per million.
    pub(crate) loss: u32,
    /// Messages that arrive again, up to two seconds later, per million.
    pub(crate) repeats: u32,
    /// The longest ordinary delay of a message.
    pub(crate) delay_millis: u64,
    /// The longest ordinary delay of the disk.
    pub(crate) disk_millis: u64,
    /// The mean time between faults; zero for none.
    pub(crate) fault_millis: u64,
}

impl Weather {
    pub(crate) const CALM: Self =
        Self { loss: 0, repeats: 0, delay_millis: 5, disk_millis: 5, fault_millis: 0 };

    pub(crate) const fn drawn(rng: &mut Rng) -> Self {
        Self {
            loss: [0, 20_000, 200_000][rng.index(3)],
            repeats: [0, 100_000][rng.index(2)],
            delay_millis: [2, 20, 90][rng.index(3)],
            disk_millis: [1, 10, 60][rng.index(3)],
            fault_millis: [60, 200, 500][rng.index(3)],
        }
    }
}

/// Entries as the terms they were appended in: enough to tell logs apart.
struct Log {
    entries: Vec<Term>,
    configuration: Configuration,
}

impl LogView for Log {
    fn tip(&self) -> LogId {
        let index = LogIndex(self.entries.len() as u64);
        self.entries.last().map_or(LogId::ZERO, |term| LogId { term: *term, index })
    }

    fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    fn commit(&self) -> LogIndex {
        LogIndex::ZERO
    }
}

struct Node {
    config: Config,
    /// `None` while it is down.
    voter: Option<Voter>,
    log: Log,
    durable: Ballot,
    boot: u64,
    issued: u64,
    writing: VecDeque<(Token, Ballot)>,
    hold: Hold<(NodeId, Message)>,
    mandate: Option<Mandate>,
    /// When it was elected, and whom it heard since.
    elected_at: Instant,
    heard: BTreeMap<NodeId, Instant>,
    /// The highest term it ever spoke.
    spoken: Term,
}

enum Act {
    Deliver { from: NodeId, to: NodeId, message: Message },
    Durable { node: NodeId, boot: u64, token: Token },
    Restart { node: NodeId },
    Append,
    Fault,
}

/// How often things happened that a run should not miss.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) elections: u64,
    pub(crate) crashes_before_durable: u64,
    pub(crate) commits: u64,
    pub(crate) quorum_lost: u64,
}

pub(crate) struct Cluster {
    pub(crate) now: Instant,
    pub(crate) marks: Marks,
    pub(crate) weather: Weather,
    rng: Rng,
    nodes: BTreeMap<NodeId, Node>,
    agenda: BTreeMap<(Instant, u64), Act>,
    sequence: u64,
    /// Directed links that carry nothing.
    cut: BTreeSet<(NodeId, NodeId)>,
    committed: Vec<Term>,
    leaders: BTreeMap<Term, NodeId>,
    votes: BTreeMap<(NodeId, Term), NodeId>,
    violation: Option<String>,
}

impl Cluster {
    /// Members as `(name, kind, priority, config)`.
    pub(crate) fn new(
        seed: u64,
        weather: Weather,
        members: Vec<(NodeId, Kind, Config)>,
        outgoing: Option<BTreeSet<NodeId>>,
    ) -> Self {
        let mut rng = Rng::stream(seed, "cluster");
        let member =
            |kind, priority| Member { kind, priority, address: String::new(), disk: DiskId::NONE };
        let configuration = Configuration {
            members: members
                .iter()
                .map(|(id, kind, config)| (id.clone(), member(*kind, config.priority)))
                .collect(),
            outgoing: outgoing
                .map(|old| old.into_iter().map(|id| (id, member(Kind::Voter, 100))).collect()),
            removed: Vec::new(),
        };
        let nodes = members.into_iter().map(|(id, _, config)| {
            let voter = Voter::new(
                id.clone(),
                config.clone(),
                Ballot::default(),
                rng.fork(),
                Instant::ZERO,
            );
            let log = Log { entries: Vec::new(), configuration: configuration.clone() };
            (id, Node::new(config, voter, log))
        });
        let nodes = nodes.collect();
        let mut cluster = Self {
            now: Instant::ZERO,
            marks: Marks::default(),
            weather,
            rng,
            nodes,
            agenda: BTreeMap::new(),
            sequence: 0,
            cut: BTreeSet::new(),
            committed: Vec::new(),
            leaders: BTreeMap::new(),
            votes: BTreeMap::new(),
            violation: None,
        };
        cluster.schedule(40, Act::Append);
        cluster.schedule(400, Act::Fault);
        cluster
    }

    /// A cluster of random size, kinds and priorities.
    pub(crate) fn drawn(seed: u64) -> Self {
        let mut rng = Rng::stream(seed, "members");
        let voters = 2 + rng.index(4);
        let mut members = Vec::new();
        for n in 0..6 {
            let kind = match n {
                _ if n < voters => Kind::Voter,
                _ if rng.chance(500_000) => continue,
                5 => Kind::Learner,
                4 => Kind::Observer,
                _ => Kind::Witness,
            };
            let config = Config {
                priority: [100, 100, 150, 200, 0][rng.index(if n == 0 { 4 } else { 5 })],
                pre_vote: rng.chance(600_000),
                ..Config::lan()
            };
            members.push((id(&format!("n{n}")), kind, config));
        }
        let joint = rng.chance(200_000);
        let outgoing = joint.then(|| members.iter().take(3).map(|(id, ..)| id.clone()).collect());
        Self::new(seed, Weather::drawn(&mut rng), members, outgoing)
    }

    /// Runs for `millis`; the first violation ends it.
    pub(crate) fn run(&mut self, millis: u64) -> Result<(), String> {
        let end = self.now + std::time::Duration::from_millis(millis);
        while self.violation.is_none() {
            let due = |node: &Node| node.voter.as_ref().and_then(Voter::deadline);
            let wake = self.nodes.iter().filter_map(|(id, node)| Some((due(node)?, id.clone())));
            let wake = wake.min();
            let act = self.agenda.first_key_value().map(|(key, _)| *key);
            let next = [wake.as_ref().map(|(at, _)| *at), act.map(|(at, _)| at)];
            let Some(at) = next.into_iter().flatten().min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(at);
            match wake {
                Some((due, id)) if due <= at => self.turn(&id, None),
                _ => {
                    let act = act.and_then(|key| self.agenda.remove(&key));
                    self.perform(act.expect("the agenda was looked at above"));
                }
            }
            self.check_leaders();
        }
        self.now = end;
        self.violation.take().map_or(Ok(()), Err)
    }

    /// Mends everything and restarts everybody.
    pub(crate) fn heal(&mut self) {
        self.weather = Weather::CALM;
        self.cut.clear();
        for id in self.ids() {
            self.restart(&id);
        }
    }

    /// Cuts `id` off: from its peers, or only what it hears, or only what it says.
    pub(crate) fn isolate(&mut self, id: &NodeId, hears: bool, speaks: bool) {
        for other in self.ids() {
            if !hears {
                self.cut.insert((other.clone(), id.clone()));
            }
            if !speaks {
                self.cut.insert((id.clone(), other));
            }
        }
    }

    pub(crate) fn mend(&mut self) {
        self.cut.clear();
    }

    /// The leader that a quorum follows, and its term.
    pub(crate) fn leader(&self) -> Option<(NodeId, Term)> {
        let (leader, term) = self.nodes.iter().find_map(|(id, node)| {
            let voter = node.voter.as_ref().filter(|voter| voter.role() == Role::Leader)?;
            let follows = |peer: &NodeId| {
                let peer = self.nodes.get(peer).and_then(|node| node.voter.as_ref());
                peer.is_some_and(|p| p.leader() == Some(id) && p.term() == voter.term())
            };
            let configuration = &node.log.configuration;
            configuration.has_quorum(follows).then(|| (id.clone(), voter.term()))
        })?;
        Some((leader, term))
    }

    pub(crate) fn ids(&self) -> Vec<NodeId> {
        self.nodes.keys().cloned().collect()
    }

    fn schedule(&mut self, millis: u64, act: Act) {
        // Microseconds, so that not everything happens at once.
        let micros = self.rng.between(1, millis.max(1) * 1_000);
        let at = self.now + std::time::Duration::from_micros(micros);
        self.sequence += 1;
        self.agenda.insert((at, self.sequence), act);
    }

    fn perform(&mut self, act: Act) {
        match act {
            Act::Deliver { from, to, message } => {
                if let Message::HeartbeatReply { term } = message {
                    self.note_heard(&to, &from, term);
                }
                self.turn(&to, Some(Input::Received { from, message }));
            }
            Act::Durable { node, boot, token } => self.durable(&node, boot, token),
            Act::Restart { node } => self.restart(&node),
            Act::Append => {
                self.append();
                self.schedule(40, Act::Append);
            }
            Act::Fault => {
                if self.weather.fault_millis > 0 {
                    self.fault();
                }
                self.schedule(self.weather.fault_millis.max(10) * 2, Act::Fault);
            }
        }
    }

    /// Wakes a node and gives it `input`, then carries out what it wants.
    fn turn(&mut self, id: &NodeId, input: Option<Input>) {
        let mut out = Outbox::new();
        let Some(node) = self.nodes.get_mut(id) else { return };
        let Some(voter) = node.voter.as_mut() else { return };
        voter.wake(self.now, &node.log, &mut out);
        if let Some(input) = input {
            voter.step(self.now, input, &node.log, &mut out);
        }
        let mut leaving = Vec::new();
        for output in out.drain() {
            match output {
                Output::Persist(ballot) => {
                    let node = self.nodes.get_mut(id).expect("looked up above");
                    node.issued += 1;
                    let (token, boot) = (Token(node.issued), node.boot);
                    node.hold.rest_on(token);
                    node.writing.push_back((token, ballot));
                    let stalls = self.rng.chance(20_000);
                    let millis = if stalls { 900 } else { self.weather.disk_millis };
                    self.schedule(millis, Act::Durable { node: id.clone(), boot, token });
                }
                Output::Send { to, message, overtakes: true } => leaving.push((to, message)),
                Output::Send { to, message, overtakes: false } => {
                    let node = self.nodes.get_mut(id).expect("looked up above");
                    node.hold.push((to, message), |sent| leaving.push(sent));
                }
                Output::Elected(mandate) => self.elected(id, mandate),
                Output::Event(event) => {
                    let lost = event == quorate_election::Event::QuorumLost;
                    self.marks.quorum_lost += u64::from(lost);
                }
            }
        }
        self.send(id, leaving);
    }

    fn send(&mut self, from: &NodeId, leaving: Vec<(NodeId, Message)>) {
        for (to, message) in leaving {
            self.note_spoken(from, &to, &message);
            if self.cut.contains(&(from.clone(), to.clone())) || self.rng.chance(self.weather.loss)
            {
                continue;
            }
            let deliver =
                || Act::Deliver { from: from.clone(), to: to.clone(), message: message.clone() };
            if self.rng.chance(self.weather.repeats) {
                self.schedule(2_000, deliver());
            }
            self.schedule(self.weather.delay_millis, deliver());
        }
    }

    fn durable(&mut self, id: &NodeId, boot: u64, token: Token) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        if node.boot != boot || node.voter.is_none() {
            return;
        }
        let mut ballot = None;
        while node.writing.front().is_some_and(|(t, _)| *t <= token) {
            ballot = node.writing.pop_front().map(|(_, ballot)| ballot);
        }
        let Some(ballot) = ballot else { return };
        node.durable = ballot.clone();
        let mut leaving = Vec::new();
        node.hold.release(token, |sent| leaving.push(sent));
        self.send(id, leaving);
        self.turn(id, Some(Input::Persisted(ballot)));
    }

    fn crash(&mut self, id: &NodeId) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        if node.voter.take().is_some() {
            self.marks.crashes_before_durable += u64::from(!node.writing.is_empty());
            node.writing.clear();
            node.hold = Hold::new(Token(node.issued));
            node.mandate = None;
            node.boot += 1;
        }
    }

    fn restart(&mut self, id: &NodeId) {
        let (now, rng) = (self.now, self.rng.fork());
        let Some(node) = self.nodes.get_mut(id) else { return };
        if node.voter.is_some() {
            return;
        }
        let voter = Voter::new(id.clone(), node.config.clone(), node.durable.clone(), rng, now);
        let (term, spoken) = (voter.term(), node.spoken);
        node.voter = Some(voter);
        if term < spoken {
            self.violate(format!("E5: {id} spoke {spoken:?} and came back with {term:?}"));
        }
    }

    fn fault(&mut self) {
        let ids = self.ids();
        let victim = ids[self.rng.index(ids.len())].clone();
        match self.rng.below(10) {
            0..=3 => {
                self.crash(&victim);
                self.schedule(400, Act::Restart { node: victim });
            }
            4 => self.isolate(&victim, self.rng.clone().chance(300_000), false),
            5 => self.isolate(&victim, false, true),
            6 => {
                let (one, other): (Vec<_>, Vec<_>) =
                    ids.iter().cloned().partition(|_| self.rng.chance(500_000));
                for a in &one {
                    for b in &other {
                        self.cut.insert((a.clone(), b.clone()));
                        self.cut.insert((b.clone(), a.clone()));
                    }
                }
            }
            7 => self.turn(&victim, Some(Input::Resign)),
            _ => self.mend(),
        }
    }

    /// Every leader appends an entry and copies its whole log to some of the members it reaches.
    /// Followers take it only if nothing of theirs is still on its way to the disk, so that
    /// entries are durable in the order of terms.
    fn append(&mut self) {
        for id in self.ids() {
            let Some(node) = self.nodes.get_mut(&id) else { continue };
            let leads = node.voter.as_ref().map(Voter::gate);
            let mandate = node.mandate.as_ref();
            let Some(term) = mandate.filter(|m| leads.is_some_and(|gate| m.holds(gate))) else {
                continue;
            };
            let term = term.term();
            node.log.entries.push(term);
            let entries = node.log.entries.clone();
            let configuration = node.log.configuration.clone();
            let mut holders = BTreeSet::from([id.clone()]);
            for peer in self.ids() {
                let reached = !self.cut.contains(&(id.clone(), peer.clone()))
                    && !self.cut.contains(&(peer.clone(), id.clone()));
                if peer != id && reached && self.rng.chance(600_000) {
                    self.turn(&peer, Some(Input::TermSeen { term, from: id.clone() }));
                    let Some(follower) = self.nodes.get_mut(&peer) else { continue };
                    let Some(voter) = follower.voter.as_ref() else { continue };
                    if !voter.gate().admits(term) || !follower.writing.is_empty() {
                        continue;
                    }
                    follower.log.entries.clone_from(&entries);
                    let heard = Input::LeaderHeard { leader: id.clone(), term };
                    self.turn(&peer, Some(heard));
                    self.note_heard(&id, &peer, term);
                    self.turn(&id, Some(Input::PeerHeard { peer: peer.clone() }));
                    holders.insert(peer);
                }
            }
            if configuration.has_quorum(|id| holders.contains(id)) {
                self.marks.commits += 1;
                if !entries.starts_with(&self.committed) {
                    self.violate(format!("R2: {id} committed over what was committed before"));
                }
                self.committed = entries;
            }
        }
    }

    // The oracles.

    fn violate(&mut self, what: String) {
        let now = self.now;
        self.violation.get_or_insert_with(|| format!("{now} {what}"));
    }

    fn elected(&mut self, id: &NodeId, mandate: Mandate) {
        let term = mandate.term();
        self.marks.elections += 1;
        let first = self.leaders.entry(term).or_insert_with(|| id.clone()).clone();
        if first != *id {
            self.violate(format!("E1: {first} and {id} lead {term:?}"));
        }
        let now = self.now;
        let Some(node) = self.nodes.get_mut(id) else { return };
        let own = Ballot { term, vote: Some(id.clone()) };
        let own_durable = node.durable == own;
        node.mandate = Some(mandate);
        node.elected_at = now;
        node.heard.clear();
        let configuration = node.log.configuration.clone();
        let complete = node.log.entries.starts_with(&self.committed);
        if !complete {
            self.violate(format!("E4: {id} leads {term:?} without a committed entry"));
        }
        let voted = |voter: &NodeId| {
            (voter == id && own_durable) || self.votes.get(&(voter.clone(), term)) == Some(id)
        };
        if !configuration.has_quorum(voted) {
            self.violate(format!("E6: {id} leads {term:?} without a quorum of votes"));
        }
        if configuration.kind(id) != Some(Kind::Voter) {
            self.violate(format!("E7: {id} leads {term:?} and is no voter"));
        }
    }

    fn note_spoken(&mut self, from: &NodeId, to: &NodeId, message: &Message) {
        let term = message.term();
        if let Some(node) = self.nodes.get_mut(from) {
            node.spoken = node.spoken.max(term);
        }
        let candidate = match message {
            Message::Vote { .. } | Message::VoteAtOnce { .. } => from,
            Message::VoteReply { granted: true, .. } => to,
            _ => return,
        };
        let first = self.votes.entry((from.clone(), term)).or_insert_with(|| candidate.clone());
        if first != candidate {
            let what = format!("E3: {from} voted for {first} and {candidate} in {term:?}");
            self.violate(what);
        }
    }

    fn note_heard(&mut self, leader: &NodeId, peer: &NodeId, term: Term) {
        let now = self.now;
        if let Some(node) = self.nodes.get_mut(leader)
            && node.mandate.as_ref().is_some_and(|mandate| mandate.term() == term)
        {
            node.heard.insert(peer.clone(), now);
        }
    }

    fn check_leaders(&mut self) {
        let mut violation = None;
        for (id, node) in &self.nodes {
            let Some(voter) = node.voter.as_ref().filter(|v| v.role() == Role::Leader) else {
                continue;
            };
            let since = |peer: &NodeId| {
                let heard = node.heard.get(peer).copied().unwrap_or(node.elected_at);
                if peer == id { self.now } else { heard }
            };
            let recent = |peer: &NodeId| since(peer) + node.config.election_max >= self.now;
            if !node.log.configuration.has_quorum(recent) {
                let term = voter.term();
                violation = Some(format!("E11: {id} still leads {term:?} without a quorum"));
            }
        }
        if let Some(violation) = violation {
            self.violate(violation);
        }
    }
}

impl Node {
    fn new(config: Config, voter: Voter, log: Log) -> Self {
        Self {
            config,
            voter: Some(voter),
            log,
            durable: Ballot::default(),
            boot: 0,
            issued: 0,
            writing: VecDeque::new(),
            hold: Hold::new(Token(0)),
            mandate: None,
            elected_at: Instant::ZERO,
            heard: BTreeMap::new(),
            spoken: Term::ZERO,
        }
    }
}
