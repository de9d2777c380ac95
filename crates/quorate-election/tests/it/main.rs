//! The tests of quorate-election.
mod cluster;
mod invariants;
#[cfg(mutants)]
mod mutants;
mod paper;
mod scenarios;
mod script;
