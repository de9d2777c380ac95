//! What happened, counted.

use std::ops::Sub;

/// Sums over all nodes since the start; each only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Events: packets that came and wakes.
    pub events: u64,
    /// Packets sent.
    pub packets: u64,
    /// Their bytes, headers of the network not counted.
    pub bytes: u64,
    /// Packets that went over connections; they are among [`Self::packets`].
    pub streams: u64,
    /// Packets that were lost, cut off, or came to nobody.
    pub lost: u64,
    /// Packets that were dropped because a stalled node's buffer was full.
    pub overflowed: u64,
    /// Packets that came and could not be read.
    pub refused: u64,
    /// How often a node declared another one dead whose process ran.
    pub false_deaths: u64,
    /// The same, without those of which one of the two was stalled or cut off, or had just been.
    pub healthy_deaths: u64,
    /// How often a node found another one unreachable whose process ran.
    pub false_alarms: u64,
    /// How often a node declared another one dead whose process was gone.
    pub true_deaths: u64,
    /// How often a node had to take on another identity to be believed.
    pub renamed: u64,
    /// For how long nodes were busy, and in how many calls; zero unless a bench measures it.
    pub busy_nanos: u64,
    /// See there.
    pub calls: u64,
    /// The time of all nodes that ran, in nanoseconds.
    pub node_nanos: u128,
}

impl Tally {
    /// The time of all nodes that ran, in seconds.
    #[must_use]
    pub const fn node_seconds(&self) -> f64 {
        self.node_nanos as f64 / 1e9
    }

    /// `count` of these for each hour of one node.
    #[must_use]
    pub const fn per_node_hour(&self, count: u64) -> f64 {
        count as f64 * 3_600.0 / self.node_seconds()
    }

    /// Bytes sent for each second of one node.
    #[must_use]
    pub const fn bytes_per_node_second(&self) -> f64 {
        self.bytes as f64 / self.node_seconds()
    }
}

impl Sub for Tally {
    type Output = Self;

    /// What happened since `before`.
    fn sub(self, before: Self) -> Self {
        Self {
            events: self.events - before.events,
            packets: self.packets - before.packets,
            bytes: self.bytes - before.bytes,
            streams: self.streams - before.streams,
            lost: self.lost - before.lost,
            overflowed: self.overflowed - before.overflowed,
            refused: self.refused - before.refused,
            false_deaths: self.false_deaths - before.false_deaths,
            healthy_deaths: self.healthy_deaths - before.healthy_deaths,
            false_alarms: self.false_alarms - before.false_alarms,
            true_deaths: self.true_deaths - before.true_deaths,
            renamed: self.renamed - before.renamed,
            busy_nanos: self.busy_nanos - before.busy_nanos,
            calls: self.calls - before.calls,
            node_nanos: self.node_nanos - before.node_nanos,
        }
    }
}
