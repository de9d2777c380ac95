//! What a leader knows of one peer, and what it sends it.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use quorate_core::{
    Entry, Instant, Lane, LogId, LogIndex, LogView, NodeId, Outbox, Snapshot, Term, rare,
};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::io::Output;
use crate::lag::Notes;
use crate::log::Log;
use crate::message::{EpochTable, Message, SnapshotHead};

/// How far a peer is, as its leader knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The peer.
    pub id: NodeId,
    /// The last entry sent, whether it arrived or not.
    pub sent: LogIndex,
    /// The last entry that is on the peer's disk.
    pub durable: LogIndex,
    /// Up to where the peer knows of the commit, by its own word.
    pub commit: LogIndex,
    /// When it last answered in this term; `None` if it has not.
    pub last_heard: Option<Instant>,
    /// What is being done with it.
    pub state: PeerState,
}

/// What a leader is doing with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerState {
    /// Asking, once per [`Config::resend_after`], what it has.
    Probing,
    /// Sending entries as they come.
    Streaming,
    /// Sending a snapshot.
    Snapshot {
        /// Bytes that arrived.
        received: u64,
        /// Bytes in all.
        total: u64,
    },
}

/// One follower, seen from its leader.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) id: NodeId,
    mode: Mode,
    /// The first entry not sent yet; advances when a message is sent, not when it is answered.
    next: LogIndex,
    /// Invariant: never falls within a term; the peer's disk equals this log up to here.
    matched: LogIndex,
    /// The highest commit the peer was sent.
    commit_sent: LogIndex,
    /// The highest commit the peer has confirmed.
    commit_known: LogIndex,
    /// Rises whenever sending starts over; refusals of an earlier attempt are no news.
    attempt: u64,
    /// The first attempt: answers to earlier ones are of the time before it was added again, and
    /// say nothing of what it holds now.
    first_attempt: u64,
    /// The last entry and the size of every unanswered append, in order.
    inflight: VecDeque<(LogIndex, usize)>,
    inflight_bytes: usize,
    /// The lane of the appends under way. Kept while any is: an urgent one would arrive first.
    lane: Lane,
    /// When the peer is asked (again) what it has; `None` when nothing is unanswered.
    ask_at: Option<Instant>,
    /// Since when an answer is awaited.
    awaited_since: Instant,
    /// How long an answer may take: [`Config::resend_after`] or more, as the peer's pace and its
    /// silence teach. Without it a link slower than the setting would be asked for ever and never
    /// served.
    patience: Duration,
    last_heard: Option<Instant>,
    /// The last round of reads it confirmed.
    pub(crate) probed: u64,
    /// The configuration that it is no member of, and when it was appended. It is served until it
    /// knows of it: else it would stand for ever in a cluster that goes on without it.
    leaves: Option<(LogIndex, Instant)>,
    transfer: Option<Transfer>,
    /// Since when it lacks what the log no longer shows.
    notes: Notes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Mode {
    Probing,
    Streaming,
    Snapshot,
}

/// A snapshot on its way.
#[derive(Debug, Hash)]
struct Transfer {
    snapshot: Snapshot,
    /// Where the next piece starts; `None` when all were sent.
    next: Option<usize>,
    /// Bytes that arrived without a gap.
    received: usize,
    /// Whether the peer has answered in this attempt.
    answered: bool,
}

/// What a leader's peers have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sending<'a> {
    pub(crate) now: Instant,
    pub(crate) term: Term,
    pub(crate) config: &'a Config,
    pub(crate) log: &'a Log,
    /// The tip at the last flush: entries behind it are new to everyone.
    pub(crate) flushed: LogIndex,
    /// Whether commits that nothing else tells of are told now.
    pub(crate) notices: bool,
}

impl Peer {
    /// A peer that is taken to have everything up to `tip`; the first append shows. `attempt` is
    /// above all that this leader has made with an earlier peer of that name.
    pub(crate) const fn new(id: NodeId, tip: LogIndex, attempt: u64, patience: Duration) -> Self {
        Self {
            id,
            mode: Mode::Streaming,
            next: tip.next(),
            matched: LogIndex::ZERO,
            commit_sent: LogIndex::ZERO,
            commit_known: LogIndex::ZERO,
            attempt,
            first_attempt: attempt,
            inflight: VecDeque::new(),
            inflight_bytes: 0,
            lane: Lane::Live,
            ask_at: None,
            awaited_since: Instant::ZERO,
            patience,
            last_heard: None,
            probed: 0,
            leaves: None,
            transfer: None,
            notes: Notes([None; 3]),
        }
    }

    pub(crate) const fn notes(&self) -> &Notes {
        &self.notes
    }

