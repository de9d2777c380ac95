//! The tests of quorate-election.
mod birth;
mod bootstrap;
mod cluster;
mod invariants;
#[cfg(mutants)]
mod mutants;
mod paper;
mod scenarios;
mod script;
