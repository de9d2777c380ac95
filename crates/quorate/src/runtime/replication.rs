//! The replication, as its users call it: what became of writes, and how safe they are.

use std::sync::Arc;
use std::time::Duration;

use quorate_core::LogId;
use quorate_replication::{ConsistencyLevel, WriteStatus};

use super::node::Inner;
use super::{ReadError, WriteError};
use crate::{Answer, Doubt, Failure, Request};

/// A handle on the replication; cheap to clone.
#[derive(Debug, Clone)]
pub struct Replication {
    inner: Arc<Inner>,
}

impl Replication {
    pub(super) const fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
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
            | Answer::HandedOver { .. } => Err(WriteError::Unknown(Doubt::Stopping)),
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
            | Answer::HandedOver { .. } => Err(ReadError::Failed(Failure::ForwardLost)),
        }
    }
}
