//! The links between clients and nodes.

use super::Sim;
use crate::agenda::Event;
use crate::world::Answer;
use crate::{Input, Program, Seat, TraceKind, World};

/// Clients are near: at most this far away.
const CLIENT_DELAY_MAX: u64 = 1_000_000;

impl<W: World> Sim<'_, W> {
    pub(super) fn operation(&mut self, index: u32) {
        if let Some(planned) = self.plan.operations.get(index as usize) {
            self.world.operation(index, &planned.operation, &mut self.context);
        }
    }

    /// Carries out what the world asked for.
    pub(super) fn carry_out_context(&mut self) {
        if let (Some(recorder), Some(notes)) = (&mut self.recorder, &mut self.context.notes) {
            notes.drain(..).for_each(|what| recorder.add(self.time, what));
        }
        for (time, token) in self.context.timers.drain(..) {
            self.agenda.add(time, Event::Timer { token });
        }
        for ask in self.context.asks.drain(..) {
            // A plan that was cut down to fewer nodes may still name the others.
            if ask.0.0 >= self.plan.nodes {
                continue;
            }
            let slot = self.asks.put(ask);
            let moment = self.time + self.rngs.clients.below(CLIENT_DELAY_MAX);
            self.agenda.add(moment, Event::Ask { slot });
        }
    }

    pub(super) fn asked(&mut self, slot: u32) {
        let Some((seat, ..)) = self.asks.get(slot) else { return };
        let seat = *seat;
        if self.set_aside(seat, Event::Ask { slot }) {
            return;
        }
        let Some((seat, id, request)) = self.asks.take(slot) else { return };
        self.trace.mix(id << 8 | u64::from(seat.0));
        if self.network.clients_in.contains(seat) {
            return;
        }
        if self.nodes[seat.index()].program.is_none() {
            self.record(|_| TraceKind::Refused { seat, request: id });
            return self.world.refused(id, &mut self.context);
        }
        self.record(|_| TraceKind::Asked { seat, request: id });
        self.step(seat, |program, now, out| {
            program.input(now, Input::Request { id, request }, out);
        });
    }

    pub(super) fn reply(&mut self, seat: Seat, id: u64, answer: Answer<W>) {
        if self.network.clients_out.contains(seat) {
            return;
        }
        let slot = self.answers.put((seat, id, answer));
        let moment = self.time + self.rngs.clients.below(CLIENT_DELAY_MAX);
        self.agenda.add(moment, Event::Answer { slot });
    }

    pub(super) fn answered(&mut self, slot: u32) {
        let Some((seat, id, answer)) = self.answers.take(slot) else { return };
        self.trace.mix(id << 8 | u64::from(seat.0));
        self.record(|_| TraceKind::Answered { seat, request: id });
        self.world.answered(id, answer, &mut self.context);
    }
}
