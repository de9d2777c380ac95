//! Seed after seed, until a promise breaks.

use std::fmt;

use crate::{
    Minimised, Minimiser, Plan, Report, Sim, Tally, Timeline, TraceEvent, Violation, World,
};

/// What came of many runs.
#[derive(Debug, Clone)]
pub struct Hunt<O> {
    /// How many runs there were.
    pub runs: u64,
    /// How many events, together.
    pub events: u64,
    /// How long they were together, in nanoseconds of the runs.
    pub nanos: u128,
    /// What was counted.
    pub tally: Tally,
    /// The first broken promise.
    pub caught: Option<Caught<O>>,
}

/// A broken promise, cut down to what it takes.
#[derive(Debug, Clone)]
pub struct Caught<O> {
    /// The plan of the seed, as it was drawn.
    pub plan: Plan<O>,
    /// The same, cut down.
    pub small: Minimised<O>,
    /// What happens in the small one.
    pub trace: Vec<TraceEvent>,
}

/// Runs of the minimiser: some seconds of a small world.
const RUNS_MAX: u64 = 3_000;

/// Runs the plan of seed after seed, each in a new world, up to the first violation (a panic of a
/// node's code is one), and cuts that one down.
///
/// # Panics
///
/// If a run that broke a promise does not break it again: the world is not a function of its plan.
pub fn hunt<W: World>(
    seeds: impl IntoIterator<Item = u64>,
    plan: impl Fn(u64) -> Plan<W::Operation>,
    world: impl Fn(&Plan<W::Operation>) -> W,
) -> Hunt<W::Operation>
where
    W::Operation: Clone + PartialEq,
{
    let run = |plan: &Plan<W::Operation>| Sim::new(world(plan), plan).run_caught().0;
    let mut hunt = Hunt { runs: 0, events: 0, nanos: 0, tally: Tally::default(), caught: None };
    for seed in seeds {
        let plan = plan(seed);
        let report = run(&plan);
        hunt.add(&report);
        if report.violation.is_some() {
            let small = Minimiser::new(run).runs_max(RUNS_MAX).minimise(&plan);
            let small = small.expect("equal plans make equal runs: the world draws from elsewhere");
            let traced = Sim::new(world(&small.plan), &small.plan).with_trace().run_caught().0;
            hunt.caught = Some(Caught { plan, small, trace: traced.trace });
            break;
        }
    }
    hunt
}

impl<O> Hunt<O> {
    fn add(&mut self, report: &Report) {
        self.runs += 1;
        self.events += report.events;
        self.nanos += u128::from(report.nanos);
        self.tally.add(&report.tally);
    }
}

impl<O> Caught<O> {
    /// How the promise is broken.
    #[must_use]
    pub const fn violation(&self) -> &Violation {
        &self.small.violation
    }

    /// The small run as a page.
    #[must_use]
    pub fn timeline(&self) -> String {
        Timeline::new(&self.small.plan, &self.trace).to_html()
    }
}

/// How many of the last records a text shows.
const TAIL: usize = 20;

impl<O> fmt::Display for Hunt<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.nanos as f64 / 3.6e12;
        writeln!(f, "{} runs, {hours:.1} simulated hours, {} events", self.runs, self.events)?;
        write!(f, "faults:")?;
        for kind in crate::FaultKind::played().filter(|kind| self.tally.faults.of(*kind) > 0) {
            write!(f, " {} {}", kind.id(), self.tally.faults.of(kind))?;
        }
        let Some(caught) = &self.caught else { return write!(f, "\nno promise was broken") };
        let Caught { plan, small, trace } = caught;
        writeln!(f, "\nseed {} broke a promise: {}", plan.seed, small.violation)?;
        let sizes = |plan: &Plan<O>| (plan.nodes, plan.faults.len(), plan.operations.len());
        let ((nodes, faults, asks), (n, f_, a)) = (sizes(plan), sizes(&small.plan));
        writeln!(
            f,
            "cut down from {nodes} nodes, {faults} faults, {asks} operations to {n}, {f_}, {a}:"
        )?;
        let last = trace.len().saturating_sub(TAIL);
        trace[last..].iter().try_for_each(|event| writeln!(f, "{event}"))
    }
}
