//! A datagram: its content behind a mark and a checksum.
//!
//! ```text
//!  0 mark "Q"   1 crc   5 content
//! ```
//! The CRC32C, little-endian, covers the mark and the content. There is no more, because most
//! datagrams are small and there are many: whose they are, and in which version, their content says.

use serde::Serialize;

use crate::{EncodeError, FrameError, Limit};

/// The length of what precedes the content of a datagram.
pub const DATAGRAM_HEADER_BYTES: usize = 5;

const MARK: u8 = b'Q';

/// Appends a datagram with `content` to `out`; after an error `out` is as it was.
///
/// # Errors
///
/// Those of [`Limit::encode_into`], within [`Limit::Datagram`].
pub fn encode_datagram<T>(content: &T, out: &mut Vec<u8>) -> Result<(), EncodeError>
where
    T: Serialize + ?Sized,
{
    let start = open(out);
    let encoded = Limit::Datagram.encode_into(content, out);
    match encoded {
        Ok(()) => close(start, out),
        Err(_) => out.truncate(start),
    }
    encoded
}

/// Appends a datagram whose content is encoded already.
///
/// # Errors
///
/// [`EncodeError::TooLarge`] beyond [`Limit::Datagram`]; then `out` is as it was.
pub fn encode_datagram_raw(content: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let limit = Limit::Datagram.bytes();
    if content.len() > limit {
        return Err(EncodeError::TooLarge { limit });
    }
    let start = open(out);
    out.extend_from_slice(content);
    close(start, out);
    Ok(())
}

fn open(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[MARK, 0, 0, 0, 0]);
    start
}

fn close(start: usize, out: &mut [u8]) {
    let crc = checksum(&out[start + DATAGRAM_HEADER_BYTES..]);
    out[start + 1..start + DATAGRAM_HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
}

/// The content of a datagram.
///
/// # Errors
///
/// [`FrameError`]; count it and drop the datagram.
pub fn decode_datagram(bytes: &[u8]) -> Result<&[u8], FrameError> {
    let Some((&[mark, ref crc @ ..], content)) = bytes.split_first_chunk::<DATAGRAM_HEADER_BYTES>()
    else {
        return Err(FrameError::WrongLength);
    };
    if mark != MARK {
        return Err(FrameError::BadMagic);
    }
    let limit = Limit::Datagram.bytes();
    if content.len() > limit {
        return Err(FrameError::TooLong { length: content.len(), limit });
    }
    if *crc != checksum(content).to_le_bytes() {
        return Err(FrameError::BadChecksum);
    }
    Ok(content)
}

fn checksum(content: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&[MARK]), content)
}
