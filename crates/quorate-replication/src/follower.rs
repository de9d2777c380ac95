//! Following: taking a leader's entries and snapshots into the log.

use bytes::{Bytes, BytesMut};
use quorate_core::{
    Entry, Lane, LogId, LogIndex, LogView, NodeId, Outbox, Record, Snapshot, Term, mutant,
};

use crate::io::{Distrust, Output};
use crate::message::{Message, SnapshotHead};
use crate::replicator::Replicator;

/// A snapshot that is arriving.
#[derive(Debug, Hash)]
pub(crate) struct Incoming {
    /// Another leader's snapshot of the same entry may be encoded in another way.
    term: Term,
    head: SnapshotHead,
    /// Invariant: the first bytes of the state, without a gap.
    state: BytesMut,
}

impl Replicator {
    /// The leader's entries behind `prev`. Everything is checked before anything is changed.
    pub(crate) fn follow(
        &mut self,
        from: &NodeId,
        (term, attempt): (Term, u64),
        prev: LogId,
        commit: LogIndex,
        entries: Vec<Entry>,
        out: &mut Outbox<Output>,
    ) {
        if !well_formed(prev, &entries, term) {
            self.distrust(from, Distrust::Malformed, out);
            return;
        }
        out.push(Output::LeaderHeard { leader: from.clone(), term });
        let base = self.log.base().index;
        // Below the base everything is committed: the leader has it too, the same.
        let fits = prev.index < base
            || self.log.holds(prev)
            || (mutant!("append-ignores-prev") && prev.index <= self.log.tip().index);
        if !fits {
            if prev.index <= self.log.commit() {
                self.distrust(from, Distrust::CommittedDiffers { at: prev.index }, out);
                return;
            }
            let table = self.log.table();
            let message = Message::Diverged { term, attempt, prev: prev.index, table };
            self.answer(from, message, out);
            return;
        }
        let back_in_time =
            |entry: &Entry| self.log.time_at(prev.index).is_some_and(|before| entry.time < before);
        if entries.first().is_some_and(back_in_time) {
            self.distrust(from, Distrust::Malformed, out);
            return;
        }
        let last = entries.last().map_or(prev.index, |entry| entry.id.index);
        if let Err(at) = self.take(entries, out) {
            self.distrust(from, Distrust::CommittedDiffers { at }, out);
            return;
        }
        // Behind `last` the own log may hold entries that the leader does not have.
        let known = if mutant!("apply-uncommitted") { last } else { commit.min(last) };
        if known > self.log.commit() {
            self.raise_commit(known, out);
        }
        self.acknowledge(from, (term, attempt), last, out);
    }

    /// Takes over the entries that the log lacks, and drops those that stand against them.
    ///
    /// # Errors
    ///
    /// The index at which a committed entry would have been dropped; nothing was changed.
    fn take(&mut self, mut entries: Vec<Entry>, out: &mut Outbox<Output>) -> Result<(), LogIndex> {
        let base = self.log.base().index;
        let present = |entry: &Entry| entry.id.index < base || self.log.holds(entry.id);
        let mut known = entries.iter().take_while(|entry| present(entry)).count();
        if mutant!("truncate-below-commit") {
            known = entries.iter().take_while(|entry| entry.id.index <= base).count();
        }
        let Some(first) = entries.get(known).map(|entry| entry.id.index) else { return Ok(()) };
        if first <= self.log.commit() && !mutant!("truncate-below-commit") {
            return Err(first);
        }
        let tip = self.log.tip().index;
        if first <= tip {
            if mutant!("no-truncate-on-conflict") {
                known = entries.iter().take_while(|entry| entry.id.index <= tip).count();
            } else {
                self.log.truncate(first);
            }
        }
        entries.drain(..known);
        if entries.is_empty() {
            return Ok(());
        }
        for entry in &entries {
            self.log.push(entry.clone());
        }
        self.tip_seen = self.now;
        self.persist(entries, out);
        Ok(())
    }

