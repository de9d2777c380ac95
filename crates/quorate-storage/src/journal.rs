//! The journal while it is written.

use std::collections::VecDeque;
use std::fmt;
use std::io;

use quorate_core::{Ballot, Disk, DiskFile, Record, Recovered, Snapshot, mutant, rare};
use serde::Serialize;

use crate::checkpoint::{Checkpoint, Mark, first_of_consecutive};
use crate::codec;
use crate::error::{OpenError, WriteError};
use crate::frame::{self, Kind, Place};
use crate::names::Name;
use crate::options::Options;
use crate::recover::{self, Opened};
use crate::segment::{self, Head, Sealed, Tail};
use crate::snapshot;
use crate::terms::Terms;

/// Bytes that are collected before they are handed to the file system without a sync.
const BATCH_MAX: usize = 1 << 20;

/// What a node must not forget, in the order in which it was written.
///
/// Holds no entry in memory: only what it takes to write the next record.
pub struct Journal {
    pub(crate) disk: Box<dyn Disk>,
    pub(crate) options: Options,
    pub(crate) opened: Opened,
    /// The segments before the tail, oldest first.
    pub(crate) sealed: VecDeque<Sealed>,
    pub(crate) tail: Tail,
    /// Files for future segments, by number; the oldest is taken first.
    pub(crate) spares: VecDeque<u64>,
    pub(crate) next_spare: u64,
    /// Snapshots on the disk whose mark is written, oldest first.
    pub(crate) snapshots: Vec<u64>,
    /// What the records so far amount to.
    pub(crate) state: Checkpoint,
    pub(crate) terms: Terms,
    /// Frames that the file system has not seen yet. Reused; all of the tail's generation.
    pub(crate) batch: Vec<u8>,
    /// Bytes of frames ever written, and how many of those are durable.
    /// Invariant: `durable <= counter`.
    pub(crate) counter: u64,
    pub(crate) durable: u64,
    /// Whether the last frame says that all before it is durable.
    pub(crate) settled: bool,
    pub(crate) poisoned: bool,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("generation", &self.tail.sealed.generation)
            .field("counter", &self.counter)
            .field("durable", &self.durable)
            .field("poisoned", &self.poisoned)
            .finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens the journal on `disk`, or begins one if the disk is empty.
    ///
    /// A tail torn by a crash is cut; [`Self::opened`] says so. Everything that is returned is
    /// durable, whatever an earlier life left undone. Reads all segments and writes one.
    ///
    /// # Errors
    ///
    /// [`OpenError::Damaged`] and its kin if anything that was durable cannot be read: nothing is
    /// cut then, so that the folder can still be examined. Otherwise full or failing disks.
    pub fn open(disk: Box<dyn Disk>, options: Options) -> Result<(Self, Recovered), OpenError> {
        recover::open(disk, options)
    }

    /// What the last opening found.
    #[must_use]
    pub const fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Whether an earlier failure closed the journal for good.
    #[must_use]
    pub const fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// Whether records wait for a [`Self::sync`].
    #[must_use]
    pub const fn is_unsynced(&self) -> bool {
        self.durable < self.counter
    }

    /// Takes `record`; durable only after the next [`Self::sync`].
    ///
    /// Encodes into a buffer that is reused. A record that begins a new segment costs syncs at
    /// once, a snapshot the writing of its file; one that is not newer than the newest is skipped.
    ///
    /// # Errors
    ///
    /// [`WriteError::Disk`] and [`WriteError::Poisoned`] are final. After any other the record was
    /// not taken and the journal goes on.
    pub fn write(&mut self, record: &Record) -> Result<(), WriteError> {
        self.guarded(|journal| journal.write_guarded(record))
    }

    /// Makes all records so far durable, with one fdatasync.
    ///
    /// After the mark of a snapshot it also recycles what only held entries before it.
    ///
    /// # Errors
    ///
    /// [`WriteError::Disk`] and [`WriteError::Poisoned`], both final: a failed fsync is never
    /// retried.
    pub fn sync(&mut self) -> Result<(), WriteError> {
        self.guarded(Self::sync_guarded)
    }

    /// Writes down that all records so far are durable, and makes that durable too.
    ///
    /// Without it rot in the very last batch looks like a torn write, and a start cuts it off. Call
    /// it when idle and before a clean stop. Costs nothing if nothing was written since, else
    /// up to two syncs.
    ///
    /// # Errors
    ///
    /// As [`Self::write`].
    pub fn settle(&mut self) -> Result<(), WriteError> {
        self.guarded(|journal| {
            journal.sync_guarded()?;
            if !journal.settled {
                journal.push(Kind::Settled, &())?;
                journal.settled = true;
                journal.sync_guarded()?;
            }
            Ok(())
        })
    }

