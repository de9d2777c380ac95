//! The shared state, as its users call it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use quorate_core::{LogId, NodeId};
use quorate_dist_state::{Command, Expected, Item, Op, Page, Reply, Revision, SessionId, Tag};
use quorate_replication::ConsistencyLevel;

use super::node::Inner;
use super::{ReadError, WriteError};
use crate::{Answer, Doubt, Failure, Found, Query, ReadLevel, Request};

/// The default deadline of a call.
const WAIT: Duration = Duration::from_secs(5);

/// A handle on the shared state; cheap to clone.
///
/// Any node takes any call and passes it on to the leader. Every call ends by its deadline.
#[derive(Debug, Clone)]
pub struct State {
    pub(super) inner: Arc<Inner>,
    pub(super) wait: Duration,
    pub(super) level: ConsistencyLevel,
}

/// A write that reached the level it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The revision it made.
    pub mod_revision: Revision,
    /// How often the key was written since it was made, this time included.
    pub version: u64,
    /// The entry of the log that holds it.
    pub log_id: LogId,
    /// The level that was asked for.
    pub reached: ConsistencyLevel,
    /// The nodes known to hold it on disk when it was answered.
    pub acked: Vec<NodeId>,
}

/// A command that was run, and how safe that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// What the state machine answered.
    pub reply: Reply,
    /// The entry of the log that holds the command.
    pub log_id: LogId,
    /// The level that was asked for.
    pub reached: ConsistencyLevel,
    /// The nodes known to hold it on disk when it was answered.
    pub acked: Vec<NodeId>,
}

/// What a compare-and-swap found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swapped {
    /// Whether the key held what was expected, and was changed.
    pub swapped: bool,
    /// What the key holds now.
    pub current: Option<Item>,
}

