//! Faults with their arguments.

use serde::{Deserialize, Serialize};

use super::{CutPoint, DiskLoss, Latency, Shape, Target, Way};
use crate::{FaultKind, SeatSet};

/// A fault with its arguments. Chances are in millionths, times in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", deny_unknown_fields)]
#[allow(missing_docs, reason = "each variant's sentence names its arguments")]
pub enum Fault {
    /// Messages from `from` to `to` are lost.
    #[serde(rename = "N1")]
    Loss { from: SeatSet, to: SeatSet, chance: u32, lasting: u64 },
    /// Messages from `from` to `to` take another time.
    #[serde(rename = "N2")]
    Delay { from: SeatSet, to: SeatSet, latency: Latency, lasting: u64 },
    /// Messages are held back by up to `by` while later ones pass.
    #[serde(rename = "N3")]
    Reorder { chance: u32, by: u64, lasting: u64 },
    /// Messages arrive again, up to `by` later. Those that the transport delivers at most once by
    /// its own promise are spared.
    #[serde(rename = "N4")]
    Copies { chance: u32, by: u64, lasting: u64 },
    /// Nodes cannot reach one another. If `hold`, what is sent meanwhile arrives after the end.
    #[serde(rename = "N5")]
    Partition { shape: Shape, way: Way, hold: bool, lasting: u64 },
    /// All that is sent to the target, or by it, waits for the end; no stream breaks.
    #[serde(rename = "N6")]
    Clog { target: Target, way: Way, lasting: u64 },
    /// Messages from `from` to `to` take another time for the rest of the run.
    #[serde(rename = "N7")]
    SlowLink { from: SeatSet, to: SeatSet, latency: Latency },
    /// Messages arrive damaged.
    #[serde(rename = "N8")]
    Corrupt { chance: u32, harm: Harm, lasting: u64 },
    /// No more than `room` messages are on the way from any of `from` to any of `to`; the others
    /// are dropped.
    #[serde(rename = "N9")]
    Overflow { from: SeatSet, to: SeatSet, room: u32, lasting: u64 },
    /// The streams between `target` and the others break. If `half`, only their receivers know:
    /// senders go on until the silence is too long.
    #[serde(rename = "N10")]
    Reset {
        target: Target,
        #[serde(default, skip_serializing_if = "is_false")]
        half: bool,
    },
    /// The process ends, and comes back at another address.
    #[serde(rename = "N11")]
    Move { target: Target, down: u64 },
    /// The process ends.
    #[serde(rename = "P1")]
    Crash { target: Target, disk: DiskLoss, down: u64 },
    /// The process ends at a chosen point of its next work.
    #[serde(rename = "P2")]
    Cut { target: Target, point: CutPoint, disk: DiskLoss, down: u64 },
    /// The process stands still.
    #[serde(rename = "P3")]
    Pause { target: Target, lasting: u64 },
    /// The process takes `cost` for each thing it does.
    #[serde(rename = "P4")]
    Busy { target: Target, cost: u64, lasting: u64 },
    /// The process handles its timers and nothing else, or (`timers`) everything but them.
    #[serde(rename = "P5")]
    Starve { target: Target, timers: bool, lasting: u64 },
    /// The process is asked to stop, has a moment to do so, and starts again.
    #[serde(rename = "P6")]
    Restart { target: Target, down: u64 },
    /// Every process ends, each `gap` after the one before.
    #[serde(rename = "P7")]
    CrashAll { gap: u64, disk: DiskLoss, down: u64 },
    /// So many bits of what is on the disk change.
    #[serde(rename = "D3")]
    Rot { target: Target, bits: u32 },
    /// The next write lands at offset `to` of its file.
    #[serde(rename = "D4")]
    Misdirect { target: Target, to: u64 },
    /// The next fsync succeeds and does nothing.
    #[serde(rename = "D5")]
    SyncLies { target: Target },
    /// The next fsync fails.
    #[serde(rename = "D6")]
    SyncFails { target: Target },
    /// The next write, or (`reading`) the next read, fails.
    #[serde(rename = "D7")]
    IoFails { target: Target, reading: bool },
    /// Only `room` more bytes fit on the disk.
    #[serde(rename = "D8")]
    Full { target: Target, room: u64, lasting: u64 },
    /// Nothing that is written becomes durable.
    #[serde(rename = "D9")]
    Stall { target: Target, lasting: u64 },
    /// The next fsync of the folder fails.
    #[serde(rename = "D10")]
    NamesFail { target: Target },
    /// The clock is ahead of where it would be.
    #[serde(rename = "C1")]
    Skew { target: Target, by: u64 },
    /// The clock runs `millionths` too fast, from here on.
    #[serde(rename = "C2")]
    Drift { target: Target, millionths: i32 },
    /// The clock leaps forward.
    #[serde(rename = "C3")]
    Jump { target: Target, by: u64 },
    /// The clock stands still. Each `strobe`, if that is not zero, it makes up for it.
    #[serde(rename = "C4")]
    Freeze { target: Target, strobe: u64, lasting: u64 },
    /// The process stands still, and its clock as well unless it counts the time of a suspend.
    #[serde(rename = "C5")]
    Suspend { target: Target, counted: bool, lasting: u64 },
    /// An operator changes the members. What that means is up to the world.
    #[serde(rename = "O1")]
    Members { act: MemberAct, target: Target },
}

