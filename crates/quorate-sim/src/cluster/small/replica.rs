//! One node of the small replication: the shipped voter and log, their disk, and what waits for it.

use std::collections::VecDeque;
use std::hash::Hash;
use std::time::Duration;

use bytes::Bytes;
use quorate_core::{
    Ballot, Configuration, Entry, Hold, Instant, LogId, LogIndex, LogView as _, NodeId, Outbox,
    Payload, Record, Recovered, Rng, Term, Token,
};
use quorate_election::{self as election, Voter};
use quorate_replication::{self as replication, ProposalId, Replicator};

use super::booth::{held, nanoseconds};
use super::mail::Packets;
use super::moment::{Doing, Moment};
use super::symmetry::Relabel;
use crate::exhaust::{Actor, Fingerprint, fingerprint};

/// Runs the nodes of the replication.
///
/// They are composed as [`quorate::NodeMachine`] composes them: a message's term is shown to the
/// voter first, and what the log says rests on ballots too.
#[derive(Debug)]
pub(super) struct Replicas {
    election: election::Config,
    replication: replication::Config,
    configuration: Configuration,
    ids: Vec<NodeId>,
    pub(super) packets: Packets<Note>,
}

/// What travels.
#[derive(Debug, Clone)]
pub(super) enum Note {
    Vote(election::Message),
    Log(replication::Message),
}

/// A node.
#[derive(Debug)]
pub(super) struct Replica {
    seat: u8,
    voter: Voter,
    replicator: Replicator,
    /// The voter and the log are told times of their own, so that one may lose patience while the
    /// other does not.
    voter_now: Instant,
    log_now: Instant,
    /// How often the log's clock moved: patience grows with what it saw, and leaps with it.
    leaps: u32,
    disk: Recovered,
    /// Written and not synced, in order.
    writing: VecDeque<(Token, Record)>,
    token: Token,
    election_hold: Hold<u32>,
    log_hold: Hold<u32>,
}

/// What others, or the checks, see of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact {
    /// A message left.
    Sent(u32),
    /// It leads this term.
    Elected(Term),
    /// These, its first entries, are committed, as it says in this term.
    Committed(Term, Vec<LogId>),
    /// It started from a disk that knows this term and this much to be committed.
    Booted(Term, LogIndex),
}

/// A step.
#[derive(Debug)]
pub(super) struct Did {
    pub(super) facts: Vec<Fact>,
    /// The effects in order, and which of them write.
    pub(super) writes: Vec<bool>,
}

/// What is to be known of a node at rest.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) term: Term,
    pub(super) is_leading: bool,
    pub(super) writing: u8,
    pub(super) commit: LogIndex,
    /// Its entries from the first on, each with a number for what it says.
    pub(super) log: Vec<(LogId, u128)>,
    /// The entries on its disk.
    pub(super) disk: Vec<LogId>,
    pub(super) disk_commit: LogIndex,
}

enum Effect {
    Write(Token, Record),
    Tell(Fact),
}

/// What a step is made of while it goes on.
#[derive(Default)]
struct Turn {
    election_out: Outbox<election::Output>,
    log_out: Outbox<replication::Output>,
    effects: Vec<Effect>,
}

impl Replicas {
    pub(super) fn new(nodes: u8) -> Self {
        let ids = super::ids(nodes);
        let configuration = Configuration::of_voters(ids.clone());
        let election = election::Config { pre_vote: false, check_quorum: false, ..nanoseconds() };
        let replication = replication::Config {
            // One entry per message and record: there are more ways to part a log so.
            batch_bytes: 1,
            commit_notice_after: Duration::from_nanos(1),
            resend_after: Duration::from_nanos(2),
            commit_mark_after: Duration::from_nanos(3),
            ..replication::Config::default()
        };
        Self { election, replication, configuration, ids, packets: Packets::new() }
    }

