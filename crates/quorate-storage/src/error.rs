//! What can go wrong, and what it did to the data.

use std::io;

use quorate_core::LogIndex;

/// Why a journal was not opened. Nothing that was durable has been changed, in every case.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Records that were durable cannot be read. The node must not vote on what is left: restore
    /// the folder, or start with an empty one and join as a new node.
    #[error(
        "{segment} is damaged at byte {offset}: {damage}; restore the folder or rejoin with an empty one"
    )]
    Damaged {
        /// The file.
        segment: String,
        /// Where in it, in bytes.
        offset: u64,
        /// What is wrong there.
        damage: Damage,
    },
    /// The snapshot on which the journal rests is missing or fails its checksums. As above.
    #[error("{name} is missing or damaged; restore the folder or rejoin with an empty one")]
    SnapshotDamaged {
        /// The file.
        name: String,
    },
    /// There are snapshots and no journal: someone removed it. As above.
    #[error("snapshots without a journal; restore the folder or rejoin with an empty one")]
    JournalMissing,
    /// Written by another release. Start that one.
    #[error("{name} has format {version}, which this release does not know; start a newer one")]
    UnknownFormat {
        /// The file.
        name: String,
        /// Its format.
        version: u32,
    },
    /// No room for a fresh segment. Free some and start again.
    #[error("the disk is full; free some space and start again")]
    Full {
        /// What the file system said.
        source: io::Error,
    },
    /// The disk failed.
    #[error("the data folder cannot be read or written; check the disk")]
    Disk {
        /// What the file system said.
        #[from]
        source: io::Error,
    },
}

/// What is wrong with a place of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The head of a segment, durable before the segment got its name, fails its checksum.
    #[error("its head is not valid")]
    Head,
    /// A record that was durable fails its checksum or is not there.
    #[error("a durable record is not valid")]
    Record,
    /// A record is whole but says what no record says.
    #[error("a record makes no sense")]
    Meaning,
    /// Entries that no snapshot contains are missing: a segment was removed.
    #[error("entries before it are missing")]
    EntriesMissing,
}

/// Why a record was not accepted, or a sync did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// No room for another segment or snapshot. The record was not taken, those before it stand,
    /// and the journal goes on once there is room.
    #[error("the disk is full; free some space")]
    Full {
        /// What the file system said.
        source: io::Error,
    },
    /// The disk failed; what of the unsynced records is durable is unknown. Nothing more will be
    /// accepted: a failed fsync is never retried. Stop the node and open the journal anew.
    #[error("the disk failed; stop the node and check the disk")]
    Disk {
        /// What the file system said.
        source: io::Error,
    },
    /// An earlier call failed with [`Self::Disk`].
    #[error("the disk failed earlier; stop the node and check the disk")]
    Poisoned,
    /// The record was not taken: split it.
    #[error("a record is above the limit of {bytes_max} bytes; split it")]
    TooLarge {
        /// The largest one that is taken.
        bytes_max: usize,
    },
    /// The record was not taken: it would leave a gap, or overwrite what is committed.
    #[error("entries from {first} do not fit a log up to {tip}, committed up to {commit}")]
    Misplaced {
        /// The first entry's index; zero if there is none.
        first: LogIndex,
        /// The last entry of the log.
        tip: LogIndex,
        /// The highest commit mark.
        commit: LogIndex,
    },
    /// The record was not taken: it cannot be encoded.
    #[error("a record cannot be encoded")]
    Unencodable,
}

impl From<io::Error> for WriteError {
    fn from(source: io::Error) -> Self {
        if is_full(&source) { Self::Full { source } } else { Self::Disk { source } }
    }
}

/// Whether an error says that there is no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
