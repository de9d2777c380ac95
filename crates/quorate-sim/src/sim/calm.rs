//! The calm phase: inside a quorum all is well, outside it never will be.

use super::Sim;
use crate::agenda::Event;
use crate::{DiskLoss, Seat, SeatSet, TraceKind, Way, World};

impl<W: World> Sim<'_, W> {
    pub(super) fn calm(&mut self) {
        self.end_faults();
        self.context.is_calm = true;
        if !self.world.is_recoverable() {
            self.context.mark("too many disks are damaged to demand progress");
            self.is_over = true;
            return;
        }
        let core = self.world.core(self.plan.nodes, &mut self.rngs.calm);
        self.record(|_| TraceKind::Calm { core });
        for seat in self.seats().minus(core).iter() {
            self.doom(seat);
        }
        for seat in core.iter() {
            let node = &mut self.nodes[seat.index()];
            if node.program.is_none() {
                self.agenda.add(self.time, Event::Restart { seat, life: node.life });
            } else if node.is_paused() {
                node.paused_until = self.time;
                self.agenda.add(self.time, Event::Resume { seat });
            }
        }
        self.watch_cuts();
        self.release_held();
        self.world.calm(core, &mut self.context);
    }

    /// Gives a node outside the core a fault for good.
    fn doom(&mut self, seat: Seat) {
        let (one, others) = (SeatSet::only(seat), self.seats().minus(SeatSet::only(seat)));
        let fate = self.rngs.calm.below(5);
        self.record(|_| {
            let what = match fate {
                0 => "is down",
                1 => "stands still",
                2 => "is cut off",
                3 => "hears nothing",
                _ => "is not heard",
            };
            TraceKind::LeftOut { seat, text: format!("{seat} {what} from here on") }
        });
        match fate {
            0 => {
                self.nodes[seat.index()].is_gone = true;
                self.crash(seat, DiskLoss::All, u64::MAX);
            }
            1 => self.pause(seat, u64::MAX),
            // Cut off, deaf, or dumb: alive, and a nuisance.
            2 => self.cut_between(one, others, Way::Both),
            3 => self.cut_between(one, others, Way::In),
            _ => self.cut_between(one, others, Way::Out),
        }
    }
}