impl State {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        let level = inner.config.replication.consistency;
        Self { inner, wait: WAIT, level }
    }

    /// The same handle with another deadline for its calls. Default 5 s.
    #[must_use]
    pub const fn within(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// The same handle with another level for its writes. Default `replication.consistency`, which
    /// is [`Quorum`](ConsistencyLevel::Quorum) unless it is set.
    ///
    /// A write that does not reach its level in time is `Unknown` as
    /// [`Indeterminate`](Doubt::Indeterminate): [`Replication`](crate::Replication) waits on.
    #[must_use]
    pub const fn at_level(mut self, level: ConsistencyLevel) -> Self {
        self.level = level;
        self
    }

    /// Sets `key` to `value`.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: `Failed` promises that nothing happened, `Unknown` does not.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not take the write back.
    pub async fn set(
        &self,
        key: impl Into<Bytes> + Send,
        value: impl Into<Bytes> + Send,
    ) -> Result<Written, WriteError> {
        let op = Op::Set { key: key.into(), value: value.into() };
        let Ran { reply, log_id, reached, acked } = self.write(Command { tag: None, op }).await?;
        match reply {
            Reply::Set { mod_revision, version } => {
                Ok(Written { mod_revision, version, log_id, reached, acked })
            }
            other => Err(unexpected(&other)),
        }
    }

    /// What `key` holds; sees every write acknowledged before the call.
    ///
    /// # Errors
    ///
    /// [`ReadError`], without any effect.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn get(&self, key: impl Into<Bytes> + Send) -> Result<Option<Item>, ReadError> {
        match self.read(Query::Get { key: key.into() }, ReadLevel::Linearizable).await? {
            Found::Item(item) => Ok(item),
            Found::Page { .. } => Ok(None),
        }
    }

    /// As [`get`](Self::get), without a round trip to a majority while the leader holds a lease. It
    /// rests on clocks that drift apart by no more than `election.drift`.
    ///
    /// # Errors
    ///
    /// [`ReadError`], without any effect.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn get_by_lease(
        &self,
        key: impl Into<Bytes> + Send,
    ) -> Result<Option<Item>, ReadError> {
        match self.read(Query::Get { key: key.into() }, ReadLevel::Lease).await? {
            Found::Item(item) => Ok(item),
            Found::Page { .. } => Ok(None),
        }
    }

    /// Up to `limit` keys that begin with `prefix` and lie behind `after`, in order.
    ///
    /// # Errors
    ///
    /// [`ReadError`], without any effect.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn range(
        &self,
        prefix: impl Into<Bytes> + Send,
        after: Option<Bytes>,
        limit: u32,
    ) -> Result<Page, ReadError> {
        let query = Query::Range { prefix: prefix.into(), after, limit };
        match self.read(query, ReadLevel::Linearizable).await? {
            Found::Page { items, more } => Ok(Page { items, more }),
            Found::Item(_) => Ok(Page { items: Vec::new(), more: false }),
        }
    }

    /// Deletes `key`; whether it was there.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    ///
    /// # Cancel safety
    ///
    /// As [`set`](Self::set).
    pub async fn delete(&self, key: impl Into<Bytes> + Send) -> Result<bool, WriteError> {
        let op = Op::Delete { key: key.into() };
        match self.write(Command { tag: None, op }).await?.reply {
            Reply::Deleted { deleted, .. } => Ok(deleted),
            other => Err(unexpected(&other)),
        }
    }

    /// Sets `key` to `new` if it holds `expected`; `None` means absent, on either side.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set). That the key held something else is no error.
    ///
    /// # Cancel safety
    ///
    /// As [`set`](Self::set).
    pub async fn compare_and_swap(
        &self,
        key: impl Into<Bytes> + Send,
        expected: Option<Bytes>,
        new: Option<Bytes>,
    ) -> Result<Swapped, WriteError> {
        let expected = expected.map_or(Expected::Absent, Expected::Value);
        let op = Op::CompareAndSwap { key: key.into(), expected, new };
        match self.write(Command { tag: None, op }).await?.reply {
            Reply::Swapped { swapped, current, .. } => Ok(Swapped { swapped, current }),
            other => Err(unexpected(&other)),
        }
    }

    /// Opens a session, whose writes take effect once however often they are retried. It lives
    /// for `ttl` after its last sign of life.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    ///
    /// # Cancel safety
    ///
    /// A session that was opened and not answered ends by its `ttl`.
    pub async fn session(&self, ttl: Duration) -> Result<Session, WriteError> {
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        let command = Command { tag: None, op: Op::OpenSession { ttl_ms } };
        match self.write(command).await?.reply {
            Reply::Session { session, .. } => {
                Ok(Session { state: self.clone(), id: session, next: AtomicU64::new(1) })
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Runs one command; the building block of the calls above.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    ///
    /// # Cancel safety
    ///
    /// As [`set`](Self::set).
    pub async fn write(&self, command: Command) -> Result<Ran, WriteError> {
        if !self.inner.config.state.enabled {
            return Err(WriteError::Disabled);
        }
        let request = Request::Write { command, level: self.level };
        match self.inner.request(request, self.wait).await {
            Answer::Written { reply, at: log_id, reached, acked } => {
                Ok(Ran { reply, log_id, reached, acked })
            }
            Answer::Failed(failure) => Err(WriteError::Failed(failure)),
            Answer::Unknown(doubt) => Err(WriteError::Unknown(doubt)),
            Answer::Found { .. }
            | Answer::Changed { .. }
            | Answer::HandedOver { .. }
            | Answer::Replicas { .. }
            | Answer::Status(_) => Err(WriteError::Unknown(Doubt::Stopping)),
        }
    }

    /// Runs one read at a level of your choice.
    ///
    /// # Errors
    ///
    /// [`ReadError`], without any effect.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn read(&self, query: Query, level: ReadLevel) -> Result<Found, ReadError> {
        if !self.inner.config.state.enabled {
            return Err(ReadError::Disabled);
        }
        match self.inner.request(Request::Read { query, level }, self.wait).await {
            Answer::Found { found, .. } => Ok(found),
            Answer::Failed(failure) => Err(ReadError::Failed(failure)),
            Answer::Written { .. }
            | Answer::Changed { .. }
            | Answer::HandedOver { .. }
            | Answer::Replicas { .. }
            | Answer::Status(_)
            | Answer::Unknown(_) => Err(ReadError::Failed(Failure::ForwardLost)),
        }
    }
}

/// A reply of another kind than the command's: the node and its store have parted.
fn unexpected(reply: &Reply) -> WriteError {
    tracing::error!(?reply, "a command was answered by another command's reply");
    WriteError::Unknown(Doubt::Stopping)
}

/// Writes that take effect once, however often they are retried.
#[derive(Debug)]
pub struct Session {
    state: State,
    id: SessionId,
    next: AtomicU64,
}

impl Session {
    /// The session's name, made by the cluster.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// A number for the next write; use it again to retry that write.
    pub fn next_seq(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Runs `op` as number `seq`. If that number already ran, nothing happens and the first
    /// answer comes back. Answers up to `acked` may be forgotten.
    ///
    /// # Errors
    ///
    /// As [`State::set`]; after `Unknown`, call again with the same `seq` and `op`.
    ///
    /// # Cancel safety
    ///
    /// Safe: call again with the same `seq` and `op`.
    pub async fn run(&self, seq: u64, acked: u64, op: Op) -> Result<Reply, WriteError> {
        let tag = Some(Tag { session: self.id, seq, acked });
        self.state.write(Command { tag, op }).await.map(|ran| ran.reply)
    }
}
