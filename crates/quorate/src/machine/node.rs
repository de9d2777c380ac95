//! The node: the protocols composed, one turning another's output into its own input in the same
//! step, and one ordered stream of effects out of all of them.

use std::collections::{BTreeMap, VecDeque};

use quorate_core::{
    Ballot, BootEpoch, ClusterId, DiskId, Entry, Hold, Instant, LeaseTerms, LogId, LogView as _,
    Machine, NodeId, Outbox, Pledge, Proposal, Record, Recovered, Rng, Token, mutant,
};
use quorate_dist_state::Limits;
use quorate_election::{self as election, Bootstrap, BootstrapConfig, BootstrapInput, Voter};
use quorate_membership::{self as membership, Membership, Tags};
use quorate_replication::{self as replication, Replicator};

use super::applier::Applier;
use super::autopilot::{Autopilot, AutopilotConfig};
use super::forwards::Forwards;
use super::levels::Levels;
use super::neighbours::Neighbours;
use super::pending::Pending;
use super::reign::Reign;
use crate::{Effect, NodeEvent, NodeInput, NodeStatus, PeerMessage};

/// What a node is made of, apart from what its disk remembers.
#[derive(Debug, Clone)]
pub struct NodeSetup {
    /// Its lasting name.
    pub me: NodeId,
    /// Timing and priority.
    pub election: election::Config,
    /// Batches, windows, compaction.
    pub replication: replication::Config,
    /// Limits of the shared state.
    pub limits: Limits,
    /// The name of the cluster, the address of this node, its seeds, and the pace of gossip.
    pub membership: membership::Config,
    /// What others are told of this node; the cluster is filled in.
    pub tags: Tags,
    /// How many first members there are to be.
    pub bootstrap: BootstrapConfig,
    /// How often the data folder was started, this time included.
    pub boot: BootEpoch,
    /// The data folder, durably called so before the node is made.
    pub disk: DiskId,
    /// Drawn at random when the process started: tells two processes of one name apart.
    pub instance: u64,
    /// The first members and their cluster, where they are agreed by other means than the
    /// bootstrap; used only by a node whose disk knows no configuration. It must be the same on
    /// all of them.
    pub founders: Option<Proposal>,
    /// How members change by themselves while this node leads; `None`: only when asked.
    pub autopilot: Option<AutopilotConfig>,
}

/// Why a node cannot start from what its disk holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The folder belongs to another node.
    #[error("the data folder belongs to node `{theirs}`, not to `{ours}`: give each its own")]
    OtherNode {
        /// The name given.
        ours: NodeId,
        /// The name in the folder.
        theirs: NodeId,
    },
    /// The newest snapshot cannot be read.
    #[error("the snapshot in the data folder cannot be restored")]
    Snapshot(#[from] quorate_core::RestoreError),
}

/// What became durable with a token.
#[derive(Debug)]
pub(super) enum Written {
    Ballot(Ballot),
    Pledge(Pledge),
    Entries(LogId),
    /// A snapshot up to this entry, of so many bytes.
    Snapshot(LogId, u64),
    /// That this node belongs to a cluster.
    Identity,
    Other,
}

/// A node without input and output of its own: election, replication and shared state as one
/// [`Machine`]. Drivers and the simulator run this very type.
#[derive(Debug)]
pub struct NodeMachine {
    pub(super) me: NodeId,
    pub(super) cluster: Option<ClusterId>,
    pub(super) limits: Limits,
    pub(super) election: election::Config,
    pub(super) reign: Reign,
    pub(super) voter: Voter,
    pub(super) replicator: Replicator,
    pub(super) applier: Applier,
    pub(super) pending: Pending,
    pub(super) levels: Levels,
    pub(super) forwards: Forwards,
    pub(super) neighbours: Neighbours,
    pub(super) autopilot: Autopilot,
    /// To whom a stream is up, and on which disk each is.
    pub(super) connected: BTreeMap<NodeId, DiskId>,
    pub(super) disk: DiskId,
    /// By which leases it goes.
    pub(super) lease: LeaseTerms,
    pub(super) stopping: bool,
    failed: Option<quorate_core::RestoreError>,
    pub(super) expire_sessions_at: Option<Instant>,
    /// What election says leaves when its ballots are durable.
    election_hold: Hold<Effect>,
    /// What the log says leaves when its records, and the ballots before them, are durable.
    log_hold: Hold<Effect>,
    last_token: Token,
    writing: VecDeque<(Token, Written)>,
    pub(super) election_out: Outbox<election::Output>,
    pub(super) log_out: Outbox<replication::Output>,
}