    fn boot(&self, seat: u8, disk: Recovered, (voter_now, log_now): (Instant, Instant)) -> Replica {
        let me = &self.ids[usize::from(seat)];
        let rng = Rng::seeded(u64::from(seat));
        let (config, ballot) = (self.election.clone(), disk.ballot.clone());
        let voter = Voter::new(me.clone(), config, ballot, rng, voter_now);
        let replicator = Replicator::new(me.clone(), self.replication.clone(), &disk, log_now);
        let (writing, token) = (VecDeque::new(), Token(0));
        let (election_hold, log_hold) = (Hold::new(token), Hold::new(token));
        Replica {
            seat,
            voter,
            replicator,
            voter_now,
            log_now,
            leaps: 0,
            disk,
            writing,
            token,
            election_hold,
            log_hold,
        }
    }

    /// Lets the node act, and gives its effects in the order in which a driver carries them out.
    fn act(&mut self, replica: &mut Replica, doing: Doing) -> Vec<Effect> {
        let mut turn = Turn::default();
        match doing {
            Doing::Wake | Doing::Oversleep => {
                replica.log_now += replica.leap();
                replica.leaps += 1;
            }
            Doing::Stand => {
                replica.vote(election::Input::Resign, &mut turn);
                replica.voter_now += self.election.election_max * 3;
                let log = replica.replicator.log();
                replica.voter.wake(replica.voter_now, log, &mut turn.election_out);
            }
            Doing::Receive(number) => self.receive(replica, number, &mut turn),
            Doing::Sync(records) => self.synced(replica, records, &mut turn),
            Doing::Propose(command) => {
                let id = ProposalId(u64::from(command));
                let command = Bytes::copy_from_slice(&[command]);
                replica.replicate(replication::Input::Propose { id, command }, &mut turn);
            }
        }
        self.settle(replica, &mut turn);
        // A turn ends when nothing is due at once.
        while replica.replicator.deadline().is_some_and(|due| due <= replica.log_now) {
            let (now, gate) = (replica.log_now, replica.voter.gate());
            replica.replicator.wake(now, gate, &mut turn.log_out);
            self.settle(replica, &mut turn);
        }
        turn.effects
    }

    fn receive(&mut self, replica: &mut Replica, number: u32, turn: &mut Turn) {
        let packet = self.packets.get(number);
        let from = self.ids[usize::from(packet.from)].clone();
        match packet.message.clone() {
            Note::Vote(message) => {
                replica.vote(election::Input::Received { from, message }, turn);
            }
            Note::Log(message) => {
                let term = message.term();
                let seen = election::Input::TermSeen { term, from: from.clone() };
                replica.vote(seen, turn);
                self.settle(replica, turn);
                replica.replicate(replication::Input::Received { from, message }, turn);
            }
        }
    }

    fn synced(&mut self, replica: &mut Replica, records: u8, turn: &mut Turn) {
        let synced: Vec<(Token, Record)> = replica.writing.drain(..usize::from(records)).collect();
        let Some((last, _)) = synced.last() else { return };
        let effects = &mut turn.effects;
        replica.election_hold.release(*last, |number| effects.push(Effect::sent(number)));
        replica.log_hold.release(*last, |number| effects.push(Effect::sent(number)));
        let mut ballot = None;
        for (_, record) in synced {
            note(&mut replica.disk, &record);
            match record {
                Record::Ballot(written) => ballot = Some(written),
                Record::Entries(entries) => {
                    let tip = entries.last().map_or(LogId::ZERO, |entry| entry.id);
                    replica.replicate(replication::Input::Persisted { tip }, turn);
                }
                _ => {}
            }
        }
        if let Some(ballot) = ballot {
            replica.vote(election::Input::Persisted(ballot), turn);
        }
    }

    /// Turns one machine's outputs into the other's inputs until both are quiet.
    fn settle(&mut self, replica: &mut Replica, turn: &mut Turn) {
        while !(turn.election_out.is_empty() && turn.log_out.is_empty()) {
            for output in std::mem::take(&mut turn.election_out).drain() {
                self.election_output(replica, output, turn);
            }
            for output in std::mem::take(&mut turn.log_out).drain() {
                self.log_output(replica, output, turn);
            }
        }
    }

