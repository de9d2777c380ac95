//! The engine with small programs in it.

#[cfg(feature = "crowd")]
mod crowd;
mod exhaust;
mod faults;
mod invariants;
mod machine;
mod minimiser;
mod page;
mod scenarios;
mod toys;
