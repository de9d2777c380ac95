//! What travels between the replicas.

use bytes::Bytes;
use quorate_core::{ClusterTime, Configuration, Entry, LogId, LogIndex, Term};
use serde::{Deserialize, Serialize};

/// A message from one replica to another. All of them belong to a term: the receiver shows
/// [`Message::term`] to its voter before anything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// The leader's entries behind `prev`; without entries, the question whether `prev` is there.
    Append {
        /// The leader's term.
        term: Term,
        /// The entry before the first of `entries`.
        prev: LogId,
        /// Entries up to here are committed.
        commit: LogIndex,
        /// Which attempt to find and follow the receiver's log this belongs to.
        attempt: u64,
        /// Consecutive, from behind `prev`.
        entries: Vec<Entry>,
    },
    /// The follower's log equals the leader's up to `matched`, durably.
    Appended {
        /// The follower's term.
        term: Term,
        /// The attempt of the append, or of the piece of a snapshot, answered.
        attempt: u64,
        /// The last index that is known to be equal, and on the follower's disk.
        matched: LogIndex,
        /// Up to where the follower knows of the commit.
        commit: LogIndex,
    },
    /// The follower's hello: the entry asked for is not there; this is what is.
    Diverged {
        /// The follower's term.
        term: Term,
        /// The attempt of the append refused.
        attempt: u64,
        /// The index that was not there, or held another entry.
        prev: LogIndex,
        /// The shape of the follower's log.
        table: EpochTable,
    },
    /// The leader asks whether it still leads (a round of linearizable reads).
    Probe {
        /// The leader's term.
        term: Term,
        /// The round.
        seq: u64,
    },
    /// The follower had promised no later term when it got the probe.
    ProbeReply {
        /// The follower's term.
        term: Term,
        /// The round.
        seq: u64,
    },
    /// A piece of a snapshot.
    SnapshotChunk {
        /// The leader's term.
        term: Term,
        /// Which attempt to send it this belongs to.
        attempt: u64,
        /// Which snapshot.
        head: SnapshotHead,
        /// Where in the encoded state this piece belongs, in bytes.
        offset: u64,
        /// The piece.
        data: Bytes,
    },
    /// How much of a snapshot has arrived; its installation is answered by `Appended`.
    SnapshotReply {
        /// The follower's term.
        term: Term,
        /// The attempt of the piece answered.
        attempt: u64,
        /// Which snapshot.
        last: LogId,
        /// Bytes that arrived without a gap.
        received: u64,
    },
    /// The sender of a message is of a term that is over.
    Stale {
        /// The term that has begun.
        term: Term,
    },
}

impl Message {
    /// The term of the message; the receiver promises it before it looks further.
    #[must_use]
    pub const fn term(&self) -> Term {
        match self {
            Self::Append { term, .. }
            | Self::Appended { term, .. }
            | Self::Diverged { term, .. }
            | Self::Probe { term, .. }
            | Self::ProbeReply { term, .. }
            | Self::SnapshotChunk { term, .. }
            | Self::SnapshotReply { term, .. }
            | Self::Stale { term } => *term,
        }
    }

    /// Whether it tells how far its sender is, and so may count towards a quorum.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        !self.is_of_leader()
    }

    /// Whether only a leader sends it.
    pub(crate) const fn is_of_leader(&self) -> bool {
        matches!(self, Self::Append { .. } | Self::Probe { .. } | Self::SnapshotChunk { .. })
    }
}

/// A snapshot without its state.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SnapshotHead {
    /// The last entry it contains.
    pub last: LogId,
    /// That entry's time.
    pub time: ClusterTime,
    /// The configuration in force there.
    pub configuration: Configuration,
    /// The length of the encoded state, in bytes.
    pub state_bytes: u64,
}

/// The shape of a log: where each term in it ends.
///
/// Two logs that hold entries of one term agree up to the shorter end of that term (log matching),
/// so the newest term that both hold tells where they part, whatever their lengths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochTable {
    /// Everything up to here is committed, so every later leader has it.
    pub commit: LogIndex,
    /// The last entry of each term that has entries above `commit`, ascending; at most
    /// [`EpochTable::LEN_MAX`], the newest.
    pub ends: Vec<LogId>,
}

impl EpochTable {
    /// The longest table. Older terms are left out: then the logs are taken to part at the commit,
    /// and some entries travel twice.
    pub const LEN_MAX: usize = 256;
}
