//! Leading: taking proposals, sending them, counting who has them.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use bytes::Bytes;
use quorate_core::{
    ClusterTime, Entry, Instant, Lane, LogId, LogIndex, LogView, Mandate, NodeId, Outbox, Payload,
    Snapshot, Term, TermGate, mutant, rare,
};

use crate::io::{Output, ProposalId, ProposeRefused, ReadId};
use crate::message::Message;
use crate::peer::{Peer, Sending};
use crate::reads::Reads;
use crate::replicator::Replicator;

/// What a node has while it leads.
#[derive(Debug)]
pub(crate) struct Leading {
    pub(crate) mandate: Mandate,
    /// The own term's first entry. Only from here on does counting commit.
    pub(crate) first: LogIndex,
    /// The cluster's time at a moment of the own clock.
    anchor: (Instant, ClusterTime),
    /// Ascending by id.
    pub(crate) peers: Vec<Peer>,
    pub(crate) reads: Reads,
    /// The first entry not handed to the disk yet.
    unpersisted: LogIndex,
    /// The size of the entries behind the commit.
    uncommitted_bytes: usize,
    /// The size of the entries that are not on the own disk.
    unwritten_bytes: usize,
    /// When followers are told of commits that nothing else told them of.
    pub(crate) notice_at: Option<Instant>,
    /// The tip at the last flush.
    flushed: LogIndex,
    /// Who waits for the end of the joint configuration in force.
    pub(crate) changing: Option<ProposalId>,
    /// To whom the lead is being handed over, and whether it was said that it holds the log.
    pub(crate) handing: Option<(NodeId, bool)>,
    /// Nothing of this term commits before: an earlier leader may answer reads by its lease until
    /// then.
    pub(crate) commit_from: Option<Instant>,
    /// The entry that ended the lease last; only one behind it begins another.
    pub(crate) lease_ended: LogIndex,
    /// Above every attempt with a peer that was let go.
    pub(crate) next_attempt: u64,
}

impl Leading {
    pub(crate) fn peer(&mut self, id: &NodeId) -> Option<&mut Peer> {
        let at = self.peers.binary_search_by(|peer| peer.id.cmp(id)).ok()?;
        self.peers.get_mut(at)
    }

    /// When an entry of this term was appended, on the own clock; never too late.
    pub(crate) fn appended_at(&self, time: ClusterTime) -> Instant {
        let (since, from) = self.anchor;
        since + Duration::from_micros(time.0.saturating_sub(from.0))
    }

    const fn term(&self) -> Term {
        self.mandate.term()
    }

    /// See [`Replicator::fingerprint`].
    pub(crate) fn fingerprint(&self, now: Instant, hasher: &mut impl Hasher) {
        let Self {
            mandate,
            first,
            anchor: (since, time),
            peers,
            reads,
            unpersisted,
            uncommitted_bytes,
            unwritten_bytes,
            notice_at,
            flushed,
            changing,
            handing,
            commit_from,
            lease_ended,
            next_attempt,
        } = self;
        (mandate.term(), mandate.leader(), first, unpersisted, flushed, changing, next_attempt)
            .hash(hasher);
        (handing, lease_ended).hash(hasher);
        (uncommitted_bytes, unwritten_bytes, *time + now.since(*since)).hash(hasher);
        notice_at.map(|at| at.since(now)).hash(hasher);
        commit_from.map(|at| at.since(now)).hash(hasher);
        reads.fingerprint(now, hasher);
        for peer in peers {
            peer.fingerprint(now, hasher);
        }
    }
}

impl Replicator {
    /// Takes up the mandate. The log may hold anything; it is never truncated by its leader.
    pub(crate) fn lead(&mut self, mandate: Mandate, gate: &TermGate, out: &mut Outbox<Output>) {
        self.depose(out);
        let tip = self.log.tip();
        if !mandate.holds(gate) || *mandate.leader() != self.me || mandate.term() <= tip.term {
            out.push(Output::Deposed);
            return;
        }
        let others = self.log.configuration().ids().filter(|id| **id != self.me);
        let patience = self.config.resend_after;
        let commit_from = Some(self.others_may_hold_until()).filter(|until| *until > self.now);
        let peers = others.map(|id| Peer::new(id.clone(), tip.index, 0, patience)).collect();
        self.leading = Some(Leading {
            mandate,
            first: tip.index.next(),
            anchor: if mutant!("time-begins-anew") {
                (self.now, ClusterTime::ZERO)
            } else {
                (self.tip_seen, self.log.tip_time())
            },
            peers,
            reads: Reads::default(),
            unpersisted: tip.index.next(),
            uncommitted_bytes: self.log.sizes(self.log.commit(), tip.index),
            unwritten_bytes: self.log.sizes(self.log.durable().index, tip.index),
            notice_at: None,
            flushed: tip.index,
            changing: None,
            handing: None,
            commit_from,
            lease_ended: LogIndex::ZERO,
            next_attempt: 0,
        });
        self.append_own(Payload::Noop);
    }

