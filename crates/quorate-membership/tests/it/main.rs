//! The tests of quorate-membership.
mod hostile;
mod invariants;
mod merge;
mod net;
