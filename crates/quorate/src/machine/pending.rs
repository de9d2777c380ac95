//! Requests under way at this node, and who waits for them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use quorate_core::{Instant, LogId, LogIndex, NodeId};

use crate::RequestId;

/// Who waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A client of this node.
    Client(RequestId),
    /// A node that passed its client's request on.
    Peer { node: NodeId, id: u64 },
}

/// Where a request stands.
#[derive(Debug)]
pub(crate) enum Stage {
    /// A write that the log has not placed yet: failing it is still the truth.
    Offered,
    /// A change of the members that may have begun: its last entry is not in the log yet.
    Changing,
    /// A write in the log: from here on its outcome can be unknown.
    Proposed,
    /// A read that waits for a majority, or for the state to catch up.
    Reading(crate::Query),
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) origin: Origin,
    pub(crate) deadline: Instant,
    pub(crate) stage: Stage,
}

/// The requests under way, found by number, by deadline and by place in the log.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    next: u64,
    open: BTreeMap<u64, Open>,
    deadlines: BTreeSet<(Instant, u64)>,
    /// Invariant: indexes rise from front to back.
    placed: VecDeque<(LogId, u64)>,
    /// Reads that wait until the index is applied; indexes rise.
    reads: VecDeque<(LogIndex, u64)>,
}

impl Pending {
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn add(&mut self, origin: Origin, deadline: Instant, stage: Stage) -> u64 {
        self.next += 1;
        self.open.insert(self.next, Open { origin, deadline, stage });
        self.deadlines.insert((deadline, self.next));
        self.next
    }

    /// The write `number` stands at `id` now.
    pub(crate) fn placed(&mut self, number: u64, id: LogId) {
        if let Some(open) = self.open.get_mut(&number) {
            open.stage = Stage::Proposed;
            self.placed.push_back((id, number));
        }
    }

    /// The read `number` may be served once `index` is applied.
    pub(crate) fn readable(&mut self, number: u64, index: LogIndex) {
        if self.open.contains_key(&number) {
            self.reads.push_back((index, number));
        }
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<Open> {
        let open = self.open.remove(&number)?;
        self.deadlines.remove(&(open.deadline, number));
        Some(open)
    }

    /// The write placed at `index`, with the identity it was placed under.
    pub(crate) fn take_placed(&mut self, index: LogIndex) -> Option<(LogId, Open)> {
        while let Some((id, number)) = self.placed.front().copied() {
            if id.index > index {
                return None;
            }
            self.placed.pop_front();
            if id.index == index
                && let Some(open) = self.remove(number)
            {
                return Some((id, open));
            }
        }
        None
    }

    /// A read that may be served at `applied`.
    pub(crate) fn take_readable(&mut self, applied: LogIndex) -> Option<Open> {
        while let Some((index, number)) = self.reads.front().copied() {
            if index > applied {
                return None;
            }
            self.reads.pop_front();
            if let Some(open) = self.remove(number) {
                return Some(open);
            }
        }
        None
    }

    /// Everything under way, for a leader that leads no longer.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Open> {
        self.deadlines.clear();
        self.placed.clear();
        self.reads.clear();
        std::mem::take(&mut self.open).into_values()
    }

    /// A request whose deadline has passed.
    pub(crate) fn take_expired(&mut self, now: Instant) -> Option<Open> {
        let (deadline, number) = self.deadlines.first().copied()?;
        if deadline > now {
            return None;
        }
        self.remove(number)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }
}
