//! Values to bytes and back, within a limit.

use bincode::config::{Configuration, standard};
use bincode::enc::write::Writer;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::de::Body;

/// The one configuration: little-endian, variable-length integers.
///
/// bincode's own `with_limit` is not used. It counts 8 bytes for a `u64` that took one, so that a
/// value encoded below the limit could be refused by its receiver for ever; and it allocates a
/// claimed length that stays below the limit before looking whether those bytes exist. Here the
/// length of the input is checked first, and every claim in it against what is left (see `de`).
pub(crate) const CONFIG: Configuration = standard();

/// How many bytes a value may take, by where it travels. Equal for both directions: what one side
/// could encode the other side decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// What a stranger may send before the handshake is through: 4 KiB.
    Handshake,
    /// A datagram's body: 64 KiB.
    Datagram,
    /// A message on an ordered connection: 8 MiB. Larger values travel in pieces.
    Message,
    /// A journal record or a snapshot: 1 GiB.
    Record,
}

impl Limit {
    /// The limit in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Handshake => 4 << 10,
            Self::Datagram => 64 << 10,
            Self::Message => 8 << 20,
            Self::Record => 1 << 30,
        }
    }

    /// Encodes `value` behind what is already in `out`, which keeps its room between calls (clear
    /// it first to reuse it). After an error `out` is as it was.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLarge`] beyond the limit; [`EncodeError::Unsupported`] for a type without
    /// a fixed shape.
    pub fn encode_into<T>(self, value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError>
    where
        T: Serialize + ?Sized,
    {
        let start = out.len();
        let end = start.saturating_add(self.bytes());
        bincode::serde::encode_into_writer(value, Bounded { out: &mut *out, end }, CONFIG).map_err(
            |error| {
                out.truncate(start);
                match error {
                    bincode::error::EncodeError::UnexpectedEnd => {
                        EncodeError::TooLarge { limit: self.bytes() }
                    }
                    other => EncodeError::Unsupported { reason: other.to_string() },
                }
            },
        )
    }

    /// Encodes `value` into a fresh buffer.
    ///
    /// # Errors
    ///
    /// Those of [`encode_into`](Self::encode_into).
    pub fn encode<T: Serialize + ?Sized>(self, value: &T) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        self.encode_into(value, &mut out)?;
        Ok(out)
    }

    /// Decodes all of `bytes`, which may come from anybody.
    ///
    /// Never panics; nests at most 128 deep. No buffer is larger than the bytes left to fill it,
    /// so memory is bounded by the input times the ratio of `T`'s parts in memory to their fewest
    /// bytes on the wire. A sequence of elements that take no bytes (`Vec<()>`) is refused.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]: too long, cut short, followed by more, or no `T`.
    pub fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, DecodeError> {
        if bytes.len() > self.bytes() {
            return Err(DecodeError::TooLong { length: bytes.len(), limit: self.bytes() });
        }
        let mut body = Body::new(bytes);
        let value = T::deserialize(&mut body)?;
        match body.left() {
            0 => Ok(value),
            extra => Err(DecodeError::Trailing { extra }),
        }
    }
}

/// [`Limit::encode`] within the widest limit, [`Limit::Record`].
///
/// # Errors
///
/// Those of [`Limit::encode_into`].
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    Limit::Record.encode(value)
}

/// [`Limit::encode_into`] within the widest limit, [`Limit::Record`].
///
/// # Errors
///
/// Those of [`Limit::encode_into`].
pub fn encode_into<T>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError>
where
    T: Serialize + ?Sized,
{
    Limit::Record.encode_into(value, out)
}

/// [`Limit::decode`] within the widest limit, [`Limit::Record`]. Memory is bounded by what `bytes`
/// holds, not by the limit.
///
/// # Errors
///
/// Those of [`Limit::decode`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    Limit::Record.decode(bytes)
}

/// Why a value was not encoded; the buffer is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// It takes more bytes than its channel carries.
    #[error("larger than {limit} bytes: send it in smaller pieces")]
    TooLarge {
        /// The channel's limit in bytes.
        limit: usize,
    },
    /// Its type has no fixed shape, or its own encoder failed.
    #[error("a value of this type has no encoding: {reason}")]
    Unsupported {
        /// What the encoder said.
        reason: String,
    },
}

/// Why bytes are no value. Nothing was made of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// More bytes than the channel carries.
    #[error("{length} bytes are more than the limit of {limit}: the sender must split them")]
    TooLong {
        /// How many came.
        length: usize,
        /// The channel's limit.
        limit: usize,
    },
    /// The bytes end inside the value.
    #[error("the bytes end inside the value: the sender cut them or speaks another version")]
    Truncated,
    /// A length inside says more than the rest of the bytes can hold.
    #[error("a length of {claimed} is claimed where {left} bytes are left")]
    Overclaimed {
        /// What it says.
        claimed: u64,
        /// How many bytes are left.
        left: usize,
    },
    /// The value ends before the bytes do.
    #[error("{extra} bytes follow the value: the sender speaks another version")]
    Trailing {
        /// How many bytes follow.
        extra: usize,
    },
    /// The value nests deeper than any message does.
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// The deepest level accepted.
        limit: usize,
    },
    /// The bytes are no value of the type.
    #[error("no value of the expected type: {reason}")]
    Malformed {
        /// What is wrong, shortened.
        reason: String,
    },
}

/// Appends to a buffer up to `end`.
struct Bounded<'a> {
    out: &'a mut Vec<u8>,
    end: usize,
}

impl Writer for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        if bytes.len() > self.end - self.out.len() {
            return Err(bincode::error::EncodeError::UnexpectedEnd);
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}
