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
    /// Until when its process stands still.
    pub(super) stalled_until: Option<Instant>,
    /// Whether it ever stood still: then what others thought of it may have been right.
    pub(super) troubled: bool,
    /// The slots of the packets that wait for it to go on.
    pub(super) inbox: Vec<u32>,
}

impl<G> Seat<G> {
    pub(super) const fn new(address: SocketAddr) -> Self {
        Self {
            node: None,
            address,
            boot: 0,
            group: 0,
            wake_at: Instant::FAR,
            stalled_until: None,
            troubled: false,
            inbox: Vec::new(),
        }
    }
}
