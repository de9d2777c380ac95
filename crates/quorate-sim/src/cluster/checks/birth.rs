//! E12: of one name, one cluster is born.

use quorate_core::ClusterId;

use crate::{Seat, Violation};

/// The cluster that was born first.
#[derive(Debug, Default)]
pub(super) struct BirthCheck {
    first: Option<(Seat, ClusterId)>,
}

impl BirthCheck {
    pub(super) fn born(&mut self, seat: Seat, cluster: ClusterId) -> Result<(), Violation> {
        let (witness, first) = *self.first.get_or_insert((seat, cluster));
        if first == cluster {
            return Ok(());
        }
        let message = format!("{witness} belongs to {first}, and {seat} to {cluster}");
        Err(Violation::new("E12", message))
    }
}
