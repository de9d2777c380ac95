//! The shipped node under every fault of a plan, with clients and invariants.
//!
//! Nothing of the node is replaced: [`quorate::NodeMachine`], the wire codec and the journal are
//! those of production. What surrounds them (network, disk, clock, clients) is the engine's.

mod checks;
mod clients;
mod finale;
mod operation;
mod profile;
mod program;
mod runner;
mod settings;
mod world;

pub use operation::{Act, KvOperation};
pub use profile::Profile;
pub use runner::{Failure, Outcome, Summary, run_plan, run_seed, run_seeds, trace_plan};
