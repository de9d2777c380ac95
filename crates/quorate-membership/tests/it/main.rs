//! The tests of quorate-membership.
mod hostile;
mod invariants;
mod merge;
#[cfg(mutants)]
mod mutants;
#[cfg(feature = "srv")]
mod naming;
mod net;
#[cfg(feature = "tokio")]
mod running;
mod scenarios;
mod script;
