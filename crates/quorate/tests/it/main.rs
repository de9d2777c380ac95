//! The tests of the facade: the composed machine, driven by hand.
mod birth;
mod desk;
mod golden;
mod invariants;
mod levels;
#[cfg(feature = "tokio")]
mod running;
mod scenarios;
mod slow;
