//! A disk on which one operation fails, whichever it is.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use quorate_core::{Disk, DiskFile, Rng};
use quorate_storage::{CrashMode, Journal, OpenError, WriteError};

use crate::model::{amount, draw};
use crate::world::World;

/// What operating systems answer: a broken disk, a full one, and a table of open files that is full.
const ERRORS: [i32; 3] = [EIO, ENOSPC, EMFILE];
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EMFILE: i32 = 24;

/// Counts operations, and answers one of them with an error.
#[derive(Clone)]
struct Countdown {
    left: Arc<AtomicU64>,
    error: i32,
}

impl Countdown {
    fn tick(&self) -> io::Result<()> {
        match self.left.load(Relaxed) {
            0 => Ok(()),
            left => {
                self.left.store(left - 1, Relaxed);
                if left == 1 { Err(io::Error::from_raw_os_error(self.error)) } else { Ok(()) }
            }
        }
    }

    fn struck(&self) -> bool {
        self.left.load(Relaxed) == 0
    }
}

struct Failing<T: ?Sized> {
    countdown: Countdown,
    inner: Box<T>,
}

impl Disk for Failing<dyn Disk> {
    fn names(&self) -> io::Result<Vec<String>> {
        self.countdown.tick()?;
        self.inner.names()
    }

    fn open(&mut self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.countdown.tick()?;
        let countdown = self.countdown.clone();
        Ok(Box::new(Failing { countdown, inner: self.inner.open(name)? }))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.countdown.tick()?;
        self.inner.rename(from, to)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.countdown.tick()?;
        self.inner.remove(name)
    }

    fn sync_names(&mut self) -> io::Result<()> {
        self.countdown.tick()?;
        self.inner.sync_names()
    }
}

impl DiskFile for Failing<dyn DiskFile> {
    fn size(&self) -> io::Result<u64> {
        self.countdown.tick()?;
        self.inner.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.countdown.tick()?;
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.countdown.tick() {
            // A short write: some of it arrived.
            self.inner.write_at(offset, &bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.inner.write_at(offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.countdown.tick()?;
        self.inner.sync()
    }
}

/// Writes what a node might, and syncs now and then.
fn live(world: &mut World, records: u64, serial: u64) {
    for n in 0..records {
        let record = draw(&mut world.rng, &amount(&world.records), serial + n);
        let result = world.journal().write(&record);
        world.note(result, Some(record));
        if n % 3 == 0 {
            let result = world.journal().sync();
            world.note(result, None);
        }
        if n % 17 == 0 {
            let result = world.journal().settle();
            world.note(result, None);
        }
    }
}

/// During a start or after it: what is taken stands, what was durable survives what follows, and no
/// start takes the remains for damage.
#[test]
fn any_one_operation_may_fail() {
    for error in ERRORS {
        for step in 1.. {
            let mut world = World::new(step, 512);
            live(&mut world, 30, 1);
            world.crash(CrashMode::LoseNone);
            let countdown = Countdown { left: Arc::new(AtomicU64::new(step)), error };
            let disk = Failing { countdown: countdown.clone(), inner: world.disk.attach() };
            match Journal::open(Box::new(disk), world.options.clone()) {
                Ok(opened) => _ = world.check(opened),
                Err(OpenError::Full { .. } | OpenError::Disk { .. }) => world.restart(),
                Err(other) => panic!("error {error} at step {step}: {other}"),
            }
            live(&mut world, 40, 1_000);
            world.restart();
            live(&mut world, 10, 2_000);
            if !countdown.struck() {
                assert!(step > 100, "only {step} operations");
                break;
            }
        }
    }
}

/// What is durable after an fsync that failed is unknown, whatever it said: also a full disk ends the
/// journal then.
#[test]
fn a_sync_that_finds_the_disk_full_is_as_final_as_any() {
    let mut struck = 0;
    for step in 1..400 {
        let mut world = World::new(step, 512);
        let countdown = Countdown { left: Arc::new(AtomicU64::new(step)), error: ENOSPC };
        world.crash(CrashMode::LoseNone);
        let disk = OnlySyncs(Failing { countdown: countdown.clone(), inner: world.disk.attach() });
        let Ok(opened) = Journal::open(Box::new(disk), world.options.clone()) else { continue };
        world.check(opened);
        for n in 0..60 {
            let record = draw(&mut world.rng, &amount(&world.records), n);
            let result = world.journal().write(&record).and_then(|()| world.journal().sync());
            match result {
                Ok(()) => world.records.push(record),
                Err(error) => {
                    assert!(matches!(error, WriteError::Disk { .. }), "step {step}: {error}");
                    struck += 1;
                    break;
                }
            }
        }
    }
    assert!(struck > 20, "{struck}");
}

/// Counts the syncs of names alone.
struct OnlySyncs(Failing<dyn Disk>);

impl Disk for OnlySyncs {
    fn names(&self) -> io::Result<Vec<String>> {
        self.0.inner.names()
    }

    fn open(&mut self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.0.inner.open(name)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.0.inner.rename(from, to)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.0.inner.remove(name)
    }

    fn sync_names(&mut self) -> io::Result<()> {
        self.0.sync_names()
    }
}

/// Long and random: the same, with several failures in one life.
#[test]
fn operations_may_fail_again_and_again() {
    for seed in 0..200 {
        let mut world = World::new(seed, 512);
        let mut rng = Rng::stream(seed, "failures");
        for life in 0..6 {
            world.crash(*rng.pick(&CrashMode::ALL).expect("there are modes"));
            let left = Arc::new(AtomicU64::new(rng.between(1, 120)));
            let countdown =
                Countdown { left, error: *rng.pick(&ERRORS).expect("there are errors") };
            let disk = Failing { countdown, inner: world.disk.attach() };
            match Journal::open(Box::new(disk), world.options.clone()) {
                Ok(opened) => _ = world.check(opened),
                Err(OpenError::Full { .. } | OpenError::Disk { .. }) => world.restart(),
                Err(other) => panic!("seed {seed}: {other}"),
            }
            live(&mut world, 20, 1_000 * (life + 1));
        }
    }
}
