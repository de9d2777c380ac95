//! The shipped election and log around a state machine, composed as `quorate::NodeMachine`
//! composes them.

use std::collections::{BTreeMap, VecDeque};
use std::mem::take;
use std::time::Duration;

use bytes::Bytes;
use quorate_core::{
    Applied, Ballot, Configuration, Entry, Instant, LogId, LogIndex, LogView as _, Machine, NodeId,
    Outbox, Payload, Record, Rng, StateMachine,
};
use quorate_election::{self as election, Role, Voter};
use quorate_replication::{self as replication, ProposalId, Replicator};
use serde::{Deserialize, Serialize};

use crate::Seat;
use crate::machine::Start;

/// A replica of a state machine: the shipped voter and log, without gossip, sessions and the
/// forwarding of requests.
#[derive(Debug)]
pub struct Replica<S> {
    voter: Voter,
    replicator: Replicator,
    state: S,
    applied: LogId,
    votes: Outbox<election::Output>,
    log: Outbox<replication::Output>,
    /// What is on its way to the disk, and how many records came before it.
    writing: VecDeque<Written>,
    durable: u64,
    /// Who asked for the entry at an index, if it is still this one.
    open: BTreeMap<LogIndex, (LogId, u64)>,
    /// What happened at the start; said in the first step.
    news: Vec<ReplicaOutput>,
}

#[derive(Debug)]
enum Written {
    Ballot(Ballot),
    Entries(LogId),
    Other,
}

/// What travels between replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicaMessage {
    /// Of the election.
    Vote(election::Message),
    /// Of the log.
    Log(replication::Message),
}

/// What happens to a replica.
#[derive(Debug)]
pub enum ReplicaInput {
    /// A message came.
    Message(Seat, ReplicaMessage),
    /// The own stream to another is up.
    Connected(Seat),
    /// The own stream to another is down.
    Lost(Seat),
    /// So many records are durable.
    Persisted(u64),
    /// A client asks for this command; only a leader takes it.
    Asked(u64, Bytes),
}

/// What a replica wants, and tells of its state machine.
#[derive(Debug)]
#[allow(missing_docs, reason = "each variant's sentence names its fields")]
pub enum ReplicaOutput {
    /// Make a record durable.
    Persist(Record),
    /// Send a message, before what stands in front of it is durable if it `overtakes`.
    Send { to: NodeId, message: ReplicaMessage, overtakes: bool },
    /// The command a client asked for is committed and applied.
    Reply { id: u64, answer: Bytes },
    /// The entry is applied: its command, the answer, and the state's digest afterwards.
    Applied { id: LogId, time: Applied, command: Option<Bytes>, answer: Bytes, digest: u64 },
    /// A snapshot was restored: the state's digest afterwards.
    Restored { last: LogId, digest: u64 },
    /// A snapshot of a leader, or of the own disk, was refused by the state machine.
    Unrestorable(String),
}

impl<S: StateMachine> Replica<S> {
    /// A replica of `start.nodes`, as its disk remembers it, around a new `state`.
    ///
    /// # Panics
    ///
    /// Never: the name of a seat is a name of a node.
    pub fn new(start: &Start, state: S) -> Self {
        let mut rng = Rng::stream(start.seed, "replica");
        let me = id_of(start.me);
        let voter = Voter::new(
            me.clone(),
            election::Config::fast(),
            start.recovered.ballot.clone(),
            rng.fork(),
            start.now,
        );
        let config = draw_config(&mut rng);
        let mut replica = Self {
            replicator: Replicator::new(me, config, &start.recovered, start.now),
            voter,
            state,
            applied: LogId::ZERO,
            votes: Outbox::new(),
            log: Outbox::new(),
            writing: VecDeque::new(),
            durable: 0,
            open: BTreeMap::new(),
            news: Vec::new(),
        };
        if let Some(snapshot) = &start.recovered.snapshot {
            replica.restore(snapshot);
        }
        let members = Configuration::of_voters((0..start.nodes).map(|seat| id_of(Seat(seat))));
        replica.replicator.found(start.now, members, &mut replica.log);
        replica.apply();
        replica
    }

    /// The state machine.
    pub const fn state(&self) -> &S {
        &self.state
    }

    /// The last entry whose effect the state holds.
    pub const fn applied(&self) -> LogId {
        self.applied
    }

