//! What each node's gossip says of the others.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_core::{Instant, NodeId};
use quorate_membership::{Event, Incarnation, State};

use crate::cluster::program::NodeProgram;
use crate::cluster::settings::Settings;
use crate::{Seat, SeatSet, Violation};

/// What each node's gossip said of each member last.
#[derive(Debug)]
pub(super) struct MembersCheck {
    views: Vec<BTreeMap<NodeId, Word>>,
    /// The shortest time from a suspicion to a death.
    suspicion: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Word {
    incarnation: Incarnation,
    state: State,
    /// Since when it does not answer, on the clock of the node that says so.
    silent_since: Option<Instant>,
}

impl MembersCheck {
    pub(super) fn new(settings: &Settings) -> Self {
        let views = vec![BTreeMap::new(); settings.ids.len()];
        Self { views, suspicion: settings.membership.pause_tolerance }
    }

    /// A new process knows nothing.
    pub(super) fn booted(&mut self, seat: Seat) {
        self.views[seat.index()].clear();
    }

    /// M1 to M3 and M7: `quiet` holds those that live, if nothing but a little loss has troubled
    /// the cluster for long.
    pub(super) fn changed(
        &mut self,
        seat: Seat,
        program: &NodeProgram,
        event: &Event,
        quiet: Option<SeatSet>,
    ) -> Result<(), Violation> {
        let (Event::Joined { id }
        | Event::Updated { id }
        | Event::Unreachable { id }
        | Event::Reachable { id }
        | Event::Dead { id }
        | Event::Left { id }
        | Event::Restarted { id }) = event
        else {
            return Ok(());
        };
        let Some(member) = program.machine.membership().member(id) else { return Ok(()) };
        let (incarnation, state) = (member.info.incarnation, member.state);
        let before = self.views[seat.index()].get(id).copied();
        let same = before.filter(|before| before.incarnation == incarnation);
        let silent_since = match state {
            State::Alive => None,
            _ => same.and_then(|before| before.silent_since).or(Some(program.now)),
        };
        let word = Word { incarnation, state, silent_since };
        self.views[seat.index()].insert(id.clone(), word);
        let Some(before) = before else { return Ok(()) };
        if incarnation < before.incarnation {
            let was = before.incarnation;
            let message = format!("{seat} had {id} at {was:?} and has it at {incarnation:?}");
            return Err(Violation::new("M1", message));
        }
        let Some(before) = same else { return Ok(()) };
        if !before.state.is_live() && state.is_live() {
            let message =
                format!("{seat} had {id} as {:?} at {incarnation:?}, now {state:?}", before.state);
            return Err(Violation::new("M3", message));
        }
        if state == State::Dead && before.state.is_live() {
            let silent = before.silent_since.map(|since| program.now.since(since));
            if silent.is_none_or(|silent| silent < self.suspicion) {
                let message = format!("{seat} declares {id} dead, suspected for {silent:?}");
                return Err(Violation::new("M2", message));
            }
            let target = program.seat_of(id);
            if let (Some(alive), Some(target)) = (quiet, target)
                && alive.contains(target)
            {
                let message = format!("{seat} declares {id} dead, which lives in a quiet cluster");
                return Err(Violation::new("M7", message));
            }
        }
        Ok(())
    }
}

/// Whom of `core` `program` does not know as a live member, and whom of `gone` it does: M8 and M6,
/// as far as one view goes.
pub(in crate::cluster) fn misjudged(
    program: &NodeProgram,
    core: SeatSet,
    gone: SeatSet,
) -> (SeatSet, SeatSet) {
    let is_live = |seat: &Seat| {
        let member = program.machine.membership().member(program.id_of(*seat));
        member.is_some_and(|member| member.state.is_live())
    };
    (core.iter().filter(|seat| !is_live(seat)).collect(), gone.iter().filter(is_live).collect())
}