/// How an operator changes the members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberAct {
    /// Some node that is none becomes a member.
    Add,
    /// One or two that learn become voters.
    Promote,
    /// The target leaves.
    Remove,
    /// The target leaves, and one that learns takes its place.
    Replace,
}

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Harm {
    /// One bit is flipped.
    Flip,
    /// Its end is missing.
    Cut,
    /// A datagram reaches another node.
    Stray,
    /// A datagram is one of another cluster.
    Foreign,
}

/// How long a process has that is asked to stop.
pub(crate) const STOP_LASTING: u64 = 200_000_000;

impl Fault {
    /// The kind under which it is counted.
    #[must_use]
    pub const fn kind(&self) -> FaultKind {
        match self {
            Self::Loss { .. } => FaultKind::Loss,
            Self::Delay { .. } => FaultKind::Delay,
            Self::Reorder { .. } => FaultKind::Reorder,
            Self::Copies { .. } => FaultKind::Copies,
            Self::Partition { .. } => FaultKind::Partition,
            Self::Clog { .. } => FaultKind::Clog,
            Self::SlowLink { .. } => FaultKind::SlowLink,
            Self::Corrupt { .. } => FaultKind::Corrupt,
            Self::Overflow { .. } => FaultKind::Overflow,
            Self::Reset { .. } => FaultKind::Reset,
            Self::Move { .. } => FaultKind::Move,
            Self::Crash { .. } => FaultKind::Crash,
            Self::Cut { .. } => FaultKind::Cut,
            Self::Pause { .. } => FaultKind::Pause,
            Self::Busy { .. } => FaultKind::Busy,
            Self::Starve { .. } => FaultKind::Starve,
            Self::Restart { .. } => FaultKind::Restart,
            Self::CrashAll { .. } => FaultKind::CrashAll,
            Self::Rot { .. } => FaultKind::Rot,
            Self::Misdirect { .. } => FaultKind::Misdirect,
            Self::SyncLies { .. } => FaultKind::SyncLies,
            Self::SyncFails { .. } => FaultKind::SyncFails,
            Self::IoFails { .. } => FaultKind::IoFails,
            Self::Full { .. } => FaultKind::Full,
            Self::Stall { .. } => FaultKind::Stall,
            Self::NamesFail { .. } => FaultKind::Names,
            Self::Skew { .. } => FaultKind::Skew,
            Self::Drift { .. } => FaultKind::Drift,
            Self::Jump { .. } => FaultKind::Jump,
            Self::Freeze { .. } => FaultKind::Freeze,
            Self::Suspend { .. } => FaultKind::Suspend,
            Self::Members { .. } => FaultKind::Members,
        }
    }

