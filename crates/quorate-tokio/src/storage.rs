//! The thread that waits for the disk, so that nobody else does.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use quorate_core::{Clock, Instant, Record, Token};
use quorate_storage::{Journal, WriteError};

use crate::BootClock;

/// A journal on a thread of its own: records go in without waiting, and the last token of each
/// batch comes out when the batch is durable.
///
/// The thread takes all records that wait, writes them, syncs once, and reports once: the slower
/// the disk, the larger the batches.
///
/// # Bound
///
/// [`submit`](Self::submit) never waits and never drops: a record that was promised and not
/// written would be a lie. So the queue itself has no limit; [`StorageStats::queued_bytes`] says
/// what waits, and its owner stops taking work when that is too much (a node's limit on
/// uncommitted bytes does this).
///
/// # Failure
///
/// An error is reported once, as the last thing: nothing is written afterwards, and what was
/// queued is dropped unreported. The node must stop. Restarting the thread on the same journal is
/// not possible, because what a failed sync left on the disk is unknown.
#[derive(Debug)]
pub struct StorageThread {
    /// Dropping it ends the thread, after what was submitted.
    queue: Sender<Job>,
    thread: JoinHandle<Journal>,
    gauges: Arc<Gauges>,
}

/// Why the storage thread ended. The records since the last reported token may or may not be
/// durable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The disk is full. Records up to the last token reported are durable. Free some space and
    /// start the node again.
    #[error("the disk is full; free some space and start the node again")]
    DiskFull {
        /// What the journal said.
        source: WriteError,
    },
    /// The journal or its disk failed. Stop the node; opening the journal anew tells what is left.
    #[error("the storage thread stopped")]
    Failed {
        /// What the journal said.
        source: WriteError,
    },
    /// The thread panicked: a bug. Stop the node.
    #[error("the storage thread panicked; this is a bug, the log names the place")]
    Panicked,
}

/// The thread has ended and said why; the record is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the storage thread has ended; stop the node")]
pub struct StorageEnded;

/// What the storage thread has done and is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StorageStats {
    /// Batches made durable: one sync each.
    pub batches: u64,
    /// Records made durable.
    pub records: u64,
    /// Bytes made durable, roughly.
    pub bytes: u64,
    /// Records submitted and not yet durable.
    pub queued_records: u64,
    /// Bytes submitted and not yet durable, roughly.
    pub queued_bytes: u64,
    /// How long the last sync took.
    pub sync_last: Duration,
    /// How long the longest sync took.
    pub sync_longest: Duration,
    /// When the write and sync that is under way began, on the boot clock; `None` if none is. A
    /// disk that hangs shows here.
    pub syncing_since: Option<Instant>,
}

impl StorageThread {
    /// Starts the thread. `on_done` is called on it: with the last token of each durable batch,
    /// or with the error that ended it. While `on_done` waits, so does the disk; it must not wait
    /// for the caller of [`stop`](Self::stop).
    ///
    /// # Errors
    ///
    /// Those of the operating system when it refuses a thread.
    pub fn start(
        journal: Journal,
        on_done: impl Fn(Result<Token, StorageError>) + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, jobs) = crossbeam_channel::unbounded();
        let gauges = Arc::new(Gauges::default());
        let worker = Worker { journal, gauges: Arc::clone(&gauges), report: Report(on_done) };
        let thread = thread::Builder::new()
            .name("quorate-storage".to_owned())
            .spawn(move || worker.run(&jobs))?;
        Ok(Self { queue, thread, gauges })
    }

    /// Hands over a record. Tokens must rise. Never waits.
    ///
    /// # Errors
    ///
    /// [`StorageEnded`] if the thread reported an error before.
    pub fn submit(&self, token: Token, record: Record) -> Result<(), StorageEnded> {
        let bytes = record_bytes(&record);
        self.gauges.queued(bytes);
        self.queue.send(Job { token, record, bytes }).map_err(|_| {
            self.gauges.unqueued(1, bytes);
            StorageEnded
        })
    }

    /// What it has done. Each number is exact, but they are not read at one moment.
    #[must_use]
    pub fn stats(&self) -> StorageStats {
        self.gauges.snapshot()
    }

    /// Makes durable what was submitted, reports it, ends the thread and gives the journal back;
    /// `None` if the thread panicked. Waits for the disk: call it where that is no harm. A thread
    /// that is dropped instead does the same on its own, and nobody knows when.
    #[must_use = "dropping the journal closes it and unlocks its folder"]
    pub fn stop(self) -> Option<Journal> {
        drop(self.queue);
        self.thread.join().ok()
    }
}

/// A record on its way, with its size as it was counted.
struct Job {
    token: Token,
    record: Record,
    bytes: u64,
}

struct Worker<F: Fn(Result<Token, StorageError>)> {
    journal: Journal,
    gauges: Arc<Gauges>,
    report: Report<F>,
}

/// Reports; and if it is dropped by a panic, says so, because a node that waits for a token for
/// ever looks alive.
struct Report<F: Fn(Result<Token, StorageError>)>(F);

impl<F: Fn(Result<Token, StorageError>)> Drop for Report<F> {
    fn drop(&mut self) {
        if thread::panicking() {
            (self.0)(Err(StorageError::Panicked));
        }
    }
}

