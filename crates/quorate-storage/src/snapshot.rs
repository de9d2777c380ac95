//! Snapshots, each in a file of its own that is whole before it has its name.
//!
//! ```text
//!  0  magic    8 bytes
//!  8  version  u32
//! 12  meta     u32  length of the description
//! 16  state    u64  length of the state
//! 24  crc      u32  CRC32C of all of the above, the description and the sums; then four zeros
//! 32  description, then a CRC32C (u32) per MiB of the state, then the state
//! ```

use std::io;

use bytes::Bytes;
use quorate_core::{ClusterTime, Configuration, Disk, LogId, Snapshot, mutant};
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::error::{OpenError, WriteError, is_full};
use crate::frame::{number, u32_at};
use crate::names::Name;
use crate::segment::read_all;

const MAGIC: [u8; 8] = *b"quorsnap";
const VERSION: u32 = 1;
const FIXED: usize = 32;
const CHUNK: usize = 1 << 20;

/// A snapshot without its state.
#[derive(Serialize, Deserialize)]
struct Description {
    last: LogId,
    time: ClusterTime,
    configuration: Configuration,
}

/// Writes `snapshot` to a file of its own; durable with its name on return.
pub(crate) fn write(disk: &mut dyn Disk, snapshot: &Snapshot) -> Result<(), WriteError> {
    let head = encode_head(snapshot)?;
    let index = snapshot.last.index.0;
    let unfinished = Name::Unfinished(index).text();
    let written = (|| -> io::Result<()> {
        let mut file = disk.open(&unfinished)?;
        file.write_at(0, &head)?;
        file.write_at(head.len() as u64, &snapshot.state)?;
        if mutant!("snapshot-mark-before-file") {
            return disk.rename(&unfinished, &Name::Snapshot(index).text());
        }
        file.sync()?;
        disk.rename(&unfinished, &Name::Snapshot(index).text())
    })();
    if let Err(error) = written {
        if is_full(&error) {
            // Without effect at worst: the next start removes what is left.
            let _ = disk.remove(&unfinished);
        }
        return Err(error.into());
    }
    // Also a full disk is final here: which names are durable is unknown, and no later sync of the
    // folder would tell.
    disk.sync_names().map_err(|source| WriteError::Disk { source })
}

fn encode_head(snapshot: &Snapshot) -> Result<Vec<u8>, WriteError> {
    let description = Description {
        last: snapshot.last,
        time: snapshot.time,
        configuration: snapshot.configuration.clone(),
    };
    let mut head = vec![0; FIXED];
    codec::encode_into(&description, &mut head)?;
    let meta = u32::try_from(head.len() - FIXED).map_err(|_| WriteError::Unencodable)?;
    for chunk in snapshot.state.chunks(CHUNK) {
        head.extend_from_slice(&crc32c::crc32c(chunk).to_le_bytes());
    }
    head[..8].copy_from_slice(&MAGIC);
    head[8..12].copy_from_slice(&VERSION.to_le_bytes());
    head[12..16].copy_from_slice(&meta.to_le_bytes());
    head[16..24].copy_from_slice(&(snapshot.state.len() as u64).to_le_bytes());
    let crc = checksum(&head);
    head[24..28].copy_from_slice(&crc.to_le_bytes());
    Ok(head)
}

/// Reads the snapshot up to `last`.
pub(crate) fn read(disk: &mut dyn Disk, last: LogId) -> Result<Snapshot, OpenError> {
    let name = Name::Snapshot(last.index.0).text();
    let damaged = || OpenError::SnapshotDamaged { name: name.clone() };
    // Opening would make the file if it were absent.
    if !disk.names()?.contains(&name) {
        return Err(damaged());
    }
    let bytes = read_all(&*disk.open(&name)?)?;
    if bytes.get(..8).is_some_and(|magic| magic == MAGIC) {
        match bytes.get(8..12).map(|version| u32_at(version, 0)) {
            None | Some(VERSION) => {}
            Some(version) => return Err(OpenError::UnknownFormat { name, version }),
        }
    }
    let snapshot = decode(bytes).ok_or_else(damaged)?;
    if snapshot.last == last { Ok(snapshot) } else { Err(damaged()) }
}

fn decode(bytes: Vec<u8>) -> Option<Snapshot> {
    let fixed = bytes.get(..FIXED)?;
    let (meta, state) = (u32_at(fixed, 12) as usize, usize::try_from(number(fixed, 16)).ok()?);
    let sums_at = FIXED.checked_add(meta)?;
    let state_at = sums_at.checked_add(state.div_ceil(CHUNK).checked_mul(4)?)?;
    let head = bytes.get(..state_at)?;
    if fixed[..8] != MAGIC || checksum(head) != u32_at(fixed, 24) {
        return None;
    }
    let content = bytes.get(state_at..state_at.checked_add(state)?)?;
    let sums = head[sums_at..].chunks_exact(4);
    if !content.chunks(CHUNK).zip(sums).all(|(chunk, sum)| crc32c::crc32c(chunk) == u32_at(sum, 0))
    {
        return None;
    }
    let Description { last, time, configuration } = codec::decode(&head[FIXED..sums_at])?;
    let state = Bytes::from(bytes).slice(state_at..state_at + state);
    Some(Snapshot { last, time, configuration, state })
}

fn checksum(head: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&head[..24]), &head[FIXED..])
}
