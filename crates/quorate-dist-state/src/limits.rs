//! How large things may be.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::{Bounded, Expected, Op, Rejection};

/// The most sessions that one [`Op::ExpireSessions`] may end.
pub const EXPIRE_MAX: usize = 1_024;

/// How large things may be: part of the state.
///
/// Whether a command is refused must be the same on every replica and in every replay, so the
/// limits travel in the image and count in the digest, and every store of a cluster must begin
/// with equal ones. A node that wants to admit less asks limits of its own with
/// [`check`](Self::check) before it proposes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The longest key. Default: 4 KiB.
    pub key_bytes_max: u64,
    /// The largest value. Default: 1 MiB.
    pub value_bytes_max: u64,
    /// How many sessions may be open. Default: 100,000.
    pub sessions_max: u64,
    /// The shortest time to live of a session. Default: 1 s.
    pub session_ttl_ms_min: u64,
    /// The longest time to live of a session. Default: 24 h.
    pub session_ttl_ms_max: u64,
    /// Bytes of values in answers that are kept for retries, over all sessions. An answer beyond
    /// is given but not kept: a retry is told [`Rejection::SeqForgotten`]. Default: 64 MiB.
    pub answer_bytes_max: u64,
    /// Items in a page of a range. Default: 1,000.
    pub page_items_max: u64,
    /// Bytes of keys and values in a page of a range; a page holds at least one item.
    /// Default: 2 MiB.
    pub page_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            key_bytes_max: 4 << 10,
            value_bytes_max: 1 << 20,
            sessions_max: 100_000,
            session_ttl_ms_min: 1_000,
            session_ttl_ms_max: 24 * 60 * 60 * 1_000,
            answer_bytes_max: 64 << 20,
            page_items_max: 1_000,
            page_bytes_max: 2 << 20,
        }
    }
}

impl Limits {
    /// Whether the sizes of `op` are within the limits. To be asked before proposing, so that the
    /// log carries nothing in vain; applying asks again.
    ///
    /// # Errors
    ///
    /// [`Rejection::TooLarge`] with the first limit that is exceeded.
    pub fn check(&self, op: &Op) -> Result<(), Rejection> {
        match op {
            Op::Set { key, value } => self.key(key).and_then(|()| self.value(value)),
            Op::Delete { key } => self.key(key),
            Op::CompareAndSwap { key, expected, new } => {
                self.key(key)?;
                if let Expected::Value(value) = expected {
                    self.value(value)?;
                }
                new.as_ref().map_or(Ok(()), |value| self.value(value))
            }
            Op::ExpireSessions { sessions, .. } => {
                at_most(Bounded::Sessions, sessions.len(), EXPIRE_MAX as u64)
            }
            Op::OpenSession { .. } | Op::KeepAlive { .. } | Op::CloseSession { .. } => Ok(()),
        }
    }

    const fn key(&self, key: &[u8]) -> Result<(), Rejection> {
        at_most(Bounded::Key, key.len(), self.key_bytes_max)
    }

    const fn value(&self, value: &[u8]) -> Result<(), Rejection> {
        at_most(Bounded::Value, value.len(), self.value_bytes_max)
    }

    /// The time to live that is granted to a session that asks for `ttl_ms`.
    pub(crate) const fn granted_ttl_ms(&self, ttl_ms: u64) -> u64 {
        // Not `clamp`, which panics where the two limits contradict each other.
        let (min, max) = (self.session_ttl_ms_min, self.session_ttl_ms_max);
        if ttl_ms > max {
            max
        } else if ttl_ms < min {
            min
        } else {
            ttl_ms
        }
    }

    pub(crate) const fn digest(&self, digest: Digest) -> Digest {
        // Taken apart by name, so that a new limit cannot be left out.
        let Self {
            key_bytes_max,
            value_bytes_max,
            sessions_max,
            session_ttl_ms_min,
            session_ttl_ms_max,
            answer_bytes_max,
            page_items_max,
            page_bytes_max,
        } = self;
        digest
            .word(*key_bytes_max)
            .word(*value_bytes_max)
            .word(*sessions_max)
            .word(*session_ttl_ms_min)
            .word(*session_ttl_ms_max)
            .word(*answer_bytes_max)
            .word(*page_items_max)
            .word(*page_bytes_max)
    }
}

const fn at_most(what: Bounded, size: usize, limit: u64) -> Result<(), Rejection> {
    let size = size as u64;
    if size > limit { Err(Rejection::TooLarge { what, size, limit }) } else { Ok(()) }
}