impl NodeMachine {
    /// A node as its disk remembers it. `seed` feeds its timers' randomness.
    ///
    /// # Errors
    ///
    /// [`NodeError`] if the folder is another node's, or its snapshot is unreadable.
    pub fn new(
        setup: NodeSetup,
        recovered: &Recovered,
        seed: u64,
        now: Instant,
        out: &mut Outbox<Effect>,
    ) -> Result<Self, NodeError> {
        if let Some(identity) = &recovered.identity
            && identity.node != setup.me
        {
            return Err(NodeError::OtherNode { ours: setup.me, theirs: identity.node.clone() });
        }
        let mut applier = Applier::new(setup.limits.clone());
        if let Some(snapshot) = &recovered.snapshot {
            applier.install(snapshot)?;
        }
        let cluster = recovered
            .identity
            .as_ref()
            .map(|identity| identity.cluster)
            .filter(|cluster| *cluster != ClusterId::NONE);
        let rng = Rng::stream(seed, "election");
        let voter = Voter::new(
            setup.me.clone(),
            setup.election.clone(),
            recovered.ballot.clone(),
            rng,
            now,
        );
        let lease = setup.replication.lease_terms();
        let held_bytes_max = setup.replication.uncommitted_bytes;
        let replicator = Replicator::new(setup.me.clone(), setup.replication, recovered, now)
            .on_disk(setup.disk);
        let tags = Tags { cluster: cluster.unwrap_or(ClusterId::NONE), ..setup.tags };
        let membership = Membership::new(
            setup.me.clone(),
            setup.boot,
            setup.instance,
            setup.membership,
            tags.clone(),
            Rng::stream(seed, "membership"),
            now,
        );
        let has_log = !replicator.log().configuration().is_empty();
        // A birth that a crash cut short, between the record of the cluster and its first entry.
        let pledged = recovered.pledge.accepted.as_ref().map(|(_, proposal)| proposal.clone());
        let cut_short = pledged.filter(|proposal| Some(proposal.cluster) == cluster);
        let born = cut_short.or(setup.founders).filter(|_| !has_log);
        let bootstrap = Bootstrap::new(
            setup.me.clone(),
            setup.bootstrap,
            recovered.pledge.clone(),
            cluster.filter(|_| has_log || born.is_some()),
            Rng::stream(seed, "bootstrap"),
            now,
        );
        // 48 bits leave room to count and are short on the wire.
        let random = Rng::stream(seed, "forwards").next_u64() >> 16;
        let first_forward = if mutant!("forward-numbers-restart") { 0 } else { random };
        let mut node = Self {
            me: setup.me,
            cluster,
            limits: setup.limits,
            election: setup.election,
            reign: Reign::new(now, held_bytes_max),
            voter,
            replicator,
            applier,
            pending: Pending::default(),
            levels: Levels::default(),
            forwards: Forwards::new(first_forward),
            neighbours: Neighbours::new(membership, bootstrap, tags, setup.boot),
            autopilot: Autopilot::new(setup.autopilot),
            connected: BTreeMap::new(),
            disk: setup.disk,
            lease,
            stopping: false,
            failed: None,
            expire_sessions_at: None,
            election_hold: Hold::new(Token(0)),
            log_hold: Hold::new(Token(0)),
            last_token: Token(0),
            writing: VecDeque::new(),
            election_out: Outbox::new(),
            log_out: Outbox::new(),
        };
        if let Some(born) = born {
            node.founded(now, born, out);
        }
        node.apply(now, out);
        node.look_around(now, out);
        node.settle(now, out);
        Ok(node)
    }

