//! The tests of quorate-core.
mod invariants;
