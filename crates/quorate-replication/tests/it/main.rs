//! Tests of the replicated log.

mod cluster;
mod invariants;
mod limits;
mod node;
mod paper;
mod scenarios;
#[cfg(mutants)]
mod mutants;
