//! How safe writes are said to be: X8, X9.

use quorate::{ConsistencyLevel, WriteState, WriteStatus};
use quorate_core::{DiskId, Kind, LogId};

use super::Checks;
use crate::cluster::program::NodeProgram;
use crate::{Seat, Violation};

impl Checks {
    /// X9: what is said of a write is what became of it, and those who are said to hold it do.
    pub(super) fn told(
        &mut self,
        seat: Seat,
        program: &NodeProgram,
        status: &WriteStatus,
    ) -> Result<(), Violation> {
        let id = status.log_id;
        let there = self.log.committed_at(id.index);
        let lie = |what: &str| {
            let message = format!("{seat} calls {id} {what}; committed there is {there:?}");
            Err(Violation::new("X9", message))
        };
        match status.state {
            WriteState::Committed if there.is_some_and(|there| there != id) => {
                return lie("committed");
            }
            WriteState::Committed if there.is_none() && !self.log.may_be_in_snapshot(id.index) => {
                return lie("committed");
            }
            WriteState::Overwritten if there == Some(id) => return lie("overwritten"),
            WriteState::Overwritten => {
                self.overwritten.insert(id);
            }
            WriteState::Committed => {
                for holder in status.acked.iter().filter_map(|id| program.seat_of(id)) {
                    let may_lack = self.atlas.is_harmed(holder) || self.disks.was_replaced(holder);
                    if !may_lack && !self.disks.holds(holder, id) {
                        let message =
                            format!("{seat} says that {holder} holds {id}, and it does not");
                        return Err(Violation::new("X9", message));
                    }
                }
            }
            WriteState::Pending | WriteState::Unknown => {}
        }
        if status.reached == Some(ConsistencyLevel::Strong) {
            return self.held_by_all(seat, program, id);
        }
        Ok(())
    }

    /// X9: what was called overwritten is never committed.
    pub(super) fn was_not_called_lost(&self, seat: Seat, id: LogId) -> Result<(), Violation> {
        if self.overwritten.contains(&id) {
            let message = format!("{seat} committed {id}, which was called overwritten");
            return Err(Violation::new("X9", message));
        }
        Ok(())
    }

    /// X8: a strong write is on the disk of every data voter of the members in force where it
    /// stands, less those that a committed change has removed since.
    fn held_by_all(&self, seat: Seat, program: &NodeProgram, id: LogId) -> Result<(), Violation> {
        let Some(view) = self.views.committed_at(id.index) else { return Ok(()) };
        let configuration = &view.configuration;
        let halves = std::iter::once(&configuration.members).chain(&configuration.outgoing);
        for (name, member) in halves.flatten().filter(|(_, member)| member.kind == Kind::Voter) {
            let Some(holder) = program.seat_of(name) else { continue };
            let removed = self.views.committed_after(id.index).any(|later| {
                let later = &later.configuration;
                let mut halves = std::iter::once(&later.members).chain(&later.outgoing);
                !halves.any(|half| half.get(name).is_some_and(|now| now.disk == member.disk))
            });
            let is_gone = member.disk != DiskId::NONE && member.disk != program.disk_of(holder);
            let holds = if is_gone {
                self.disks.held(holder, member.disk, id)
            } else {
                self.disks.holds(holder, id)
            };
            if !removed && !holds && !self.atlas.is_harmed(holder) {
                let message = format!("{seat} calls {id} strong, and {holder} does not hold it");
                return Err(Violation::new("X8", message));
            }
        }
        Ok(())
    }
}