    /// The log is about to be compacted.
    pub(crate) fn note(&mut self, log: &Log) {
        let sent = self.next.previous().max(self.matched);
        self.notes.renew(log, [sent, self.matched, self.commit_known]);
    }

    pub(crate) const fn matched(&self) -> LogIndex {
        self.matched
    }

    /// An attempt that no answer under way belongs to.
    pub(crate) const fn next_attempt(&self) -> u64 {
        self.attempt + 1
    }

    pub(crate) const fn ask_at(&self) -> Option<Instant> {
        self.ask_at
    }

    /// The last entry of the snapshot on its way: what is behind it will be needed.
    pub(crate) fn holds_back(&self) -> Option<LogIndex> {
        self.transfer.as_ref().map(|transfer| transfer.snapshot.last.index)
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress {
            id: self.id.clone(),
            sent: self.next.previous(),
            durable: self.matched,
            commit: self.commit_known,
            last_heard: self.last_heard,
            state: match (self.mode, &self.transfer) {
                (Mode::Snapshot, Some(transfer)) => PeerState::Snapshot {
                    received: transfer.received as u64,
                    total: transfer.snapshot.state.len() as u64,
                },
                (Mode::Streaming, _) => PeerState::Streaming,
                (Mode::Probing | Mode::Snapshot, _) => PeerState::Probing,
            },
        }
    }

    /// See [`Replicator::fingerprint`](crate::Replicator::fingerprint).
    pub(crate) fn fingerprint(&self, now: Instant, hasher: &mut impl Hasher) {
        let Self {
            id,
            mode,
            next,
            matched,
            commit_sent,
            commit_known,
            attempt,
            first_attempt,
            inflight,
            inflight_bytes,
            lane,
            ask_at,
            // How patient it has become decides when it asks, never what it does.
            awaited_since: _,
            patience: _,
            last_heard: _,
            probed,
            leaves,
            transfer,
            // Told to people alone.
            notes: _,
        } = self;
        (id, mode, next, matched, commit_sent, commit_known, attempt, first_attempt).hash(hasher);
        (inflight, inflight_bytes, lane, probed, transfer).hash(hasher);
        leaves.map(|(index, since)| (index, now.since(since))).hash(hasher);
        ask_at.map(|at| at.since(now)).hash(hasher);
    }

    pub(crate) const fn heard(&mut self, now: Instant) {
        self.last_heard = Some(now);
    }

    /// It is no member from the configuration at `index` on; `None`: it is one.
    pub(crate) const fn leave(&mut self, leaves: Option<(LogIndex, Instant)>) {
        self.leaves = leaves;
    }

    pub(crate) const fn is_leaving(&self) -> bool {
        self.leaves.is_some()
    }

    /// Whether it need not be served any more: it knows that it left, or was silent for long.
    pub(crate) fn is_dismissed(&self, now: Instant, config: &Config) -> bool {
        self.leaves.is_some_and(|(index, since)| {
            let silent = now >= since + config.resend_after * LEAVING_FACTOR_MAX;
            self.commit_known >= index || silent
        })
    }

    /// Whether the peer can learn of a commit that it was not told of.
    pub(crate) fn wants_notice(&self, commit: LogIndex) -> bool {
        self.mode == Mode::Streaming && commit.min(self.matched) > self.commit_sent
    }

    /// The peer's disk holds everything up to `matched`.
    pub(crate) fn acked(
        &mut self,
        sending: Sending<'_>,
        attempt: u64,
        matched: LogIndex,
        commit: LogIndex,
    ) {
        if attempt < self.first_attempt {
            return;
        }
        self.commit_known = self.commit_known.max(commit);
        self.commit_sent = self.commit_sent.max(commit);
        let progress = matched > self.matched;
        if progress {
            self.learn_pace(sending);
        }
        self.matched = self.matched.max(matched);
        self.next = self.next.max(self.matched.next());
        while let Some((_, size)) = self.inflight.front().filter(|(last, _)| *last <= self.matched)
        {
            self.inflight_bytes -= size;
            self.inflight.pop_front();
        }
        let installed = self.holds_back().is_some_and(|last| self.matched >= last);
        if installed {
            self.transfer = None;
        }
        // An answer to an earlier attempt says less than the one still to come.
        let asked = self.mode == Mode::Probing && attempt == self.attempt;
        if asked || (self.mode == Mode::Snapshot && installed) {
            self.stream_from(self.matched.next());
        }
        if self.is_answered() {
            self.ask_at = None;
        } else if progress {
            self.await_answer(sending);
        }
    }

