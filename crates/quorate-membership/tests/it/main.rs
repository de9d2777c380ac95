//! The tests of quorate-membership.
mod broadcasts;
mod hostile;
mod invariants;
mod lossy;
mod merge;
#[cfg(mutants)]
mod mutants;
#[cfg(feature = "srv")]
mod naming;
mod net;
mod newcomers;
#[cfg(feature = "tokio")]
mod running;
mod scenarios;
mod script;
