//! From a world to a small failing run of it, in one call.

use crate::{Minimised, Minimiser, Plan, Report, Sim, Timeline, TraceEvent, World};

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
/// keeps what happens in it. `None` if all keep their promises.
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
/// let found = hunt(plans, |_| Counting::default()).expect("some seed crashes the node");
/// let small = &found.small.plan;
/// assert_eq!((small.faults.len(), small.operations.len()), (1, 2));
/// assert!(found.to_html().contains("C1"));
/// ```
pub fn hunt<W>(
    plans: impl IntoIterator<Item = Plan<W::Operation>>,
    world: impl Fn(&Plan<W::Operation>) -> W,
) -> Option<Found<W::Operation>>
where
    W: World,
    W::Operation: Clone + PartialEq,
{
    let run = |plan: &Plan<W::Operation>| -> Report { Sim::new(world(plan), plan).run_caught().0 };
    let whole = plans.into_iter().find(|plan| run(plan).violation.is_some())?;
    let small = Minimiser::new(run).minimise(&whole)?;
    let trace = Sim::new(world(&small.plan), &small.plan).with_trace().run_caught().0.trace;
    Some(Found { whole, small, trace })
}