impl<F: Fn(Result<Token, StorageError>)> Worker<F> {
    fn run(mut self, jobs: &Receiver<Job>) -> Journal {
        let mut settled = true;
        loop {
            let next = if settled {
                jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                jobs.recv_timeout(SETTLE_AFTER)
            };
            settled = next.is_err();
            let stopping = matches!(next, Err(RecvTimeoutError::Disconnected));
            let result = match next {
                Ok(first) => self.batch(first, jobs),
                Err(_) => self.settle(),
            };
            if let Err(error) = result {
                tracing::error!(name: "storage.failed", %error, source = ?error.source(), "storage stops");
                (self.report.0)(Err(explain(error)));
                break;
            }
            if stopping {
                break;
            }
        }
        self.journal
    }

    /// In a pause and before a clean stop: everything is durable, and the journal writes down that
    /// it is.
    fn settle(&mut self) -> Result<(), WriteError> {
        let began = self.gauges.begin();
        let result = self.journal.settle();
        self.gauges.end(began, &Batch::default(), false);
        match result {
            // Nothing was lost, and the next record will say so louder.
            Err(WriteError::Full { .. }) => Ok(()),
            result => result,
        }
    }

    /// Writes `first` and what waits behind it, up to a bound, and syncs once.
    fn batch(&mut self, first: Job, jobs: &Receiver<Job>) -> Result<(), WriteError> {
        let began = self.gauges.begin();
        let mut done = Batch::default();
        let mut next = Some(first);
        let mut written = Ok(());
        while let Some(job) = next {
            written = self.journal.write(&job.record).map(drop);
            if written.is_err() {
                break;
            }
            done.add(&job);
            next = if done.bytes < BATCH_BYTES { jobs.try_recv().ok() } else { None };
        }
        // Also after a record that was not taken: those before it stand. After a failed disk the
        // journal refuses to sync, so that nothing uncertain is ever reported.
        let synced = if done.records > 0 { self.journal.sync().map(drop) } else { Ok(()) };
        self.gauges.end(began, &done, synced.is_ok());
        if let (Some(last), Ok(())) = (done.last, &synced) {
            (self.report.0)(Ok(last));
        }
        synced.and(written)
    }
}

const fn explain(source: WriteError) -> StorageError {
    match source {
        WriteError::Full { .. } => StorageError::DiskFull { source },
        source => StorageError::Failed { source },
    }
}

#[derive(Default)]
struct Batch {
    records: u64,
    bytes: u64,
    last: Option<Token>,
}

impl Batch {
    const fn add(&mut self, job: &Job) {
        self.records += 1;
        self.bytes += job.bytes;
        self.last = Some(job.token);
    }
}

/// One batch takes no more, so that the tokens of a long queue come back bit by bit. A disk is at
/// its best well below.
const BATCH_BYTES: u64 = 16 << 20;

/// How long the queue must be empty before the journal is settled: long enough that a steady trickle
/// of records does not pay for it.
const SETTLE_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Gauges {
    batches: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
    queued_records: AtomicU64,
    queued_bytes: AtomicU64,
    sync_last: AtomicU64,
    sync_longest: AtomicU64,
    /// Nanoseconds on the boot clock; zero while idle.
    syncing_since: AtomicU64,
}

impl Gauges {
    fn queued(&self, bytes: u64) {
        self.queued_records.fetch_add(1, Ordering::Relaxed);
        self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn unqueued(&self, records: u64, bytes: u64) {
        self.queued_records.fetch_sub(records, Ordering::Relaxed);
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn begin(&self) -> Instant {
        let began = BootClock.now();
        self.syncing_since.store(began.as_nanos(), Ordering::Relaxed);
        began
    }

    fn end(&self, began: Instant, batch: &Batch, durable: bool) {
        let took = u64::try_from((BootClock.now() - began).as_nanos()).unwrap_or(u64::MAX);
        self.syncing_since.store(0, Ordering::Relaxed);
        if durable {
            self.unqueued(batch.records, batch.bytes);
            self.batches.fetch_add(1, Ordering::Relaxed);
            self.records.fetch_add(batch.records, Ordering::Relaxed);
            self.bytes.fetch_add(batch.bytes, Ordering::Relaxed);
            self.sync_last.store(took, Ordering::Relaxed);
            self.sync_longest.fetch_max(took, Ordering::Relaxed);
        }
    }

    fn snapshot(&self) -> StorageStats {
        let read = |gauge: &AtomicU64| gauge.load(Ordering::Relaxed);
        let since = read(&self.syncing_since);
        StorageStats {
            batches: read(&self.batches),
            records: read(&self.records),
            bytes: read(&self.bytes),
            queued_records: read(&self.queued_records),
            queued_bytes: read(&self.queued_bytes),
            sync_last: Duration::from_nanos(read(&self.sync_last)),
            sync_longest: Duration::from_nanos(read(&self.sync_longest)),
            syncing_since: (since > 0).then(|| Instant::from_nanos(since)),
        }
    }
}

/// What a record takes, roughly: its payload and a fixed share.
fn record_bytes(record: &Record) -> u64 {
    const SHARE: usize = 64;
    let payload = match record {
        Record::Entries(entries) => entries.iter().map(|entry| entry.size_bytes()).sum(),
        Record::Snapshot(snapshot) => snapshot.state.len(),
        Record::Identity(_) | Record::Ballot(_) | Record::Pledge(_) | Record::Commit(_) => 0,
    };
    (SHARE + payload) as u64
}