    fn election_output(
        &mut self,
        replica: &mut Replica,
        output: election::Output,
        turn: &mut Turn,
    ) {
        match output {
            election::Output::Persist(ballot) => {
                let token = replica.persist(Record::Ballot(ballot), turn);
                replica.election_hold.rest_on(token);
                replica.log_hold.rest_on(token);
            }
            election::Output::Send { to, message, overtakes } => {
                let number = self.number(replica.seat, &to, Note::Vote(message));
                pass(&mut replica.election_hold, number, overtakes, turn);
            }
            election::Output::Elected(mandate) => {
                turn.effects.push(Effect::Tell(Fact::Elected(mandate.term())));
                replica.replicate(replication::Input::Lead(mandate), turn);
            }
            election::Output::Event(election::Event::BecameFollower { .. }) => {
                if replica.replicator.is_leading() {
                    replica.replicate(replication::Input::StepDown, turn);
                }
            }
            election::Output::Event(_) => {}
        }
    }

    fn log_output(&mut self, replica: &mut Replica, output: replication::Output, turn: &mut Turn) {
        use replication::Output;
        match output {
            Output::Persist(record) => {
                let token = replica.persist(record, turn);
                replica.log_hold.rest_on(token);
            }
            Output::Send { to, message, overtakes, lane: _ } => {
                let number = self.number(replica.seat, &to, Note::Log(message));
                pass(&mut replica.log_hold, number, overtakes, turn);
            }
            Output::Committed(index) => {
                let entries = replica.replicator.log().entries(LogIndex(1)..=index);
                let ids = entries.map(|entry| entry.id).collect();
                let term = replica.voter.term();
                turn.effects.push(Effect::Tell(Fact::Committed(term, ids)));
            }
            Output::LeaderHeard { leader, term } => {
                replica.vote(election::Input::LeaderHeard { leader, term }, turn);
            }
            Output::PeerHeard { peer } => {
                replica.vote(election::Input::PeerHeard { peer }, turn);
            }
            Output::Proposed { .. }
            | Output::Refused { .. }
            | Output::ChangeRefused { .. }
            | Output::Removed
            | Output::ReadAt { .. }
            | Output::ReadRefused { .. }
            | Output::CaughtUp { .. }
            | Output::Install(_)
            | Output::Deposed
            | Output::SnapshotWanted
            | Output::Distrusted { .. } => {}
        }
    }

    fn number(&mut self, from: u8, to: &NodeId, note: Note) -> u32 {
        let to = super::seat(to);
        self.packets.number(from, to, note)
    }

    /// Ends the process; the first `kept` of the records that were not synced are on the disk all
    /// the same. What comes back knows no more than the disk.
    fn crash(&self, replica: &mut Replica, kept: u8, facts: &mut Vec<Fact>) {
        for (_, record) in replica.writing.drain(..).take(usize::from(kept)) {
            note(&mut replica.disk, &record);
        }
        let times = (replica.voter_now, replica.log_now);
        *replica = self.boot(replica.seat, replica.disk.clone(), times);
        let commit = replica.replicator.log().commit();
        facts.push(Fact::Booted(replica.voter.term(), commit));
    }
}

impl Replica {
    fn vote(&mut self, input: election::Input, turn: &mut Turn) {
        let log = self.replicator.log();
        self.voter.step(self.voter_now, input, log, &mut turn.election_out);
    }

    fn replicate(&mut self, input: replication::Input, turn: &mut Turn) {
        self.replicator.step(self.log_now, input, self.voter.gate(), &mut turn.log_out);
    }

    fn persist(&mut self, record: Record, turn: &mut Turn) -> Token {
        self.token = Token(self.token.0 + 1);
        turn.effects.push(Effect::Write(self.token, record));
        self.token
    }

    /// Past every deadline, however patient the log has become by earlier leaps.
    const fn leap(&self) -> Duration {
        Duration::from_nanos(17 << (2 * self.leaps))
    }

    fn carry_out(&mut self, effect: Effect, facts: &mut Vec<Fact>) {
        match effect {
            Effect::Write(token, record) => self.writing.push_back((token, record)),
            Effect::Tell(fact) => facts.push(fact),
        }
    }
}

impl Effect {
    const fn sent(number: u32) -> Self {
        Self::Tell(Fact::Sent(number))
    }
}

