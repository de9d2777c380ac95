//! Going: everybody who answers knows it before the process ends.

use std::collections::BTreeMap;

use quorate_core::{Instant, NodeId, Outbox};

use crate::agenda::{Agenda, Timer};
use crate::claim::State;
use crate::membership::Membership;
use crate::{Event, Output};

/// Who has not acknowledged yet that this node leaves.
#[derive(Debug)]
pub(crate) struct Leaving {
    /// With the number of the ping that tells each; an answer to an older ping proves nothing.
    waiting: BTreeMap<NodeId, u32>,
    until: Instant,
    said: bool,
}

impl Leaving {
    pub(crate) fn acked(&mut self, id: &NodeId, seq: u32) {
        if self.waiting.get(id) == Some(&seq) {
            self.waiting.remove(id);
        }
    }
}

impl Membership {
    /// Leaves. O(members) once.
    pub(crate) fn leave(&mut self, now: Instant, out: &mut Outbox<Output>) {
        if self.leaving.is_some() {
            return;
        }
        if !self.broadcasts.is_empty() {
            // The process may end before the next round.
            self.gossip(now, out);
        }
        // It judges, relays and seeks nobody any more.
        self.stop();
        let view = &self.view;
        let there = |id: &NodeId| view.get(id).is_some_and(|peer| peer.shown() == State::Alive);
        let told = self.ring.sample(TOLD_MAX, &mut self.rng, there);
        let waiting = told.into_iter().map(|id| (id, self.rng.next_u64() as u32)).collect();
        let until = now + self.config.leave_timeout;
        self.leaving = Some(Leaving { waiting, until, said: false });
        let (counter, tags) = (self.own().incarnation.counter, self.own().tags.clone());
        self.speak_up(now, State::Left, counter, tags);
        self.tell_leave(now, out);
    }

    /// Ends all that is under way.
    fn stop(&mut self) {
        self.agenda = Agenda::default();
        self.probes.clear();
        self.relays.clear();
        self.inquiries.clear();
        self.vettings.clear();
    }

    /// Comes back after a leave, with a new incarnation, and looks for others as at its start.
    pub(crate) fn rejoin(&mut self, now: Instant) {
        if self.leaving.take().is_none() {
            return;
        }
        // What began while it was leaving waits for timers that did not fire.
        self.stop();
        let (counter, tags) = (self.own().incarnation.counter, self.own().tags.clone());
        self.speak_up(now, State::Alive, counter + 1, tags);
        self.begin(now);
        let lost = self.courts.keys().filter(|id| self.view.get(id).is_none());
        for id in lost.cloned().collect::<Vec<_>>() {
            self.agenda.set(Timer::Court(id), now);
        }
        let gone: Vec<_> = (self.view.sorted().into_iter())
            .map(|(id, peer)| (id.clone(), peer.state, peer.collect_at()))
            .collect();
        for (id, state, collect_at) in gone {
            match state {
                State::Suspect => self.arm_suspicion(now, &id),
                State::Dead | State::Left => {
                    self.agenda.set(Timer::Collect(id.clone()), collect_at.max(now));
                    if state == State::Dead {
                        self.begin_courting(now, &id);
                    }
                }
                State::Alive => {}
            }
        }
    }

    /// Pings those that have not acknowledged; the claim rides along.
    pub(crate) fn tell_leave(&mut self, now: Instant, out: &mut Outbox<Output>) {
        let Some(leaving) = &self.leaving else { return };
        if now < leaving.until {
            for (id, seq) in leaving.waiting.clone() {
                self.send_ping(now, seq, &id, 0, out);
            }
            self.agenda.set(Timer::Leave, now + self.config.probe_timeout);
        }
        self.finish_leave(now, out);
    }

    /// Says once that the leave is known, or had its time.
    pub(crate) fn finish_leave(&mut self, now: Instant, out: &mut Outbox<Output>) {
        let Some(leaving) = &mut self.leaving else { return };
        if leaving.waiting.is_empty() || now >= leaving.until {
            self.agenda.cancel(&Timer::Leave);
            if !std::mem::replace(&mut leaving.said, true) {
                out.push(Output::Event(Event::LeaveSpread));
            }
        }
    }
}

/// To how many it is told in person. They and their news reach the others of a large cluster.
const TOLD_MAX: usize = 64;
