//! Tests of the replicated log.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;
mod desk;
mod invariants;
mod lag;
mod lease;
mod levels;
mod limits;
mod members;
#[cfg(mutants)]
mod mutants;
mod node;
mod paper;
mod scenarios;
