//! The tests of quorate-storage.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod failing;
mod invariants;
mod model;
mod real_disk;
mod scenarios;
mod world;