    /// Runs `act` unless an earlier one failed for good, and remembers if this one did.
    fn guarded(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        if self.poisoned {
            return Err(WriteError::Poisoned);
        }
        let result = act(self);
        self.poisoned |= matches!(result, Err(WriteError::Disk { .. } | WriteError::Poisoned));
        result
    }

    fn write_guarded(&mut self, record: &Record) -> Result<(), WriteError> {
        match record {
            Record::Snapshot(snapshot) => return self.write_snapshot(snapshot),
            Record::Entries(entries) => {
                self.check_place(entries)?;
                self.push(Kind::Record, record)?;
                self.terms.append(entries);
                self.state.tip = self.terms.tip();
                self.tail.sealed.highest = self.tail.sealed.highest.max(self.terms.tip());
            }
            Record::Identity(_) | Record::Ballot(_) | Record::Pledge(_) | Record::Commit(_) => {
                self.push(Kind::Record, record)?;
                self.state.apply(record);
            }
        }
        Ok(())
    }

    /// Refuses gaps, and to overwrite what is committed: nothing that follows could be trusted.
    fn check_place(&self, entries: &[quorate_core::Entry]) -> Result<(), WriteError> {
        let (tip, commit) = (self.terms.tip(), self.state.commit);
        let first = first_of_consecutive(entries);
        let fits = first.is_some_and(|first| {
            first <= tip.next() && first > self.terms.base().index.max(commit.min(tip))
        });
        let first = first.unwrap_or_default();
        if fits { Ok(()) } else { Err(WriteError::Misplaced { first, tip, commit }) }
    }

    fn write_snapshot(&mut self, snapshot: &Snapshot) -> Result<(), WriteError> {
        if snapshot.last.index <= self.terms.base().index {
            return Ok(());
        }
        snapshot::write(&mut *self.disk, snapshot)?;
        let mark = Mark { last: snapshot.last, kept: self.terms.contains(snapshot.last) };
        self.push(Kind::Mark, &mark)?;
        self.terms.cover(mark.last);
        self.state.cover(mark.last);
        self.state.tip = self.terms.tip();
        self.snapshots.push(mark.last.index.0);
        if mutant!("old-snapshot-removed-early") {
            self.recycle().map_err(|source| WriteError::Disk { source })?;
        }
        Ok(())
    }

    /// Adds a frame to the batch.
    fn push(&mut self, kind: Kind, body: &impl Serialize) -> Result<(), WriteError> {
        let mut start = self.batch.len();
        frame::begin(&mut self.batch);
        if let Err(error) = codec::encode_into(body, &mut self.batch) {
            self.batch.truncate(start);
            return Err(error);
        }
        let bytes = frame::pad(&mut self.batch, start);
        let is_full = self.tail.offset + self.batch.len() as u64 > self.tail.sealed.capacity;
        if is_full || rare("a segment ends early") {
            self.change_segment(start)?;
            start = 0;
        }
        let place = Place { generation: self.tail.sealed.generation, counter: self.counter };
        frame::seal(&mut self.batch[start..], kind, bytes, place, self.durable);
        self.counter += (self.batch.len() - start) as u64;
        self.settled = false;
        if self.batch.len() >= BATCH_MAX || rare("a batch is written early") {
            let length = self.batch.len();
            self.hand_over(length)?;
        }
        Ok(())
    }

    /// Writes and syncs the batch up to `start`, and makes a new segment for what follows there.
    /// If there is no room for one, what follows is dropped.
    fn change_segment(&mut self, start: usize) -> Result<(), WriteError> {
        let size = self.batch.len() - start;
        let result = self
            .hand_over(start)
            .and_then(|()| if mutant!("segment-left-unsynced") { Ok(()) } else { self.sync_tail() })
            .and_then(|()| self.next_segment(size));
        if result.is_err() {
            self.batch.clear();
        }
        result
    }

    /// Hands the first `length` bytes of the batch to the file system.
    fn hand_over(&mut self, length: usize) -> Result<(), WriteError> {
        if length > 0 {
            let written = self.tail.file.write_at(self.tail.offset, &self.batch[..length]);
            // Also if the disk is full: a file that has its size already should not be told so,
            // and what of the batch was written is unknown.
            written.map_err(|source| WriteError::Disk { source })?;
            self.tail.offset += length as u64;
            self.batch.drain(..length);
            // One huge record must not hold its memory for ever.
            self.batch.shrink_to(4 * BATCH_MAX);
        }
        Ok(())
    }

