//! The engine with small programs in it.

mod exhaust;
mod invariants;
mod scenarios;
mod toys;
