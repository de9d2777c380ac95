//! A disk in memory that fails in every way in which disks fail.

use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use quorate_core::{Disk, DiskFile, Rng};

mod file;
mod state;

use state::State;

/// What a crash leaves of the writes and names that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CrashMode {
    /// Power fails: nothing of it arrived.
    LoseAll,
    /// Only the process ends: the page cache, with all that the disk does not hold yet, lives on.
    LoseNone,
    /// Power fails: of every 512-byte sector and every name, some arrived, in any order.
    LoseSubset,
    /// Power fails: each file's writes arrived in order, up to the middle of one.
    Torn,
}

impl CrashMode {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::LoseAll, Self::LoseNone, Self::LoseSubset, Self::Torn];
}

/// A fault that strikes the next operation of its kind, once. A crash disarms it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A file's fsync fails; its pages stay readable and never become durable (D6).
    SyncFails,
    /// A file's fsync succeeds and does nothing (D5).
    SyncLies,
    /// The fsync of the folder fails; the names stay as volatile as they were.
    NameSyncFails,
    /// A write fails after half of its bytes (D7).
    WriteFails,
    /// A read fails (D7).
    ReadFails,
    /// A write lands at offset `to` of its file instead (D4).
    WriteMisdirected {
        /// Where, in bytes.
        to: u64,
    },
}

/// What a simulated disk has done since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DiskCounters {
    /// Bytes written to files.
    pub bytes_written: u64,
    /// Calls of [`DiskFile::write_at`].
    pub writes: u64,
    /// Calls of [`DiskFile::sync`].
    pub syncs: u64,
    /// Calls of [`Disk::sync_names`].
    pub name_syncs: u64,
    /// Armed faults that struck.
    pub faults_fired: u64,
}

/// A bit of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitPlace {
    /// The file.
    pub name: String,
    /// The byte in it.
    pub offset: u64,
    /// The bit of that byte, 0 to 7.
    pub bit: u8,
}

/// A copy of a whole disk, for a node that comes back with an older one.
#[derive(Clone)]
pub struct DiskImage(State);

impl fmt::Debug for DiskImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DiskImage").field(&self.0.names()).finish()
    }
}

/// A simulated disk. Clones share it, so that a simulator keeps hold of the disk of a running node.
#[derive(Clone, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimDisk").field(&self.0.lock().names()).finish()
    }
}

impl SimDisk {
    /// An empty disk without limit.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The disk as a node sees it. Dead after the next crash, like every file opened through it.
    #[must_use]
    pub fn attach(&self) -> Box<dyn Disk> {
        Box::new(Attached { disk: self.clone(), life: self.0.lock().life })
    }

    /// Ends the process that uses the disk, and perhaps the power with it. Armed faults are gone.
    pub fn crash(&self, rng: &mut Rng, mode: CrashMode) {
        self.0.lock().crash(rng, mode);
    }

    /// Arms `fault` for the next operation of its kind.
    pub fn inject(&self, fault: Fault) {
        self.0.lock().inject(fault);
    }

    /// Takes back all armed faults that did not strike yet.
    pub fn disarm(&self) {
        self.0.lock().disarm();
    }

    /// The armed faults that struck since this was last asked, in order.
    #[must_use]
    pub fn take_fired(&self) -> Vec<Fault> {
        std::mem::take(&mut self.0.lock().fired)
    }

    /// Lets `operations` more changes succeed (writes, syncs, names) and refuses all later ones, as
    /// if the power had failed just then. Follow with [`Self::crash`], which lifts it.
    pub fn cut_power_after(&self, operations: u64) {
        self.0.lock().operations_left = Some(operations);
    }

    /// Whether a loss of power now could take a write away.
    #[must_use]
    pub fn has_unsynced(&self) -> bool {
        self.0.lock().has_unsynced()
    }

