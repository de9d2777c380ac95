//! The harness of the end-to-end tests: clusters of real `quorated` processes on loopback, a client
//! that tells ok from failed from unknown, a load whose history is checked, and a network that loses,
//! delays and cuts.
//!
//! Nothing here sleeps to wait for something: every wait asks for its condition until a generous
//! deadline, so that a slow machine costs time and never a verdict.

mod client;
mod clock;
mod cluster;
mod load;
mod network;
mod ports;
mod process;
mod skip;
mod small_disk;
mod wire;

pub use client::{Client, Item, Outcome};
pub use clock::{now, wait_until, watch};
pub use cluster::{Cluster, ClusterOptions};
pub use load::{Load, LoadReport};
pub use network::{Network, Traffic, Weather};
pub use ports::{free_port, spawn};
pub use process::{Daemon, binary, run_to_end};
pub use skip::{SKIPPED, skip};
pub use small_disk::SmallDisk;
pub use wire::{Reply, Wire};