    /// Appends to the own log; the next flush writes and sends it.
    pub(crate) fn append_own(&mut self, payload: Payload) -> Option<LogId> {
        let leading = self.leading.as_mut()?;
        let id = LogId { term: leading.term(), index: self.log.tip().index.next() };
        let (since, time) = leading.anchor;
        let entry = Entry { id, time: time + self.now.since(since), payload };
        leading.uncommitted_bytes += entry.size_bytes();
        leading.unwritten_bytes += entry.size_bytes();
        self.log.push(entry);
        self.tip_seen = self.now;
        self.flush_at = Some(self.now);
        Some(id)
    }

    pub(crate) fn propose(&mut self, id: ProposalId, command: Bytes, out: &mut Outbox<Output>) {
        match self.may_propose(&command) {
            Err(why) => out.push(Output::Refused { id, why }),
            Ok(()) => {
                if let Some(at) = self.append_own(Payload::Command(command)) {
                    out.push(Output::Proposed { id, at });
                }
            }
        }
    }

    fn may_propose(&self, command: &Bytes) -> Result<(), ProposeRefused> {
        let Some(leading) = &self.leading else { return Err(ProposeRefused::NotLeading) };
        if leading.handing.is_some() && !mutant!("proposes-while-handing-over") {
            return Err(ProposeRefused::HandingOver);
        }
        if command.len() > self.config.command_bytes {
            return Err(ProposeRefused::TooLarge);
        }
        // Others may commit what the own disk does not take: then its records pile up here.
        let behind = self.log.commit().min(self.log.durable().index);
        let entries = self.log.tip().index.0 - behind.0;
        let bytes = leading.uncommitted_bytes.max(leading.unwritten_bytes);
        let full = entries >= self.config.uncommitted_entries
            || bytes + command.len() > self.config.uncommitted_bytes
            || rare("too much is uncommitted");
        // An empty backlog takes every command of a lawful size, header or not.
        if full && entries > 0 { Err(ProposeRefused::Overloaded) } else { Ok(()) }
    }

    /// The entry `tip` and all before it are on the own disk.
    pub(crate) fn written(&mut self, tip: LogId) {
        let before = self.log.durable().index;
        self.log.set_durable(tip);
        let durable = self.log.durable().index;
        let Some(leading) = &mut self.leading else { return };
        let newly = self.log.sizes(before, durable);
        // What was compacted before it was written is not found any more.
        let all = durable == self.log.tip().index;
        leading.unwritten_bytes =
            if all { 0 } else { leading.unwritten_bytes.saturating_sub(newly) };
    }

    pub(crate) fn read(&mut self, id: ReadId, out: &mut Outbox<Output>) {
        let (limit, commit) = (self.config.waiting_reads, self.log.commit());
        let has_room = |reads| reads < limit && !rare("too many reads wait");
        let Some(leading) = self.leading.as_mut().filter(|it| has_room(it.reads.len())) else {
            out.push(Output::ReadRefused { id });
            return;
        };
        let own_committed = commit >= leading.first || mutant!("read-before-own-commit");
        let alone = self.log.configuration().has_quorum(|voter| *voter == self.me);
        if own_committed && (alone || mutant!("read-without-probe")) {
            out.push(Output::ReadAt { id, index: commit });
            return;
        }
        leading.reads.wait(id);
        self.flush_at = Some(self.now);
    }

