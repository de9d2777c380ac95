//! What a start finds, judges, and puts on firm ground.
//!
//! Nothing of the last segment counts as it was found: an earlier life may have seen an fsync fail,
//! and then the page cache shows what the disk does not hold. So it is written to a fresh segment,
//! full of zeros behind it, under a generation that no frame anywhere bears, and synced.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use quorate_core::{Disk, LogId, LogIndex, Record, Recovered};

use crate::checkpoint::{Checkpoint, Mark, Nonsense, Replay};
use crate::codec;
use crate::error::{Damage, OpenError, is_full};
use crate::frame::{self, Kind, Place, Rest};
use crate::journal::Journal;
use crate::names::Name;
use crate::options::Options;
use crate::segment::{BadHead, Head, Sealed, Tail, fill, read_all, read_head};
use crate::snapshot;
use crate::terms::Terms;

/// What an opening found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Opened {
    /// Where a crash tore the tail; `None` if it did not.
    pub torn: Option<Torn>,
    /// Records that were read.
    pub records: u64,
    /// Segments that were read.
    pub segments: usize,
}

/// Records at the end of the journal that were never durable, cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// The file.
    pub segment: String,
    /// Where the first of them begins, in bytes.
    pub offset: u64,
}

/// The files of a data folder.
#[derive(Debug, Default)]
struct Inventory {
    segments: BTreeMap<u64, String>,
    spares: VecDeque<u64>,
    snapshots: Vec<u64>,
    unfinished: Vec<u64>,
}

/// A segment that was read.
struct Segment {
    head: Head,
    name: String,
    /// Where its frames begin.
    start: usize,
    bytes: Vec<u8>,
}

/// The segments that count, replayed.
struct Found {
    replay: Replay,
    opened: Opened,
    sealed: VecDeque<Sealed>,
    last: Segment,
    /// Where the valid frames of `last` end, what the counter is there, and its highest entry.
    end: usize,
    counter: u64,
    highest: LogIndex,
}

pub(crate) fn open(
    mut disk: Box<dyn Disk>,
    options: Options,
) -> Result<(Journal, Recovered), OpenError> {
    let mut inventory = Inventory::take(&*disk)?;
    // Reads and judges everything before it changes anything.
    let found = match inventory.segments.keys().next_back().copied() {
        Some(newest) => Some(read_segments(&mut *disk, &inventory, newest)?),
        None if inventory.snapshots.is_empty() => None,
        None => return Err(OpenError::JournalMissing),
    };
    let snapshot = match found.as_ref().and_then(|found| found.replay.state.snapshot) {
        Some(last) => Some(snapshot::read(&mut *disk, last)?),
        None => None,
    };
    inventory.tidy(&mut *disk, &options)?;
    let (mut journal, replay) = firm(disk, options, &mut inventory, found)?;
    journal.forget_superseded(&inventory)?;
    let recovered = Recovered {
        identity: replay.state.identity.clone(),
        ballot: replay.state.ballot.clone(),
        pledge: replay.state.pledge.clone(),
        snapshot,
        commit: replay.state.commit,
        entries: replay.entries,
    };
    Ok((journal, recovered))
}

impl Inventory {
    fn take(disk: &dyn Disk) -> io::Result<Self> {
        let mut inventory = Self::default();
        for text in disk.names()? {
            match Name::parse(&text) {
                Some(Name::Segment(generation)) => {
                    inventory.segments.insert(generation, text);
                }
                Some(Name::Spare(number)) => inventory.spares.push_back(number),
                Some(Name::Snapshot(index)) => inventory.snapshots.push(index),
                Some(Name::Unfinished(index)) => inventory.unfinished.push(index),
                None => {}
            }
        }
        Ok(inventory)
    }

    /// Removes what was left half done, and spares that do not fit; makes all names durable.
    fn tidy(&mut self, disk: &mut dyn Disk, options: &Options) -> io::Result<()> {
        for index in self.unfinished.drain(..) {
            disk.remove(&Name::Unfinished(index).text())?;
        }
        let mut fitting = VecDeque::new();
        for number in self.spares.drain(..) {
            let name = Name::Spare(number).text();
            if fitting.len() < options.spares_max
                && disk.open(&name)?.size()? == options.segment_bytes
            {
                fitting.push_back(number);
            } else {
                disk.remove(&name)?;
            }
        }
        self.spares = fitting;
        // A spare whose name is not durable may come back as the segment that it was.
        disk.sync_names()
    }
}