    /// An answer that is news came: twice its time is a fair patience from now on.
    fn learn_pace(&mut self, sending: Sending<'_>) {
        if self.ask_at.is_some() {
            let taken = sending.now.since(self.awaited_since);
            let faded = self.patience - self.patience / 8;
            self.patience = faded.max(taken * 2).max(sending.config.resend_after);
        }
    }

    fn await_answer(&mut self, sending: Sending<'_>) {
        self.awaited_since = sending.now;
        self.ask_at = Some(sending.now + self.patience);
    }

    /// The peer refused an append and told the shape of its log.
    pub(crate) fn diverged(
        &mut self,
        sending: Sending<'_>,
        attempt: u64,
        prev: LogIndex,
        table: &EpochTable,
    ) {
        if attempt != self.attempt || self.mode == Mode::Snapshot {
            return;
        }
        let agreed = sending.log.agreement(table).max(self.matched);
        if agreed >= prev {
            // It refuses what it says it has. Asking again at once could go on for ever.
            return;
        }
        self.learn_pace(sending);
        self.commit_known = self.commit_known.max(table.commit.min(sending.log.tip().index));
        self.stream_from(agreed.next());
    }

    /// Pieces of the snapshot arrived up to `received`.
    ///
    /// Answers may come out of order, so within an attempt only higher ones are news. The first
    /// one is taken as it is: the peer may have lost what it had.
    pub(crate) fn chunk_acked(
        &mut self,
        sending: Sending<'_>,
        attempt: u64,
        last: LogId,
        received: u64,
    ) {
        let current = attempt == self.attempt && self.mode == Mode::Snapshot;
        let Some(transfer) =
            self.transfer.as_mut().filter(|it| current && it.snapshot.last == last)
        else {
            return;
        };
        let total = transfer.snapshot.state.len();
        let received = usize::try_from(received).unwrap_or(usize::MAX).min(total);
        if transfer.answered && received <= transfer.received {
            return;
        }
        let lost = received < transfer.received;
        transfer.next = match transfer.next {
            _ if lost => Some(received),
            next => next.map(|next| next.max(received)),
        };
        transfer.answered = true;
        transfer.received = received;
        self.learn_pace(sending);
        self.await_answer(sending);
    }

    /// What was under way is lost, or may be: the peer is asked at the next flush.
    pub(crate) fn ask_now(&mut self) {
        self.start_over(Mode::Probing);
        self.ask_at = None;
    }

    /// What was under way is lost, and asking at once is in vain.
    pub(crate) fn ask_later(&mut self, sending: Sending<'_>) {
        self.start_over(Mode::Probing);
        self.await_answer(sending);
    }

    fn stream_from(&mut self, next: LogIndex) {
        self.start_over(Mode::Streaming);
        self.next = next;
        self.ask_at = None;
    }

    fn start_over(&mut self, mode: Mode) {
        self.mode = mode;
        self.attempt += 1;
        self.inflight.clear();
        self.inflight_bytes = 0;
        self.commit_sent = self.commit_known;
    }

    /// Whether every message was answered. A commit counts as a message: it must arrive too.
    fn is_answered(&self) -> bool {
        self.mode == Mode::Streaming
            && self.inflight.is_empty()
            && self.commit_sent <= self.commit_known
    }

    /// Sends whatever may be sent now.
    pub(crate) fn send(&mut self, sending: Sending<'_>, out: &mut Outbox<Output>) {
        if self.ask_at.is_some_and(|due| due <= sending.now) {
            let longest = sending.config.resend_after * PATIENCE_FACTOR_MAX;
            self.patience = (self.patience * 2).min(longest.max(self.patience));
            if self.mode != Mode::Probing {
                self.ask_now();
            }
        }
        if self.mode == Mode::Probing {
            self.ask(sending, out);
            return;
        }
        if self.next <= sending.log.base().index || self.mode == Mode::Snapshot {
            self.send_snapshot(sending, out);
        } else {
            self.send_entries(sending, out);
            if sending.notices && self.wants_notice(sending.log.commit()) {
                self.send_notice(sending, out);
            }
        }
        if !self.is_answered() && self.ask_at.is_none() {
            self.await_answer(sending);
        }
    }

    /// Asks whether the peer has the tip: it does, or it answers with the shape of its log.
    fn ask(&mut self, sending: Sending<'_>, out: &mut Outbox<Output>) {
        if self.ask_at.is_some_and(|due| due > sending.now) {
            return;
        }
        self.append(sending, Lane::Live, sending.log.tip(), Vec::new(), out);
        self.await_answer(sending);
    }