    /// A piece of the leader's snapshot.
    pub(crate) fn receive_chunk(
        &mut self,
        from: &NodeId,
        (term, attempt): (Term, u64),
        head: SnapshotHead,
        offset: u64,
        data: &Bytes,
        out: &mut Outbox<Output>,
    ) {
        if head.last.term > term || head.last.index.0 > INDEX_MAX {
            self.distrust(from, Distrust::Malformed, out);
            return;
        }
        out.push(Output::LeaderHeard { leader: from.clone(), term });
        if head.state_bytes > self.config.snapshot_bytes {
            self.distrust(from, Distrust::SnapshotTooLarge, out);
            return;
        }
        let last = head.last;
        if self.log.holds(last) && last.index > self.log.commit() {
            // All of it is here; what the leader compacted is committed.
            self.raise_commit(last.index, out);
        }
        if last.index <= self.log.commit() && !mutant!("snapshot-goes-back") {
            self.incoming = None;
            self.acknowledge(from, (term, attempt), last.index, out);
            return;
        }
        let total = head.state_bytes;
        let same = self.incoming.as_ref().is_some_and(|it| it.term == term && it.head == head);
        if !same {
            self.incoming = Some(Incoming { term, head, state: BytesMut::new() });
        }
        let Some(incoming) = &mut self.incoming else { return };
        let fits = offset == incoming.state.len() as u64 && data.len() as u64 <= total - offset;
        if fits {
            incoming.state.extend_from_slice(data);
        }
        let received = incoming.state.len() as u64;
        if received < total {
            self.answer(from, Message::SnapshotReply { term, attempt, last, received }, out);
        } else if let Some(incoming) = self.incoming.take() {
            self.install(incoming, out);
            self.acknowledge(from, (term, attempt), last.index, out);
        }
    }

    /// Replaces the log by a snapshot that is complete. Nothing committed is lost by it: its last
    /// entry is behind the commit, and it contains all before.
    fn install(&mut self, Incoming { head, state, .. }: Incoming, out: &mut Outbox<Output>) {
        let SnapshotHead { last, time, configuration, .. } = head;
        let snapshot = Snapshot { last, time, configuration, state: state.freeze() };
        self.log.install(snapshot.clone());
        self.tip_seen = self.now;
        self.commit_persisted(last.index);
        self.snapshot_asked = false;
        out.push(Output::Persist(Record::Snapshot(snapshot.clone())));
        out.push(Output::Install(snapshot));
    }

    /// Tells the leader that the log equals its own up to `last`, and up to the own commit (that
    /// much every leader has). It leaves when the records pushed before it are durable.
    fn acknowledge(
        &self,
        to: &NodeId,
        (term, attempt): (Term, u64),
        last: LogIndex,
        out: &mut Outbox<Output>,
    ) {
        let commit = self.log.commit();
        let message = Message::Appended { term, attempt, matched: last.max(commit), commit };
        let overtakes = mutant!("follower-acks-before-persist");
        out.push(Output::Send { to: to.clone(), lane: Lane::Ack, message, overtakes });
    }

    /// Says something that rests on the own disk.
    pub(crate) fn answer(&self, to: &NodeId, message: Message, out: &mut Outbox<Output>) {
        out.push(Output::Send { to: to.clone(), lane: Lane::Ack, message, overtakes: false });
    }

    pub(crate) fn distrust(&self, peer: &NodeId, why: Distrust, out: &mut Outbox<Output>) {
        out.push(Output::Distrusted { peer: peer.clone(), why });
    }
}

/// Whether `entries` follow `prev` and each other, and none is of a term above `term`.
fn well_formed(prev: LogId, entries: &[Entry], term: Term) -> bool {
    let Some(_room) = prev.index.0.checked_add(entries.len() as u64 + 1) else { return false };
    let mut before = prev;
    let mut time = entries.first().map_or_else(Default::default, |entry| entry.time);
    for entry in entries {
        let follows = entry.id.index == before.index.next() && entry.id.term >= before.term;
        if !follows || entry.time < time {
            return false;
        }
        before = entry.id;
        time = entry.time;
    }
    before.term <= term
}

/// No log is that long; a snapshot that claims to be would leave no index for what follows it.
const INDEX_MAX: u64 = u64::MAX >> 1;
