//! The tests of quorate-wire.
mod golden;
mod hostile;
mod invariants;
mod samples;
mod scenarios;
