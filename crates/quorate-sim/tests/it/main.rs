//! The engine with small programs in it.

mod exhaust;
mod invariants;
mod machine;
mod minimiser;
mod page;
mod scenarios;
mod toys;
