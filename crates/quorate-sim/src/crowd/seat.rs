//! What the crowd keeps of a node besides what it believes.

use std::net::SocketAddr;

use quorate_core::Instant;

/// A node, whether its process runs or not.
#[derive(Debug)]
pub(super) struct Seat<G> {
    /// `None` while no process runs.
    pub(super) node: Option<G>,
    /// Where it is or was last.
    pub(super) address: SocketAddr,
    pub(super) boot: u64,
    /// Packets between different groups are lost.
    pub(super) group: u8,
    /// The earliest wake of it in the agenda; [`Instant::FAR`] if there is none. Any other is stale.
    pub(super) wake_at: Instant,
    /// In which way its process stalls, and until when.
    pub(super) stall: Option<(Stall, Instant)>,
    /// Whether it ever stood still: then what others thought of it may have been right.
    pub(super) troubled: bool,
    /// The slots of the packets that wait for it to go on.
    pub(super) inbox: Vec<u32>,
    /// The slots of the packets that it could not send yet.
    pub(super) outbox: Vec<u32>,
}

/// In which way a process stalls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stall {
    /// It stands still as a whole, as in a pause of its virtual machine. When it goes on, what is
    /// due comes first and then what waits to be read.
    Frozen,
    /// It runs, but what it sends and what comes for it waits: the slow members that Dadgar,
    /// Phillips and Currey 2018 measured block at each send and receive. Its timers go on, so it
    /// misses answers and may take others for gone.
    Blocked,
}

impl<G> Seat<G> {
    pub(super) const fn new(address: SocketAddr) -> Self {
        Self {
            node: None,
            address,
            boot: 0,
            group: 0,
            wake_at: Instant::FAR,
            stall: None,
            troubled: false,
            inbox: Vec::new(),
            outbox: Vec::new(),
        }
    }
}