    /// How long it lasts, `u64::MAX` for one that never ends; `None` for one that strikes once.
    #[must_use]
    pub const fn lasting(&self) -> Option<u64> {
        match self {
            Self::SlowLink { .. } => Some(u64::MAX),
            Self::Loss { lasting, .. }
            | Self::Delay { lasting, .. }
            | Self::Reorder { lasting, .. }
            | Self::Copies { lasting, .. }
            | Self::Partition { lasting, .. }
            | Self::Clog { lasting, .. }
            | Self::Corrupt { lasting, .. }
            | Self::Overflow { lasting, .. }
            | Self::Pause { lasting, .. }
            | Self::Busy { lasting, .. }
            | Self::Starve { lasting, .. }
            | Self::Full { lasting, .. }
            | Self::Stall { lasting, .. }
            | Self::Freeze { lasting, .. }
            | Self::Suspend { lasting, .. } => Some(*lasting),
            Self::Reset { .. }
            | Self::Move { .. }
            | Self::Crash { .. }
            | Self::Cut { .. }
            | Self::Restart { .. }
            | Self::CrashAll { .. }
            | Self::Rot { .. }
            | Self::Misdirect { .. }
            | Self::SyncLies { .. }
            | Self::SyncFails { .. }
            | Self::IoFails { .. }
            | Self::NamesFail { .. }
            | Self::Skew { .. }
            | Self::Drift { .. }
            | Self::Jump { .. }
            | Self::Members { .. } => None,
        }
    }

    /// Whom it strikes, if it strikes one node.
    #[must_use]
    pub const fn target(&self) -> Option<Target> {
        match self {
            Self::Clog { target, .. }
            | Self::Reset { target, .. }
            | Self::Move { target, .. }
            | Self::Crash { target, .. }
            | Self::Cut { target, .. }
            | Self::Restart { target, .. }
            | Self::Pause { target, .. }
            | Self::Busy { target, .. }
            | Self::Starve { target, .. }
            | Self::Rot { target, .. }
            | Self::Misdirect { target, .. }
            | Self::SyncLies { target }
            | Self::SyncFails { target }
            | Self::IoFails { target, .. }
            | Self::Full { target, .. }
            | Self::Stall { target, .. }
            | Self::NamesFail { target }
            | Self::Skew { target, .. }
            | Self::Drift { target, .. }
            | Self::Jump { target, .. }
            | Self::Freeze { target, .. }
            | Self::Suspend { target, .. }
            | Self::Members { target, .. }
            | Self::Partition {
                shape: Shape::One { target } | Shape::Bridge { target, .. }, ..
            } => Some(*target),
            Self::Loss { .. }
            | Self::Delay { .. }
            | Self::Reorder { .. }
            | Self::Copies { .. }
            | Self::Partition { .. }
            | Self::SlowLink { .. }
            | Self::Corrupt { .. }
            | Self::Overflow { .. }
            | Self::CrashAll { .. } => None,
        }
    }

    /// Whether a cluster is to bear it without anybody being taken for dead.
    pub(crate) const fn is_mild(&self) -> bool {
        match self {
            Self::Loss { chance, .. } => *chance <= 100_000,
            Self::Drift { .. } | Self::Members { .. } => true,
            _ => false,
        }
    }

    /// How long it, or what it leaves, lasts.
    pub(crate) const fn extent(&self, nodes: u8) -> u64 {
        match self {
            Self::Crash { down, .. } | Self::Cut { down, .. } | Self::Move { down, .. } => *down,
            Self::Restart { down, .. } => down.saturating_add(STOP_LASTING),
            Self::CrashAll { gap, down, .. } => {
                gap.saturating_mul(nodes as u64).saturating_add(*down)
            }
            _ => match self.lasting() {
                Some(lasting) => lasting,
                None => 0,
            },
        }
    }

    /// Whether it brings back an older copy of a disk.
    pub(crate) const fn wants_image(&self) -> bool {
        match self {
            Self::Crash { disk, .. } | Self::Cut { disk, .. } | Self::CrashAll { disk, .. } => {
                matches!(disk, DiskLoss::Older)
            }
            _ => false,
        }
    }

    /// Whether it takes away what the disk had promised to keep, or may.
    #[must_use]
    pub const fn harms_disk(&self) -> bool {
        match self {
            Self::Rot { .. } | Self::Misdirect { .. } | Self::SyncLies { .. } => true,
            Self::Crash { disk, .. } | Self::Cut { disk, .. } | Self::CrashAll { disk, .. } => {
                disk.harms()
            }
            _ => false,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
