//! What is to be done when.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use quorate_core::{Instant, NodeId};

/// What can be due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// Probe the next member.
    Probe,
    /// The next step of a probe under way.
    Step(u32),
    /// A relay owes an answer.
    Relay(u32),
    /// The observers of a silent member had their time.
    Inquiry(u32),
    /// Ask once more whether the holder of a newcomer's id is still there.
    Vet(NodeId),
    /// Look after a suspicion.
    Suspicion(NodeId),
    /// Tell the news.
    Gossip,
    /// Look after a seed's address.
    Seed(SocketAddr),
    /// Resolve the name of a seed.
    Name(String),
    /// Announce ourselves to a peer that was lost.
    Court(NodeId),
    /// Forget one that is gone.
    Collect(NodeId),
    /// Tell those who have not heard yet that we leave.
    Leave,
}

/// At most one moment for each timer. Everything is O(log timers).
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    at: BTreeMap<Timer, Instant>,
    order: BTreeSet<(Instant, Timer)>,
    /// Invariant: how many timers are to court somebody.
    courts: u32,
}

impl Agenda {
    /// Puts `timer` at `at`, wherever it was before.
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        if let Some(before) = self.at.insert(timer.clone(), at) {
            self.order.remove(&(before, timer.clone()));
        } else {
            self.courts += u32::from(matches!(timer, Timer::Court(_)));
        }
        self.order.insert((at, timer));
    }

    /// Puts `timer` at `at` unless it is due earlier.
    pub(crate) fn set_by(&mut self, timer: Timer, at: Instant) {
        if self.at.get(&timer).is_none_or(|before| *before > at) {
            self.set(timer, at);
        }
    }

    pub(crate) fn cancel(&mut self, timer: &Timer) {
        if let Some(at) = self.at.remove(timer) {
            self.order.remove(&(at, timer.clone()));
            self.courts -= u32::from(matches!(timer, Timer::Court(_)));
        }
    }

    /// How many peers are courted.
    pub(crate) const fn courts(&self) -> u32 {
        self.courts
    }

    /// The earliest moment.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes the earliest timer that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        let (_, timer) = self.order.pop_first()?;
        self.at.remove(&timer);
        self.courts -= u32::from(matches!(timer, Timer::Court(_)));
        Some(timer)
    }
}
