//! What the store answers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::{Item, Revision, SessionId, WINDOW};

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Reply {
    /// To a set.
    Set {
        /// The change that it is.
        mod_revision: Revision,
        /// How often the key was put since it was created.
        version: u64,
    },
    /// To a delete.
    Deleted {
        /// Whether there was something to remove.
        deleted: bool,
        /// The revision of the store now.
        revision: Revision,
    },
    /// To a compare-and-swap.
    Swapped {
        /// Whether the key was as expected, and so is as wished now.
        swapped: bool,
        /// What is there now.
        current: Option<Item>,
        /// The revision of the store now.
        revision: Revision,
    },
    /// To the opening or keeping alive of a session.
    Session {
        /// The session.
        session: SessionId,
        /// How long it lives after its last use.
        ttl_ms: u64,
    },
    /// To the closing of a session.
    Closed {
        /// Whether it was open.
        closed: bool,
    },
    /// To the expiry of sessions.
    Expired {
        /// How many ended.
        count: u64,
    },
    /// Refused; no key changed, and the number of the command is not used up.
    Rejected(Rejection),
}

impl Reply {
    /// Adds the answer to `digest`.
    pub(crate) fn digest(&self, digest: Digest) -> Digest {
        match self {
            Self::Set { mod_revision, version } => {
                digest.word(1).word(mod_revision.0).word(*version)
            }
            Self::Deleted { deleted, revision } => {
                digest.word(2).word(u64::from(*deleted)).word(revision.0)
            }
            Self::Swapped { swapped, current, revision } => {
                let digest = digest.word(3).word(u64::from(*swapped)).word(revision.0);
                match current {
                    None => digest.word(0),
                    Some(item) => item.digest(digest.word(1)),
                }
            }
            Self::Session { session, ttl_ms } => digest.word(4).word(session.0).word(*ttl_ms),
            Self::Closed { closed } => digest.word(5).word(u64::from(*closed)),
            Self::Expired { count } => digest.word(6).word(*count),
            // Never kept, so never in the state.
            Self::Rejected(_) => digest.word(7),
        }
    }

    /// Bytes of values that keeping the answer keeps in memory.
    pub(crate) const fn value_bytes(&self) -> u64 {
        match self {
            Self::Swapped { current: Some(item), .. } => item.value.len() as u64,
            _ => 0,
        }
    }
}

/// Why a command was refused; it changed no key.
///
/// Of an *earlier* command with the same tag it may say too little to know: see
/// [`is_unknown`](Self::is_unknown).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// Beyond a limit of size.
    #[error("the {what} is too large: {size}, the limit is {limit}")]
    TooLarge {
        /// What is.
        what: Bounded,
        /// How large: bytes, or how many.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// No room for another session.
    #[error("{limit} sessions are open, the limit: close some, or let them expire")]
    TooManySessions {
        /// The limit.
        limit: u64,
    },
    /// A tag that no client should send.
    #[error("a tag counts from 1, acknowledges less than itself, and stands on changes of keys")]
    BadTag,
    /// The session was closed, expired, or never was. Whether an earlier try ran is unknown.
    #[error("the session is not open (any more): whether an earlier try ran is unknown")]
    SessionExpired,
    /// The answer to this number was acknowledged, or was too large to keep. Whether an earlier
    /// try ran is unknown.
    #[error("the answer to this number is forgotten: whether an earlier try ran is unknown")]
    SeqForgotten,
    /// The number was used for another command.
    #[error("this number was used for another command: take the next one")]
    SeqReused,
    /// The number is too far above the acknowledged ones.
    #[error(
        "more than {WINDOW} numbers above {acked}, the highest acknowledged: acknowledge first"
    )]
    SeqTooFar {
        /// The highest acknowledged number.
        acked: u64,
    },
}

impl Rejection {
    /// Whether an earlier try of the same command may have run: then the client must be told that
    /// the outcome is unknown, not that it failed.
    #[must_use]
    pub const fn is_unknown(self) -> bool {
        matches!(self, Self::SessionExpired | Self::SeqForgotten)
    }
}

/// What can be too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Bounded {
    /// A key, in bytes.
    Key,
    /// A value, in bytes.
    Value,
    /// The list of sessions to expire, by number.
    Sessions,
}

impl fmt::Display for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key (bytes)",
            Self::Value => "value (bytes)",
            Self::Sessions => "list of sessions",
        })
    }
}