    /// Limits the bytes that files may take together; `None` lifts the limit (D8).
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.0.lock().capacity = bytes;
    }

    /// The bytes that files take now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.lock().used()
    }

    /// Flips one bit on the disk; `false` if there is no such byte (D3).
    pub fn flip_bit(&self, place: &BitPlace) -> bool {
        self.0.lock().flip(&place.name, place.offset, place.bit)
    }

    /// Flips a random durable bit; `None` on an empty disk. Bytes that are not zero are preferred,
    /// since most of a preallocated segment is unused.
    pub fn flip_random_bit(&self, rng: &mut Rng) -> Option<BitPlace> {
        let mut state = self.0.lock();
        let size = |name: &String| state.durable(name).map_or(0, <[u8]>::len) as u64;
        let names: Vec<(String, u64)> =
            state.names().into_iter().map(|name| (name.clone(), size(&name))).collect();
        let total: u64 = names.iter().map(|(_, size)| size).sum();
        let mut place = None;
        for _ in 0..if total == 0 { 0 } else { 64 } {
            let mut offset = rng.below(total);
            for (name, size) in &names {
                if offset < *size {
                    place = Some(BitPlace { name: name.clone(), offset, bit: rng.index(8) as u8 });
                    break;
                }
                offset -= size;
            }
            if place.as_ref().is_some_and(|place| state.byte(place) != 0) {
                break;
            }
        }
        let place = place?;
        state.flip(&place.name, place.offset, place.bit);
        Some(place)
    }

    /// The names in sight, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.lock().names()
    }

    /// A file's bytes as the disk holds them; `None` if its name is not durable.
    #[must_use]
    pub fn durable(&self, name: &str) -> Option<Vec<u8>> {
        self.0.lock().durable(name).map(<[u8]>::to_vec)
    }

    /// A file's bytes as a reader sees them.
    #[must_use]
    pub fn visible(&self, name: &str) -> Option<Vec<u8>> {
        self.0.lock().visible(name).map(<[u8]>::to_vec)
    }

    /// What the disk has done.
    #[must_use]
    pub fn counters(&self) -> DiskCounters {
        self.0.lock().counters
    }

    /// A copy of everything on it.
    #[must_use]
    pub fn image(&self) -> DiskImage {
        DiskImage(self.0.lock().clone())
    }

    /// Puts an earlier copy in the disk's place (a restored backup). Ends the process that uses it.
    pub fn restore(&self, image: &DiskImage) {
        let mut state = self.0.lock();
        let (life, counters) = (state.life + 1, state.counters);
        *state = image.0.clone();
        (state.life, state.counters) = (life, counters);
    }

    /// Empties the disk (a replaced one). Ends the process that uses it.
    pub fn wipe(&self) {
        self.restore(&DiskImage(State::default()));
    }
}

/// The disk in the hands of one life of a node.
struct Attached {
    disk: SimDisk,
    life: u64,
}

impl Attached {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.0.lock();
        if state.life != self.life {
            return Err(io::Error::other("this process has crashed"));
        }
        act(&mut state)
    }

    /// Like [`Self::with`], for what changes the disk.
    fn change<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        self.with(|state| {
            match &mut state.operations_left {
                Some(0) => return Err(io::Error::other("the power is off")),
                Some(left) => *left -= 1,
                None => {}
            }
            act(state)
        })
    }
}

impl Disk for Attached {
    fn names(&self) -> io::Result<Vec<String>> {
        self.with(|state| Ok(state.names()))
    }

    fn open(&mut self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let inode = match self.with(|state| Ok(state.find(name).ok()))? {
            Some(inode) => inode,
            None => self.change(|state| Ok(state.open(name)))?,
        };
        Ok(Box::new(SimFile { disk: Self { disk: self.disk.clone(), life: self.life }, inode }))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.change(|state| state.rename(from, to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.change(|state| state.remove(name))
    }

    fn sync_names(&mut self) -> io::Result<()> {
        self.change(State::sync_names)
    }
}

struct SimFile {
    disk: Attached,
    inode: u64,
}

impl DiskFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        self.disk.with(|state| Ok(state.inode(self.inode)?.visible.len() as u64))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.disk.with(|state| state.read(self.inode, offset, buffer))
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.change(|state| state.write(self.inode, offset, bytes))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.change(|state| state.sync(self.inode))
    }
}