    fn sync_guarded(&mut self) -> Result<(), WriteError> {
        let length = self.batch.len();
        self.hand_over(length)?;
        if mutant!("ack-before-fsync") {
            return Ok(());
        }
        self.sync_tail()?;
        if self.snapshots.len() > 1 || self.has_covered() {
            self.recycle().map_err(|source| WriteError::Disk { source })?;
        }
        Ok(())
    }

    fn sync_tail(&mut self) -> Result<(), WriteError> {
        if self.durable < self.counter {
            self.tail.file.sync().map_err(|source| WriteError::Disk { source })?;
            self.durable = self.counter;
        }
        Ok(())
    }

    /// Begins a new segment with room for a frame of `size` bytes; the old one is synced.
    fn next_segment(&mut self, size: usize) -> Result<(), WriteError> {
        let old = &self.tail.sealed;
        let mut head = Head {
            generation: old.generation + 1,
            previous: old.generation,
            base: self.counter,
            durable: self.counter,
            checkpoint: self.state.clone(),
        };
        if mutant!("ballot-lost-on-segment-switch") {
            head.checkpoint.ballot = Ballot::default();
        }
        let bytes = head.encode()?;
        let (spare, mut file, capacity) = self.take_spare((bytes.len() + size) as u64)?;
        let place = Name::Segment(head.generation).text();
        let name = Name::Spare(spare).text();
        let begin = || -> io::Result<_> {
            file.write_at(0, &bytes)?;
            file.sync()?;
            // Only now: a file with the name of a segment has a whole head, or is damaged.
            self.disk.rename(&name, &place)?;
            if !mutant!("segment-name-not-durable") {
                self.disk.sync_names()?;
            }
            Ok(file)
        };
        let file = begin().map_err(|source| WriteError::Disk { source })?;
        let sealed = Sealed { generation: head.generation, highest: Default::default(), capacity };
        let tail = Tail { sealed, file, offset: bytes.len() as u64 };
        self.sealed.push_back(std::mem::replace(&mut self.tail, tail).sealed);
        Ok(())
    }

    /// A file with room for `size` bytes, its number and its size. One spare always stays behind.
    fn take_spare(&mut self, size: u64) -> Result<(u64, Box<dyn DiskFile>, u64), WriteError> {
        if size > self.options.segment_bytes {
            let (number, file) = self.create_spare(size)?;
            return Ok((number, file, size));
        }
        while self.spares.len() < 2 {
            let (number, _) = self.create_spare(self.options.segment_bytes)?;
            self.spares.push_back(number);
        }
        let number = self.spares.pop_front().ok_or(WriteError::Poisoned)?;
        let file = self.disk.open(&Name::Spare(number).text());
        let file = file.map_err(|source| WriteError::Disk { source })?;
        Ok((number, file, self.options.segment_bytes))
    }

    pub(crate) fn create_spare(&mut self, size: u64) -> io::Result<(u64, Box<dyn DiskFile>)> {
        let number = self.next_spare;
        self.next_spare += 1;
        let file = segment::create(&mut *self.disk, &Name::Spare(number).text(), size)?;
        Ok((number, file))
    }

    fn has_covered(&self) -> bool {
        let covered = self.state.covered();
        let over = |s: &Sealed| s.highest <= covered || mutant!("journal-recycles-too-early");
        self.sealed.front().is_some_and(over)
    }

    /// Recycles segments and removes snapshots that the newest snapshot makes superfluous. Its mark
    /// is durable.
    pub(crate) fn recycle(&mut self) -> io::Result<()> {
        let mut freed = Vec::new();
        while self.has_covered()
            && let Some(sealed) = self.sealed.pop_front()
        {
            freed.extend(self.release(&sealed, freed.len())?);
        }
        let newest = self.state.covered().0;
        for index in self.snapshots.extract_if(.., |index| *index != newest) {
            self.disk.remove(&Name::Snapshot(index).text())?;
        }
        // Only durable spares are written to: if the new name were lost, the old one would stand
        // for a segment that is no more.
        self.disk.sync_names()?;
        self.spares.extend(freed);
        Ok(())
    }

    /// Takes a file's name as a segment away; it is a spare once that is durable, `freed` others too.
    pub(crate) fn release(&mut self, sealed: &Sealed, freed: usize) -> io::Result<Option<u64>> {
        let name = Name::Segment(sealed.generation).text();
        let fits = sealed.capacity == self.options.segment_bytes;
        if !fits || self.spares.len() + freed >= self.options.spares_max {
            self.disk.remove(&name)?;
            return Ok(None);
        }
        let number = self.next_spare;
        self.next_spare += 1;
        self.disk.rename(&name, &Name::Spare(number).text())?;
        Ok(Some(number))
    }
}
