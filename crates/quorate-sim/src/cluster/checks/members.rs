//! What each node's gossip says of the others.

use std::collections::BTreeMap;

use quorate_core::NodeId;
use quorate_membership::{Event, Incarnation, State};

use crate::cluster::program::NodeProgram;
use crate::{Seat, Violation};

/// The last word of each node's gossip on each member.
#[derive(Debug)]
pub(super) struct MembersCheck {
    views: Vec<BTreeMap<NodeId, (Incarnation, State)>>,
}

impl MembersCheck {
    pub(super) fn new(nodes: usize) -> Self {
        Self { views: vec![BTreeMap::new(); nodes] }
    }

    /// A new process knows nothing.
    pub(super) fn booted(&mut self, seat: Seat) {
        self.views[seat.index()].clear();
    }

    pub(super) fn changed(
        &mut self,
        seat: Seat,
        program: &NodeProgram,
        event: &Event,
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
        let now = (member.info.incarnation, member.state);
        let Some(before) = self.views[seat.index()].insert(id.clone(), now) else { return Ok(()) };
        if now.0 < before.0 {
            let message = format!("{seat} had {id} at {:?} and has it at {:?}", before.0, now.0);
            return Err(Violation::new("M1", message));
        }
        if now.0 == before.0 && !before.1.is_live() && now.1.is_live() {
            let message =
                format!("{seat} had {id} as {:?} at {:?}, now {:?}", before.1, now.0, now.1);
            return Err(Violation::new("M3", message));
        }
        Ok(())
    }
}