    /// What the node knows now.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        let log = self.replicator.log();
        NodeStatus {
            node: self.me.clone(),
            cluster: self.cluster,
            role: self.voter.role(),
            term: self.voter.term(),
            leader: self.leader(),
            voted_for: self.voter.ballot().vote.clone(),
            tip: log.tip(),
            commit: log.commit(),
            applied: self.applier.applied(),
            revision: self.applier.store().revision(),
            digest: self.applier.store().digest(),
            configuration: log.configuration().clone(),
            connected: self.connected.keys().cloned().collect(),
            another_disk: self.on_another_disk(),
            open: self.pending.len(),
            lag: self.lag(),
            neighbours: self.neighbours.view.clone(),
            gossip: self.neighbours.gossip,
            bootstrap: self.neighbours.bootstrap.status(),
        }
    }

    /// How many entries each replica is behind, as a leader knows.
    fn lag(&self) -> BTreeMap<NodeId, u64> {
        let tip = self.replicator.log().tip().index.0;
        self.replicator.progress().map(|p| (p.id, tip.saturating_sub(p.durable.0))).collect()
    }

    /// Says so if `peer` is a member that lost its disk.
    fn meet_disk(&self, peer: &NodeId, disk: DiskId, out: &mut Outbox<Effect>) {
        let configuration = self.replicator.log().configuration();
        if let Some(named) = configuration.disk(peer)
            && !configuration.speaks_for(peer, disk)
        {
            let peer = peer.clone();
            out.push(Effect::Event(NodeEvent::AnotherDisk { peer, named, disk }));
        }
    }

    /// Members that are connected, and on another disk than the one that has their word.
    fn on_another_disk(&self) -> BTreeMap<NodeId, DiskId> {
        let configuration = self.replicator.log().configuration();
        let own = std::iter::once((&self.me, &self.disk));
        let there = own.chain(&self.connected);
        let others = there.filter(|(id, disk)| !configuration.speaks_for(id, **disk));
        others.map(|(id, disk)| (id.clone(), *disk)).collect()
    }

    /// Whether a stream is up to `id` on the disk that its word counts from, or it is this node.
    pub(super) fn reaches(&self, id: &NodeId) -> bool {
        let configuration = self.replicator.log().configuration();
        *id == self.me
            || self.connected.get(id).is_some_and(|disk| configuration.speaks_for(id, *disk))
    }

    /// The leader, if one is known and can be asked.
    pub(super) fn leader(&self) -> Option<NodeId> {
        let leader = self.voter.leader()?;
        let leads_here = *leader == self.me && self.replicator.is_leading();
        (leads_here || self.connected.contains_key(leader)).then(|| leader.clone())
    }

    /// The shared state as far as it is applied.
    #[must_use]
    pub const fn store(&self) -> &quorate_dist_state::Store {
        self.applier.store()
    }

    /// The last entry that the shared state contains.
    #[must_use]
    pub const fn applied(&self) -> LogId {
        self.applier.applied()
    }

    /// The log, for those who check it.
    #[must_use]
    pub const fn log(&self) -> &replication::Log {
        self.replicator.log()
    }

    /// How far each peer is, as the leader knows it.
    #[must_use]
    pub const fn replicator(&self) -> &Replicator {
        &self.replicator
    }

    /// The voter, for those who check it.
    #[must_use]
    pub const fn voter(&self) -> &Voter {
        &self.voter
    }

    /// Who is there, for those who check it.
    #[must_use]
    pub const fn membership(&self) -> &Membership {
        &self.neighbours.membership
    }

    /// Why the node cannot go on, if it cannot: the driver must stop it.
    #[must_use]
    pub const fn failure(&self) -> Option<&quorate_core::RestoreError> {
        self.failed.as_ref()
    }

    /// The bytes of the snapshots that the disk has not reported yet; `None` if there is none.
    pub(super) fn snapshot_bytes_in_flight(&self) -> Option<u64> {
        let bytes = self.writing.iter().filter_map(|(_, written)| match written {
            Written::Snapshot(_, bytes) => Some(*bytes),
            _ => None,
        });
        bytes.reduce(|sum, bytes| sum + bytes)
    }

    /// Records the journal has not confirmed yet.
    #[must_use]
    pub fn records_in_flight(&self) -> usize {
        self.writing.len()
    }

    fn receive(
        &mut self,
        now: Instant,
        from: NodeId,
        disk: DiskId,
        message: PeerMessage,
        out: &mut Outbox<Effect>,
    ) {
        let counts = self.replicator.log().configuration().speaks_for(&from, disk);
        if !counts {
            self.autopilot.heard_elsewhere(from.clone(), disk);
        }
        // Whoever stops leads nobody.
        if self.stopping
            && matches!(message, PeerMessage::Election(election::Message::StandNow { .. }))
        {
            return;
        }
        match message {
            // What is asked may be answered to anybody, and a later term is one whoever tells of
            // it. What is said as a member counts only from the disk that the member is on.
            PeerMessage::Election(message)
                if !counts && message.is_answer() && !mutant!("another-disk-votes") =>
            {
                self.vote(now, election::Input::TermSeen { term: message.term(), from });
            }
            PeerMessage::Replication(message)
                if !counts && message.is_answer() && !mutant!("another-disk-acks") =>
            {
                self.vote(now, election::Input::TermSeen { term: message.term(), from });
            }
            PeerMessage::Election(message) => {
                self.vote(now, election::Input::Received { from, message });
            }
            PeerMessage::Replication(message) => {
                // One gate for both halves: the voter sees the term first.
                let seen = election::Input::TermSeen { term: message.term(), from: from.clone() };
                self.vote(now, seen);
                self.settle(now, out);
                self.replicate(now, replication::Input::Received { from, message });
            }
            PeerMessage::Forward { id, wait_ms, request } => {
                self.forwarded(now, from, id, wait_ms, request, out);
            }
            PeerMessage::Answer { id, answer } => self.answered(now, &from, id, answer, out),
            PeerMessage::Bootstrap(message) => self.bootstrap_received(now, from, message),
        }
    }

    pub(super) fn vote(&mut self, now: Instant, input: election::Input) {
        self.voter.step(now, input, self.replicator.log(), &mut self.election_out);
    }

    pub(super) fn replicate(&mut self, now: Instant, input: replication::Input) {
        self.replicator.step(now, input, self.voter.gate(), &mut self.log_out);
    }

    fn persisted(&mut self, now: Instant, token: Token, out: &mut Outbox<Effect>) {
        self.reign.disk_answered();
        // First what rested on the records, then what the machines make of the news.
        self.election_hold.release(token, |effect| out.push(effect));
        self.log_hold.release(token, |effect| out.push(effect));
        self.neighbours.hold.release(token, |effect| out.push(effect));
        let (mut ballot, mut pledge) = (None, None);
        while self.writing.front().is_some_and(|(written, _)| *written <= token) {
            match self.writing.pop_front() {
                Some((_, Written::Ballot(written))) => ballot = Some(written),
                Some((_, Written::Pledge(written))) => pledge = Some(written),
                // Each of them: behind the newest entries a snapshot of older ones may stand.
                Some((_, Written::Entries(tip) | Written::Snapshot(tip, _))) => {
                    self.replicate(now, replication::Input::Persisted { tip });
                }
                Some((_, Written::Identity)) => self.belongs_durably(now),
                Some((_, Written::Other)) | None => {}
            }
        }
        if let Some(ballot) = ballot {
            self.vote(now, election::Input::Persisted(ballot));
        }
        if let Some(pledge) = pledge {
            self.pledge(now, BootstrapInput::Persisted(pledge));
        }
    }

    /// Turns one protocol's outputs into the other's inputs until both are quiet.
    pub(super) fn settle(&mut self, now: Instant, out: &mut Outbox<Effect>) {
        while !(self.election_out.is_empty()
            && self.log_out.is_empty()
            && self.neighbours.is_quiet())
        {
            let mut outputs = std::mem::take(&mut self.election_out);
            for output in outputs.drain() {
                self.election_output(now, output, out);
            }
            if self.election_out.is_empty() {
                self.election_out = outputs;
            }
            let mut outputs = std::mem::take(&mut self.log_out);
            for output in outputs.drain() {
                self.log_output(now, output, out);
            }
            if self.log_out.is_empty() {
                self.log_out = outputs;
            }
            let mut outputs = std::mem::take(&mut self.neighbours.membership_out);
            for output in outputs.drain() {
                self.membership_output(output, out);
            }
            if self.neighbours.membership_out.is_empty() {
                self.neighbours.membership_out = outputs;
            }
            let mut outputs = std::mem::take(&mut self.neighbours.bootstrap_out);
            for output in outputs.drain() {
                self.bootstrap_output(now, output, out);
            }
            if self.neighbours.bootstrap_out.is_empty() {
                self.neighbours.bootstrap_out = outputs;
            }
        }
    }

    fn election_output(
        &mut self,
        now: Instant,
        output: election::Output,
        out: &mut Outbox<Effect>,
    ) {
        match output {
            election::Output::Persist(ballot) => {
                let token =
                    self.persist(Record::Ballot(ballot.clone()), Written::Ballot(ballot), out);
                self.election_hold.rest_on(token);
                // An acknowledgement of entries is also a promise to the term they came in.
                if !mutant!("ack-ahead-of-ballot") {
                    self.log_hold.rest_on(token);
                }
            }
            election::Output::Send { to, message, overtakes } => {
                let lane = quorate_core::Lane::Urgent;
                let send = Effect::Send { to, lane, message: PeerMessage::Election(message) };
                pass(&mut self.election_hold, send, overtakes, out);
            }
            election::Output::Elected(mandate) => {
                self.replicate(now, replication::Input::Lead(mandate));
                self.expire_sessions_at = Some(now);
                self.levels.led(now);
                self.autopilot.led(Some(now));
                self.unpark(now, out);
            }
            election::Output::Event(event) => self.election_event(now, event, out),
        }
    }

    fn election_event(&mut self, now: Instant, event: election::Event, out: &mut Outbox<Effect>) {
        let event = match event {
            election::Event::BecameLeader { term } => {
                self.reign_begins(now);
                NodeEvent::BecameLeader { term }
            }
            election::Event::BecameFollower { leader, term } => {
                if self.replicator.is_leading() && !mutant!("step-down-ignored") {
                    self.replicate(now, replication::Input::StepDown);
                }
                self.expire_sessions_at = None;
                self.autopilot.led(None);
                self.unpark(now, out);
                NodeEvent::BecameFollower { term, leader }
            }
            election::Event::QuorumLost => NodeEvent::QuorumLost,
            election::Event::QuorumRegained => NodeEvent::QuorumRegained,
            election::Event::BecameCandidate { .. } => return,
            election::Event::HandingOver { to } => return self.handing_over(now, to, out),
            election::Event::HandedOver { to, term } => {
                return self.handed_over(now, to, term, out);
            }
            election::Event::NotHandedOver { to, told } => {
                return self.not_handed_over(now, to, told, out);
            }
        };
        out.push(Effect::Event(event));
    }

    fn log_output(&mut self, now: Instant, output: replication::Output, out: &mut Outbox<Effect>) {
        use replication::Output;
        match output {
            Output::Persist(record) => {
                let written = match &record {
                    Record::Entries(entries) => {
                        entries.last().map_or(Written::Other, |last| Written::Entries(last.id))
                    }
                    Record::Snapshot(snapshot) => {
                        Written::Snapshot(snapshot.last, snapshot.state.len() as u64)
                    }
                    _ => Written::Other,
                };
                let token = self.persist(record, written, out);
                self.log_hold.rest_on(token);
            }
            Output::Send { to, lane, message, overtakes } => {
                let send = Effect::Send { to, lane, message: PeerMessage::Replication(message) };
                pass(&mut self.log_hold, send, overtakes, out);
            }
            Output::Proposed { id, at } => self.placed(id.0, at),
            Output::Refused { id, why } => self.refused(now, id.0, &why, out),
            Output::ChangeRefused { id, why } => self.change_refused(now, id.0, why, out),
            Output::Removed => self.vote(now, election::Input::Resign),
            Output::ReadAt { id, index } => {
                self.pending.readable(id.0, index);
                self.serve_reads(out);
            }
            Output::ReadRefused { id } => self.read_refused(now, id.0, out),
            Output::Committed(_) => self.apply(now, out),
            Output::Install(snapshot) => {
                match self.applier.install(&snapshot) {
                    Ok(true) => {
                        let last = snapshot.last;
                        out.push(Effect::Event(NodeEvent::Installed { last }));
                    }
                    Ok(false) => {}
                    // The leader's own bytes, whole by their checksums, are no state of this
                    // version. Going on would apply later entries to an earlier state.
                    Err(error) => self.failed = Some(error),
                }
                self.apply(now, out);
            }
            Output::LeaderHeard { leader, term } => {
                self.vote(now, election::Input::LeaderHeard { leader, term });
            }
            Output::PeerHeard { peer } => self.vote(now, election::Input::PeerHeard { peer }),
            Output::CaughtUp { peer } => self.vote(now, election::Input::CaughtUp { peer }),
            Output::Deposed => self.deposed(now, out),
            Output::SnapshotWanted => {
                if let Some(snapshot) = self.applier.snapshot() {
                    let index = snapshot.last.index;
                    self.replicate(now, replication::Input::Snapshotted(snapshot));
                    out.push(Effect::Event(NodeEvent::Compacted { index }));
                }
            }
            Output::Distrusted { peer, why } => {
                out.push(Effect::Event(NodeEvent::Distrusted { peer, why }));
            }
        }
    }

    pub(super) fn persist(
        &mut self,
        record: Record,
        written: Written,
        out: &mut Outbox<Effect>,
    ) -> Token {
        self.last_token = Token(self.last_token.0 + 1);
        self.writing.push_back((self.last_token, written));
        out.push(Effect::Persist { token: self.last_token, record });
        self.last_token
    }

    /// Applies what is committed and not applied yet, and answers who waited for it.
    fn apply(&mut self, now: Instant, out: &mut Outbox<Effect>) {
        let commit = if mutant!("apply-uncommitted") {
            self.replicator.log().tip().index
        } else {
            self.replicator.log().commit()
        };
        while !self.applier.reaches(commit) {
            let next = self.applier.applied().index.next();
            // An index below the log's first belongs to a snapshot that is being installed.
            let Some(entry) = self.replicator.log().entry(next) else { break };
            let entry: Entry = entry.clone();
            let reply = self.applier.apply(&entry);
            self.committed(now, &entry, reply, out);
        }
        self.serve_reads(out);
    }
}

