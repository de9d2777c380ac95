//! A run as data: it can be written to a file, cut down, and run again.

mod fault;
mod latency;
mod target;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Seat;
pub(crate) use fault::STOP_LASTING;
pub use fault::{Fault, Harm};
pub use latency::Latency;
pub use target::{CutPoint, DiskLoss, Shape, Target, Way};

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
    /// Whether branches that are seldom taken are taken often: see [`quorate_core::rare()`].
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub rare: bool,
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

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
const fn is_yes(flag: &bool) -> bool {
    *flag
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
