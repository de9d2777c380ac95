//! What a run amounts to.

use crate::{Tally, TraceEvent, Violation};

/// What a run amounts to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// A hash of everything that happened, in order: equal for equal runs.
    pub hash: u128,
    /// How many events.
    pub events: u64,
    /// How long it was, in nanoseconds of the run.
    pub nanos: u64,
    /// What was counted.
    pub tally: Tally,
    /// The promise that was broken, if one was.
    pub violation: Option<Violation>,
    /// Whether it ended early because more was lost than any promise covers: see
    /// [`World::is_beyond`](crate::World::is_beyond).
    pub is_beyond: bool,
    /// What happened, or the last of it, if that was kept.
    pub trace: Vec<TraceEvent>,
}
