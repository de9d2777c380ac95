//! The way to bytes and back, as `quorate-wire` spells it.

use quorate_wire::{EncodeError, Limit};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::WriteError;

/// Appends `value` to `buffer`, which is as it was after an error.
pub(crate) fn encode_into<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<(), WriteError> {
    Limit::Record.encode_into(value, buffer).map_err(|error| match error {
        EncodeError::TooLarge { limit } => WriteError::TooLarge { bytes_max: limit },
        _ => WriteError::Unencodable,
    })
}

/// The value in `bytes`; `None` unless they are exactly one.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    Limit::Record.decode(bytes).ok()
}
