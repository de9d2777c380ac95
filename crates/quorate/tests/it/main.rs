//! The tests of the facade: the composed machine, driven by hand.
mod birth;
mod desk;
mod invariants;
#[cfg(feature = "tokio")]
mod running;
mod scenarios;