    /// The last entry of its log.
    #[must_use]
    pub fn tip(&self) -> LogId {
        self.replicator.log().tip()
    }

    /// Its voter.
    pub const fn voter(&self) -> &Voter {
        &self.voter
    }

    /// Whether it leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.voter.role() == Role::Leader
    }

    fn restore(&mut self, snapshot: &quorate_core::Snapshot) {
        if snapshot.last.index <= self.applied.index {
            return;
        }
        match self.state.restore(&snapshot.state) {
            Ok(()) => {
                self.applied = snapshot.last;
                let digest = self.state.digest();
                self.news.push(ReplicaOutput::Restored { last: snapshot.last, digest });
            }
            Err(error) => self.news.push(ReplicaOutput::Unrestorable(error.to_string())),
        }
    }

    /// Applies what is committed and not applied yet.
    fn apply(&mut self) {
        while self.applied.index < self.replicator.log().commit() {
            let next = self.applied.index.next();
            let Some(entry) = self.replicator.log().entry(next) else { break };
            let Entry { id, time, payload } = entry.clone();
            let at = Applied { id, time };
            let (command, answer) = match payload {
                Payload::Command(command) => {
                    let answer = self.state.apply(at, &command);
                    (Some(command), answer)
                }
                Payload::Noop | Payload::LeaseEnded | Payload::Configuration(_) => {
                    (None, Bytes::new())
                }
            };
            self.applied = id;
            let digest = self.state.digest();
            if let Some((placed, asked)) = self.open.remove(&id.index)
                && placed == id
            {
                self.news.push(ReplicaOutput::Reply { id: asked, answer: answer.clone() });
            }
            self.news.push(ReplicaOutput::Applied { id, time: at, command, answer, digest });
        }
    }

    fn vote(&mut self, now: Instant, input: election::Input) {
        self.voter.step(now, input, self.replicator.log(), &mut self.votes);
    }

    fn replicate(&mut self, now: Instant, input: replication::Input) {
        self.replicator.step(now, input, self.voter.gate(), &mut self.log);
    }

    fn persisted(&mut self, now: Instant, records: u64) {
        let mut ballot = None;
        while self.durable < records {
            self.durable += 1;
            match self.writing.pop_front() {
                Some(Written::Ballot(written)) => ballot = Some(written),
                Some(Written::Entries(tip)) => {
                    self.replicate(now, replication::Input::Persisted { tip });
                }
                Some(Written::Other) | None => {}
            }
        }
        if let Some(ballot) = ballot {
            self.vote(now, election::Input::Persisted(ballot));
        }
    }

    /// Turns one protocol's outputs into the other's inputs until both are quiet.
    fn settle(&mut self, now: Instant, out: &mut Outbox<ReplicaOutput>) {
        while !(self.votes.is_empty() && self.log.is_empty()) {
            for output in take(&mut self.votes).drain() {
                self.election_output(now, output, out);
            }
            for output in take(&mut self.log).drain() {
                self.log_output(now, output, out);
            }
        }
        self.news.drain(..).for_each(|news| out.push(news));
    }

    fn election_output(
        &mut self,
        now: Instant,
        output: election::Output,
        out: &mut Outbox<ReplicaOutput>,
    ) {
        match output {
            election::Output::Persist(ballot) => {
                self.writing.push_back(Written::Ballot(ballot.clone()));
                out.push(ReplicaOutput::Persist(Record::Ballot(ballot)));
            }
            election::Output::Send { to, message, overtakes } => {
                let message = ReplicaMessage::Vote(message);
                out.push(ReplicaOutput::Send { to, message, overtakes });
            }
            election::Output::Elected(mandate) => {
                self.replicate(now, replication::Input::Lead(mandate));
            }
            election::Output::Event(election::Event::BecameFollower { .. }) => {
                if self.replicator.is_leading() {
                    self.replicate(now, replication::Input::StepDown);
                }
            }
            election::Output::Event(_) => {}
        }
    }

    fn log_output(
        &mut self,
        now: Instant,
        output: replication::Output,
        out: &mut Outbox<ReplicaOutput>,
    ) {
        use replication::Output;
        match output {
            Output::Persist(record) => {
                self.writing.push_back(match &record {
                    Record::Entries(entries) => {
                        entries.last().map_or(Written::Other, |last| Written::Entries(last.id))
                    }
                    Record::Snapshot(snapshot) => Written::Entries(snapshot.last),
                    _ => Written::Other,
                });
                out.push(ReplicaOutput::Persist(record));
            }
            Output::Send { to, message, overtakes, .. } => {
                let message = ReplicaMessage::Log(message);
                out.push(ReplicaOutput::Send { to, message, overtakes });
            }
            Output::Proposed { id, at } => _ = self.open.insert(at.index, (at, id.0)),
            Output::Committed(_) => self.apply(),
            Output::Install(snapshot) => {
                self.restore(&snapshot);
                self.apply();
            }
            Output::LeaderHeard { leader, term } => {
                self.vote(now, election::Input::LeaderHeard { leader, term });
            }
            Output::PeerHeard { peer } => self.vote(now, election::Input::PeerHeard { peer }),
            Output::Deposed => self.open.clear(),
            Output::SnapshotWanted => {
                let log = self.replicator.log();
                if let Some(taken) = log.snapshot_of(self.applied.index, self.state.snapshot()) {
                    self.replicate(now, replication::Input::Snapshotted(taken));
                }
            }
            // Nobody reads in the log's order here, nobody changes the members, and a refused command had no effect.
            Output::Refused { .. }
            | Output::ChangeRefused { .. }
            | Output::Removed
            | Output::ReadAt { .. }
            | Output::ReadRefused { .. }
            | Output::CaughtUp { .. }
            | Output::Distrusted { .. } => {}
        }
    }
}

