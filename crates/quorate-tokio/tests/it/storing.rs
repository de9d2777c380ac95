//! The storage thread on simulated and real disks.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, unbounded};
use proptest::prelude::*;
use quorate_core::{
    Ballot, ClusterTime, Disk, DiskFile, Entry, LogId, Payload, Record, Rng, Term, Token,
};
use quorate_storage::{CrashMode, Fault, FileDisk, Journal, Options, SimDisk};
use quorate_tokio::{StorageEnded, StorageError, StorageThread};

use crate::net::PATIENCE;

type Reports = Receiver<Result<Token, StorageError>>;

fn start(disk: Box<dyn Disk>) -> (StorageThread, Reports) {
    let (journal, _) = Journal::open(disk, small()).unwrap();
    let (report, reports) = unbounded();
    let thread = StorageThread::start(journal, move |done| report.send(done).unwrap()).unwrap();
    (thread, reports)
}

fn small() -> Options {
    Options::default().segment_bytes(16 << 10)
}

/// The record with which a token is recognised after a crash.
const fn ballot(n: u64) -> Record {
    Record::Ballot(Ballot { term: Term(n), vote: None })
}

fn recovered_term(disk: Box<dyn Disk>) -> u64 {
    Journal::open(disk, small()).unwrap().1.ballot.term.0
}

fn next(reports: &Reports) -> Result<Token, StorageError> {
    reports.recv_timeout(PATIENCE).expect("a report")
}

#[test]
fn one_sync_serves_all_records_that_waited_for_the_disk() {
    let (disk, gate) = Gated::new(&SimDisk::new());
    let (thread, reports) = start(Box::new(disk));
    gate.close();
    thread.submit(Token(1), ballot(1)).unwrap();
    gate.someone_waits();
    for n in 2..=100 {
        thread.submit(Token(n), ballot(n)).unwrap();
    }
    let stats = thread.stats();
    assert!(stats.syncing_since.is_some(), "a hanging disk can be seen");
    assert_eq!((stats.queued_records, stats.batches), (100, 0));
    assert!(reports.is_empty(), "nothing is durable yet");

    gate.open();
    assert_eq!(next(&reports).unwrap(), Token(1));
    assert_eq!(next(&reports).unwrap(), Token(100), "the last token stands for all");
    let stats = thread.stats();
    assert_eq!((stats.batches, stats.records, stats.queued_records), (2, 100, 0));
    assert_eq!(stats.queued_bytes, 0);
    assert!(stats.sync_longest >= stats.sync_last && stats.bytes > 0);
    assert!(thread.stop().is_some());
    assert!(reports.is_empty());
}

#[test]
fn a_stop_makes_durable_what_was_submitted() {
    let folder = tempfile::tempdir().unwrap();
    let (thread, reports) = start(Box::new(FileDisk::open(folder.path()).unwrap()));
    for n in 1..=200 {
        thread.submit(Token(n), ballot(n)).unwrap();
    }
    drop(thread.stop());
    assert_eq!(reports.iter().last().unwrap().unwrap(), Token(200));
    assert_eq!(recovered_term(Box::new(FileDisk::open(folder.path()).unwrap())), 200);
}

#[test]
fn t2_nothing_is_reported_after_an_error_of_the_disk() {
    let sim = SimDisk::new();
    let (thread, reports) = start(sim.attach());
    thread.submit(Token(1), ballot(1)).unwrap();
    assert_eq!(next(&reports).unwrap(), Token(1));
    sim.inject(Fault::SyncFails);
    thread.submit(Token(2), ballot(2)).unwrap();
    assert!(matches!(next(&reports), Err(StorageError::Failed { .. })));
    // The thread ends on its own; until it has, records may still be taken, and are lost.
    let submit = || {
        std::thread::yield_now();
        thread.submit(Token(3), ballot(3))
    };
    let refused = std::iter::repeat_with(submit).take(1_000_000).find(Result::is_err);
    assert_eq!(refused, Some(Err(StorageEnded)));
    assert!(thread.stop().is_some_and(|journal| journal.is_poisoned()));
    assert!(reports.is_empty());
}

#[test]
fn a_full_disk_is_named_and_what_was_taken_before_it_is_durable() {
    let sim = SimDisk::new();
    let (disk, gate) = Gated::new(&sim);
    let (thread, reports) = start(Box::new(disk));
    gate.close();
    thread.submit(Token(1), ballot(1)).unwrap();
    gate.someone_waits();
    sim.set_capacity(Some(sim.used()));
    thread.submit(Token(2), ballot(2)).unwrap();
    let entry = Entry {
        id: LogId::new(1, 1),
        time: ClusterTime::ZERO,
        payload: Payload::Command(Bytes::from(vec![7; 1 << 20])),
    };
    thread.submit(Token(3), Record::Entries(vec![entry])).unwrap();
    thread.submit(Token(4), ballot(4)).unwrap();
    gate.open();
    assert_eq!(next(&reports).unwrap(), Token(1));
    assert_eq!(next(&reports).unwrap(), Token(2), "taken before the disk was full");
    let error = next(&reports).unwrap_err();
    assert!(matches!(error, StorageError::DiskFull { .. }), "{error}");
    assert!(error.to_string().contains("free some space"));
    drop(thread.stop());
    assert!(reports.is_empty(), "reported once");
    assert_eq!(recovered_term(sim.attach()), 2);
}

