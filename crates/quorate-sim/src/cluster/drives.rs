//! What the disks are called: another name whenever one is replaced by an empty one.

use std::cell::RefCell;

use quorate_core::DiskId;

use crate::Seat;

/// How often the disk of every seat was replaced. Shared by all nodes of a run: they know of one
/// another's what a handshake tells.
#[derive(Debug, Clone)]
pub(super) struct Drives(RefCell<Vec<u64>>);

impl Drives {
    pub(super) fn new(nodes: u8) -> Self {
        Self(RefCell::new(vec![0; usize::from(nodes)]))
    }

    /// The disk that a seat has at first.
    pub(super) fn first(seat: Seat) -> DiskId {
        called(seat, 0)
    }

    /// The disk of a seat.
    pub(super) fn of(&self, seat: Seat) -> DiskId {
        called(seat, self.0.borrow()[seat.index()])
    }

    /// Gives a seat an empty disk; the one it had is gone.
    pub(super) fn replace(&self, seat: Seat) -> DiskId {
        let gone = self.of(seat);
        self.0.borrow_mut()[seat.index()] += 1;
        gone
    }
}

fn called(seat: Seat, replaced: u64) -> DiskId {
    DiskId((replaced << 8) + u64::from(seat.0) + 1)
}
