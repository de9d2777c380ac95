//! What the log holds.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{ClusterTime, Configuration, LogId};

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Its identity.
    pub id: LogId,
    /// The cluster's time when its leader appended it.
    pub time: ClusterTime,
    /// What it says.
    pub payload: Payload,
}

impl Entry {
    /// Room it takes in memory and on the wire, in bytes, roughly (a fixed share for the header).
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        const HEADER: usize = 32;
        const PER_MEMBER: usize = 64;
        HEADER
            + match &self.payload {
                Payload::Noop | Payload::LeaseEnded => 0,
                Payload::Command(bytes) => bytes.len(),
                Payload::Configuration(config) => config.ids().count() * PER_MEMBER,
            }
    }
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Payload {
    /// Nothing: a new leader's first entry, under which earlier ones commit.
    Noop,
    /// A command of the state machine, encoded.
    Command(Bytes),
    /// Who counts from this entry on.
    Configuration(Configuration),
    /// The leader answers no more reads by its lease: whoever leads next need not wait for its end.
    LeaseEnded,
}