impl<S: StateMachine> Machine for Replica<S> {
    type Input = ReplicaInput;
    type Output = ReplicaOutput;

    fn handle(&mut self, now: Instant, input: ReplicaInput, out: &mut Outbox<ReplicaOutput>) {
        match input {
            ReplicaInput::Message(from, ReplicaMessage::Vote(message)) => {
                self.vote(now, election::Input::Received { from: id_of(from), message });
            }
            ReplicaInput::Message(from, ReplicaMessage::Log(message)) => {
                // One gate for both halves: the voter sees the term first.
                let (from, term) = (id_of(from), message.term());
                self.vote(now, election::Input::TermSeen { term, from: from.clone() });
                self.settle(now, out);
                self.replicate(now, replication::Input::Received { from, message });
            }
            ReplicaInput::Connected(peer) => {
                self.replicate(now, replication::Input::PeerConnected(id_of(peer)));
            }
            ReplicaInput::Lost(peer) => {
                self.replicate(now, replication::Input::PeerLost(id_of(peer)));
            }
            ReplicaInput::Persisted(records) => self.persisted(now, records),
            ReplicaInput::Asked(id, command) => {
                let id = ProposalId(id);
                self.replicate(now, replication::Input::Propose { id, command });
            }
        }
        self.settle(now, out);
    }

    fn wake(&mut self, now: Instant, out: &mut Outbox<ReplicaOutput>) {
        self.voter.wake(now, self.replicator.log(), &mut self.votes);
        self.settle(now, out);
        // What settling woke in the log leaves in the same turn.
        for _ in 0..2 {
            self.replicator.wake(now, self.voter.gate(), &mut self.log);
            self.settle(now, out);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if !(self.news.is_empty() && self.log.is_empty()) {
            return Some(Instant::ZERO);
        }
        [self.voter.deadline(), self.replicator.deadline()].into_iter().flatten().min()
    }
}

/// The name of the replica in this place.
pub(super) fn id_of(seat: Seat) -> NodeId {
    NodeId::new(&seat.to_string()).expect("the name of a seat is a letter and a number")
}

/// Small windows and early snapshots among the usual values.
fn draw_config(rng: &mut Rng) -> replication::Config {
    replication::Config {
        compact_log_entries: [4, 12, 50, 150][rng.index(4)],
        keep_log_bytes: [0, 4_000][rng.index(2)],
        snapshot_chunk_bytes: [64, 1_000, 1 << 20][rng.index(3)],
        batch_bytes: [1, 100, 5_000][rng.index(3)],
        commit_mark_after: Duration::from_millis([20, 500][rng.index(2)]),
        ..replication::Config::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seat_has_a_name_and_every_name_a_seat() {
        for seat in (0..Seat::COUNT_MAX).map(Seat) {
            assert_eq!(id_of(seat).to_string().parse(), Ok(seat));
        }
    }
}
