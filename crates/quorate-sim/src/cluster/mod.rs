//! The shipped node under every fault of a plan, with clients and invariants.
//!
//! Nothing of the node is replaced: [`quorate::NodeMachine`], the wire codec and the journal are
//! those of production. What surrounds them (network, disk, clock, clients) is the engine's.

mod addresses;
mod atlas;
mod checks;
mod clients;
mod drives;
mod errands;
mod failover;
mod finale;
mod hindsight;
mod marks;
mod meaning;
mod minimise;
mod mutants;
mod observe;
mod operation;
mod operator;
mod profile;
mod program;
mod replica;
mod replicas;
mod runner;
mod scenarios;
mod script;
mod seen;
mod settings;
mod small;
mod summary;
mod world;

pub use meaning::meaning;
pub use minimise::minimise;
pub use mutants::{MUTANTS, Mutant};
pub use operation::{Act, KvOperation};
pub use profile::Profile;
pub use replica::{Replica, ReplicaInput, ReplicaMessage, ReplicaOutput};
pub use replicas::replicas;
pub use runner::{Failure, Outcome, run_plan, run_seed, trace_plan};
pub use scenarios::{Scenario, scenarios};
pub use small::{Bounds, ExhaustReport, Pace, Post, Scope, exhaust};
pub use summary::{Summary, run_parallel, run_seeds};
