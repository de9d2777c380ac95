//! A segment: a head that repeats what came before it, then frames, then zeros or old bytes.
//!
//! ```text
//!  0  magic       8 bytes
//!  8  version     u32
//! 12  length      u32  of the checkpoint
//! 16  generation  u64
//! 24  previous    u64  generation of the segment before it; 0 if there is none
//! 32  base        u64  counter of the first frame
//! 40  durable     u64  frames before this counter were durable when the segment got its name
//! 48  crc         u32  CRC32C of all of the above and the checkpoint, then four zeros
//! 56  checkpoint, padded with zeros to 8
//! ```

use std::io;

use quorate_core::{Disk, DiskFile, LogIndex};

use crate::checkpoint::Checkpoint;
use crate::codec;
use crate::error::{WriteError, is_full};
use crate::frame::{number, padded, u32_at};

const MAGIC: [u8; 8] = *b"quorjrnl";
const VERSION: u32 = 1;
const FIXED: usize = 56;
const CRC: usize = 48;
/// How many zeros are written at a time.
const CHUNK: usize = 256 << 10;

#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) generation: u64,
    pub(crate) previous: u64,
    pub(crate) base: u64,
    pub(crate) durable: u64,
    pub(crate) checkpoint: Checkpoint,
}

/// Why a head cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadHead {
    Damaged,
    Version(u32),
}

impl Head {
    /// The head's bytes; the first frame follows them.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, WriteError> {
        let mut bytes = vec![0; FIXED];
        codec::encode_into(&self.checkpoint, &mut bytes)?;
        let length = u32::try_from(bytes.len() - FIXED).map_err(|_| WriteError::Unencodable)?;
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&length.to_le_bytes());
        let numbers = [self.generation, self.previous, self.base, self.durable];
        for (at, number) in (16..CRC).step_by(8).zip(numbers) {
            bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        let crc = checksum(&bytes);
        bytes[CRC..CRC + 4].copy_from_slice(&crc.to_le_bytes());
        bytes.resize(padded(bytes.len()), 0);
        Ok(bytes)
    }

    /// The head of a segment and where its first frame is.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Self, usize), BadHead> {
        let fixed = bytes.get(..FIXED).ok_or(BadHead::Damaged)?;
        if fixed[..8] != MAGIC {
            return Err(BadHead::Damaged);
        }
        let length = u32_at(fixed, 12) as usize;
        let end = FIXED.checked_add(length).ok_or(BadHead::Damaged)?;
        let covered = bytes.get(..end).ok_or(BadHead::Damaged)?;
        // A later release may place its checksum elsewhere, so its version is believed unchecked.
        match u32_at(fixed, 8) {
            VERSION => {}
            version => return Err(BadHead::Version(version)),
        }
        if checksum(covered) != u32_at(fixed, CRC) {
            return Err(BadHead::Damaged);
        }
        let checkpoint = codec::decode(&covered[FIXED..]).ok_or(BadHead::Damaged)?;
        let head = Self {
            generation: number(fixed, 16),
            previous: number(fixed, 24),
            base: number(fixed, 32),
            durable: number(fixed, 40),
            checkpoint,
        };
        Ok((head, padded(end)))
    }
}

fn checksum(head: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&head[..CRC]), &head[FIXED..])
}

/// A segment that takes no more frames.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) generation: u64,
    /// The highest entry in it, also if truncated since.
    pub(crate) highest: LogIndex,
    /// Its size in bytes.
    pub(crate) capacity: u64,
}

/// The segment that is being written.
pub(crate) struct Tail {
    pub(crate) sealed: Sealed,
    pub(crate) file: Box<dyn DiskFile>,
    /// Where the next frames go, in bytes.
    pub(crate) offset: u64,
}

/// Makes a file full of zeros, durable but for its name. If there is no room, none is left behind.
pub(crate) fn create(disk: &mut dyn Disk, name: &str, size: u64) -> io::Result<Box<dyn DiskFile>> {
    let fill = |disk: &mut dyn Disk| {
        let mut file = disk.open(name)?;
        fill(&mut *file, 0, size)?;
        file.sync()?;
        Ok(file)
    };
    fill(disk).inspect_err(|error| {
        if is_full(error) {
            // Without effect at worst: the next start removes what is left.
            let _ = disk.remove(name);
        }
    })
}

/// Writes zeros from `from` up to `to`.
pub(crate) fn fill(file: &mut dyn DiskFile, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; CHUNK.min(usize::try_from(to.saturating_sub(from)).unwrap_or(CHUNK))];
    let mut at = from;
    while at < to {
        let length = zeros.len().min(usize::try_from(to - at).unwrap_or(CHUNK));
        file.write_at(at, &zeros[..length])?;
        at += length as u64;
    }
    Ok(())
}

/// The bytes of a segment's head; fewer if the file is shorter.
pub(crate) fn read_head(file: &dyn DiskFile) -> io::Result<Vec<u8>> {
    let size = file.size()?;
    let mut bytes = vec![0; FIXED.min(usize::try_from(size).unwrap_or(FIXED))];
    file.read_at(0, &mut bytes)?;
    if bytes.len() == FIXED {
        let end = (FIXED as u64 + u64::from(u32_at(&bytes, 12))).min(size);
        bytes.resize(usize::try_from(end).map_err(|_| io::ErrorKind::FileTooLarge)?, 0);
        file.read_at(FIXED as u64, &mut bytes[FIXED..])?;
    }
    Ok(bytes)
}

/// The whole of a file.
pub(crate) fn read_all(file: &dyn DiskFile) -> io::Result<Vec<u8>> {
    let size = usize::try_from(file.size()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; size];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}
