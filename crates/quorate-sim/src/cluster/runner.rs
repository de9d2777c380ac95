//! Runs seeds, and adds up what they showed.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};

use super::Profile;
use super::checks::CHECKED;
use super::operation::{KINDS, KvOperation};
use super::world::Cluster;
use crate::{FaultKind, Plan, Report, Sim, Tally, Violation};

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
    /// Whether the history was too hard to decide within the budget.
    pub is_undecided: bool,
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

/// Runs `plan` and keeps the last `lines` lines of its trace.
#[must_use]
pub fn trace_plan(plan: &Plan<KvOperation>, profile: &Profile, lines: usize) -> Outcome {
    run_once(plan, profile, lines)
}

fn run_once(plan: &Plan<KvOperation>, profile: &Profile, tail: usize) -> Outcome {
    let run = || {
        let sim = Sim::new(Cluster::new(plan), plan).with_event_limit(profile.events_max);
        if tail > 0 { sim.with_tail(tail).run() } else { sim.run() }
    };
    match panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok((report, cluster)) => summarise(plan, report, &cluster),
        Err(payload) => panicked(plan, payload.as_ref()),
    }
}

fn summarise(plan: &Plan<KvOperation>, report: Report, cluster: &Cluster) -> Outcome {
    let failure = report.violation.map(|Violation { invariant, message }| Failure {
        seed: plan.seed,
        invariant,
        message,
        nanos: report.nanos,
        plan: plan.clone(),
        tail: report.tail,
    });
    Outcome {
        seed: plan.seed,
        hash: report.hash,
        events: report.events,
        nanos: report.nanos,
        tally: report.tally,
        checked: cluster.checks.counts().collect(),
        is_undecided: cluster.is_undecided,
        failure,
    }
}

fn panicked(plan: &Plan<KvOperation>, payload: &(dyn std::any::Any + Send)) -> Outcome {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let message = text.or_else(|| payload.downcast_ref::<&str>().copied());
    let failure = Failure {
        seed: plan.seed,
        invariant: "panic".to_owned(),
        message: message.unwrap_or("a panic without words").to_owned(),
        nanos: 0,
        plan: plan.clone(),
        tail: Vec::new(),
    };
    Outcome {
        seed: plan.seed,
        hash: 0,
        events: 0,
        nanos: 0,
        tally: Tally::default(),
        checked: Vec::new(),
        is_undecided: false,
        failure: Some(failure),
    }
}

/// The sum of many outcomes.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// How many runs.
    pub seeds: u64,
    /// How many events.
    pub events: u64,
    /// How long they were together, in nanoseconds of the runs.
    pub nanos: u128,
    /// Faults, pairs, marks.
    pub tally: Tally,
    /// How often each invariant was checked.
    pub checked: BTreeMap<&'static str, u64>,
    /// Histories that were too hard to decide.
    pub undecided: u64,
}

impl Summary {
    /// Adds an outcome.
    pub fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.events += outcome.events;
        self.nanos += u128::from(outcome.nanos);
        self.tally.add(&outcome.tally);
        for (invariant, count) in &outcome.checked {
            *self.checked.entry(invariant).or_default() += count;
        }
        self.undecided += u64::from(outcome.is_undecided);
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.events += other.events;
        self.nanos += other.nanos;
        self.tally.add(&other.tally);
        for (invariant, count) in &other.checked {
            *self.checked.entry(invariant).or_default() += count;
        }
        self.undecided += other.undecided;
    }

    /// Simulated hours.
    #[must_use]
    pub fn hours(&self) -> f64 {
        self.nanos as f64 / 3.6e12
    }

    /// How many of the pairs of a fault and an operation met, and of how many.
    #[must_use]
    pub fn pairs(&self) -> (usize, usize) {
        let met = self.tally.pairs.values().map(|bits| bits.count_ones() as usize).sum();
        (met, FaultKind::ALL.len() * (KINDS.len() + 1))
    }

    /// The invariants that are checked, in the order of reports.
    #[must_use]
    pub const fn invariants() -> &'static [&'static str] {
        &CHECKED
    }
}

/// Runs seeds one after the other until `next` gives none, and tells `done` of each. Stops at the
/// first failure if `done` says so, by `false`.
///
/// One call takes one thread: give each of several threads a `next` that takes from one counter.
pub fn run_seeds(
    profile: &Profile,
    mut next: impl FnMut() -> Option<u64>,
    mut done: impl FnMut(&Outcome) -> bool,
) -> Summary {
    let mut summary = Summary::default();
    while let Some(seed) = next() {
        let outcome = run_seed(seed, profile);
        summary.add(&outcome);
        if !done(&outcome) {
            break;
        }
    }
    summary
}
