//! The seams at which a part can be swapped for the user's own.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

use crate::{ClusterTime, Configuration, Instant, LogId, LogIndex, NodeId};

/// A future in a box, so that a trait with `async` calls can be an object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What an election must see of the log, borrowed in the step of a vote; never a cached copy.
pub trait LogView {
    /// The last entry, durable or not.
    fn tip(&self) -> LogId;

    /// The configuration in force: that of the newest entry that holds one, committed or not.
    fn configuration(&self) -> &Configuration;

    /// Entries up to here are known to be committed.
    fn commit(&self) -> LogIndex;

    /// Whether `id` may stand and lead: by the configuration in force, or by an earlier one that
    /// may still count because those after it are not known to be committed. A node that was
    /// removed may be the only one left whose log knows of it: until that is committed nobody
    /// else may be able to win (Ongaro 2014, section 4.2.2). As it stands here, for a log whose
    /// configuration never changes.
    fn may_lead(&self, id: &NodeId) -> bool {
        self.configuration().may_lead(id)
    }
}

/// Where and when an entry is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// The entry.
    pub id: LogId,
    /// The cluster's time at the entry.
    pub time: ClusterTime,
}

/// State that every replica computes alike from the same entries.
///
/// Nothing but its arguments may influence it: no clock, no randomness, no order of a hash map.
pub trait StateMachine: Send {
    /// Applies a committed command and answers its caller. A command that cannot be decoded must
    /// leave the state as it is, on every replica alike.
    fn apply(&mut self, at: Applied, command: &[u8]) -> Bytes;

    /// The whole state, encoded.
    fn snapshot(&self) -> Bytes;

    /// Replaces the state by one that [`snapshot`](Self::snapshot) encoded.
    ///
    /// # Errors
    ///
    /// [`RestoreError`]; the state is as it was.
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError>;

    /// A digest of the state: equal on all replicas at an equal index.
    fn digest(&self) -> u64;
}

/// Why a state was not restored; it is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no snapshot of the state machine: {0}")]
pub struct RestoreError(pub String);

/// A driver's clock: monotonic, counts suspend, starts anywhere.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Instant;
}
