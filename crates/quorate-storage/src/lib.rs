//! Keeps what a node must not forget, on disks that lie, tear, rot and fill up.
//!
//! A [`Journal`] takes records in one order, ballots among log entries, and makes a whole batch
//! durable with one fdatasync. Its segments are filled with zeros ahead of their use and recycled,
//! so that a sync writes data and no metadata. Each record's checksum covers where in the journal,
//! ever, it stands; each also says what was durable when it was made. So a start can tell what a
//! crash tore, which nobody was promised, from what was promised and is damaged.
//!
//! It works on any [`Disk`](quorate_core::Disk): [`FileDisk`] is a folder of the file system,
//! [`SimDisk`] fails on purpose.
//!
//! # Example
//!
//! ```
//! use quorate_core::{Ballot, Record, Rng, Term};
//! use quorate_storage::{CrashMode, Journal, Options, SimDisk};
//!
//! let disk = SimDisk::new();
//! let small = || Options::default().segment_bytes(4096);
//! let (mut journal, _) = Journal::open(disk.attach(), small())?;
//! journal.write(&Record::Ballot(Ballot { term: Term(7), vote: None }))?;
//! journal.sync()?;
//! disk.crash(&mut Rng::seeded(1), CrashMode::LoseAll);
//! let (_, recovered) = Journal::open(disk.attach(), small())?;
//! assert_eq!(recovered.ballot.term, Term(7));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Invariants
//!
//! - **J1** A record that was synced survives every crash.
//! - **J2** What a start recovers is what some first part of the written records amounts to.
//! - **J3** A torn tail is cut and reported; damage before it is refused, and nothing is changed.
//! - **J4** The records of a recycled segment's earlier life never come back.
//! - **J5** After a failed write or sync nothing more is accepted.
//! - **J6** What a start returns is durable, also if it had only been in the page cache.
//! - **J7** A full disk loses nothing that was accepted, and does not prevent a start.
//!
//! One limit is in the nature of things: rot in the very last batch, with nothing written after it,
//! looks like a torn write. [`Journal::settle`] closes that gap when there is time for it.
//!
//! # Not here
//!
//! The thread that calls fdatasync (`quorate-tokio`), what the records mean to a protocol
//! (`quorate-election`, `quorate-replication`), their bytes (`quorate-wire`).
//!
//! # Sources
//!
//! Rebello et al. 2020, "Can applications recover from fsync failures?" (why a failed sync ends the
//! journal and a start rewrites the tail); Alagappan et al. 2018, "Protocol-aware recovery for
//! consensus-based storage" (crash and corruption told apart); Pillai et al. 2014, "All file
//! systems are not created equal" (what a crash may leave of writes and names).

mod checkpoint;
mod codec;
mod error;
mod file_disk;
mod frame;
mod journal;
mod names;
mod options;
mod recover;
mod segment;
mod sim_disk;
mod snapshot;
mod terms;

pub use error::{Damage, OpenError, WriteError};
pub use file_disk::{FileDisk, FolderError};
pub use journal::Journal;
pub use options::Options;
pub use recover::{Opened, Torn};
pub use sim_disk::{BitPlace, CrashMode, DiskCounters, DiskImage, Fault, SimDisk};
