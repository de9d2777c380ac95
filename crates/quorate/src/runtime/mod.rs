//! A running node: the machine with sockets, the storage thread and a clock around it.

mod error;
mod keyring;
mod memory;
mod node;
mod perform;
mod replication;
mod start;
mod state;

pub use error::{HandOverError, ReadError, StartError, StopReason, WriteError};
pub use keyring::{KeyStatus, Keyring, KeyringError};
pub use node::{Cluster, ClusterInfo, HandedOver, LeaderNode, Node};
pub use replication::{NodeLag, Replication, ReplicationMode, ReplicationStatus};
pub use start::NodeBuilder;
pub use state::{Ran, Session, State, Swapped, Written};
