//! A run as data: it can be written to a file, cut down, and run again.

use std::fmt;
use std::str::FromStr;

use quorate_core::Rng;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{FaultKind, Seat, SeatSet};

/// All that decides a run. Times are nanoseconds since its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan<O> {
    /// Seeds every dice of the run. At most 2^63 - 1, so that it fits into TOML.
    pub seed: u64,
    /// Other dice for the engine than those of the seed, while what a world draws from the seed
    /// stays. Zero, as in plans drawn from a seed, for none: a minimiser tries others.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dice: u64,
    /// How many nodes, 1 to 32.
    pub nodes: u8,
    /// When faults end and progress is demanded.
    pub calm_at: u64,
    /// How long progress may take then.
    pub calm_lasting: u64,
    /// The delay of a message while no fault changes it.
    pub latency: Latency,
    /// The time from a write to its sync, and from there to the news of it.
    pub disk: Latency,
    /// What goes wrong, in order of time.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<PlannedFault>,
    /// What clients do, in order of time.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<PlannedOperation<O>>,
}

/// A text that is no plan, or a plan that has no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The text is no plan.
    #[error("this is no plan: {0}")]
    Unreadable(String),
    /// The plan has a number beyond 2^63 - 1, or operations that TOML cannot hold.
    #[error("this plan cannot be written as TOML: {0}")]
    Unwritable(String),
    /// It has no node, or too many.
    #[error("a plan has 1 to {max} nodes, not {nodes}", max = Seat::COUNT_MAX)]
    Nodes {
        /// How many it has.
        nodes: u8,
    },
}

impl<O: Serialize + DeserializeOwned> Plan<O> {
    /// The plan as TOML.
    ///
    /// # Errors
    ///
    /// [`PlanError::Unwritable`].
    pub fn to_toml(&self) -> Result<String, PlanError> {
        toml::to_string(self).map_err(|error| PlanError::Unwritable(error.to_string()))
    }

