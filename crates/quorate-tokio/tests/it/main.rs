//! Real sockets on loopback, real threads, and no sleep that anything waits on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod claims;
mod driving;
mod hostile;
mod naming;
mod net;
mod packets;
mod storing;
mod transport;