/// Reads the newest segment and those it follows, and replays them.
fn read_segments(
    disk: &mut dyn Disk,
    inventory: &Inventory,
    newest: u64,
) -> Result<Found, OpenError> {
    // Heads first, backwards: each names its predecessor. Where that is gone its entries are in a
    // snapshot, or the replay notices that they are missing.
    let mut chain: VecDeque<(u64, u64)> = VecDeque::new();
    let mut generation = newest;
    while inventory.segments.contains_key(&generation) {
        let name = Name::Segment(generation).text();
        let head = read_head(&*disk.open(&name)?)?;
        let (head, _) = sound_head(&head, generation)?;
        chain.push_front((generation, head.base));
        generation = head.previous;
    }
    let mut opened = Opened { segments: chain.len(), ..Opened::default() };
    let mut sealed = VecDeque::new();
    let mut replay: Option<Replay> = None;
    while let Some((generation, _)) = chain.pop_front() {
        let segment = Segment::read(disk, generation)?;
        let replay = replay.get_or_insert_with(|| Replay::new(segment.head.checkpoint.clone()));
        let (end, counter, highest) = segment.replay(replay, &mut opened.records)?;
        let capacity = segment.bytes.len() as u64;
        match chain.front() {
            // The next segment began only when this one was durable to its end.
            Some((_, base)) if *base != counter => {
                return Err(segment.damaged(end, Damage::Record));
            }
            Some(_) => sealed.push_back(Sealed { generation, highest, capacity }),
            None => {
                opened.torn = segment.judge(end, counter)?;
                if !replay.is_whole() {
                    return Err(segment.damaged(segment.start, Damage::EntriesMissing));
                }
                let replay = std::mem::replace(replay, Replay::new(Checkpoint::default()));
                let last = segment;
                return Ok(Found { replay, opened, sealed, last, end, counter, highest });
            }
        }
    }
    // The newest segment is in the inventory, so the chain had a last one.
    Err(OpenError::JournalMissing)
}

impl Segment {
    fn read(disk: &mut dyn Disk, generation: u64) -> Result<Self, OpenError> {
        let name = Name::Segment(generation).text();
        let bytes = read_all(&*disk.open(&name)?)?;
        let (head, start) = sound_head(&bytes, generation)?;
        Ok(Self { head, name, start, bytes })
    }

    fn damaged(&self, offset: usize, damage: Damage) -> OpenError {
        OpenError::Damaged { segment: self.name.clone(), offset: offset as u64, damage }
    }

    const fn place(&self, counter: u64) -> Place {
        Place { generation: self.head.generation, counter }
    }

    /// Replays its frames up to the first that is not valid: where that is, the counter there, and
    /// the highest entry on the way.
    fn replay(
        &self,
        replay: &mut Replay,
        records: &mut u64,
    ) -> Result<(usize, u64, LogIndex), OpenError> {
        let (mut at, mut counter, mut highest) = (self.start, self.head.base, LogIndex::ZERO);
        while let Some(frame) =
            frame::read(self.bytes.get(at..).unwrap_or(&[]), self.place(counter))
        {
            let entries = apply(replay, frame.kind, frame.body)
                .map_err(|Nonsense| self.damaged(at, Damage::Meaning))?;
            if entries {
                highest = highest.max(replay.state.tip);
            }
            at += frame.size();
            counter += frame.size() as u64;
            *records += u64::from(frame.kind != Kind::Settled);
        }
        Ok((at, counter, highest))
    }

    /// Tells a torn tail from damage.
    fn judge(&self, end: usize, counter: u64) -> Result<Option<Torn>, OpenError> {
        if counter < self.head.durable {
            return Err(self.damaged(end, Damage::Record));
        }
        match frame::judge(self.bytes.get(end..).unwrap_or(&[]), self.place(counter)) {
            Rest::Clean => Ok(None),
            Rest::Torn => Ok(Some(Torn { segment: self.name.clone(), offset: end as u64 })),
            Rest::Damaged => Err(self.damaged(end, Damage::Record)),
        }
    }
}

/// The head in `bytes`, which must be that of `generation`.
fn sound_head(bytes: &[u8], generation: u64) -> Result<(Head, usize), OpenError> {
    let name = Name::Segment(generation).text();
    match Head::decode(bytes) {
        Ok((head, start)) if head.generation == generation && head.previous < generation => {
            Ok((head, start))
        }
        Err(BadHead::Version(version)) => Err(OpenError::UnknownFormat { name, version }),
        Ok(_) | Err(BadHead::Damaged) => {
            Err(OpenError::Damaged { segment: name, offset: 0, damage: Damage::Head })
        }
    }
}

/// Replays one frame; `true` if it brought entries.
fn apply(replay: &mut Replay, kind: Kind, body: &[u8]) -> Result<bool, Nonsense> {
    match kind {
        Kind::Record => {
            let record = codec::decode::<Record>(body).ok_or(Nonsense)?;
            let entries = matches!(record, Record::Entries(_));
            replay.record(record)?;
            Ok(entries)
        }
        Kind::Mark => {
            replay.mark(codec::decode::<Mark>(body).ok_or(Nonsense)?)?;
            Ok(false)
        }
        Kind::Settled => Ok(false),
    }
}

