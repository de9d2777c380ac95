//! What a client asks of the store.

use std::fmt;

use bytes::Bytes;
use quorate_core::ClusterTime;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::{Rejection, Revision};

/// One command, as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Makes a retry take effect once. Without it the command acts each time it is applied.
    pub tag: Option<Tag>,
    /// What to do.
    pub op: Op,
}

/// A command's number in its client's session: what makes a retry known as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// The session.
    pub session: SessionId,
    /// The number of the command, from 1. In any order, each at most [`WINDOW`](crate::WINDOW)
    /// above the highest acknowledged one.
    pub seq: u64,
    /// The client has, or gave up on, the answers of all numbers up to here, so they may be
    /// forgotten. Below `seq`.
    pub acked: u64,
}

impl Tag {
    /// Whether the tag makes sense on `op`.
    pub(crate) const fn check(self, op: &Op) -> Result<(), Rejection> {
        // The other operations may be repeated freely. And a session's end is no place to keep
        // the answer to its own closing.
        let changes_a_key =
            matches!(op, Op::Set { .. } | Op::Delete { .. } | Op::CompareAndSwap { .. });
        if self.seq == 0 || self.acked >= self.seq || !changes_a_key {
            return Err(Rejection::BadTag);
        }
        Ok(())
    }
}

/// A session; made by the store when it is opened, and never given out again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Op {
    /// Puts `value` under `key`, whatever was there.
    Set {
        /// The key.
        key: Bytes,
        /// Its new value.
        value: Bytes,
    },
    /// Removes `key`, if it is there.
    Delete {
        /// The key.
        key: Bytes,
    },
    /// Puts or removes, but only if what is there is as expected.
    CompareAndSwap {
        /// The key.
        key: Bytes,
        /// What must be there.
        expected: Expected,
        /// What shall be there; `None` removes the key.
        new: Option<Bytes>,
    },
    /// Opens a session.
    OpenSession {
        /// How long it lives after its last use, in cluster time; brought into the range of
        /// [`Limits`](crate::Limits). The answer says what was granted.
        ttl_ms: u64,
    },
    /// Uses a session, so that it lives on.
    KeepAlive {
        /// The session.
        session: SessionId,
    },
    /// Ends a session and forgets its answers.
    CloseSession {
        /// The session.
        session: SessionId,
    },
    /// Ends those of `sessions` whose time is up: a leader proposes what
    /// [`sessions_due`](crate::Store::sessions_due) found. Each is judged again when this is
    /// applied, so one that was used in between lives on.
    ExpireSessions {
        /// At most [`EXPIRE_MAX`](crate::EXPIRE_MAX).
        sessions: Vec<SessionId>,
        /// The cluster's time when the leader looked. What counts is this or the entry's own
        /// time, whichever is earlier.
        at: ClusterTime,
    },
}

impl Op {
    /// Whether it opens, keeps or closes a session.
    #[must_use]
    pub const fn is_of_session(&self) -> bool {
        matches!(
            self,
            Self::OpenSession { .. } | Self::KeepAlive { .. } | Self::CloseSession { .. }
        )
    }

    /// Tells one body from another under the same number.
    pub(crate) fn fingerprint(&self) -> u64 {
        let digest = Digest::new("op");
        match self {
            Self::Set { key, value } => digest.word(1).bytes(key).bytes(value),
            Self::Delete { key } => digest.word(2).bytes(key),
            Self::CompareAndSwap { key, expected, new } => {
                let digest = digest.word(3).bytes(key);
                let digest = match expected {
                    Expected::Absent => digest.word(1),
                    Expected::Value(value) => digest.word(2).bytes(value),
                    Expected::Revision(revision) => digest.word(3).word(revision.0),
                };
                match new {
                    None => digest.word(0),
                    Some(value) => digest.word(1).bytes(value),
                }
            }
            Self::OpenSession { ttl_ms } => digest.word(4).word(*ttl_ms),
            Self::KeepAlive { session } => digest.word(5).word(session.0),
            Self::CloseSession { session } => digest.word(6).word(session.0),
            Self::ExpireSessions { sessions, at } => {
                sessions.iter().fold(digest.word(7).word(at.0), |digest, id| digest.word(id.0))
            }
        }
        .finish()
    }
}

/// What a compare-and-swap must find.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expected {
    /// No such key.
    Absent,
    /// This value.
    Value(Bytes),
    /// The value put by this change; zero means absent, as in etcd.
    Revision(Revision),
}