    /// For how long the oldest entry has waited that the others of a quorum do not hold yet, whatever
    /// the own disk does; zero if they hold all, or this node does not lead.
    #[must_use]
    pub fn others_wait(&self, now: Instant) -> Duration {
        let Some(leading) = &self.leading else { return Duration::ZERO };
        let tip = self.log.tip().index;
        let held = self.log.configuration().committed(|id| {
            let peer = leading.peers.iter().find(|peer| peer.id == *id);
            if *id == self.me { tip } else { peer.map_or(LogIndex::ZERO, Peer::matched) }
        });
        // Of what is compacted already only the end is known.
        let next = held.next().max(self.log.base().index);
        let oldest = self.log.time_at(next).filter(|_| held < tip);
        oldest.map_or(Duration::ZERO, |time| now.since(leading.appended_at(time)))
    }

    /// What a follower says to its leader.
    pub(crate) fn hear_follower(
        &mut self,
        from: NodeId,
        message: Message,
        out: &mut Outbox<Output>,
    ) {
        let Some(leading) = &mut self.leading else { return };
        let sending = Sending {
            now: self.now,
            term: leading.term(),
            config: &self.config,
            log: &self.log,
            flushed: leading.flushed,
            notices: false,
        };
        let Some(peer) = leading.peer(&from) else { return };
        peer.heard(self.now);
        let was_leaving = peer.is_leaving();
        match message {
            Message::Appended { attempt, matched, commit, .. } => {
                // It cannot have more of this log than there is.
                let tip = self.log.tip().index;
                peer.acked(sending, attempt, matched.min(tip), commit.min(tip));
                if peer.wants_notice(self.log.commit()) {
                    let due = self.now + self.config.commit_notice_after;
                    leading.notice_at.get_or_insert(due);
                }
            }
            Message::Diverged { attempt, prev, table, .. } => {
                peer.diverged(sending, attempt, prev, &table);
            }
            Message::SnapshotReply { attempt, last, received, .. } => {
                peer.chunk_acked(sending, attempt, last, received);
            }
            Message::ProbeReply { seq, .. } => peer.probed = peer.probed.max(seq),
            Message::Append { .. }
            | Message::Probe { .. }
            | Message::SnapshotChunk { .. }
            | Message::Stale { .. } => return,
        }
        if was_leaving {
            self.dismiss_peers();
        }
        self.flush_at = Some(self.now);
        out.push(Output::PeerHeard { peer: from });
    }

    pub(crate) fn peer_connected(&mut self, id: &NodeId) {
        let Some(peer) = self.leading.as_mut().and_then(|leading| leading.peer(id)) else { return };
        peer.ask_now();
        self.flush_at = Some(self.now);
    }

    pub(crate) fn peer_lost(&mut self, id: &NodeId) {
        let Some(leading) = &mut self.leading else { return };
        let sending = Sending {
            now: self.now,
            term: leading.term(),
            config: &self.config,
            log: &self.log,
            flushed: leading.flushed,
            notices: false,
        };
        if let Some(peer) = leading.peer(id) {
            peer.ask_later(sending);
        }
    }

    /// Counts, writes and sends what came together since the last flush.
    pub(crate) fn flush_leader(&mut self, out: &mut Outbox<Output>) {
        self.count_commit(out);
        self.leave_joint(out);
        self.persist_own(out);
        self.dismiss_peers();
        let is_over = self.is_removed();
        if is_over && let Some(leading) = &mut self.leading {
            // Who is left learns of it at once, rather than from its next leader.
            leading.notice_at = Some(self.now);
        }
        self.send_to_peers(out);
        self.serve_reads(out);
        self.look_at_heir(out);
        if is_over {
            self.depose(out);
            out.push(Output::Removed);
        }
    }

    /// Commits what a quorum has, if it is of the own term: an entry of an earlier one may be on a
    /// majority and still be replaced (Ongaro and Ousterhout 2014, figure 8).
    fn count_commit(&mut self, out: &mut Outbox<Output>) {
        let Some(leading) = &mut self.leading else { return };
        if leading.commit_from.is_some_and(|from| self.now < from) {
            return;
        }
        leading.commit_from = None;
        let own = if mutant!("leader-counts-undurable-self") {
            self.log.tip().index
        } else {
            self.log.durable().index
        };
        let reached = self.log.configuration().committed(|id| {
            if *id == self.me {
                return own;
            }
            let at = leading.peers.binary_search_by(|peer| peer.id.cmp(id)).ok();
            at.and_then(|at| leading.peers.get(at)).map_or(LogIndex::ZERO, Peer::matched)
        });
        let own_term = reached >= leading.first || mutant!("commit-older-term-by-counting");
        if reached <= self.log.commit() || !own_term {
            return;
        }
        let newly = self.log.sizes(self.log.commit(), reached);
        leading.uncommitted_bytes = leading.uncommitted_bytes.saturating_sub(newly);
        leading.notice_at.get_or_insert(self.now + self.config.commit_notice_after);
        self.raise_commit(reached, out);
    }

