//! The work of a disk: written, then synced, then told, with time in between for a crash.

use super::Sim;
use super::node::DiskStage;
use crate::agenda::Event;
use crate::{CutPoint, DiskWork, Input, Program, Seat, TraceKind, World};

impl<W: World> Sim<'_, W> {
    pub(super) fn want_disk(&mut self, seat: Seat) {
        let node = &mut self.nodes[seat.index()];
        node.disk_wanted = true;
        if node.stage == DiskStage::Idle {
            node.stage = DiskStage::Write;
            // The storage thread is woken at once.
            self.agenda.add(self.time + 1_000, Event::Disk { seat, life: node.life });
        }
    }

    pub(super) fn disk_ready(&mut self, seat: Seat, life: u32) {
        let node = &mut self.nodes[seat.index()];
        if node.program.is_none() || node.life != life {
            return;
        }
        if node.stalled_until > self.time {
            let moment = node.stalled_until;
            return self.agenda.add(moment, Event::Disk { seat, life });
        }
        // A process that stands still does no work; what the disk has begun, it finishes.
        if self.set_aside(seat, Event::Disk { seat, life }) {
            return;
        }
        let node = &mut self.nodes[seat.index()];
        let result = match node.stage {
            DiskStage::Idle => return,
            DiskStage::Write => {
                node.disk_wanted = false;
                node.stage = DiskStage::Sync;
                node.program.as_mut().map_or(Ok(()), Program::write)
            }
            DiskStage::Sync => {
                node.stage = DiskStage::Tell;
                node.program.as_mut().map_or(Ok(()), Program::sync)
            }
            DiskStage::Tell => return self.tell(seat, life),
        };
        let stage = node.stage;
        self.count_disk_faults(seat);
        let did = match (&result, stage) {
            (Err(_), _) => DiskWork::Failed,
            (Ok(()), DiskStage::Sync) => DiskWork::Written,
            (Ok(()), _) => DiskWork::Synced,
        };
        self.record(|_| TraceKind::Disk { seat, did });
        if let Err(halt) = result {
            self.check(seat);
            return match self.nodes[seat.index()].cut {
                // The power that a fault cut off: not the program's fault.
                Some(cut) if matches!(cut.point, CutPoint::DiskChanges { .. }) => {
                    self.strike_cut(seat, cut, "crash within the work of a disk");
                }
                _ => self.halt(seat, &halt.0),
            };
        }
        match (self.nodes[seat.index()].cut, stage) {
            (Some(cut), DiskStage::Sync) if cut.point == CutPoint::Write => {
                return self.strike_cut(seat, cut, "crash after a write");
            }
            (Some(cut), DiskStage::Tell) if cut.point == CutPoint::Sync => {
                return self.strike_cut(seat, cut, "crash after a sync");
            }
            _ => {}
        }
        self.check(seat);
        let moment = self.time + self.plan.disk.draw(&mut self.rngs.disk);
        self.agenda.add(moment, Event::Disk { seat, life });
    }

    /// The node hears that its records are durable; the next ones are written at once.
    fn tell(&mut self, seat: Seat, life: u32) {
        let node = &mut self.nodes[seat.index()];
        node.stage = if node.disk_wanted { DiskStage::Write } else { DiskStage::Idle };
        if node.disk_wanted {
            self.agenda.add(self.time + 1_000, Event::Disk { seat, life });
        }
        if let Some(cut) = &mut node.cut
            && let CutPoint::Persisted { effects } = cut.point
        {
            cut.point = CutPoint::Effects { count: effects };
        }
        self.record(|_| TraceKind::Disk { seat, did: DiskWork::Told });
        self.step(seat, |program, now, out| program.input(now, Input::Persisted, out));
    }
}
