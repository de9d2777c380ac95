//! Whom a fault strikes, and where.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Seat, SeatSet};

/// Whom a fault strikes. Written `n3`, `leader`, `follower`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Target {
    /// This one.
    Seat(Seat),
    /// Whoever leads at that moment.
    Leader,
    /// Some live node that does not lead at that moment.
    Follower,
}

/// Between which nodes a partition runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[allow(missing_docs, reason = "each variant's sentence names its arguments")]
pub enum Shape {
    /// Between `left` and the rest.
    Halves { left: SeatSet },
    /// Between `target` and the rest.
    One { target: Target },
    /// Between `left` and the rest, but `target` reaches both.
    Bridge { target: Target, left: SeatSet },
    /// Between all who are not neighbours in a ring.
    Ring,
    /// Between clients and `cut`.
    Clients { cut: SeatSet },
}

/// Which way a partition cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Both.
    Both,
    /// Nothing reaches the target (or the left half, or the cut nodes).
    In,
    /// Nothing leaves it.
    Out,
}

/// What the end of a process does to its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskLoss {
    /// Only the process ends.
    Nothing,
    /// Power fails: no unsynced write arrived.
    All,
    /// Power fails: some of them arrived.
    Some,
    /// Power fails: they arrived in order, the last in part.
    Torn,
    /// The process comes back on the copy of its disk that it last started on.
    Older,
    /// The process comes back on an empty disk.
    Wiped,
}

impl DiskLoss {
    /// Whether more is lost than what was not synced.
    #[must_use]
    pub const fn harms(self) -> bool {
        matches!(self, Self::Older | Self::Wiped)
    }
}

/// Where in its work a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "after", rename_all = "kebab-case", deny_unknown_fields)]
#[allow(missing_docs, reason = "each variant's sentence names its arguments")]
pub enum CutPoint {
    /// After so many more effects.
    Effects { count: u32 },
    /// After the next records are handed to the file system, before they are synced.
    Write,
    /// After the next sync, before the node hears of it.
    Sync,
    /// When the node has heard that records are durable, after so many effects of that step.
    Persisted { effects: u32 },
    /// After so many more changes of the disk, within a write or a sync.
    DiskChanges { count: u32 },
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seat(seat) => seat.fmt(f),
            Self::Leader => f.write_str("leader"),
            Self::Follower => f.write_str("follower"),
        }
    }
}

impl TryFrom<String> for Target {
    type Error = crate::InvalidSeat;

    fn try_from(text: String) -> Result<Self, crate::InvalidSeat> {
        match text.as_str() {
            "leader" => Ok(Self::Leader),
            "follower" => Ok(Self::Follower),
            seat => Seat::from_str(seat).map(Self::Seat),
        }
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.to_string()
    }
}
