//! The shipped node under every fault of a plan, with clients and invariants.
//!
//! Nothing of the node is replaced: [`quorate::NodeMachine`], the wire codec and the journal are
//! those of production. What surrounds them (network, disk, clock, clients) is the engine's.

mod checks;
mod clients;
mod finale;
mod mutants;
mod operation;
mod profile;
mod program;
mod runner;
mod settings;
mod small;
mod summary;
mod world;

pub use mutants::{MUTANTS, Mutant};
pub use operation::{Act, KvOperation};
pub use profile::Profile;
pub use runner::{Failure, Outcome, run_plan, run_seed, trace_plan};
pub use small::{Bounds, ExhaustReport, Pace, Post, Scope, exhaust};
pub use summary::{Summary, run_parallel, run_seeds};
