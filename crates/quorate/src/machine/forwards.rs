//! Requests of this node's clients that another node must serve: sent on, or waiting for a leader.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use quorate_core::{Instant, NodeId, mutant, rare};

use crate::{Request, RequestId};

/// How many requests may wait for a leader, and how many may be sent on, each.
const WAITING_MAX: usize = 4_096;

/// So many of those that are sent on may wait for copies, which takes as long as the slowest voter.
const SLOW_MAX: usize = WAITING_MAX / 4;

/// A client's request that is not served here.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) client: RequestId,
    pub(crate) deadline: Instant,
    pub(crate) request: Request,
}

/// A request that was sent on; kept whole if it is a read, because a read can be sent again.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) to: NodeId,
    pub(crate) waiting: Waiting,
}

/// Requests sent on and requests waiting for a leader to be known.
#[derive(Debug)]
pub(crate) struct Forwards {
    /// Begins anywhere: an answer to a request of an earlier life of this node may still come, and
    /// must not be taken for the answer to one of this life (sim seed 8563).
    next: u64,
    sent: BTreeMap<u64, Sent>,
    /// How many of them wait for copies.
    slow: usize,
    parked: VecDeque<Waiting>,
    deadlines: BTreeSet<(Instant, RequestId)>,
}

impl Forwards {
    /// Nothing sent, nothing parked; numbers begin behind `start`, a random one.
    pub(crate) const fn new(start: u64) -> Self {
        Self {
            next: start,
            sent: BTreeMap::new(),
            slow: 0,
            parked: VecDeque::new(),
            deadlines: BTreeSet::new(),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.parked.len() >= WAITING_MAX
            || self.sent.len() >= WAITING_MAX
            || rare("too many requests are passed on")
    }

    /// Whether there is no room for `request`: one that waits for copies leaves some to those that
    /// do not.
    pub(crate) fn is_full_for(&self, request: &Request) -> bool {
        self.is_full() || (request.waits_for_copies() && self.slow >= SLOW_MAX)
    }

    pub(crate) fn park(&mut self, waiting: Waiting) {
        if !mutant!("parked-for-ever") {
            self.deadlines.insert((waiting.deadline, waiting.client));
        }
        self.parked.push_back(waiting);
    }

    /// Requests that wait for a leader, all of them.
    pub(crate) fn unpark(&mut self) -> VecDeque<Waiting> {
        std::mem::take(&mut self.parked)
    }

    /// Notes that `waiting` was sent to `to`; the number to send with it.
    pub(crate) fn sent(&mut self, to: NodeId, waiting: Waiting) -> u64 {
        self.next += 1;
        self.deadlines.insert((waiting.deadline, waiting.client));
        self.slow += usize::from(waiting.request.waits_for_copies());
        self.sent.insert(self.next, Sent { to, waiting });
        self.next
    }

    /// The answer to number `id` came from `from`.
    pub(crate) fn answered(&mut self, from: &NodeId, id: u64) -> Option<Waiting> {
        if self.sent.get(&id).is_none_or(|sent| sent.to != *from) {
            return None;
        }
        let sent = self.take(id)?;
        self.deadlines.remove(&(sent.waiting.deadline, sent.waiting.client));
        Some(sent.waiting)
    }

    fn take(&mut self, id: u64) -> Option<Sent> {
        let sent = self.sent.remove(&id)?;
        self.slow -= usize::from(sent.waiting.request.waits_for_copies());
        Some(sent)
    }

    /// What was sent to `peer` and will not be answered, because the stream broke.
    pub(crate) fn lost(&mut self, peer: &NodeId) -> Vec<Waiting> {
        let numbers: Vec<u64> =
            self.sent.iter().filter(|(_, sent)| sent.to == *peer).map(|(id, _)| *id).collect();
        numbers.into_iter().filter_map(|id| self.answered(peer, id)).collect()
    }

    /// Requests whose deadline has passed; with each, whether it had been sent.
    pub(crate) fn expired(&mut self, now: Instant) -> Vec<(Waiting, bool)> {
        let mut expired = Vec::new();
        while let Some((deadline, client)) = self.deadlines.first().copied() {
            if deadline > now {
                break;
            }
            self.deadlines.pop_first();
            // Rare: deadlines are seconds, answers milliseconds.
            if let Some(at) = self.parked.iter().position(|w| w.client == client) {
                expired.extend(self.parked.remove(at).map(|waiting| (waiting, false)));
            } else if let Some(id) =
                self.sent.iter().find(|(_, s)| s.waiting.client == client).map(|(id, _)| *id)
            {
                expired.extend(self.take(id).map(|sent| (sent.waiting, true)));
            }
        }
        expired
    }

    /// Everything, because the node stops; with each, whether it had been sent.
    pub(crate) fn take_all(&mut self) -> Vec<(Waiting, bool)> {
        self.deadlines.clear();
        self.slow = 0;
        let sent = std::mem::take(&mut self.sent).into_values().map(|sent| (sent.waiting, true));
        let parked = std::mem::take(&mut self.parked).into_iter().map(|waiting| (waiting, false));
        sent.chain(parked).collect()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }
}
