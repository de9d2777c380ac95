//! The engine with small programs in it.

mod invariants;
mod scenarios;
mod toys;
