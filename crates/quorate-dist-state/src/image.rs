//! The whole state, to be kept or sent.

use std::fmt;

use bytes::Bytes;
use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use crate::answers::KeptMap;
use crate::{Item, Limits, Revision, Session, SessionId, WINDOW, sorted};

/// The whole state of a store at one moment. It shares its structure with the store, and later
/// commands do not touch it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Image {
    pub(crate) limits: Limits,
    pub(crate) revision: Revision,
    #[serde(with = "sorted")]
    pub(crate) items: OrdMap<Bytes, Item>,
    pub(crate) session_last: SessionId,
    #[serde(with = "sorted")]
    pub(crate) sessions: OrdMap<SessionId, Session>,
    #[serde(with = "sorted")]
    pub(crate) answers: KeptMap,
    /// Of the store. Checked on restore, so that damage between the two cannot pass.
    pub(crate) digest: u64,
}

impl Image {
    /// The revision of the state.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The digest of the state.
    #[must_use]
    pub const fn digest(&self) -> u64 {
        self.digest
    }

    /// Whether the parts fit one another, as those of every store do. O(state).
    pub(crate) fn check(&self) -> Result<(), RestoreError> {
        let wrong = |what| Err(RestoreError::Inconsistent { what });
        // Half of the numbers stay free, so that counting on from here cannot run over.
        if self.revision.0.max(self.session_last.0) > u64::MAX / 2 {
            return wrong("its numbers are beyond any history");
        }
        let in_order = |item: &Item| {
            Revision::ZERO < item.create_revision
                && item.create_revision <= item.mod_revision
                && item.mod_revision <= self.revision
                && (1..=item.mod_revision.0).contains(&item.version)
        };
        if !self.items.values().all(in_order) {
            return wrong("an item has numbers that no history gives");
        }
        if self.sessions.get_max().is_some_and(|(id, _)| *id > self.session_last) {
            return wrong("a session was never opened");
        }
        let has_place = |(id, seq): &(SessionId, u64)| {
            let acked = self.sessions.get(id).map(|session| session.acked);
            acked.is_some_and(|acked| *seq > acked && *seq - acked <= WINDOW)
        };
        if !self.answers.keys().all(has_place) {
            return wrong("an answer belongs to no session");
        }
        Ok(())
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("revision", &self.revision)
            .field("items", &self.items.len())
            .field("sessions", &self.sessions.len())
            .field("answers", &self.answers.len())
            .field("digest", &format_args!("{:016x}", self.digest))
            .finish()
    }
}

/// Why an image was not restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// Its content is not what its digest was taken of. Fetch it again, from another replica.
    #[error("the image is damaged: its digest is {found:016x} instead of {expected:016x}")]
    Damaged {
        /// The digest in the image.
        expected: u64,
        /// The digest of its content.
        found: u64,
    },
    /// No store can be in this state.
    #[error("the image contradicts itself: {what}")]
    Inconsistent {
        /// What is wrong.
        what: &'static str,
    },
}

impl From<RestoreError> for quorate_core::RestoreError {
    fn from(error: RestoreError) -> Self {
        Self(error.to_string())
    }
}
