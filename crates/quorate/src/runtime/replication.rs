//! The replication, as its users call it: what became of writes, and how safe they are.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::{LogId, NodeId};
use quorate_replication::{ConsistencyLevel, Replica, WriteStatus};

use super::node::Inner;
use super::{ReadError, WriteError};
use crate::{Answer, Doubt, Failure, Request};

/// A handle on the replication; cheap to clone.
#[derive(Debug, Clone)]
pub struct Replication {
    inner: Arc<Inner>,
}

/// How data is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplicationMode {
    /// One leader takes all writes, and the others follow its log.
    MasterSlave,
}

impl fmt::Display for ReplicationMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::MasterSlave => "master_slave",
        })
    }
}

/// How the copies fare, by the word of the leader.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicationStatus {
    /// How data is copied.
    pub mode: ReplicationMode,
    /// The level of writes that say nothing else, at the node that was asked.
    pub consistency: ConsistencyLevel,
    /// Who leads.
    pub master_node: NodeId,
    /// Each replica, the leader included.
    pub nodes: BTreeMap<NodeId, NodeLag>,
}

/// How far a replica is behind.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeLag {
    /// How old the oldest entry is that the leader has applied and this one has not, in seconds; 0
    /// if there is none.
    pub lag_seconds: f64,
    /// At each of four positions: sent, received, durable and applied.
    pub replica: Replica,
}

impl Replication {
    pub(super) const fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// How far each replica is, by the word of whoever leads.
    ///
    /// # Errors
    ///
    /// [`ReadError`], if no leader answered within `wait`.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn status(&self, wait: Duration) -> Result<ReplicationStatus, ReadError> {
        match self.inner.request(Request::Replicas, wait).await {
            Answer::Replicas { leader, replicas } => {
                let nodes = replicas.into_iter().map(|replica| {
                    let lag_seconds = replica.applied.lag.age.as_secs_f64();
                    (replica.id.clone(), NodeLag { lag_seconds, replica })
                });
                Ok(ReplicationStatus {
                    mode: ReplicationMode::MasterSlave,
                    consistency: self.inner.config.replication.consistency,
                    master_node: leader,
                    nodes: nodes.collect(),
                })
            }
            Answer::Failed(failure) => Err(ReadError::Failed(failure)),
            Answer::Unknown(_)
            | Answer::Written { .. }
            | Answer::Found { .. }
            | Answer::Changed { .. }
            | Answer::HandedOver { .. }
            | Answer::Status(_) => Err(ReadError::Failed(Failure::ForwardLost)),
        }
    }

    /// Waits until the write at `log_id` has reached `level`, for at most `wait`. Also over at once
    /// if it never will: look at [`WriteStatus::state`]. Whoever leads answers, after a failover too.
    ///
    /// # Errors
    ///
    /// [`Indeterminate`](Doubt::Indeterminate) if it is not there in time: wait on. `Failed` speaks
    /// of this wait alone, and says nothing of the write.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn await_level(
        &self,
        log_id: LogId,
        level: ConsistencyLevel,
        wait: Duration,
    ) -> Result<WriteStatus, WriteError> {
        match self.inner.request(Request::AwaitLevel { log_id, level }, wait).await {
            Answer::Status(status) => Ok(status),
            Answer::Failed(failure) => Err(WriteError::Failed(failure)),
            Answer::Unknown(doubt) => Err(WriteError::Unknown(doubt)),
            Answer::Written { .. }
            | Answer::Found { .. }
            | Answer::Changed { .. }
            | Answer::HandedOver { .. }
            | Answer::Replicas { .. } => Err(WriteError::Unknown(Doubt::Stopping)),
        }
    }

    /// What became of the write at `log_id`, by the word of whoever leads. The term counts: a write
    /// of another term at the same index is another write.
    ///
    /// # Errors
    ///
    /// [`ReadError`], if no leader answered within `wait`.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn write_status(
        &self,
        log_id: LogId,
        wait: Duration,
    ) -> Result<WriteStatus, ReadError> {
        match self.inner.request(Request::WriteStatus { log_id }, wait).await {
            Answer::Status(status) => Ok(status),
            Answer::Failed(failure) => Err(ReadError::Failed(failure)),
            Answer::Unknown(_)
            | Answer::Written { .. }
            | Answer::Found { .. }
            | Answer::Changed { .. }
            | Answer::HandedOver { .. }
            | Answer::Replicas { .. } => Err(ReadError::Failed(Failure::ForwardLost)),
        }
    }
}