    fn send_entries(&mut self, sending: Sending<'_>, out: &mut Outbox<Output>) {
        let (log, config) = (sending.log, sending.config);
        let tip = log.tip().index;
        while self.next <= tip
            && self.inflight.len() < config.inflight_messages
            && (self.inflight_bytes < config.inflight_bytes)
            && (self.inflight.is_empty() || !rare("one message on its way"))
        {
            let batch_bytes = if rare("batch of one entry") { 1 } else { config.batch_bytes };
            let (entries, size) = batch(log, self.next, batch_bytes);
            let Some(last) = entries.last().map(|entry| entry.id.index) else { return };
            if self.inflight.is_empty() {
                let live = self.next > sending.flushed || last == tip;
                self.lane = if live { Lane::Live } else { Lane::CatchUp };
            } else if self.lane == Lane::CatchUp && last == tip {
                // Caught up but for this: let the slower lane drain, then change over.
                return;
            }
            let prev = self.next.previous();
            let Some(term) = log.term_at(prev) else { return };
            self.append(sending, self.lane, LogId { term, index: prev }, entries, out);
            self.commit_sent = self.commit_sent.max(log.commit().min(last));
            self.next = last.next();
            self.inflight.push_back((last, size));
            self.inflight_bytes += size;
        }
    }

    /// Tells of the commit. Behind what the peer is known to have, so that it is never refused.
    fn send_notice(&mut self, sending: Sending<'_>, out: &mut Outbox<Output>) {
        let Some(term) = sending.log.term_at(self.matched) else { return };
        let prev = LogId { term, index: self.matched };
        self.append(sending, Lane::Live, prev, Vec::new(), out);
        self.commit_sent = sending.log.commit().min(self.matched);
    }

    fn append(
        &self,
        sending: Sending<'_>,
        lane: Lane,
        prev: LogId,
        entries: Vec<Entry>,
        out: &mut Outbox<Output>,
    ) {
        let (term, commit, attempt) = (sending.term, sending.log.commit(), self.attempt);
        let message = Message::Append { term, prev, commit, attempt, entries };
        out.push(Output::Send { to: self.id.clone(), lane, message, overtakes: true });
    }

    fn send_snapshot(&mut self, sending: Sending<'_>, out: &mut Outbox<Output>) {
        let Some(newest) = sending.log.snapshot() else { return };
        // One on its way is finished if what follows it is still here.
        let usable = |it: &Transfer| it.snapshot.last.index >= sending.log.base().index;
        let mut transfer = self.transfer.take().filter(usable).unwrap_or_else(|| Transfer {
            snapshot: newest.clone(),
            next: Some(0),
            received: 0,
            answered: false,
        });
        if self.mode != Mode::Snapshot {
            // A transfer that was interrupted goes on where the answers ended.
            self.start_over(Mode::Snapshot);
            transfer.next = Some(transfer.received);
            transfer.answered = false;
            self.ask_at = None;
        }
        let state = &transfer.snapshot.state;
        let tiny = state.len() < 4_096 && rare("tiny chunks of a snapshot");
        let chunk = if tiny { 64 } else { sending.config.snapshot_chunk_bytes };
        let window = chunk * sending.config.snapshot_chunks;
        while let Some(offset) = transfer.next.filter(|offset| *offset < transfer.received + window)
        {
            let end = state.len().min(offset + chunk);
            let message = Message::SnapshotChunk {
                term: sending.term,
                attempt: self.attempt,
                head: SnapshotHead {
                    last: transfer.snapshot.last,
                    time: transfer.snapshot.time,
                    configuration: transfer.snapshot.configuration.clone(),
                    state_bytes: state.len() as u64,
                },
                offset: offset as u64,
                data: state.slice(offset..end),
            };
            let (to, lane) = (self.id.clone(), Lane::Snapshot);
            out.push(Output::Send { to, lane, message, overtakes: true });
            transfer.next = (end < state.len()).then_some(end);
        }
        self.transfer = Some(transfer);
    }
}

/// Entries from `from` on, up to a size of `batch_bytes` and at least one, and their size.
fn batch(log: &Log, from: LogIndex, batch_bytes: usize) -> (Vec<Entry>, usize) {
    let mut size = 0;
    let entries = log.entries(from..=log.tip().index).take_while(|entry| {
        let first = size == 0;
        let fits = first || size + entry.size_bytes() <= batch_bytes;
        size += if fits { entry.size_bytes() } else { 0 };
        fits
    });
    let entries: Vec<Entry> = entries.cloned().collect();
    (entries, size)
}

/// Silence stretches the patience up to this many times [`Config::resend_after`]: a dead peer costs
/// little, and one that comes back without a new connection is found soon enough.
const PATIENCE_FACTOR_MAX: u32 = 8;

/// Who left is told so for this many times [`Config::resend_after`].
const LEAVING_FACTOR_MAX: u32 = 50;
