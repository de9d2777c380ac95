//! The tests of quorate-membership.
mod hostile;
mod invariants;
mod merge;
#[cfg(mutants)]
mod mutants;
mod net;
mod scenarios;
mod script;
