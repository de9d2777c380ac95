//! A run as data: it can be written to a file, cut down, and run again.

mod fault;
mod latency;
mod target;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Seat;
pub(crate) use fault::STOP_LASTING;
pub use fault::{Fault, Harm, MemberAct};
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
    #[error("this is no plan, or none of this version: {0}")]
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
    /// A fault is to strike a node that the run does not have.
    #[error("the fault in place {index} strikes {seat}, and the last node of the plan is {last}")]
    Stranger {
        /// The place of the fault in the plan, from 0.
        index: usize,
        /// Whom it is to strike.
        seat: Seat,
        /// The last node that there is.
        last: Seat,
    },
    /// A time is so long that no run comes to its end.
    #[error("`{field}` is {nanos} ns, and more than a year")]
    Endless {
        /// Which.
        field: &'static str,
        /// How long, in nanoseconds.
        nanos: u64,
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
        plan.check()?;
        Ok(plan)
    }
}

impl<O> Plan<O> {
    /// Whether it can be run. What [`Plan::from_toml`] reads and [`Swarm`](crate::Swarm) draws can.
    ///
    /// Sets of nodes may have more than the run: those that are not there are left out.
    ///
    /// # Errors
    ///
    /// [`PlanError`] says what is wrong with it.
    pub fn check(&self) -> Result<(), PlanError> {
        let nodes = self.nodes;
        if !(1..=Seat::COUNT_MAX).contains(&nodes) {
            return Err(PlanError::Nodes { nodes });
        }
        short("calm_at", self.calm_at)?;
        short("latency", self.latency.longest())?;
        short("disk", self.disk.longest())?;
        for (index, PlannedFault { fault, .. }) in self.faults.iter().enumerate() {
            if let Some(Target::Seat(seat)) = fault.target()
                && seat.0 >= nodes
            {
                return Err(PlanError::Stranger { index, seat, last: Seat(nodes - 1) });
            }
            if let Fault::Delay { latency, .. } | Fault::SlowLink { latency, .. } = fault {
                short("latency", latency.longest())?;
            }
        }
        Ok(())
    }
}

/// Nothing that a run waits for takes longer than a year: sums of a few such times are numbers.
const fn short(field: &'static str, nanos: u64) -> Result<(), PlanError> {
    const YEAR: u64 = 365 * 24 * 3600 * 1_000_000_000;
    if nanos > YEAR { Err(PlanError::Endless { field, nanos }) } else { Ok(()) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_cannot_be_run_is_refused_in_words() {
        let plan: Plan<()> = crate::Swarm { nodes: (3, 3), ..crate::Swarm::default() }.plan(1);
        let text = Plan { faults: Vec::new(), ..plan }.to_toml().unwrap();
        let refused = |text: String| Plan::<()>::from_toml(&text).unwrap_err().to_string();
        assert_eq!(
            refused(text.replace("nodes = 3", "nodes = 33")),
            "a plan has 1 to 32 nodes, not 33"
        );
        let stranger = "\n[[faults]]\nat = 1\nfault = \"D6\"\ntarget = \"n3\"\n";
        assert_eq!(
            refused(text.clone() + stranger),
            "the fault in place 0 strikes n3, and the last node of the plan is n2"
        );
        let slow = "\n[[faults]]\nat = 1\nfault = \"N7\"\nfrom = [\"n0\"]\nto = [\"n1\"]\n\
            latency = { kind = \"exponential\", low = 0, mean = 9223372036854775807 }\n";
        assert_eq!(
            refused(text.clone() + slow),
            "`latency` is 9223372036854775807 ns, and more than a year"
        );
        let later = refused(format!("format = 2\n{text}"));
        assert!(later.starts_with("this is no plan, or none of this version: "), "{later}");
        assert!(later.contains("unknown field `format`"), "{later}");
    }
}