/// Writes what counts of the last segment to a fresh one that takes its place.
fn firm(
    mut disk: Box<dyn Disk>,
    options: Options,
    inventory: &mut Inventory,
    found: Option<Found>,
) -> Result<(Journal, Replay), OpenError> {
    let newest = inventory.segments.keys().next_back().copied().unwrap_or(0);
    let head = found.as_ref().map_or_else(
        || Head {
            generation: newest + 1,
            previous: 0,
            base: 0,
            durable: 0,
            checkpoint: Checkpoint::default(),
        },
        |found| Head {
            generation: newest + 1,
            previous: found.last.head.previous,
            base: found.last.head.base,
            durable: found.counter,
            checkpoint: found.last.head.checkpoint.clone(),
        },
    );
    let mut content = head.encode().map_err(io::Error::other)?;
    if let Some(found) = &found {
        found.copy_frames(head.generation, &mut content);
    }
    let size = options.segment_bytes.max(content.len() as u64);
    // A spare that fits is the reserve for a full disk; every byte of it is written.
    let next_spare = inventory.spares.iter().max().map_or(0, |number| number + 1);
    let reserve = inventory.spares.pop_front_if(|_| size == options.segment_bytes);
    let number = reserve.unwrap_or(next_spare);
    let name = Name::Spare(number).text();
    let begun = (|| {
        let mut file = disk.open(&name)?;
        file.write_at(0, &content)?;
        fill(&mut *file, content.len() as u64, size)?;
        file.sync()?;
        disk.rename(&name, &Name::Segment(head.generation).text())?;
        disk.sync_names()?;
        io::Result::Ok(file)
    })();
    let file = begun.map_err(|source| {
        if !is_full(&source) {
            return source.into();
        }
        if reserve.is_none() {
            // Without effect at worst: the next start removes what is left.
            let _ = disk.remove(&name);
        }
        OpenError::Full { source }
    })?;
    let (replay, opened, sealed, counter, highest) = match found {
        Some(found) => (found.replay, found.opened, found.sealed, found.counter, found.highest),
        None => {
            let replay = Replay::new(Checkpoint::default());
            (replay, Opened::default(), VecDeque::new(), 0, LogIndex::ZERO)
        }
    };
    let tail = Tail {
        sealed: Sealed { generation: head.generation, highest, capacity: size },
        file,
        offset: content.len() as u64,
    };
    let base = replay.state.snapshot.unwrap_or(LogId::ZERO);
    let journal = Journal {
        disk,
        next_spare: next_spare + 1,
        options,
        opened,
        sealed,
        tail,
        spares: std::mem::take(&mut inventory.spares),
        snapshots: inventory.snapshots.clone(),
        terms: Terms::new(base, &replay.entries),
        state: replay.state.clone(),
        batch: Vec::new(),
        counter,
        durable: counter,
        settled: true,
        poisoned: false,
    };
    Ok((journal, replay))
}

impl Found {
    /// Appends the valid frames of the last segment to `content`, as frames of `generation`.
    fn copy_frames(&self, generation: u64, content: &mut Vec<u8>) {
        let (mut at, mut counter) = (self.last.start, self.last.head.base);
        while at < self.end
            && let Some(frame) = frame::read(&self.last.bytes[at..], self.last.place(counter))
        {
            let (kind, body, size) = (frame.kind, frame.body.len(), frame.size());
            let start = content.len();
            content.extend_from_slice(&self.last.bytes[at..at + size]);
            let place = Place { generation, counter };
            frame::seal(&mut content[start..], kind, body, place, counter);
            at += size;
            counter += size as u64;
        }
    }
}

impl Journal {
    /// Frees what the fresh segment and the snapshot made superfluous, and sees to the reserve.
    fn forget_superseded(&mut self, inventory: &Inventory) -> Result<(), OpenError> {
        let needed = |generation: &u64| self.sealed.iter().any(|s| s.generation == *generation);
        let old: Vec<u64> = inventory.segments.keys().copied().filter(|g| !needed(g)).collect();
        let mut freed = Vec::new();
        for generation in old {
            let capacity = self.disk.open(&Name::Segment(generation).text())?.size()?;
            let sealed = Sealed { generation, highest: LogIndex::ZERO, capacity };
            freed.extend(self.release(&sealed, freed.len())?);
        }
        self.disk.sync_names()?;
        self.spares.extend(freed);
        self.recycle()?;
        if self.spares.is_empty() {
            match self.create_spare(self.options.segment_bytes) {
                Ok((number, _)) => self.spares.push_back(number),
                // The reserve is missing, not the data; the next segment will say so.
                Err(error) if is_full(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
