//! A journal on a simulated disk, beside the list of what was written to it.

use quorate_core::{Record, Recovered, Rng};
use quorate_storage::{CrashMode, Fault, Journal, OpenError, Options, SimDisk, WriteError};

use crate::model::{amount, draw};

pub(crate) struct World {
    pub(crate) disk: SimDisk,
    pub(crate) journal: Option<Journal>,
    /// What was written, and how many of it must survive. Those behind may.
    pub(crate) records: Vec<Record>,
    pub(crate) durable: usize,
    pub(crate) options: Options,
    pub(crate) rng: Rng,
    serial: u64,
}

impl World {
    pub(crate) fn new(seed: u64, segment_bytes: u64) -> Self {
        let mut world = Self {
            disk: SimDisk::new(),
            journal: None,
            records: Vec::new(),
            durable: 0,
            options: Options::default().segment_bytes(segment_bytes),
            rng: Rng::seeded(seed),
            serial: 0,
        };
        world.open();
        world
    }

    pub(crate) const fn journal(&mut self) -> &mut Journal {
        self.journal.as_mut().expect("the journal is open")
    }

    /// Writes what must be taken.
    pub(crate) fn write(&mut self, record: Record) {
        self.journal().write(&record).unwrap();
        self.records.push(record);
    }

    /// Syncs, which must succeed.
    pub(crate) fn sync(&mut self) {
        self.journal().sync().unwrap();
        self.durable = self.records.len();
    }

    /// Writes what may fail only because the power did; `false` if it did.
    pub(crate) fn try_write(&mut self, record: Record) -> bool {
        let done = self.journal().write(&record).is_ok();
        self.records.push(record);
        done
    }

    pub(crate) fn try_sync(&mut self) -> bool {
        let done = self.journal().sync().is_ok();
        if done {
            self.durable = self.records.len();
        }
        done
    }

    pub(crate) fn sum(&self) -> Recovered {
        amount(&self.records)
    }

    /// Opens the journal, which must succeed, and checks what it recovered.
    pub(crate) fn open(&mut self) -> Recovered {
        let opened = Journal::open(self.disk.attach(), self.options.clone());
        self.check(opened.unwrap())
    }

    /// **J1**, **J2**: what was recovered is what some first part amounts to, all of the durable
    /// records in it. **J6**: from now on that is durable.
    pub(crate) fn check(&mut self, (journal, recovered): (Journal, Recovered)) -> Recovered {
        let prefix = (self.durable..=self.records.len())
            .rev()
            .find(|prefix| amount(&self.records[..*prefix]) == recovered);
        let Some(prefix) = prefix else {
            panic!(
                "{} of {} records were durable, recovered {recovered:?}, written {:?}",
                self.durable,
                self.records.len(),
                self.records
            );
        };
        self.records.truncate(prefix);
        self.durable = prefix;
        self.journal = Some(journal);
        recovered
    }

    pub(crate) fn crash(&mut self, mode: CrashMode) {
        self.journal = None;
        self.disk.crash(&mut self.rng, mode);
    }

    pub(crate) fn crash_somehow(&mut self) {
        let mode = *self.rng.pick(&CrashMode::ALL).unwrap();
        self.crash(mode);
    }

    /// One random thing that a node, its disk or fate may do.
    pub(crate) fn step(&mut self) {
        match self.rng.below(20) {
            0..10 => {
                self.serial += 1;
                let record = draw(&mut self.rng, &amount(&self.records), self.serial);
                let result = self.journal().write(&record);
                self.note(result, Some(record));
            }
            10..14 => {
                let result = self.journal().sync();
                self.note(result, None);
            }
            14 => {
                let result = self.journal().settle();
                self.note(result, None);
            }
            15 => {
                let faults = [Fault::SyncFails, Fault::NameSyncFails, Fault::WriteFails];
                self.disk.inject(self.rng.pick(&faults).unwrap().clone());
            }
            16 => self.disk.cut_power_after(self.rng.below(12)),
            17 => {
                let room = self.disk.used() + self.rng.below(3_000);
                self.disk.set_capacity(self.rng.chance(300_000).then_some(room));
            }
            _ => self.restart(),
        }
    }

    pub(crate) fn note(&mut self, result: Result<(), WriteError>, record: Option<Record>) {
        match result {
            Ok(()) => match record {
                Some(record) => self.records.push(record),
                None => self.durable = self.records.len(),
            },
            Err(WriteError::Full { .. }) => {}
            // It may or may not be on the disk.
            Err(WriteError::Disk { .. }) => {
                self.records.extend(record);
                assert!(self.journal().is_poisoned());
                self.restart();
            }
            Err(other) => panic!("{other}"),
        }
    }

    /// Crashes and starts again, perhaps crashing on the way.
    pub(crate) fn restart(&mut self) {
        self.crash_somehow();
        loop {
            if self.rng.chance(300_000) {
                self.disk.cut_power_after(self.rng.below(14));
            }
            match Journal::open(self.disk.attach(), self.options.clone()) {
                Ok(opened) => {
                    self.check(opened);
                    return;
                }
                Err(OpenError::Full { .. }) => self.disk.set_capacity(None),
                Err(OpenError::Disk { .. }) => {}
                Err(other) => panic!("{other}"),
            }
            self.crash_somehow();
        }
    }
}
