//! The engine with small programs in it.

mod exhaust;
mod invariants;
mod minimiser;
mod scenarios;
mod toys;
