//! The tests of quorate-membership.
mod hostile;
mod invariants;
mod merge;
#[cfg(mutants)]
mod mutants;
mod net;
#[cfg(feature = "tokio")]
mod running;
mod scenarios;
mod script;
