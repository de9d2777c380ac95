//! What a client asks of a node, and what it is told: ok, failed, or unknown.

use std::fmt;

use bytes::Bytes;
use quorate_core::{Change, ChangeRefused, Configuration, LogId, NodeId, Term};
use quorate_dist_state::{Command, Item, Rejection, Reply, Revision};
use quorate_replication::{ConsistencyLevel, Replica, WriteStatus};
use serde::{Deserialize, Serialize};

/// Names a request between a driver and its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Change the shared state.
    Write {
        /// How.
        command: Command,
        /// Who must hold it on disk before it is acknowledged.
        level: ConsistencyLevel,
    },
    /// Read the shared state.
    Read {
        /// What to read.
        query: Query,
        /// How fresh.
        level: ReadLevel,
    },
    /// Change the members. Acknowledged when the change is complete and committed.
    Change(Change),
    /// Let another voter lead.
    HandOver {
        /// Which; `None` for the one that is best.
        to: Option<NodeId>,
    },
    /// Wait until the write at `log_id` has reached `level`, or never will.
    AwaitLevel {
        /// Its entry.
        log_id: LogId,
        /// Who must hold it.
        level: ConsistencyLevel,
    },
    /// What became of the write at `log_id`.
    WriteStatus {
        /// Its entry.
        log_id: LogId,
    },
    /// How far each replica is.
    Replicas,
}

impl Request {
    /// Whether it can change the state, so that its outcome can be unknown.
    #[must_use]
    pub const fn mutates(&self) -> bool {
        matches!(self, Self::Write { .. } | Self::Change(_) | Self::HandOver { .. })
    }

    /// Whether it may take as long as the slowest voter does.
    pub(crate) const fn waits_for_copies(&self) -> bool {
        matches!(
            self,
            Self::Write { level: ConsistencyLevel::Strong, .. } | Self::AwaitLevel { .. }
        )
    }
}

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// One key.
    Get {
        /// The key.
        key: Bytes,
    },
    /// Keys under a prefix, in order.
    Range {
        /// The prefix; empty for all.
        prefix: Bytes,
        /// Only keys behind this one.
        after: Option<Bytes>,
        /// At most so many.
        limit: u32,
    },
}

/// How fresh a read is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ReadLevel {
    /// It sees every write acknowledged before it began. One round trip to a majority.
    #[default]
    Linearizable,
    /// What the asked node has applied; may be old.
    Local,
    /// As `Linearizable`, but without a round trip while the leader holds a lease. Rests on clocks
    /// that drift apart by no more than the configured bound.
    Lease,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Committed and applied.
    Written {
        /// What the state machine answered.
        reply: Reply,
        /// The entry that holds the command.
        at: LogId,
        /// The level that was asked for; it may have reached a higher one.
        reached: ConsistencyLevel,
        /// The nodes known to hold it on disk.
        acked: Vec<NodeId>,
    },
    /// Read.
    Found {
        /// What was found.
        found: Found,
        /// The revision of the state it was found in.
        revision: Revision,
    },
    /// Nothing happened, and nothing will.
    Failed(Failure),
    /// It may have happened, or may still.
    Unknown(Doubt),
    /// The members were changed.
    Changed {
        /// The entry with which the change was complete.
        at: LogId,
        /// The members from then on.
        configuration: Configuration,
    },
    /// The lead was handed over.
    HandedOver {
        /// Who leads.
        leader: NodeId,
        /// In which term.
        term: Term,
    },
    /// What became of a write.
    Status(WriteStatus),
    /// How far each replica is.
    Replicas {
        /// Who leads, and says so.
        leader: NodeId,
        /// Each of them, the leader included.
        replicas: Vec<Replica>,
    },
}

/// What a read found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Found {
    /// One key, if it is there.
    Item(Option<Item>),
    /// Keys under a prefix.
    Page {
        /// The keys with their items, in order.
        items: Vec<(Bytes, Item)>,
        /// Whether more follow.
        more: bool,
    },
}

/// Why a request had and will have no effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// No leader was known until the deadline.
    #[error("no leader is known: a majority of voters must reach one another")]
    NoLeader,
    /// The leader could not confirm its lead until the deadline; only reads fail so.
    #[error("no majority answered in time")]
    NoQuorum,
    /// The asked node does not lead (any more); ask again.
    #[error("this node does not lead")]
    NotLeading,
    /// Too much is under way.
    #[error("overloaded: too much is waiting for the log; try again later")]
    Overloaded,
    /// Beyond a limit or against a rule of the state machine.
    #[error("{0}")]
    Rejected(Rejection),
    /// The node is shutting down.
    #[error("the node is stopping")]
    Stopping,
    /// A read was lost on its way; it may be asked again.
    #[error("the connection to the leader was lost")]
    ForwardLost,
    /// The members cannot be changed so, or not now.
    #[error("{0}")]
    Change(ChangeRefused),
    /// Nobody can take over the lead.
    #[error("no other voter of a priority above 0 is in reach, or not the one that was named")]
    NoHeir,
    /// The lead is being handed over to another one than the one that was named.
    #[error("the lead is being handed over already; ask again in a moment")]
    HandingOver,
    /// The heir did not catch up within an election timeout; the leader leads on.
    #[error("the heir did not catch up in time, and the leader leads on")]
    NotHandedOver,
    /// Some that must hold the write at this level cannot be reached; nothing was written.
    #[error("{level}: {} cannot be reached; nothing was written", listed(missing))]
    Unavailable {
        /// The level that was asked for.
        level: ConsistencyLevel,
        /// Who cannot be reached.
        missing: Vec<NodeId>,
    },
    /// This version does not offer the level.
    #[error("{level}: not in this version; ask for `quorum` or `strong`")]
    LevelNotOffered {
        /// Which.
        level: ConsistencyLevel,
    },
}

/// Why the outcome of a write is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Doubt {
    /// The deadline passed after it was proposed.
    #[error("the deadline passed while the write was under way")]
    Deadline,
    /// The leader lost its lead after proposing it.
    #[error("the leader was deposed while the write was under way")]
    Deposed {
        /// The entry of the write: the next leader knows what becomes of it.
        at: Option<LogId>,
    },
    /// The connection to the leader broke after it was sent.
    #[error("the connection to the leader was lost while the write was under way")]
    ForwardLost,
    /// The node stopped after it was proposed.
    #[error("the node stopped while the write was under way")]
    Stopping,
    /// The session that would tell whether it ran is gone.
    #[error("the session that would tell is gone: {0}")]
    Session(Rejection),
    /// It is in the leader's log, and the deadline passed before it reached the level that was
    /// asked for. It is not taken back: wait on, or ask what became of it.
    #[error("{log_id} did not reach {wanted} in time; not known to hold it: {}", listed(missing))]
    Indeterminate {
        /// The entry of the write.
        log_id: LogId,
        /// The level that was asked for.
        wanted: ConsistencyLevel,
        /// The highest level it has reached; `None` below the lowest.
        reached: Option<ConsistencyLevel>,
        /// Who is known to hold it on disk.
        acked: Vec<NodeId>,
        /// The data voters that are not known to.
        missing: Vec<NodeId>,
    },
    /// The heir did not take over within an election timeout, but was told to and may do so yet.
    #[error("the heir did not take over in time, but was told to and may do so yet")]
    HeirTold,
}

/// Names, for a person.
fn listed(ids: &[NodeId]) -> String {
    let names: Vec<&str> = ids.iter().map(NodeId::as_str).collect();
    names.join(", ")
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}