/// Sends at once what may overtake, else behind what it rests on.
fn pass(hold: &mut Hold<Effect>, effect: Effect, overtakes: bool, out: &mut Outbox<Effect>) {
    if overtakes {
        out.push(effect);
    } else {
        hold.push(effect, |effect| out.push(effect));
    }
}

impl Machine for NodeMachine {
    type Input = NodeInput;
    type Output = Effect;

    fn handle(&mut self, now: Instant, input: NodeInput, out: &mut Outbox<Effect>) {
        let concerns_neighbours = matches!(
            input,
            NodeInput::Packet { .. }
                | NodeInput::Resolved { .. }
                | NodeInput::Gossip(_)
                | NodeInput::PeerConnected { .. }
                | NodeInput::PeerLost { .. }
        );
        match input {
            NodeInput::Message { from, disk, message } => {
                self.receive(now, from, disk, message, out);
            }
            NodeInput::Packet { from, over, packet } => {
                self.gossip(now, membership::Input::Received { from, over, packet });
            }
            NodeInput::Resolved { name, addresses } => {
                self.gossip(now, membership::Input::Resolved { name, addresses });
            }
            NodeInput::Gossip(input) => self.gossip(now, input),
            NodeInput::PeerConnected { peer, disk } => {
                self.connected.insert(peer.clone(), disk);
                self.meet_disk(&peer, disk, out);
                self.replicate(now, replication::Input::PeerConnected(peer));
                self.unpark(now, out);
            }
            NodeInput::PeerLost { peer, refused } => {
                self.connected.remove(&peer);
                if refused {
                    self.vote(now, election::Input::LeaderLost { leader: peer.clone() });
                }
                self.replicate(now, replication::Input::PeerLost(peer.clone()));
                self.drop_waits_of(&peer);
                self.forwards_lost(now, &peer, out);
            }
            NodeInput::Persisted(token) => self.persisted(now, token, out),
            NodeInput::Request { id, deadline, request } => {
                self.requested(now, id, deadline, request, out);
            }
            NodeInput::Stop => self.stop(now, out),
        }
        self.settle(now, out);
        // A configuration may have come with an entry.
        if concerns_neighbours || self.has_new_configuration() {
            self.look_around(now, out);
            self.settle(now, out);
        }
        self.answer_levels(out);
        self.govern(now, out);
    }

    fn wake(&mut self, now: Instant, out: &mut Outbox<Effect>) {
        self.voter.wake(now, self.replicator.log(), &mut self.election_out);
        self.settle(now, out);
        if self.neighbours.deadline().is_some_and(|due| due <= now) {
            self.neighbours.wake(now);
            self.settle(now, out);
            self.look_around(now, out);
            self.settle(now, out);
        }
        self.expire(now, out);
        self.expire_sessions(now);
        self.look_after_members(now);
        self.replicator.wake(now, self.voter.gate(), &mut self.log_out);
        self.settle(now, out);
        // What settling woke in the log (a commit that followers should hear of) leaves in the
        // same turn.
        if self.replicator.deadline().is_some_and(|due| due <= now) {
            self.replicator.wake(now, self.voter.gate(), &mut self.log_out);
            self.settle(now, out);
        }
        self.answer_levels(out);
        self.govern(now, out);
    }

    fn deadline(&self) -> Option<Instant> {
        [
            self.voter.deadline(),
            self.replicator.deadline(),
            self.pending.deadline(),
            self.forwards.deadline(),
            self.expire_sessions_at,
            self.autopilot.look_at,
            self.neighbours.deadline(),
            self.govern_at(),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}
