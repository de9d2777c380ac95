//! From a plan that breaks a promise to a small one that breaks the same.

mod arguments;
mod sample;
mod search;
mod subsets;
mod times;

use std::fmt;

use quorate_core::Rng;

use crate::{Plan, Report, Violation};
use search::Search;

/// Cuts a failing plan down: whatever is not needed to break the same promise goes, and what stays
/// becomes simpler.
///
/// Whatever is taken from a plan changes all that happens afterwards, so a smaller plan may need
/// other dice to fail: it is asked with several ([`Plan::dice`]). Equal plans and budgets give
/// equal results; a budget of time makes them depend on the machine, one of runs does not.
///
/// # Example
///
/// A bug that shows itself after any fault, in any run:
///
/// ```
/// use quorate_sim::{Minimiser, Plan, Report, Swarm, Violation};
///
/// let plan: Plan<()> = Swarm::default().plan(7);
/// let run = |plan: &Plan<()>| Report {
///     violation: (!plan.faults.is_empty()).then(|| Violation::new("X", "a fault struck")),
///     nanos: plan.faults.first().map_or(plan.calm_at, |fault| fault.at),
///     ..Report::default()
/// };
/// let small = Minimiser::new(run).runs_max(200).minimise(&plan).expect("it fails");
/// assert_eq!(small.plan.faults.len(), 1);
/// ```
pub struct Minimiser<'a, O> {
    run: Run<'a, O>,
    simpler: Simpler<'a, O>,
    goes_on: GoesOn<'a>,
    runs_max: u64,
    goal: Goal,
}

/// What becomes of a plan.
type Run<'a, O> = Box<dyn FnMut(&Plan<O>) -> Report + 'a>;
/// How an operation can be simpler.
type Simpler<'a, O> = Box<dyn Fn(&O) -> Vec<O> + 'a>;
/// Whether there is time for another run.
type GoesOn<'a> = Box<dyn FnMut() -> bool + 'a>;

/// What is small enough: until then, more and more dice are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goal {
    /// The most faults.
    pub faults: usize,
    /// The most operations of clients.
    pub operations: usize,
}

/// A small plan that breaks a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minimised<O> {
    /// The plan.
    pub plan: Plan<O>,
    /// How the promise is broken.
    pub violation: Violation,
    /// When, in nanoseconds of the run.
    pub nanos: u64,
    /// How many runs it took to find it.
    pub runs: u64,
    /// Whether the budget ended the search, rather than that nothing more could go.
    pub is_unfinished: bool,
}

impl<O> fmt::Debug for Minimiser<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minimiser").field("runs_max", &self.runs_max).finish_non_exhaustive()
    }
}

impl<'a, O: Clone + PartialEq> Minimiser<'a, O> {
    /// Asks `run` what becomes of a plan: see [`crate::Sim::run_caught`].
    pub fn new(run: impl FnMut(&Plan<O>) -> Report + 'a) -> Self {
        Self {
            run: Box::new(run),
            simpler: Box::new(|_| Vec::new()),
            goes_on: Box::new(|| true),
            runs_max: 100_000,
            goal: Goal { faults: 5, operations: 10 },
        }
    }

    /// How an operation can be simpler. By default they stay as they are, or go.
    #[must_use]
    pub fn simpler(mut self, simpler: impl Fn(&O) -> Vec<O> + 'a) -> Self {
        self.simpler = Box::new(simpler);
        self
    }

    /// Is asked before every run; its `false` ends the search. By default it goes on.
    #[must_use]
    pub fn goes_on(mut self, goes_on: impl FnMut() -> bool + 'a) -> Self {
        self.goes_on = Box::new(goes_on);
        self
    }

    /// The most runs. Default 100,000.
    #[must_use]
    pub const fn runs_max(mut self, runs: u64) -> Self {
        self.runs_max = runs;
        self
    }

    /// What is small enough. Default: five faults and ten operations.
    #[must_use]
    pub const fn goal(mut self, goal: Goal) -> Self {
        self.goal = goal;
        self
    }

    /// The smallest plan found; `None` if `plan` breaks no promise.
    pub fn minimise(self, plan: &Plan<O>) -> Option<Minimised<O>> {
        let Self { run, simpler, goes_on, runs_max, goal } = self;
        let mut search = Search::new(run, goes_on, runs_max, plan)?;
        search.truncate();
        // Where everything takes equally long and nothing rare happens, what is taken away changes less of the rest.
        search.dice = DICE_ENOUGH;
        arguments::plainer(&mut search);
        subsets::leap(&mut search);
        let mut rng = Rng::stream(plan.seed, "minimise");
        // First with few dice, for what can go easily; then with more, for the rest.
        for dice in DICE {
            search.dice = dice;
            shrink(&mut search);
            sample::sample(&mut search, &mut rng, goal, SAMPLES * dice);
            search.dice = dice.min(DICE_ENOUGH);
            shrink(&mut search);
            if search.reaches(goal) && dice >= DICE_ENOUGH {
                break;
            }
        }
        search.dice = 1;
        arguments::faults(&mut search);
        arguments::operations(&mut search, &simpler);
        arguments::plainer(&mut search);
        search.dice = DICE_ENOUGH;
        subsets::faults(&mut search);
        subsets::operations(&mut search);
        times::end_soon(&mut search);
        Some(search.finish())
    }
}

/// Takes away what can go, until nothing can.
fn shrink<O: Clone + PartialEq>(search: &mut Search<'_, O>) {
    loop {
        let before = search.size();
        subsets::faults(search);
        subsets::operations(search);
        subsets::nodes(search);
        times::earlier(search);
        if search.size() == before || search.is_over() {
            break;
        }
    }
}

/// How many dice a candidate is tried with, round by round.
const DICE: [u32; 4] = [1, 4, 12, 36];
/// How many parts are drawn in vain, for each die of the round.
const SAMPLES: u32 = 300;
/// So many are enough once the goal is reached.
const DICE_ENOUGH: u32 = 4;