#[test]
fn a_panic_on_the_thread_is_reported() {
    let (report, reports) = unbounded();
    let (journal, _) =
        Journal::open(Box::new(Panicking(SimDisk::new().attach())), small()).unwrap();
    let thread = StorageThread::start(journal, move |done| report.send(done).unwrap()).unwrap();
    thread.submit(Token(1), Record::Snapshot(snapshot())).unwrap();
    assert!(matches!(next(&reports), Err(StorageError::Panicked)));
    assert!(thread.stop().is_none());
}

fn snapshot() -> quorate_core::Snapshot {
    quorate_core::Snapshot {
        last: LogId::new(1, 1),
        time: ClusterTime::ZERO,
        configuration: quorate_core::Configuration::default(),
        state: Bytes::from_static(b"state"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn t1_a_token_is_reported_only_after_its_record_is_durable(
        operations in 1..120_u64,
        records in 1..40_u64,
        seed: u64,
        mode in prop::sample::select(CrashMode::ALL.to_vec()),
    ) {
        let sim = SimDisk::new();
        let (thread, reports) = start(sim.attach());
        sim.cut_power_after(operations);
        for n in 1..=records {
            let _ = thread.submit(Token(n), ballot(n));
        }
        drop(thread.stop());
        let reports: Vec<_> = reports.iter().collect();
        let reported = reports.iter().flatten().max().map_or(0, |token| token.0);
        let failed = reports.iter().position(Result::is_err);
        prop_assert!(failed.is_none_or(|at| at + 1 == reports.len()), "the error comes last");
        prop_assert!(failed.is_some() || reported == records);
        sim.crash(&mut Rng::seeded(seed), mode);
        prop_assert!(recovered_term(sim.attach()) >= reported);
    }
}

/// A disk whose syncs can be made to hang.
struct Gated {
    inner: Box<dyn Disk>,
    gate: Arc<Gate>,
}

struct GatedFile {
    inner: Box<dyn DiskFile>,
    gate: Arc<Gate>,
}

struct Gate {
    closed: parking_lot::Mutex<bool>,
    opened: parking_lot::Condvar,
    waiting: (Sender<()>, Receiver<()>),
}

impl Gated {
    fn new(sim: &SimDisk) -> (Self, Arc<Gate>) {
        let gate = Arc::new(Gate {
            closed: parking_lot::Mutex::new(false),
            opened: parking_lot::Condvar::new(),
            waiting: unbounded(),
        });
        (Self { inner: sim.attach(), gate: Arc::clone(&gate) }, gate)
    }
}

impl Gate {
    fn close(&self) {
        *self.closed.lock() = true;
    }

    fn open(&self) {
        *self.closed.lock() = false;
        self.opened.notify_all();
    }

    fn someone_waits(&self) {
        self.waiting.1.recv_timeout(PATIENCE).unwrap();
    }

    fn pass(&self) {
        let mut closed = self.closed.lock();
        if *closed {
            self.waiting.0.send(()).unwrap();
        }
        while *closed {
            let timed_out = self.opened.wait_for(&mut closed, PATIENCE + Duration::from_secs(1));
            assert!(!timed_out.timed_out(), "nobody opened the gate");
        }
    }
}

impl Disk for Gated {
    fn names(&self) -> io::Result<Vec<String>> {
        self.inner.names()
    }

    fn open(&mut self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(GatedFile { inner: self.inner.open(name)?, gate: Arc::clone(&self.gate) }))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn sync_names(&mut self) -> io::Result<()> {
        self.inner.sync_names()
    }
}

impl DiskFile for GatedFile {
    fn size(&self) -> io::Result<u64> {
        self.inner.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_at(offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.gate.pass();
        self.inner.sync()
    }
}

/// A disk with a bug in it.
struct Panicking(Box<dyn Disk>);

impl Disk for Panicking {
    fn names(&self) -> io::Result<Vec<String>> {
        self.0.names()
    }

    fn open(&mut self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.0.open(name)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        assert!(std::thread::current().name() != Some("quorate-storage"), "a bug");
        self.0.rename(from, to)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn sync_names(&mut self) -> io::Result<()> {
        self.0.sync_names()
    }
}
