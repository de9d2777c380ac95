//! The tests of quorate-dist-state.

mod invariants;
#[cfg(mutants)]
mod mutants;
mod scenarios;
mod script;
mod twin;
