//! From a world to a small failing run of it, in one call.

use std::fmt;

use crate::{
    FaultKind, Minimised, Minimiser, Plan, Report, Sim, Tally, Timeline, TraceEvent, World,
};

/// What came of many runs. Its text is for a person to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunt<O> {
    /// How many runs there were.
    pub runs: u64,
    /// How many events, together.
    pub events: u64,
    /// How long they were together, in nanoseconds of the runs.
    pub nanos: u128,
    /// What was counted.
    pub tally: Tally,
    /// The first that broke a promise.
    pub found: Option<Found<O>>,
}

/// A small run that breaks a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<O> {
    /// The plan that was found first, as large as it was drawn.
    pub whole: Plan<O>,
    /// What it was cut down to.
    pub small: Minimised<O>,
    /// All that happens in the small run.
    pub trace: Vec<TraceEvent>,
}

impl<O> Found<O> {
    /// The small run as a page to look at: see [`Timeline::to_html`].
    #[must_use]
    pub fn to_html(&self) -> String {
        Timeline::new(&self.small.plan, &self.trace).to_html()
    }
}

/// Runs `plans`, each in a world of its own, until one breaks a promise; cuts that one down, and
/// keeps what happens in it.
///
/// # Panics
///
/// If a run that broke a promise does not break it again: the world is no function of its plan.
///
/// # Example
///
/// A node counts in memory what its disk should hold; a crash shows it.
///
/// ```
/// use quorate_core::Instant;
/// use quorate_sim::*;
///
/// struct Forgetful(u64);
/// impl Program for Forgetful {
///     type Request = ();
///     type Answer = u64;
///     fn input(&mut self, _: Instant, input: Input<'_, ()>, out: &mut Effects<u64>) {
///         if let Input::Request { id, .. } = input {
///             self.0 += 1;
///             out.reply(id, self.0);
///         }
///     }
///     fn wake(&mut self, _: Instant, _: &mut Effects<u64>) {}
///     fn deadline(&self) -> Option<Instant> { None }
/// }
///
/// #[derive(Default)]
/// struct Counting { told: u64, broken: bool }
/// impl World for Counting {
///     type Program = Forgetful;
///     type Operation = (); // what a client does: here there is only one thing
///     fn boot(&mut self, _: Boot, _: &mut Effects<u64>) -> Result<Forgetful, BootRefused> {
///         Ok(Forgetful(0))
///     }
///     fn operation(&mut self, index: u32, (): &(), cx: &mut Context<()>) {
///         cx.ask(Seat(0), index.into(), ());
///     }
///     fn answered(&mut self, _: u64, answer: u64, _: &mut Context<()>) {
///         self.broken |= answer <= self.told;
///         self.told = answer;
///     }
///     fn finished(&mut self) -> Result<(), Violation> {
///         if self.broken { Err(Violation::new("C1", "a count was told twice")) } else { Ok(()) }
///     }
/// }
///
/// let plans = (0..50).map(|seed| {
///     let mut plan: Plan<()> = Swarm::default().plan(seed);
///     let at = (0..100).map(|n| n * 100_000_000);
///     plan.operations = at.map(|at| PlannedOperation { at, operation: () }).collect();
///     plan
/// });
/// let hunt = hunt(plans, |_| Counting::default());
/// let found = hunt.found.expect("some seed crashes the node");
/// let small = &found.small.plan;
/// assert_eq!((small.faults.len(), small.operations.len()), (1, 2));
/// assert!(found.to_html().contains("C1"));
/// ```
pub fn hunt<W>(
    plans: impl IntoIterator<Item = Plan<W::Operation>>,
    world: impl Fn(&Plan<W::Operation>) -> W,
) -> Hunt<W::Operation>
where
    W: World,
    W::Operation: Clone + PartialEq,
{
    let run = |plan: &Plan<W::Operation>| Sim::new(world(plan), plan).run_caught().0;
    let mut hunt = Hunt { runs: 0, events: 0, nanos: 0, tally: Tally::default(), found: None };
    for whole in plans {
        let report = run(&whole);
        hunt.add(&report);
        if report.violation.is_some() {
            let small = Minimiser::new(run).runs_max(RUNS_MAX).minimise(&whole);
            let small = small.expect("equal plans make equal runs: the world draws from elsewhere");
            let trace = Sim::new(world(&small.plan), &small.plan).with_trace().run_caught().0.trace;
            hunt.found = Some(Found { whole, small, trace });
            break;
        }
    }
    hunt
}

/// Runs of the minimiser: some seconds of a small world.
const RUNS_MAX: u64 = 5_000;

impl<O> Hunt<O> {
    fn add(&mut self, report: &Report) {
        self.runs += 1;
        self.events += report.events;
        self.nanos += u128::from(report.nanos);
        self.tally.add(&report.tally);
    }
}

/// How many of the last records a text shows.
const TAIL: usize = 20;

impl<O> fmt::Display for Hunt<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.nanos as f64 / 3.6e12;
        writeln!(f, "{} runs, {hours:.1} simulated hours, {} events", self.runs, self.events)?;
        write!(f, "faults:")?;
        for kind in FaultKind::played().filter(|kind| self.tally.faults.of(*kind) > 0) {
            write!(f, " {} {}", kind.id(), self.tally.faults.of(kind))?;
        }
        match &self.found {
            Some(found) => write!(f, "\n{found}"),
            None => write!(f, "\nno promise was broken"),
        }
    }
}

impl<O> fmt::Display for Found<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { whole, small, trace } = self;
        writeln!(f, "seed {} broke a promise: {}", whole.seed, small.violation)?;
        let part = &small.plan;
        write!(
            f,
            "cut down: nodes {} -> {}, faults {} -> {}, operations {} -> {}; its last records:",
            whole.nodes,
            part.nodes,
            whole.faults.len(),
            part.faults.len(),
            whole.operations.len(),
            part.operations.len()
        )?;
        let last = trace.len().saturating_sub(TAIL);
        trace[last..].iter().try_for_each(|event| write!(f, "\n{event}"))
    }
}
