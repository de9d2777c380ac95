//! Measurements beside real peers.
fn main() {}
