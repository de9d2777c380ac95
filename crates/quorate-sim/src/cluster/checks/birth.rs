//! E12: of one name, one cluster is born, with the same first members wherever it is known.

use quorate_core::ClusterId;

use crate::{Seat, SeatSet, Violation};

/// The cluster that was born first.
#[derive(Debug)]
pub(super) struct BirthCheck {
    first: Option<(Seat, ClusterId)>,
    /// Its first members, and who said so.
    founders: Option<(Seat, SeatSet)>,
    /// All nodes.
    all: SeatSet,
}

impl BirthCheck {
    pub(super) const fn new(nodes: usize) -> Self {
        Self { first: None, founders: None, all: SeatSet::first(nodes as u8) }
    }

    /// `seat` belongs to `cluster` and has it that these are its first members, as far as it
    /// knows, or was told that there is such a cluster.
    pub(super) fn born(
        &mut self,
        seat: Seat,
        cluster: ClusterId,
        members: Option<SeatSet>,
    ) -> Result<(), Violation> {
        let (witness, first) = *self.first.get_or_insert((seat, cluster));
        if first != cluster {
            let message = format!("{witness} belongs to {first}, and {seat} to {cluster}");
            return Err(Violation::new("E12", message));
        }
        let Some(members) = members else { return Ok(()) };
        let (witness, ours) = *self.founders.get_or_insert((seat, members));
        if members != ours {
            let message = format!("{witness} has the members {ours:?}, and {seat} {members:?}");
            return Err(Violation::new("E12", message));
        }
        Ok(())
    }

    /// The first members of the cluster; all nodes before it is born.
    pub(super) fn members(&self) -> SeatSet {
        self.founders.map_or(self.all, |(_, members)| members)
    }
}