/// Sends at once what may overtake, else behind what it rests on; once, if it waits there already.
fn pass(hold: &mut Hold<u32>, number: u32, overtakes: bool, turn: &mut Turn) {
    if overtakes {
        turn.effects.push(Effect::sent(number));
    } else if !hold.held().any(|(_, held)| *held == number) {
        hold.push(number, |number| turn.effects.push(Effect::sent(number)));
    }
}

/// What `record` means, as [`Record`] says.
fn note(disk: &mut Recovered, record: &Record) {
    match record {
        Record::Ballot(ballot) => disk.ballot = ballot.clone(),
        Record::Entries(entries) => {
            let first = entries.first().map_or(LogIndex(u64::MAX), |entry| entry.id.index);
            disk.entries.retain(|entry| entry.id.index < first);
            disk.entries.extend(entries.iter().cloned());
        }
        Record::Commit(index) => disk.commit = disk.commit.max(*index),
        Record::Identity(_) | Record::Pledge(_) | Record::Snapshot(_) => {}
    }
}

impl Actor for Replicas {
    type Machine = Replica;
    type Start = u8;
    type Input = Moment;
    type Output = Did;
    type View = Rest;

    /// Just founded: the configuration is the first entry, on every disk.
    fn start(&mut self, seat: &u8) -> Replica {
        let payload = Payload::Configuration(self.configuration.clone());
        let first = Entry { id: LogId::new(0, 1), time: quorate_core::ClusterTime::ZERO, payload };
        let ballot = Ballot::default();
        let commit = first.id.index;
        let disk = Recovered { ballot, entries: vec![first], commit, ..Recovered::default() };
        self.boot(*seat, disk, (Instant::ZERO, Instant::ZERO))
    }

    fn step(&mut self, replica: &mut Replica, moment: Moment) -> Did {
        let mut facts = Vec::new();
        let effects = moment.doing().map_or_else(Vec::new, |doing| self.act(replica, doing));
        let writes = effects.iter().map(|effect| matches!(effect, Effect::Write(..))).collect();
        let done = match moment {
            Moment::Whole(_) => effects.len(),
            Moment::Cut { after, .. } => usize::from(after),
            Moment::Crash { .. } => 0,
        };
        for effect in effects.into_iter().take(done) {
            replica.carry_out(effect, &mut facts);
        }
        if let Moment::Cut { kept, .. } | Moment::Crash { kept } = moment {
            self.crash(replica, kept, &mut facts);
        }
        Did { facts, writes }
    }

    fn fingerprint(&self, replica: &Replica) -> u128 {
        let mut hasher = Fingerprint::new();
        let Replica {
            seat,
            voter,
            replicator,
            voter_now,
            log_now,
            leaps: _,
            disk,
            writing,
            token,
            election_hold,
            log_hold,
        } = replica;
        let Recovered { ballot, entries, commit, .. } = disk;
        (seat, ballot, entries, commit, writing.len()).hash(&mut hasher);
        // From behind the next leap, which passes all that is there.
        voter.fingerprint(*voter_now + self.election.election_max * 3, &mut hasher);
        replicator.fingerprint(*log_now + replica.leap(), &mut hasher);
        // Tokens are names; how far they lie behind the last one is all that counts.
        let behind = |earlier: Token| token.0 - earlier.0;
        for (token, record) in writing {
            (behind(*token), format!("{record:?}")).hash(&mut hasher);
        }
        for hold in [election_hold, log_hold] {
            held(hold, behind).hash(&mut hasher);
        }
        hasher.value()
    }

    fn view(&self, replica: &Replica) -> Rest {
        let log = replica.replicator.log();
        let says = |entry: &Entry| (entry.id, fingerprint(&entry.payload));
        Rest {
            term: replica.voter.term(),
            is_leading: replica.replicator.is_leading(),
            writing: replica.writing.len() as u8,
            commit: log.commit(),
            log: log.entries(LogIndex(1)..=log.tip().index).map(says).collect(),
            disk: replica.disk.entries.iter().map(|entry| entry.id).collect(),
            disk_commit: replica.disk.commit,
        }
    }
}

impl Relabel for Replicas {
    fn relabel(&mut self, packet: u32, order: &[u8]) -> u32 {
        self.packets.relabel(packet, order)
    }
}
