//! The machine: one log, following or leading.

use std::hash::{Hash, Hasher};

use quorate_core::{
    ClusterTime, Configuration, DiskId, Entry, Instant, Lane, LogId, LogIndex, LogView, NodeId,
    Outbox, Payload, Record, Recovered, Snapshot, TermGate, mutant, rare,
};

use crate::config::Config;
use crate::follower::Incoming;
use crate::io::{Distrust, Input, Output};
use crate::leader::Leading;
use crate::log::Log;
use crate::message::Message;
use crate::peer::{Peer, Progress};

/// The replicated log of one node.
///
/// It follows the laws of [`quorate_core::Machine`]; it is not one itself because each step
/// borrows the [`TermGate`] of the node's voter. Inputs of one turn come together: proposals are
/// appended as they come, and the next [`wake`](Self::wake) writes and sends them as one batch.
#[derive(Debug)]
pub struct Replicator {
    pub(crate) me: NodeId,
    pub(crate) config: Config,
    pub(crate) log: Log,
    pub(crate) leading: Option<Leading>,
    pub(crate) incoming: Option<Incoming>,
    /// The time of the last call.
    pub(crate) now: Instant,
    /// When the last entry was appended or received; the boot for those of the disk.
    pub(crate) tip_seen: Instant,
    /// When a flush is wanted.
    pub(crate) flush_at: Option<Instant>,
    /// The highest commit handed to the disk. Invariant: never above the log's commit.
    marked: LogIndex,
    /// When a commit above the mark is handed to the disk by itself.
    mark_at: Option<Instant>,
    /// Whether a snapshot was asked for and did not come yet.
    pub(crate) snapshot_asked: bool,
}

impl Replicator {
    /// The log that `recovered` amounts to, following.
    ///
    /// Entries up to `log().commit()` are committed already: the owner restores the snapshot and
    /// applies the rest up to there before it takes the first output. A [`Config`] that does not
    /// [validate](Config::validate) costs speed or liveness, never safety.
    #[must_use]
    pub fn new(me: NodeId, config: Config, recovered: &Recovered, now: Instant) -> Self {
        let log = Log::recover(recovered);
        let marked = log.commit();
        Self {
            me,
            config,
            log,
            leading: None,
            incoming: None,
            now,
            tip_seen: now,
            flush_at: None,
            marked,
            mark_at: None,
            snapshot_asked: false,
        }
    }

    /// Says in which data folder the log is. Without it the node may lead only where its member of
    /// the configuration names no disk.
    #[must_use]
    pub const fn on_disk(mut self, disk: DiskId) -> Self {
        self.log.keep_on(disk);
        self
    }

    /// Starts the log of a new cluster, of which this node is a founder: the first configuration
    /// becomes the entry at index 1 of term 0, the same on every founder, and is committed.
    ///
    /// Sound because the bootstrap decides once: a founder begins only with what it knows to be
    /// decided, so no log of the cluster ever holds another first entry. Term 0 has no leader, hence every later entry is fresher. A founder that crashes
    /// before the entry is durable founds again from its pledge; any other node gets the entry
    /// from a leader. `false`, and nothing happens, if the log is not empty.
    pub fn found(
        &mut self,
        now: Instant,
        configuration: Configuration,
        out: &mut Outbox<Output>,
    ) -> bool {
        self.now = self.now.max(now);
        if self.log.tip() != LogId::ZERO || configuration.is_empty() {
            return false;
        }
        let id = LogId::new(0, 1);
        let payload = Payload::Configuration(configuration);
        let entry = Entry { id, time: ClusterTime::ZERO, payload };
        self.log.push(entry.clone());
        self.tip_seen = self.now;
        self.persist(vec![entry], out);
        self.raise_commit(id.index, out);
        true
    }

    /// The log; borrow it for the voter's step.
    #[must_use]
    pub const fn log(&self) -> &Log {
        &self.log
    }

    /// The cluster's time now, as far as this node's clock can carry on from the last entry.
    #[must_use]
    pub fn cluster_time(&self, now: Instant) -> ClusterTime {
        self.log.tip_time() + now.since(self.tip_seen)
    }

