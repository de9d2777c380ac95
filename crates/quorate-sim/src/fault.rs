//! The kinds of faults, each with the id under which reports count it.

use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $id:literal $name:literal,)*) => {
        /// A kind of fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum FaultKind {
            $($(#[$doc])* #[serde(rename = $id)] $kind,)*
        }

        impl FaultKind {
            /// All kinds, in the order of their ids.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The short id of reports and plans, as `N1`.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$kind => $id),* }
            }

            /// What it is, in a few words.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),* }
            }
        }
    };
}

kinds! {
    /// Messages are lost.
    Loss "N1" "loss",
    /// Messages are slow.
    Delay "N2" "delay",
    /// Messages overtake one another.
    Reorder "N3" "reorder",
    /// Messages arrive more than once, also much later.
    Copies "N4" "duplicates and replays",
    /// Nodes cannot reach one another.
    Partition "N5" "partition",
    /// What a node sends, or what is sent to it, is held back.
    Clog "N6" "clog and swizzle-clog",
    /// A link is slow for good.
    SlowLink "N7" "slow link",
    /// Bytes are changed or cut off, or reach the wrong node or cluster.
    Corrupt "N8" "corrupted and misdelivered",
    /// A queue is full.
    Overflow "N9" "queue overflow",
    /// Streams break.
    Reset "N10" "stream reset, half-open",
    /// A node comes back at another address, perhaps one that another node had.
    Move "N11" "stale and reused addresses",
    /// A process ends at any event.
    Crash "P1" "crash",
    /// A process ends between two effects of one step.
    Cut "P2" "crash between effects",
    /// A process stops for a while and goes on with what it knew.
    Pause "P3" "pause",
    /// A process is slow.
    Busy "P4" "slow process",
    /// A process gets to handle only timers, or only messages.
    Starve "P5" "starvation",
    /// A process starts again on its disk, on an older copy of it, or on an empty one.
    Restart "P6" "restart",
    /// All processes end, at once or one after the other.
    CrashAll "P7" "all at once and rolling",
    /// Two processes have one id.
    Twin "P8" "two processes, one id",
    /// Writes that were not synced are lost.
    Unsynced "D1" "unsynced writes lost",
    /// A write arrives in part.
    Torn "D2" "torn write",
    /// Bits of the disk change.
    Rot "D3" "bit rot",
    /// A write lands at another place.
    Misdirect "D4" "misdirected write",
    /// An fsync succeeds and does nothing.
    SyncLies "D5" "lying fsync",
    /// An fsync fails.
    SyncFails "D6" "fsync error",
    /// A read or a write fails.
    IoFails "D7" "input or output error",
    /// The disk is full, and later free.
    Full "D8" "disk full",
    /// The disk hangs.
    Stall "D9" "disk stall",
    /// A new name is lost in a crash, or cannot be made durable.
    Names "D10" "rename not durable",
    /// A clock is off.
    Skew "C1" "clock skew",
    /// A clock is too fast or too slow.
    Drift "C2" "clock drift",
    /// A clock leaps forward.
    Jump "C3" "clock jump",
    /// A clock stands still, or stands and leaps in turn.
    Freeze "C4" "frozen or strobing clock",
    /// A process is suspended, and its clock perhaps with it.
    Suspend "C5" "suspend",
    /// Members are added, removed, replaced.
    Members "O1" "membership change",
    /// The configuration changes.
    Reconfigure "O2" "live configuration",
    /// Nodes of two versions run together.
    Versions "O3" "mixed versions",
    /// The leader is handed over, drained, brought back.
    HandOver "O4" "manual failover",
    /// A failover is forced.
    Force "O5" "forced failover",
    /// Many requests at once, all for one key, or large ones.
    Burst "B1" "bursts, hot key, large values",
    /// Clients retry, die or stall.
    Clients "B2" "clients retry, die or stall",
}

impl FaultKind {
    /// The part of the system that a kind strikes, while there is no such part: it cannot be
    /// played yet, and reports print `n/a` for it.
    #[must_use]
    pub const fn awaits(self) -> Option<&'static str> {
        Some(match self {
            Self::Twin => "refusal of a second process with one id",
            Self::Reconfigure => "live configuration",
            Self::Versions => "a second version of the messages",
            Self::Force => "failover",
            _ => return None,
        })
    }

    /// The kinds that can be played.
    pub fn played() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|kind| kind.awaits().is_none())
    }
}

const COUNT: usize = FaultKind::ALL.len();

/// A count per kind of fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultCounts([u64; COUNT]);

impl FaultCounts {
    /// All zero.
    #[must_use]
    pub const fn new() -> Self {
        Self([0; COUNT])
    }

    /// How often `kind` struck.
    #[must_use]
    pub const fn of(&self, kind: FaultKind) -> u64 {
        self.0[kind as usize]
    }

    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum += count;
        }
    }

    pub(crate) const fn count(&mut self, kind: FaultKind) {
        self.0[kind as usize] += 1;
    }
}

impl Default for FaultCounts {
    fn default() -> Self {
        Self::new()
    }
}

/// A set of kinds: one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FaultSet(u64);

impl FaultSet {
    /// Every kind.
    pub const ALL: Self = Self((1 << COUNT) - 1);
    /// No kind.
    pub const NONE: Self = Self(0);

    /// Just `kind`.
    #[must_use]
    pub const fn only(kind: FaultKind) -> Self {
        Self(1 << kind as u64)
    }

    /// Whether `kind` is in it.
    #[must_use]
    pub const fn contains(self, kind: FaultKind) -> bool {
        self.0 & Self::only(kind).0 != 0
    }

    /// Those in this set or in `other`.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those in this set that are not in `other`.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The kinds in order.
    pub fn iter(self) -> impl Iterator<Item = FaultKind> {
        FaultKind::ALL.iter().copied().filter(move |kind| self.contains(*kind))
    }
}
