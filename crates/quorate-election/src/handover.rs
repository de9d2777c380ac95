//! Handing the lead over: how a leader lets another take its place at once.
//!
//! The leader says that it hands over ([`Event::HandingOver`]), its owner lets nobody append and
//! says when the target holds the whole log ([`Input::CaughtUp`](crate::Input::CaughtUp)); then
//! the target is told to stand without asking around (Ongaro 2014, section 3.10). Safety rests on
//! none of this: the target needs the same votes as any candidate.

use std::hash::{Hash, Hasher};

use quorate_core::{Instant, LogId, LogView, NodeId, Outbox, Term};

use crate::campaign::State;
use crate::patience::{Eagerness, Timer};
use crate::{Event, Message, Output, Role, Voter};

/// A lead that is being handed over, until it shows who leads next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HandOver {
    pub(crate) to: NodeId,
    /// The term in which it began.
    pub(crate) term: Term,
    /// When it is given up.
    pub(crate) until: Instant,
    /// When the target is told (again) to stand; `None` while it lacks some of the log.
    pub(crate) tell_at: Option<Instant>,
    /// Whether the target was told, so that it may stand whatever becomes of this.
    pub(crate) told: bool,
}

impl HandOver {
    /// When something is to be done about it.
    pub(crate) fn due(&self) -> Instant {
        self.tell_at.map_or(self.until, |at| at.min(self.until))
    }

    /// See [`Voter::fingerprint`].
    pub(crate) fn fingerprint(&self, now: Instant, hasher: &mut impl Hasher) {
        let Self { to, term, until, tell_at, told } = self;
        (to, term, until.since(now), told).hash(hasher);
        tell_at.map(|at| at.since(now)).hash(hasher);
    }
}

impl Voter {
    /// Whom the lead is being handed over to.
    #[must_use]
    pub fn handing_over(&self) -> Option<&NodeId> {
        self.handing.as_ref().map(|handing| &handing.to)
    }

    pub(crate) fn hand_over(
        &mut self,
        now: Instant,
        to: NodeId,
        log: &dyn LogView,
        out: &mut Outbox<Output>,
    ) {
        let electable = log.configuration().is_electable(&to) && to != self.me;
        if self.role() != Role::Leader || self.handing.is_some() || !electable {
            return out.push(Output::Event(Event::NotHandedOver { to, told: false }));
        }
        let until = now + self.config.election_max;
        let (term, tell_at) = (self.term(), None);
        self.handing = Some(HandOver { to: to.clone(), term, until, tell_at, told: false });
        out.push(Output::Event(Event::HandingOver { to }));
    }

    /// The target holds all that this leader has: it may stand.
    pub(crate) fn caught_up(
        &mut self,
        now: Instant,
        peer: &NodeId,
        log: &dyn LogView,
        out: &mut Outbox<Output>,
    ) {
        if let Some(handing) = self.handing.as_mut().filter(|handing| handing.to == *peer) {
            handing.tell_at = Some(now);
            self.wake_hand_over(now, log, out);
        }
    }

    /// Tells the target, or gives up.
    pub(crate) fn wake_hand_over(
        &mut self,
        now: Instant,
        log: &dyn LogView,
        out: &mut Outbox<Output>,
    ) {
        let (term, leads) = (self.term(), self.role() == Role::Leader);
        let Some(handing) = self.handing.as_mut().filter(|handing| now >= handing.due()) else {
            return;
        };
        if now >= handing.until {
            let (to, told) = (handing.to.clone(), handing.told);
            self.handing = None;
            return out.push(Output::Event(Event::NotHandedOver { to, told }));
        }
        // Once the term is over the target stands already, or somebody else does.
        let tells = leads && handing.term == term;
        handing.tell_at = tells.then(|| now + self.config.heartbeat);
        handing.told |= tells;
        if tells {
            // Behind a disk that hangs it would never leave; nobody relies on this word.
            let message = Message::StandNow { term, tip: log.tip() };
            out.push(Output::Send { to: handing.to.clone(), message, overtakes: true });
        }
    }

    /// Somebody leads a later term than the one in which this node began to hand over.
    pub(crate) fn end_hand_over(&mut self, leader: &NodeId, out: &mut Outbox<Output>) {
        let term = self.term();
        let Some(handing) = self.handing.take_if(|handing| handing.term < term) else { return };
        let (to, told) = (handing.to, handing.told);
        let event = if to == *leader {
            Event::HandedOver { to, term }
        } else {
            Event::NotHandedOver { to, told }
        };
        out.push(Output::Event(event));
    }

    /// The leader of this term hands over to this node, whose log it takes to end at `tip`.
    pub(crate) fn told_to_stand(
        &mut self,
        now: Instant,
        from: NodeId,
        tip: LogId,
        log: &dyn LogView,
        out: &mut Outbox<Output>,
    ) {
        // A word that comes late finds a leader that has appended since, and went on; but then
        // those that hold more than this node do not excuse it.
        if !self.hear_leader(now, from, out) || log.tip() < tip {
            return;
        }
        let willing = self.eagerness(log) != Eagerness::Reluctant;
        if self.role() == Role::Follower && willing && self.may_stand(log) {
            let (min, max) = (self.config.election_min, self.config.election_max);
            let wait = self.rng.duration(min, max);
            self.follow_nobody(Timer::drawn(now, wait), out);
            self.stand(now, true, log, out);
        }
    }

    /// Whether this candidate stands because the leader told it to.
    pub(crate) const fn stands_at_once(&self) -> bool {
        matches!(&self.state, State::Candidate { votes, .. } if votes.at_once)
    }
}