    /// Whether this node leads, as far as it knows.
    #[must_use]
    pub const fn is_leading(&self) -> bool {
        self.leading.is_some()
    }

    /// How far each peer is, in order of their ids; nothing while following.
    pub fn progress(&self) -> impl Iterator<Item = Progress> + '_ {
        self.leading.iter().flat_map(|leading| &leading.peers).map(Peer::progress)
    }

    /// Adds all that decides what this replicator will do to `hasher`, as seen at `now`, the time
    /// of its last call, for those who look at all its states.
    ///
    /// Moments count relative to `now`; of what is past only the cluster's time shows. Left out are
    /// what never changes, and how patient a leader has become with its peers.
    pub fn fingerprint(&self, now: Instant, hasher: &mut impl Hasher) {
        let Self {
            me,
            config: _,
            log,
            leading,
            incoming,
            now: _,
            tip_seen,
            flush_at,
            marked,
            mark_at,
            snapshot_asked,
        } = self;
        let left = |at: &Option<Instant>| at.map(|at| at.since(now));
        (me, incoming, marked, snapshot_asked, left(flush_at), left(mark_at)).hash(hasher);
        (log.tip_time() + now.since(*tip_seen)).hash(hasher);
        log.fingerprint(hasher);
        leading.is_some().hash(hasher);
        if let Some(leading) = leading {
            leading.fingerprint(now, hasher);
        }
    }

    /// Applies one input. `gate` is the voter's, after it saw the message's term.
    pub fn step(&mut self, now: Instant, input: Input, gate: &TermGate, out: &mut Outbox<Output>) {
        self.now = self.now.max(now);
        self.revoke_if_void(gate, out);
        match input {
            Input::Lead(mandate) => self.lead(mandate, gate, out),
            Input::StepDown => self.depose(out),
            Input::Received { from, message } => self.receive(&from, message, gate, out),
            Input::Persisted { tip } => {
                self.written(tip);
                self.flush_at = self.leading.as_ref().map(|_| self.now).or(self.flush_at);
            }
            Input::Propose { id, command } => self.propose(id, command, out),
            Input::Change { id, change } => self.change(id, &change, out),
            Input::Read { id } => self.read(id, out),
            Input::LeaseRead { id } => self.lease_read(id, out),
            Input::Snapshotted(snapshot) => self.compact(snapshot, out),
            Input::HandOver { to } => self.hand_over(to),
            Input::Keep => self.keep(),
            Input::PeerConnected(id) => self.peer_connected(&id),
            Input::PeerLost(id) => self.peer_lost(&id),
        }
    }

    /// Lets time pass; does nothing before [`deadline`](Self::deadline), except that a mandate
    /// whose term is over ends.
    pub fn wake(&mut self, now: Instant, gate: &TermGate, out: &mut Outbox<Output>) {
        self.now = self.now.max(now);
        self.revoke_if_void(gate, out);
        if self.deadline().is_none_or(|due| due > self.now) {
            return;
        }
        self.flush_at = None;
        self.flush_leader(out);
        if self.mark_at.is_some_and(|due| due <= self.now) {
            self.mark(out);
        }
    }

    /// When `wake` is next wanted; not above the last `now` when something is to be flushed.
    /// `O(peers)`.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let own = self.flush_at.into_iter().chain(self.mark_at);
        let leading = self.leading.iter().flat_map(|leading| {
            let asks = leading.peers.iter().filter_map(Peer::ask_at);
            let round = leading.reads.round().map(|round| round.ask_at);
            asks.chain(round).chain(leading.notice_at).chain(leading.commit_from)
        });
        own.chain(leading).min()
    }

    /// Stops leading as soon as the gate passed the mandate's term.
    fn revoke_if_void(&mut self, gate: &TermGate, out: &mut Outbox<Output>) {
        if self.leading.as_ref().is_some_and(|leading| !leading.mandate.holds(gate)) {
            self.depose(out);
        }
    }

    fn receive(
        &mut self,
        from: &NodeId,
        message: Message,
        gate: &TermGate,
        out: &mut Outbox<Output>,
    ) {
        let term = message.term();
        let stale = !gate.admits(term) && !mutant!("stale-leader-append-accepted");
        if stale && message.is_of_leader() {
            // So that it learns that its time is over.
            self.answer(from, Message::Stale { term: gate.current() }, out);
        }
        // A term above the gate was not shown to the voter: nothing of it counts yet.
        if stale || term > gate.current() || *from == self.me {
            return;
        }
        if message.is_of_leader() && self.leading.is_some() {
            self.distrust(from, Distrust::SecondLeader { term }, out);
            return;
        }
        match message {
            Message::Append { term, prev, commit, attempt, entries } => {
                self.follow(from, (term, attempt), prev, commit, entries, out);
            }
            Message::Probe { term, seq } => {
                out.push(Output::LeaderHeard { leader: from.clone(), term });
                let message = Message::ProbeReply { term, seq };
                let (to, lane) = (from.clone(), Lane::Urgent);
                out.push(Output::Send { to, lane, message, overtakes: true });
            }
            Message::SnapshotChunk { term, attempt, head, offset, data } => {
                self.receive_chunk(from, (term, attempt), head, offset, &data, out);
            }
            Message::Appended { .. }
            | Message::Diverged { .. }
            | Message::ProbeReply { .. }
            | Message::SnapshotReply { .. }
            | Message::Stale { .. } => self.hear_follower(from.clone(), message, out),
        }
    }

    /// Hands `entries` to the disk, and the commit mark ahead of them: it costs no fsync there.
    pub(crate) fn persist(&mut self, entries: Vec<Entry>, out: &mut Outbox<Output>) {
        if self.log.commit() > self.marked {
            self.mark(out);
        }
        out.push(Output::Persist(Record::Entries(entries)));
    }

    fn mark(&mut self, out: &mut Outbox<Output>) {
        let mark = self.log.commit();
        let mark = if mutant!("mark-ahead-of-commit") { self.log.tip().index } else { mark };
        out.push(Output::Persist(Record::Commit(mark)));
        self.commit_persisted(self.log.commit());
    }

    /// The disk was handed something from which it knows that `index` is committed.
    pub(crate) fn commit_persisted(&mut self, index: LogIndex) {
        self.marked = self.marked.max(index);
        if self.marked >= self.log.commit() {
            self.mark_at = None;
        }
    }

    pub(crate) fn raise_commit(&mut self, index: LogIndex, out: &mut Outbox<Output>) {
        self.log.set_commit(index);
        self.mark_at.get_or_insert(self.now + self.config.commit_mark_after);
        out.push(Output::Committed(index));
        if self.is_snapshot_due() && !self.snapshot_asked {
            self.snapshot_asked = true;
            out.push(Output::SnapshotWanted);
        }
    }

    /// Whether the log behind the newest snapshot takes more room than a further one is worth.
    fn is_snapshot_due(&self) -> bool {
        let (entries, bytes) = self.log.spared();
        // A snapshot costs its size. Not before the log has grown by as much: so all snapshots
        // together write no more than the log does, however large the state is.
        let newest = self.log.snapshot().map_or(0, |snapshot| snapshot.state.len());
        entries >= self.config.compact_log_entries
            || bytes >= self.config.compact_log_bytes.max(newest)
            || (entries > 0 && rare("compact at once"))
    }

    /// Takes the own state machine's snapshot; one that came too late is dropped.
    fn compact(&mut self, snapshot: Snapshot, out: &mut Outbox<Output>) {
        self.snapshot_asked = false;
        let newest = self.log.snapshot().map_or(LogIndex::ZERO, |newest| newest.last.index);
        if snapshot.last.index <= newest {
            return;
        }
        for peer in self.leading.iter_mut().flat_map(|leading| &mut leading.peers) {
            peer.note(&self.log);
        }
        let hold = self.hold_back(&snapshot);
        self.log.compact(snapshot.clone(), self.config.keep_log_bytes, hold);
        self.commit_persisted(snapshot.last.index);
        out.push(Output::Persist(Record::Snapshot(snapshot)));
    }
}
