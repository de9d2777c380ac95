//! The engine with small programs in it.

mod invariants;
mod minimiser;
mod scenarios;
mod toys;
