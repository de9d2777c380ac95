//! The checker as its users see it.

mod brute;
mod generate;
mod invariants;
mod ndjson;
mod paper;
mod performance;
mod scenarios;
