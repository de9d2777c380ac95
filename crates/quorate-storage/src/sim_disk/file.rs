//! One simulated file: what the disk holds, what the page cache shows, and what lies between.

use quorate_core::Rng;

/// The unit that a disk writes or does not write, in bytes.
const SECTOR: u64 = 512;

/// A file without its name.
#[derive(Debug, Clone, Default)]
pub(super) struct Inode {
    /// What survives a loss of power.
    pub(super) durable: Vec<u8>,
    /// What a reader sees.
    pub(super) visible: Vec<u8>,
    /// Writes since the last sync, in order. Pages of a failed sync are in none: they are visible
    /// and will never be durable.
    unsynced: Vec<(u64, Vec<u8>)>,
}

impl Inode {
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        apply(&mut self.visible, offset, bytes);
        self.unsynced.push((offset, bytes.to_vec()));
    }

    pub(super) fn sync(&mut self) {
        for (offset, bytes) in self.unsynced.drain(..) {
            apply(&mut self.durable, offset, &bytes);
        }
    }

    /// A sync that failed: the kernel marks the pages clean and forgets that they never arrived.
    pub(super) fn fail_sync(&mut self) {
        self.unsynced.clear();
    }

    pub(super) const fn is_unsynced(&self) -> bool {
        !self.unsynced.is_empty()
    }

    pub(super) fn lose_all(&mut self) {
        self.unsynced.clear();
        self.visible.clone_from(&self.durable);
    }

    /// Every sector holds what some prefix of the writes to it left there, each by its own dice.
    pub(super) fn lose_subset(&mut self, rng: &mut Rng) {
        let writes = std::mem::take(&mut self.unsynced);
        let end = writes.iter().map(|(offset, bytes)| offset + bytes.len() as u64).max();
        let mut touched: Vec<u64> = writes.iter().flat_map(|(o, b)| sectors(*o, b)).collect();
        touched.sort_unstable();
        touched.dedup();
        // The length is metadata: it may have reached the disk or not, whatever the bytes did.
        let length = match end.map(index) {
            Some(end) if end > self.durable.len() && rng.chance(500_000) => end,
            _ => self.durable.len(),
        };
        let grown = self.durable.len().max(end.map_or(0, index));
        self.durable.resize(grown, 0);
        for sector in touched {
            let here: Vec<&(u64, Vec<u8>)> =
                writes.iter().filter(|(o, b)| sectors(*o, b).any(|s| s == sector)).collect();
            let kept = rng.index(here.len() + 1);
            for (offset, bytes) in &here[..kept] {
                apply_within(&mut self.durable, *offset, bytes, sector);
            }
        }
        self.durable.truncate(length);
        self.visible.clone_from(&self.durable);
    }

    /// Writes reached the disk in order up to a random byte of a random one.
    pub(super) fn tear(&mut self, rng: &mut Rng) {
        let writes = std::mem::take(&mut self.unsynced);
        if !writes.is_empty() {
            let last = rng.index(writes.len());
            for (offset, bytes) in &writes[..last] {
                apply(&mut self.durable, *offset, bytes);
            }
            let (offset, bytes) = &writes[last];
            apply(&mut self.durable, *offset, &bytes[..rng.index(bytes.len() + 1)]);
        }
        self.visible.clone_from(&self.durable);
    }

    /// Flips one bit on the disk and, as the cache would read it back, in sight.
    pub(super) fn flip(&mut self, offset: u64, bit: u8) -> bool {
        let mask = 1 << (bit % 8);
        let Some(byte) = self.durable.get_mut(index(offset)) else {
            return false;
        };
        *byte ^= mask;
        if let Some(byte) = self.visible.get_mut(index(offset)) {
            *byte ^= mask;
        }
        true
    }
}

pub(super) fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("a simulated file fits in memory")
}

fn sectors(offset: u64, bytes: &[u8]) -> impl Iterator<Item = u64> + use<> {
    offset / SECTOR..(offset + bytes.len() as u64).div_ceil(SECTOR)
}

fn apply(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let (start, end) = (index(offset), index(offset) + bytes.len());
    if content.len() < end {
        content.resize(end, 0);
    }
    content[start..end].copy_from_slice(bytes);
}

/// Applies the part of a write that lies in `sector`.
fn apply_within(content: &mut Vec<u8>, offset: u64, bytes: &[u8], sector: u64) {
    let start = offset.max(sector * SECTOR);
    let end = (offset + bytes.len() as u64).min((sector + 1) * SECTOR);
    apply(content, start, &bytes[index(start - offset)..index(end - offset)]);
}
