//! The tests of quorate-membership.
mod invariants;
mod net;
