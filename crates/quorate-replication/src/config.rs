//! What can be set, and what must hold between the settings.

use std::time::Duration;

/// How much travels at once, how much may wait, and how long to be patient.
///
/// All limits are per node and hold in memory. [`Config::default`] suits a local network;
/// [`Config::validate`] tells what does not fit together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The largest command taken; larger ones are refused. Default 4 MiB.
    pub command_bytes: usize,
    /// How many bytes of entries one append, or one record of the journal, carries; an entry that
    /// is larger goes alone. More: better throughput; less: a slow link blocks for a shorter time.
    /// Default 1 MiB.
    pub batch_bytes: usize,
    /// How many unanswered appends a peer is sent. Default 64.
    pub inflight_messages: usize,
    /// How many unanswered bytes a peer is sent, counted over entries. Default 8 MiB.
    pub inflight_bytes: usize,
    /// How many bytes of entries may wait for their commit, or for the leader's own disk, before
    /// proposals are refused as overload. Default 64 MiB.
    pub uncommitted_bytes: usize,
    /// How many entries may wait for their commit, or for the leader's own disk, before proposals
    /// are refused. Default 65,536.
    pub uncommitted_entries: u64,
    /// A learner that lacks more committed entries than this is not made a voter: commits would
    /// wait for it. Default 1,024.
    pub caught_up_entries: u64,
    /// How many reads may wait for their quorum before further ones are refused. Default 65,536.
    pub waiting_reads: usize,
    /// How long an answer may take before the peer is asked what it has; a silent peer gets one
    /// small message per this time. Well above a round trip plus an fsync. Default 200 ms.
    pub resend_after: Duration,
    /// How long followers may wait to hear of a commit when nothing else is sent to them. Zero
    /// tells at once, at the price of one message per commit. Default 1 ms.
    pub commit_notice_after: Duration,
    /// How long the commit mark may lag on the disk when no entry is written. Each mark written on
    /// an idle node costs an fsync. Default 500 ms.
    pub commit_mark_after: Duration,
    /// A snapshot is wanted once the entries behind the last one take this many bytes, and at
    /// least as many as that snapshot. Default 64 MiB.
    pub compact_log_bytes: usize,
    /// A snapshot is wanted once there are this many entries behind the last one.
    /// Default 262,144.
    pub compact_log_entries: u64,
    /// How many bytes of entries before the snapshot stay in memory, so that a follower that is a
    /// little behind needs no snapshot. More: fewer snapshots are sent; less: less memory.
    /// Default 4 MiB.
    pub keep_log_bytes: usize,
    /// The size of a piece of a snapshot. Default 1 MiB, which is also the most.
    pub snapshot_chunk_bytes: usize,
    /// How many unanswered pieces of a snapshot a peer is sent. Default 4.
    pub snapshot_chunks: usize,
    /// The largest snapshot accepted from a leader. Default 1 GiB.
    pub snapshot_bytes: u64,
    /// How long a leader may answer reads by itself after it appended the newest committed entry of
    /// its own term, on its own clock. Zero, the default, has no lease reads. Must be the same on all
    /// nodes, on clocks that count suspend, and no longer than the shortest election timeout: a new
    /// leader commits nothing before it is over.
    pub lease: Duration,
    /// By how much one node's clock may run faster than another's, in millionths. Default 10,000 (one
    /// in a hundred). More: a new leader waits longer; less than the truth: stale lease reads.
    pub drift_millionths: u32,
}

impl Config {
    /// The largest piece of a snapshot, in bytes.
    pub const SNAPSHOT_CHUNK_BYTES_MAX: usize = 1 << 20;

    /// Checks that the settings fit together.
    ///
    /// # Errors
    ///
    /// The first setting that does not, with the clashing values.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let zero = [
            ("command_bytes", self.command_bytes == 0),
            ("batch_bytes", self.batch_bytes == 0),
            ("inflight_messages", self.inflight_messages == 0),
            ("inflight_bytes", self.inflight_bytes == 0),
            ("uncommitted_bytes", self.uncommitted_bytes == 0),
            ("uncommitted_entries", self.uncommitted_entries == 0),
            ("waiting_reads", self.waiting_reads == 0),
            ("resend_after", self.resend_after.is_zero()),
            ("commit_mark_after", self.commit_mark_after.is_zero()),
            ("compact_log_bytes", self.compact_log_bytes == 0),
            ("compact_log_entries", self.compact_log_entries == 0),
            ("snapshot_chunk_bytes", self.snapshot_chunk_bytes == 0),
            ("snapshot_chunks", self.snapshot_chunks == 0),
            ("snapshot_bytes", self.snapshot_bytes == 0),
        ];
        if let Some((name, _)) = zero.into_iter().find(|(_, zero)| *zero) {
            return Err(ConfigError::Zero { name });
        }
        if self.command_bytes > self.uncommitted_bytes {
            return Err(ConfigError::CommandAboveBacklog {
                command_bytes: self.command_bytes,
                uncommitted_bytes: self.uncommitted_bytes,
            });
        }
        if self.snapshot_chunk_bytes > Self::SNAPSHOT_CHUNK_BYTES_MAX {
            return Err(ConfigError::ChunkTooLarge { chunk_bytes: self.snapshot_chunk_bytes });
        }
        if self.commit_notice_after >= self.resend_after {
            return Err(ConfigError::NoticeTooLate {
                commit_notice_after: self.commit_notice_after,
                resend_after: self.resend_after,
            });
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            command_bytes: 4 << 20,
            batch_bytes: 1 << 20,
            inflight_messages: 64,
            inflight_bytes: 8 << 20,
            uncommitted_bytes: 64 << 20,
            uncommitted_entries: 1 << 16,
            caught_up_entries: 1 << 10,
            waiting_reads: 1 << 16,
            resend_after: Duration::from_millis(200),
            commit_notice_after: Duration::from_millis(1),
            commit_mark_after: Duration::from_millis(500),
            compact_log_bytes: 64 << 20,
            compact_log_entries: 1 << 18,
            keep_log_bytes: 4 << 20,
            snapshot_chunk_bytes: 1 << 20,
            snapshot_chunks: 4,
            snapshot_bytes: 1 << 30,
            lease: Duration::ZERO,
            drift_millionths: 10_000,
        }
    }
}

/// Settings that do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting that must not be zero is.
    #[error("`{name}` is zero; give it a positive value")]
    Zero {
        /// The setting.
        name: &'static str,
    },
    /// One command alone would be refused as overload.
    #[error(
        "a command of {command_bytes} bytes never fits a backlog of {uncommitted_bytes}; \
         raise `uncommitted_bytes`"
    )]
    CommandAboveBacklog {
        /// The largest command.
        command_bytes: usize,
        /// The backlog that must hold it.
        uncommitted_bytes: usize,
    },
    /// Pieces of a snapshot would delay the lanes above them.
    #[error("snapshot pieces of {chunk_bytes} bytes are too large; at most 1 MiB")]
    ChunkTooLarge {
        /// The size asked for.
        chunk_bytes: usize,
    },
    /// Followers would be asked again before they are told.
    #[error(
        "telling of a commit after {commit_notice_after:?} is too late when answers are due after \
         {resend_after:?}; lower `commit_notice_after`"
    )]
    NoticeTooLate {
        /// How long a commit may stay untold.
        commit_notice_after: Duration,
        /// When an answer is overdue.
        resend_after: Duration,
    },
}
