//! The frame around a record: how a reader knows that bytes are a record, and *this* one.
//!
//! ```text
//!  0  crc      u32  CRC32C of the segment's generation and everything from `length` on
//!  4  length   u32  of the body
//!  8  counter  u64  bytes of the journal before this frame, ever
//! 16  behind   u32  how many of those were not durable yet when the frame was made
//! 20  kind     u8   then three zeros
//! 24  body, padded with zeros to 8
//! ```
//!
//! Generation and counter lie under the checksum because a recycled segment is full of valid
//! records of its earlier life.

use quorate_core::mutant;

/// Bytes before the body.
pub(crate) const HEADER: usize = 24;

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A record as its writer gave it.
    Record = 1,
    /// A snapshot is in its file.
    Mark = 2,
    /// Nothing; says only that all before it is durable.
    Settled = 3,
}

/// Where a frame stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) generation: u64,
    pub(crate) counter: u64,
}

/// A valid frame.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    /// Everything before this counter was durable when the frame was made.
    pub(crate) durable: u64,
    pub(crate) body: &'a [u8],
}

impl Frame<'_> {
    /// Bytes it takes with header and padding.
    pub(crate) const fn size(&self) -> usize {
        padded(HEADER + self.body.len())
    }
}

/// `size` rounded up to the unit in which frames are placed.
pub(crate) const fn padded(size: usize) -> usize {
    size.next_multiple_of(8)
}

/// Makes room for a header at the end of `buffer`; the body is to follow it.
pub(crate) fn begin(buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(&[0; HEADER]);
}

/// Pads the frame that begins at `start` and returns the length of its body.
pub(crate) fn pad(buffer: &mut Vec<u8>, start: usize) -> usize {
    let body = buffer.len() - start - HEADER;
    buffer.resize(start + padded(HEADER + body), 0);
    body
}

/// Fills in the header of a padded `frame`.
pub(crate) fn seal(frame: &mut [u8], kind: Kind, body: usize, place: Place, durable: u64) {
    let behind = u32::try_from(place.counter - durable)
        .expect("a segment is synced before the next, and none is larger than 4 GiB");
    let length = u32::try_from(body).expect("quorate-wire limits a body to 1 GiB");
    frame[4..8].copy_from_slice(&length.to_le_bytes());
    frame[8..16].copy_from_slice(&place.counter.to_le_bytes());
    frame[16..20].copy_from_slice(&behind.to_le_bytes());
    frame[20..24].copy_from_slice(&[kind as u8, 0, 0, 0]);
    let crc = checksum(place.generation, &frame[4..HEADER + body]);
    frame[..4].copy_from_slice(&crc.to_le_bytes());
}

/// The frame at the start of `bytes`; `None` if none that belongs at `place` is there.
pub(crate) fn read(bytes: &[u8], place: Place) -> Option<Frame<'_>> {
    let header = bytes.get(..HEADER)?;
    // Before the checksum: nothing else is as cheap, and scans ask at every eighth byte.
    if number(header, 8) != place.counter {
        return None;
    }
    let length = u32_at(header, 4) as usize;
    let covered = bytes.get(4..HEADER.checked_add(length)?)?;
    if checksum(place.generation, covered) != u32_at(header, 0) && !mutant!("crc-ignored") {
        return None;
    }
    let kind = match header[20] {
        1 => Kind::Record,
        2 => Kind::Mark,
        3 => Kind::Settled,
        _ => return None,
    };
    let durable = place.counter.checked_sub(u64::from(u32_at(header, 16)))?;
    Some(Frame { kind, durable, body: &covered[HEADER - 4..] })
}

/// What lies behind the last frame that could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing of ours.
    Clean,
    /// What a crash left of frames that were never durable.
    Torn,
    /// A later frame says that what should be here was durable.
    Damaged,
}

/// Judges what follows the last valid frame: `bytes` begin where the next one should be.
///
/// A batch that was not durable can reach the disk in pieces and out of order, so a valid frame
/// behind a gap proves nothing by itself. It does if it was made when the gap was durable.
pub(crate) fn judge(bytes: &[u8], place: Place) -> Rest {
    let here = bytes.get(8..16).is_some_and(|at| number(at, 0) == place.counter);
    let mut rest = if here { Rest::Torn } else { Rest::Clean };
    let starts = (8..bytes.len().saturating_sub(HEADER - 1)).step_by(8);
    for start in starts {
        let place = Place { counter: place.counter + start as u64, ..place };
        if let Some(frame) = read(&bytes[start..], place) {
            if frame.durable > place.counter - start as u64 {
                return Rest::Damaged;
            }
            rest = Rest::Torn;
        }
    }
    rest
}

fn checksum(generation: u64, covered: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&generation.to_le_bytes()), covered)
}

/// The little-endian number at `at`, which must be within `bytes`.
pub(crate) fn number(bytes: &[u8], at: usize) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(raw)
}

/// The little-endian number at `at`, which must be within `bytes`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut raw = [0; 4];
    raw.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(body: &[u8], place: Place, durable: u64) -> Vec<u8> {
        let mut buffer = Vec::new();
        begin(&mut buffer);
        buffer.extend_from_slice(body);
        let length = pad(&mut buffer, 0);
        seal(&mut buffer, Kind::Record, length, place, durable);
        buffer
    }

    const PLACE: Place = Place { generation: 3, counter: 800 };

    #[test]
    fn a_frame_is_read_only_in_its_own_place() {
        let bytes = framed(b"hello", PLACE, 640);
        let frame = read(&bytes, PLACE).unwrap();
        assert_eq!((frame.body, frame.durable, frame.size()), (&b"hello"[..], 640, 32));
        assert!(read(&bytes, Place { generation: 4, ..PLACE }).is_none());
        assert!(read(&bytes, Place { counter: 808, ..PLACE }).is_none());
    }

    #[test]
    fn no_flipped_bit_under_the_checksum_passes() {
        let whole = framed(b"hello", PLACE, 640);
        for bit in 0..(HEADER + 5) * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&bytes, PLACE).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn a_gap_is_damage_only_if_a_later_frame_knew_it_durable() {
        let later = Place { counter: 832, ..PLACE };
        let gap = vec![0; 32];
        let after = |durable| [gap.clone(), framed(b"later", later, durable)].concat();
        assert_eq!(judge(&after(800), PLACE), Rest::Torn);
        assert_eq!(judge(&after(832), PLACE), Rest::Damaged);
        assert_eq!(judge(&gap, PLACE), Rest::Clean);
        assert_eq!(judge(&framed(b"hello", PLACE, 800)[..24], PLACE), Rest::Torn);
    }
}
