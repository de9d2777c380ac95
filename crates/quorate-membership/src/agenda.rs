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

impl Timer {
    /// Whether it ends in a verdict on somebody who may have answered meanwhile.
    pub(crate) const fn judges(&self) -> bool {
        matches!(
            self,
            Self::Step(_) | Self::Relay(_) | Self::Suspicion(_) | Self::Inquiry(_) | Self::Vet(_)
        )
    }
}

/// At most one moment for each timer. Everything is O(log timers).
///
/// What is set again and again when all is well lies apart and close together: then a node touches
/// little memory.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    probe: Option<Instant>,
    gossip: Option<Instant>,
    /// One for each probe under way; there is seldom more than one.
    steps: Vec<(Instant, u32)>,
    /// Invariant: the earliest of `order`.
    rest: Option<Instant>,
    at: BTreeMap<Timer, Instant>,
    order: BTreeSet<(Instant, Timer)>,
    /// Invariant: how many timers are to court somebody.
    courts: u32,
}

impl Agenda {
    /// Puts `timer` at `at`, wherever it was before.
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        match timer {
            Timer::Probe => self.probe = Some(at),
            Timer::Gossip => self.gossip = Some(at),
            Timer::Step(seq) => {
                self.steps.retain(|(_, known)| *known != seq);
                self.steps.push((at, seq));
            }
            timer => self.set_rest(timer, at),
        }
    }

    fn set_rest(&mut self, timer: Timer, at: Instant) {
        if let Some(before) = self.at.insert(timer.clone(), at) {
            self.order.remove(&(before, timer.clone()));
        } else {
            self.courts += u32::from(matches!(timer, Timer::Court(_)));
        }
        self.order.insert((at, timer));
        self.rest = self.order.first().map(|(at, _)| *at);
    }

    /// Has the news told at `at`, unless that is due earlier.
    pub(crate) fn gossip_by(&mut self, at: Instant) {
        self.gossip = Some(self.gossip.map_or(at, |before| before.min(at)));
    }

    pub(crate) fn cancel(&mut self, timer: &Timer) {
        match timer {
            Timer::Probe => self.probe = None,
            Timer::Gossip => self.gossip = None,
            Timer::Step(seq) => self.steps.retain(|(_, known)| known != seq),
            timer => {
                if let Some(at) = self.at.remove(timer) {
                    self.order.remove(&(at, timer.clone()));
                    self.courts -= u32::from(matches!(timer, Timer::Court(_)));
                    self.rest = self.order.first().map(|(at, _)| *at);
                }
            }
        }
    }

    /// How many peers are courted.
    pub(crate) const fn courts(&self) -> u32 {
        self.courts
    }

    /// The earliest moment.
    pub(crate) fn next(&self) -> Option<Instant> {
        let step = self.steps.iter().map(|(at, _)| *at).min();
        [self.probe, self.gossip, step, self.rest].into_iter().flatten().min()
    }

    /// Takes the earliest timer that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let next = self.next().filter(|next| *next <= now)?;
        if self.probe == Some(next) {
            self.probe = None;
            return Some(Timer::Probe);
        }
        if let Some(index) = self.steps.iter().position(|(at, _)| *at == next) {
            return Some(Timer::Step(self.steps.remove(index).1));
        }
        if self.gossip == Some(next) {
            self.gossip = None;
            return Some(Timer::Gossip);
        }
        let (_, timer) = self.order.pop_first()?;
        self.at.remove(&timer);
        self.courts -= u32::from(matches!(timer, Timer::Court(_)));
        self.rest = self.order.first().map(|(at, _)| *at);
        Some(timer)
    }
}
