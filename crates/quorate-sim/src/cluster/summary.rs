//! Runs many seeds, and adds up what they showed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::Profile;
use super::checks::CHECKED;
use super::marks::MARKS;
use super::operation::KINDS;
use super::runner::{Outcome, run_seed};
use super::world::Cluster;
use crate::{FaultKind, Tally, World as _};

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
    /// From the loss of each leader to the next confirmed write, in nanoseconds.
    pub failovers: Vec<u64>,
    /// Histories that were too hard to decide.
    pub undecided: u64,
    /// Runs that ended early, because a disk lost more than any promise covers.
    pub beyond: u64,
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
        self.failovers.extend(&outcome.failovers);
        self.undecided += u64::from(outcome.is_undecided);
        self.beyond += u64::from(outcome.is_beyond);
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
        self.failovers.extend(&other.failovers);
        self.undecided += other.undecided;
        self.beyond += other.beyond;
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
        (met, FaultKind::played().count() * (KINDS.len() + 1))
    }

    /// The pairs of a fault and an operation that did not meet.
    #[must_use]
    pub fn missing_pairs(&self) -> Vec<(FaultKind, &'static str)> {
        let met = |kind: &FaultKind| self.tally.pairs.get(kind).copied().unwrap_or_default();
        let missing = |kind: FaultKind| {
            let operations = Cluster::OPERATIONS.iter().enumerate();
            operations
                .filter(move |(place, _)| met(&kind) >> place & 1 == 0)
                .map(move |(_, name)| (kind, *name))
        };
        FaultKind::played().flat_map(missing).collect()
    }

    /// The rare situations that a campaign should reach.
    #[must_use]
    pub const fn marks() -> &'static [&'static str] {
        MARKS
    }

    /// The time within which so many per cent of all failovers were over, in nanoseconds; `None`
    /// if there was none.
    #[must_use]
    pub fn failover(&self, percent: usize) -> Option<u64> {
        let mut times = self.failovers.clone();
        let place = (times.len() * percent).div_ceil(100).max(1) - 1;
        (place < times.len()).then(|| *times.select_nth_unstable(place).1)
    }

    /// The invariants that are checked, in the order of reports.
    #[must_use]
    pub const fn invariants() -> &'static [&'static str] {
        &CHECKED
    }
}

/// Runs seeds one after the other until `next` gives none, and tells `done` of each; its `false`
/// ends it.
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

/// Runs seeds on `jobs` threads until `next` gives none, and tells `done` of each, on the thread
/// that ran it; its `false` ends all threads after what they are at.
///
/// `begin` is called once on every thread, before its first seed: seeded bugs are chosen per
/// thread.
pub fn run_parallel(
    profile: &Profile,
    jobs: usize,
    begin: impl Fn() + Sync,
    next: impl Fn() -> Option<u64> + Sync,
    done: impl Fn(&Outcome) -> bool + Sync,
) -> Summary {
    let is_over = AtomicBool::new(false);
    let work = || {
        begin();
        let next = || if is_over.load(Ordering::Relaxed) { None } else { next() };
        run_seeds(profile, next, |outcome| {
            let goes_on = done(outcome);
            is_over.fetch_or(!goes_on, Ordering::Relaxed);
            goes_on
        })
    };
    let mut summary = Summary::default();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            // A panic of the node is caught within; this one is of `begin`, `next` or `done`.
            match thread.join() {
                Ok(part) => summary.merge(&part),
                Err(payload) => std::panic::resume_unwind(payload),
            }
        }
    });
    summary
}
