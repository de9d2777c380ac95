//! Runs a seed or a plan, and tells what it showed.

use super::Profile;
use super::operation::KvOperation;
use super::world::Cluster;
use crate::{Plan, Report, Sim, Tally, TraceEvent, Violation};

/// What the run of one plan showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// A hash of everything that happened, in order.
    pub hash: u128,
    /// How many events.
    pub events: u64,
    /// How long it was, in nanoseconds of the run.
    pub nanos: u64,
    /// Faults, pairs, marks.
    pub tally: Tally,
    /// How often each invariant was checked.
    pub checked: Vec<(&'static str, u64)>,
    /// From the loss of a leader to the next confirmed write, in nanoseconds.
    pub failovers: Vec<u64>,
    /// Whether the history was too hard to decide within the budget.
    pub is_undecided: bool,
    /// Whether it ended early, because a disk lost more than any promise covers.
    pub is_beyond: bool,
    /// What went wrong, if something did.
    pub failure: Option<Failure>,
}

/// A broken promise, and how it came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The id of the invariant, as `E1`; `panic` if the node's code panicked.
    pub invariant: String,
    /// What was seen.
    pub message: String,
    /// When, in nanoseconds of the run.
    pub nanos: u64,
    /// The plan, to be kept in a file and run again.
    pub plan: Plan<KvOperation>,
    /// The last lines of the trace.
    pub tail: Vec<String>,
}

/// How many lines of a trace are kept of a failure.
const TAIL: usize = 200;

/// Runs the plan of `seed`.
#[must_use]
pub fn run_seed(seed: u64, profile: &Profile) -> Outcome {
    run_plan(&profile.plan(seed), profile)
}

/// Runs `plan`. A panic of the node's code is a failure like any other. A failing run is repeated
/// to write its trace.
#[must_use]
pub fn run_plan(plan: &Plan<KvOperation>, profile: &Profile) -> Outcome {
    let mut outcome = run_once(plan, profile, 0);
    if outcome.failure.is_some() {
        outcome = run_once(plan, profile, TAIL);
    }
    outcome
}

/// Runs `plan` and keeps all its records.
#[must_use]
pub fn trace_plan(plan: &Plan<KvOperation>, profile: &Profile) -> (Outcome, Vec<TraceEvent>) {
    let (mut report, cluster) = run_world(plan, profile, usize::MAX);
    let trace = std::mem::take(&mut report.trace);
    (summarise(plan, report, &cluster), trace)
}

fn run_once(plan: &Plan<KvOperation>, profile: &Profile, tail: usize) -> Outcome {
    let (report, cluster) = run_world(plan, profile, tail);
    summarise(plan, report, &cluster)
}

/// Runs `plan` and keeps the last `tail` records of its trace. A panic of the node's code is a
/// violation like any other.
pub(super) fn run_world(
    plan: &Plan<KvOperation>,
    profile: &Profile,
    tail: usize,
) -> (Report, Cluster) {
    let sim = Sim::new(Cluster::new(plan), plan).with_event_limit(profile.events_max);
    if tail > 0 { sim.with_tail(tail).run_caught() } else { sim.run_caught() }
}

fn summarise(plan: &Plan<KvOperation>, report: Report, cluster: &Cluster) -> Outcome {
    let failure = report.violation.map(|Violation { invariant, message }| Failure {
        seed: plan.seed,
        invariant,
        message,
        nanos: report.nanos,
        plan: plan.clone(),
        tail: report.trace.iter().map(ToString::to_string).collect(),
    });
    Outcome {
        seed: plan.seed,
        hash: report.hash,
        events: report.events,
        nanos: report.nanos,
        tally: report.tally,
        checked: cluster.checks.counts().collect(),
        failovers: cluster.failovers.times.clone(),
        is_undecided: cluster.is_undecided,
        is_beyond: report.is_beyond,
        failure,
    }
}
