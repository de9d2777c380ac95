//! Requests under way at this node, and who waits for them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use quorate_core::{Instant, LogId, LogIndex, NodeId};
use quorate_replication::ConsistencyLevel;

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
    Offered(ConsistencyLevel),
    /// A change of the members that may have begun: its last entry is not in the log yet.
    Changing,
    /// A write in the log: from here on its outcome can be unknown. A change of the members wants no
    /// level.
    Proposed { at: LogId, wants: Option<ConsistencyLevel> },
    /// A write that is committed and applied, and waits for the rest of its copies.
    Applied { at: LogId, reply: quorate_dist_state::Reply },
    /// A wait for a write to reach a level.
    Awaiting { at: LogId, level: ConsistencyLevel },
    /// A write that waits for the end of a hand-over; it was not offered to anybody.
    Held(quorate_dist_state::Command, ConsistencyLevel),
    /// A wish that another node leads.
    HandingOver,
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

    /// The write or change `number` stands at `id` now; the level that it wants.
    pub(crate) fn placed(&mut self, number: u64, id: LogId) -> Option<ConsistencyLevel> {
        let open = self.open.get_mut(&number)?;
        let wants = match open.stage {
            Stage::Offered(level) => Some(level),
            _ => None,
        };
        open.stage = Stage::Proposed { at: id, wants };
        self.placed.push_back((id, number));
        wants
    }

    /// Where the request `number` stands; `None` if it is answered.
    pub(crate) fn stage(&self, number: u64) -> Option<&Stage> {
        self.open.get(&number).map(|open| &open.stage)
    }

    /// A request that was taken waits on under its number.
    pub(crate) fn put_back(&mut self, number: u64, open: Open) {
        self.deadlines.insert((open.deadline, number));
        self.open.insert(number, open);
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

    /// The write placed at `index`, with the identity it was placed under, and its number.
    pub(crate) fn take_placed(&mut self, index: LogIndex) -> Option<(LogId, u64, Open)> {
        while let Some((id, number)) = self.placed.front().copied() {
            if id.index > index {
                return None;
            }
            self.placed.pop_front();
            if id.index == index
                && let Some(open) = self.remove(number)
            {
                return Some((id, number, open));
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

    /// Everything under way, for a leader that leads no longer; but for those who want to know who
    /// leads next.
    pub(crate) fn take_all(&mut self) -> Vec<Open> {
        self.placed.clear();
        self.reads.clear();
        self.take_if(|stage| !matches!(stage, Stage::HandingOver))
    }

    /// The writes that waited for the end of a hand-over, in order.
    pub(crate) fn take_held(&mut self) -> Vec<Open> {
        self.take_if(|stage| matches!(stage, Stage::Held(..)))
    }

    fn take_if(&mut self, wanted: impl Fn(&Stage) -> bool) -> Vec<Open> {
        let numbers: Vec<u64> =
            self.open.iter().filter(|(_, open)| wanted(&open.stage)).map(|(n, _)| *n).collect();
        numbers.into_iter().filter_map(|number| self.remove(number)).collect()
    }

    /// Lets go of the waits that `peer` passed on; their numbers.
    pub(crate) fn drop_waits_of(&mut self, peer: &NodeId) -> Vec<u64> {
        let is_wait = |open: &Open| {
            let of_peer = matches!(&open.origin, Origin::Peer { node, .. } if node == peer);
            of_peer && matches!(open.stage, Stage::Awaiting { .. })
        };
        let numbers: Vec<u64> =
            self.open.iter().filter(|(_, open)| is_wait(open)).map(|(number, _)| *number).collect();
        for number in &numbers {
            self.remove(*number);
        }
        numbers
    }

    /// A request whose deadline has passed, and its number.
    pub(crate) fn take_expired(&mut self, now: Instant) -> Option<(u64, Open)> {
        let (deadline, number) = self.deadlines.first().copied()?;
        if deadline > now {
            return None;
        }
        self.remove(number).map(|open| (number, open))
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }
}