    /// Writes what was appended since the last flush, the commit mark ahead of it.
    pub(crate) fn persist_own(&mut self, out: &mut Outbox<Output>) {
        let Some(leading) = &mut self.leading else { return };
        let tip = self.log.tip().index;
        if leading.unpersisted > tip {
            return;
        }
        let mut entries = Vec::new();
        let mut batches = Vec::new();
        let mut size = 0;
        for entry in self.log.entries(leading.unpersisted..=tip) {
            if size > 0 && size + entry.size_bytes() > self.config.batch_bytes {
                batches.push(std::mem::take(&mut entries));
                size = 0;
            }
            size += entry.size_bytes();
            entries.push(entry.clone());
        }
        batches.push(entries);
        leading.unpersisted = tip.next();
        for entries in batches {
            self.persist(entries, out);
        }
    }

    fn send_to_peers(&mut self, out: &mut Outbox<Output>) {
        let Some(leading) = &mut self.leading else { return };
        let sending = Sending {
            now: self.now,
            term: leading.mandate.term(),
            config: &self.config,
            log: &self.log,
            flushed: leading.flushed,
            notices: leading.notice_at.is_some_and(|due| due <= self.now),
        };
        for peer in &mut leading.peers {
            peer.send(sending, out);
        }
        if sending.notices {
            leading.notice_at = None;
        }
        leading.flushed = self.log.tip().index;
    }

    fn serve_reads(&mut self, out: &mut Outbox<Output>) {
        let Some(leading) = &mut self.leading else { return };
        let confirmed = leading.reads.round().is_some_and(|round| {
            self.log.configuration().has_quorum(|id| {
                let confirms = |peer: &Peer| peer.id == *id && peer.probed >= round.seq;
                *id == self.me || leading.peers.iter().any(confirms)
            })
        });
        if confirmed && let Some(round) = leading.reads.finish() {
            for id in round.ids {
                out.push(Output::ReadAt { id, index: round.index });
            }
        }
        let own_committed = self.log.commit() >= leading.first || mutant!("read-before-own-commit");
        let due = self.now + self.config.resend_after;
        if leading.reads.wait_for_round() && own_committed {
            if self.log.configuration().has_quorum(|id| *id == self.me) {
                for id in leading.reads.take_all() {
                    out.push(Output::ReadAt { id, index: self.log.commit() });
                }
                return;
            }
            leading.reads.begin(self.log.commit(), self.now);
        }
        let term = leading.mandate.term();
        let Some(round) = leading.reads.round_mut().filter(|round| round.ask_at <= self.now) else {
            return;
        };
        round.ask_at = due;
        for peer in &leading.peers {
            if peer.probed < round.seq && self.log.configuration().votes(&peer.id) {
                let message = Message::Probe { term, seq: round.seq };
                let (to, lane) = (peer.id.clone(), Lane::Urgent);
                out.push(Output::Send { to, lane, message, overtakes: true });
            }
        }
    }

    /// Stops leading, if it leads. What was appended and not written yet is written: the log shows
    /// it to the voter, and whoever proposed it was told its place.
    pub(crate) fn depose(&mut self, out: &mut Outbox<Output>) {
        self.persist_own(out);
        let Some(mut leading) = self.leading.take() else { return };
        for id in leading.reads.take_all() {
            out.push(Output::ReadRefused { id });
        }
        out.push(Output::Deposed);
    }

    /// Up to where the log is kept for snapshots on their way, unless that is too much.
    pub(crate) fn hold_back(&self, snapshot: &Snapshot) -> LogIndex {
        let transfers = self.leading.iter().flat_map(|leading| &leading.peers);
        let least = transfers.filter_map(Peer::holds_back).min();
        let room = self.log.bytes() < self.config.compact_log_bytes.saturating_mul(2);
        least.filter(|_| room).unwrap_or(snapshot.last.index)
    }
}
