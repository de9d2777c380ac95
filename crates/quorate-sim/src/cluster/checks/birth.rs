//! E12: of one name, one cluster is born, with the same first members wherever it is known.

use quorate_core::ClusterId;

use crate::{Seat, SeatSet, Violation};

/// The cluster that was born first.
#[derive(Debug)]
pub(super) struct BirthCheck {
    first: Option<(Seat, ClusterId)>,
    /// Its members; all nodes before it is born.
    members: SeatSet,
}

impl BirthCheck {
    pub(super) const fn new(nodes: usize) -> Self {
        Self { first: None, members: SeatSet::first(nodes as u8) }
    }

    /// `seat` belongs to `cluster` and has it that these are its members, or was told that there
    /// is such a cluster.
    pub(super) fn born(
        &mut self,
        seat: Seat,
        cluster: ClusterId,
        members: SeatSet,
    ) -> Result<(), Violation> {
        let Some((witness, first)) = self.first else {
            self.first = Some((seat, cluster));
            self.members = members;
            return Ok(());
        };
        if first != cluster {
            let message = format!("{witness} belongs to {first}, and {seat} to {cluster}");
            return Err(Violation::new("E12", message));
        }
        if members != self.members {
            let ours = self.members;
            let message = format!("{witness} has the members {ours:?}, and {seat} {members:?}");
            return Err(Violation::new("E12", message));
        }
        Ok(())
    }

    /// The members of the cluster; all nodes before it is born.
    pub(super) const fn members(&self) -> SeatSet {
        self.members
    }
}
