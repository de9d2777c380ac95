//! Runs whole clusters on a simulated network, disk and clock, from one seed, on one thread.
//!
//! A run is a heap of events and a clock that leaps from one to the next. Nodes are [`Program`]s:
//! they are given messages as bytes, time as a number, and a disk that forgets what was not synced.
//! What goes wrong stands in a [`Plan`], which is data: drawn from a seed by [`Swarm`], kept in a
//! file, cut down to what matters, run again. A [`World`] says what runs and what must hold; it is
//! asked after every event. A world that is small enough is looked at in [every state](exhaust).
//!
//! [`machine`] makes a world of any `Machine` in a few lines; [`hunt()`] runs plans until a promise
//! breaks. Then [`Minimiser`] cuts the plan down to what breaks it, [`Sim::with_trace`] keeps what
//! happened, and [`Timeline`] makes a page of it for a person to look at.
//!
//! # Example
//!
//! ```
//! use quorate_core::Instant;
//! use quorate_sim::{Boot, BootRefused, Effects, Input, Plan, Program, Sim, Swarm, World};
//!
//! struct Idle;
//! impl Program for Idle {
//!     type Request = ();
//!     type Answer = ();
//!     fn input(&mut self, _: Instant, _: Input<'_, ()>, _: &mut Effects<()>) {}
//!     fn wake(&mut self, _: Instant, _: &mut Effects<()>) {}
//!     fn deadline(&self) -> Option<Instant> { None }
//! }
//! struct Nothing;
//! impl World for Nothing {
//!     type Program = Idle;
//!     type Operation = ();
//!     fn boot(&mut self, _: Boot, _: &mut Effects<()>) -> Result<Idle, BootRefused> { Ok(Idle) }
//! }
//! let plan: Plan<()> = Swarm::default().plan(7);
//! let run = || Sim::new(Nothing, &plan).run().0;
//! assert_eq!(run().hash, run().hash);
//! ```
//!
//! # Invariants
//!
//! - **Y1** Equal plans make equal runs, event for event, in every build and process.
//! - **Y2** A plan read back from its text makes the run of the plan that was written.
//! - **Y3** What was not synced may be lost in a crash; what was synced is not.
//! - **Y4** Nothing crosses a partition while it lasts.
//! - **Y5** A node's clock never goes back, and a wake comes when that clock says so, not before.
//! - **Y6** A trace changes nothing in the run that it tells of.
//! - **Y7** A minimised plan breaks the promise that the plan it came from broke.
//!
//! # Not here
//!
//! Protocols: the engine knows none. Feature `cluster` runs the node of `quorate` in it, and your
//! state machine (`cluster::replicas`).
//!
//! # Sources
//!
//! Zhou et al. 2021 (`FoundationDB`, simulation); Groce et al. 2012 (swarm testing);
//! Zeller and Hildebrandt 2002 (delta debugging).

mod agenda;
mod clock;
#[cfg(feature = "cluster")]
pub mod cluster;
mod context;
#[cfg(feature = "crowd")]
pub mod crowd;
mod effects;
pub mod exhaust;
mod fault;
mod hunt;
pub mod machine;
mod minimise;
mod network;
mod plan;
mod recorder;
mod report;
mod seat;
mod sim;
mod slots;
mod swarm;
mod timeline;
mod trace;
mod trace_event;
mod words;
mod world;

pub use context::{Context, Tally};
pub use effects::{Copies, Effects};
pub use fault::{FaultCounts, FaultKind, FaultSet};
pub use hunt::{Found, Hunt, hunt};
pub use minimise::{Goal, Minimised, Minimiser};
pub use plan::{
    CutPoint, DiskLoss, Fault, Harm, Latency, MemberAct, Plan, PlanError, PlannedFault,
    PlannedOperation, Shape, Target, Way,
};
pub use report::Report;
pub use seat::{InvalidSeat, Seat, SeatSet};
pub use sim::Sim;
pub use swarm::Swarm;
pub use timeline::Timeline;
pub use trace_event::{
    Carrier, DiskWork, Ending, Label, MessageFate, Observation, TraceEvent, TraceKind, to_ndjson,
};
pub use world::{Answer, Boot, BootRefused, Halt, Input, Program, Request, Violation, World};
