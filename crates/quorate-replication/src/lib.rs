//! Keeps one log on several nodes, so that what a quorum has on disk survives the loss of the rest.
//!
//! The leader appends commands, writes them to its own disk and sends them to its followers at the
//! same time, many at once and without waiting for answers. An entry is committed when a quorum
//! has it on disk; every node applies committed entries in the order of the log. Who leads is
//! decided elsewhere: a [`Mandate`](quorate_core::Mandate) is the right to lead one term, and it
//! is void as soon as the node's [`TermGate`](quorate_core::TermGate) passes that term.
//!
//! # Example
//!
//! ```
//! use quorate_core::{Configuration, Instant, NodeId, Outbox, Recovered};
//! use quorate_replication::{Config, Output, Replicator};
//!
//! let me = NodeId::new("a").unwrap();
//! let empty = Recovered::default();
//! let mut log = Replicator::new(me.clone(), Config::default(), &empty, Instant::ZERO);
//! let mut out = Outbox::new();
//! log.found(Instant::ZERO, Configuration::of_voters([me]), &mut out);
//! assert!(matches!(out.as_slice(), [Output::Persist(_), Output::Committed(_)]));
//! ```
//!
//! # Invariants
//!
//! - **R1** If two logs hold an entry of one index and term, they are equal up to there.
//! - **R2** A leader's log holds every entry that was committed before it led.
//! - **R3** No two nodes ever commit different entries at one index.
//! - **R4** An acknowledged write survives crashes, partitions and the loss of unsynced data.
//! - **R5** The commit mark never falls, and nothing at or below a known commit is truncated; a
//!   restart comes back at or above its last durable mark.
//! - **R6** Every node commits each entry once and in order; an installed snapshot stands for all
//!   entries up to its last.
//! - **R10** The lag that is reported is the lag there is: no position is ahead of its replica's, and
//!   soon after the last write each equals it.
//! - **X8** What is called [`Strong`](ConsistencyLevel::Strong) is on the disk of every data voter of
//!   the configuration in force where it stands, less those that a committed change removed since.
//! - **X9** What is said of a write is what became of it: index and term, and nothing that could
//!   still turn out otherwise is called committed or overwritten.
//! - **S8** A configuration counts from its append; every change of the voters passes a joint one,
//!   one at a time, and only behind the leader's first commit of its term; any leader leaves a
//!   joint one, and a leader without a vote steps down once the new one is committed.
//! - **E2** At most one leader may answer reads by its lease at any moment, and none once a later one
//!   has committed, as long as clocks drift apart by no more than the bound.
//!
//! # Not here
//!
//! Elections (`quorate-election`), files (`quorate-storage`), sockets (`quorate-tokio`), and the
//! state machine. Heartbeats: an idle leader is silent here.
//!
//! # Sources
//!
//! Ongaro and Ousterhout 2014, sections 5.3, 5.4 and 7 (log, commit, compaction); Ongaro 2014,
//! sections 3.10 (handing over), 4.3 (joint consensus), 6.4 (read index) and 10.2 (writing to the
//! leader's disk in parallel). The table of
//! terms that finds the divergence in one round trip follows the leader epochs of Kafka (KIP-101,
//! KIP-279). `LeaseGuard` (arXiv 2512.15659).

mod change;
mod config;
mod follower;
mod handover;
mod io;
mod lag;
mod leader;
mod lease;
mod level;
mod log;
mod message;
mod peer;
mod reads;
mod replicator;

pub use config::{Config, ConfigError};
pub use io::{Distrust, Input, Output, ProposalId, ProposeRefused, ReadId};
pub use lag::{Lag, Position, Replica};
pub use level::{ConsistencyLevel, Holder, WriteState, WriteStatus};
pub use log::Log;
pub use message::{EpochTable, Message, SnapshotHead};
pub use peer::{PeerState, Progress};
pub use replicator::Replicator;
