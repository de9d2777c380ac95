//! High availability from inside your own process: one leader, and
//! shared state that survives the loss of any minority of its nodes.
//!
//! A [`Node`] composes quorate's protocols into one machine ([`NodeMachine`]) that the simulator
//! runs as it is; with feature `tokio` (default) it has sockets, a disk and a clock around it.
//!
//! # Example
//!
//! ```no_run
//! # #[cfg(feature = "tokio")]
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use quorate::{Config, Node};
//!
//! let config = Config::builder()
//!     .node_id("alpha")
//!     .data_dir("/var/lib/alpha")
//!     .seeds(["127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"])
//!     .bind("127.0.0.1:7001".parse()?)
//!     .enable_state()
//!     .build()?;
//! let node = Node::builder(config).start().await?;
//! let written = node.state().set("greeting", "hello").await?;
//! println!("held on disk by {:?}", written.acked);
//! # Ok(())
//! # }
//! ```
//!
//! # Invariants
//!
//! - **F1** Every request ends as ok, failed or unknown, by its deadline.
//! - **F2** A request that was answered `failed` has no effect, then or later.
//! - **F3** Nothing that rests on a record leaves the node before the record is durable.
//! - **F4** Each committed entry is applied once, in order.
//! - **S9** What is said from another disk than the one that the configuration in force names for a
//!   member counts as nobody's: no vote, no copy, no sign of life. Nobody stands from there.
//!
//! # Not here
//!
//! HTTP (`quorate-node`), and the protocols themselves.
//!
//! # Sources
//!
//! Ongaro 2014 for the composition of election and log; `docs/ARCHITECTURE.md` for how the parts
//! fit.

/// The README's example, compiled.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../../../README.md")]
pub struct Readme;

mod config;
mod machine;
#[cfg(feature = "tokio")]
mod runtime;

pub use config::{
    ApiConfig, ClusterConfig, Config, ConfigBuilder, ConfigError, ConfigOption, ElectionConfig,
    GossipTiming, NodeConfig, Origin, PlainGossip, ReplicationConfig, Secret, StateConfig,
    StorageConfig, Timing,
};
pub use machine::{
    Answer, AutopilotConfig, Doubt, Effect, Failure, Found, GossipStatus, HandOverReason,
    MemberChanges, NeighbourStatus, NodeError, NodeEvent, NodeInput, NodeMachine, NodeSetup,
    NodeState, NodeStatus, PeerMessage, Query, ReadLevel, Request, RequestId,
};
#[cfg(feature = "tokio")]
pub use quorate_storage::{FolderError, OpenError};
#[cfg(feature = "tokio")]
pub use quorate_tokio::{KeyError, KeyringError as RingError};
#[cfg(feature = "tokio")]
pub use runtime::{
    Cluster, ClusterInfo, HandOverError, HandedOver, KeyStatus, Keyring, KeyringError, LeaderNode,
    Node, NodeBuilder, NodeLag, Ran, ReadError, Replication, ReplicationMode, ReplicationStatus,
    Session, StartError, State, StopReason, Swapped, WriteError, Written,
};

pub use quorate_core::{
    Change, ChangeRefused, Configuration, DiskId, Kind, LogId, LogIndex, Member, NodeId, Term,
};
pub use quorate_dist_state::{Command, Expected, Item, Op, Reply, Revision, SessionId, Tag};
pub use quorate_membership::{Counters as GossipCounters, State as GossipState};
pub use quorate_replication::{
    ConsistencyLevel, Lag, PeerState, Position, Replica, WriteState, WriteStatus,
};