    /// The plan that `text` holds.
    ///
    /// # Errors
    ///
    /// [`PlanError`] says what is wrong with it.
    pub fn from_toml(text: &str) -> Result<Self, PlanError> {
        let plan: Self =
            toml::from_str(text).map_err(|error| PlanError::Unreadable(error.to_string()))?;
        if !(1..=Seat::COUNT_MAX).contains(&plan.nodes) {
            return Err(PlanError::Nodes { nodes: plan.nodes });
        }
        Ok(plan)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A fault and when it strikes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFault {
    /// When.
    pub at: u64,
    /// What, to whom.
    #[serde(flatten)]
    pub fault: Fault,
}

/// An operation and when its client begins it, at the earliest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedOperation<O> {
    /// When.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub operation: O,
}

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
    /// The streams between `target` and the others break.
    #[serde(rename = "N10")]
    Reset { target: Target },
    /// The process ends.
    #[serde(rename = "P1")]
    Crash { target: Target, disk: DiskLoss, down: u64 },
    /// The process ends at a chosen point of its next work.
    #[serde(rename = "P2")]
    Cut { target: Target, point: CutPoint, disk: DiskLoss, down: u64 },
    /// The process stands still.
    #[serde(rename = "P3")]
    Pause { target: Target, lasting: u64 },
    /// Every process ends, each `gap` after the one before.
    #[serde(rename = "P7")]
    CrashAll { gap: u64, disk: DiskLoss, down: u64 },
    /// The next fsync fails.
    #[serde(rename = "D6")]
    SyncFails { target: Target },
    /// Only `room` more bytes fit on the disk.
    #[serde(rename = "D8")]
    Full { target: Target, room: u64, lasting: u64 },
    /// Nothing that is written becomes durable.
    #[serde(rename = "D9")]
    Stall { target: Target, lasting: u64 },
    /// The clock is ahead of where it would be.
    #[serde(rename = "C1")]
    Skew { target: Target, by: u64 },
    /// The clock runs `millionths` too fast, from here on.
    #[serde(rename = "C2")]
    Drift { target: Target, millionths: i32 },
    /// The clock leaps forward.
    #[serde(rename = "C3")]
    Jump { target: Target, by: u64 },
}

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
            Self::Reset { .. } => FaultKind::Reset,
            Self::Crash { .. } => FaultKind::Crash,
            Self::Cut { .. } => FaultKind::Cut,
            Self::Pause { .. } => FaultKind::Pause,
            Self::CrashAll { .. } => FaultKind::CrashAll,
            Self::SyncFails { .. } => FaultKind::SyncFails,
            Self::Full { .. } => FaultKind::Full,
            Self::Stall { .. } => FaultKind::Stall,
            Self::Skew { .. } => FaultKind::Skew,
            Self::Drift { .. } => FaultKind::Drift,
            Self::Jump { .. } => FaultKind::Jump,
        }
    }

    /// How long it lasts; `None` for one that strikes once.
    #[must_use]
    pub const fn lasting(&self) -> Option<u64> {
        match self {
            Self::Loss { lasting, .. }
            | Self::Delay { lasting, .. }
            | Self::Reorder { lasting, .. }
            | Self::Copies { lasting, .. }
            | Self::Partition { lasting, .. }
            | Self::Pause { lasting, .. }
            | Self::Full { lasting, .. }
            | Self::Stall { lasting, .. } => Some(*lasting),
            Self::Reset { .. }
            | Self::Crash { .. }
            | Self::Cut { .. }
            | Self::CrashAll { .. }
            | Self::SyncFails { .. }
            | Self::Skew { .. }
            | Self::Drift { .. }
            | Self::Jump { .. } => None,
        }
    }

    /// Whom it strikes, if it strikes one node.
    #[must_use]
    pub const fn target(&self) -> Option<Target> {
        match self {
            Self::Reset { target }
            | Self::Crash { target, .. }
            | Self::Cut { target, .. }
            | Self::Pause { target, .. }
            | Self::SyncFails { target }
            | Self::Full { target, .. }
            | Self::Stall { target, .. }
            | Self::Skew { target, .. }
            | Self::Drift { target, .. }
            | Self::Jump { target, .. }
            | Self::Partition {
                shape: Shape::One { target } | Shape::Bridge { target, .. }, ..
            } => Some(*target),
            Self::Loss { .. }
            | Self::Delay { .. }
            | Self::Reorder { .. }
            | Self::Copies { .. }
            | Self::Partition { .. }
            | Self::CrashAll { .. } => None,
        }
    }
}

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

/// How long something takes, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[allow(missing_docs, reason = "each variant's sentence names its arguments")]
pub enum Latency {
    /// `low`, plus a memoryless time of `mean`.
    Exponential { low: u64, mean: u64 },
    /// Mostly around `fast`, but around `slow` with `chance` (in millionths).
    Bimodal { fast: u64, slow: u64, chance: u32 },
}

impl Latency {
    /// Draws one.
    pub const fn draw(&self, rng: &mut Rng) -> u64 {
        match *self {
            Self::Exponential { low, mean } => low.saturating_add(exponential(rng, mean)),
            Self::Bimodal { fast, slow, chance } => {
                let middle = if rng.chance(chance) { slow } else { fast };
                middle - middle / 4 + rng.below(middle / 2 + 1)
            }
        }
    }
}

/// A memoryless time of about `mean`, in whole numbers, so that every platform draws the same.
const fn exponential(rng: &mut Rng, mean: u64) -> u64 {
    let bits = rng.next_u64();
    // The negative logarithm of a uniform number, to base 2, in 1/65536: the leading zeros are its
    // whole part; the fraction is read off the next bits, linearly, which is at most 0.09 off.
    let zeros = bits.leading_zeros();
    let next = if zeros >= 48 { 0 } else { (bits << (zeros + 1)) >> 48 };
    let log2 = ((zeros as u64 + 1) << 16) - next;
    // ln 2 = 45426 / 65536.
    ((mean as u128 * log2 as u128 * 45_426) >> 32) as u64
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memoryless_times_have_their_mean() {
        let mut rng = Rng::seeded(3);
        let count = 100_000;
        let sum: u64 = (0..count).map(|_| exponential(&mut rng, 1_000_000)).sum();
        let mean = sum / count;
        assert!((900_000..1_100_000).contains(&mean), "{mean}");
    }
}
