//! The words of the API for items and writes.

use quorate::{Item, LogId, Ran};
use serde::Serialize;

use super::params::{Encoding, KeyEncoding, key_text, text_of};

/// One key as an answer shows it.
#[derive(Debug, Serialize)]
pub(super) struct ItemBody {
    key: String,
    /// How the key is written, where it is not as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_encoding: Option<KeyEncoding>,
    value: String,
    encoding: Encoding,
    create_revision: u64,
    mod_revision: u64,
    version: u64,
}

impl ItemBody {
    pub(super) fn of(key: &[u8], item: &Item, keys: KeyEncoding) -> Self {
        let (value, encoding) = text_of(&item.value);
        let (key, keys) = key_text(key, keys);
        Self {
            key,
            key_encoding: (keys != KeyEncoding::Utf8).then_some(keys),
            value,
            encoding,
            create_revision: item.create_revision.0,
            mod_revision: item.mod_revision.0,
            version: item.version,
        }
    }
}

/// Where a write stands, and who holds it.
#[derive(Debug, Serialize)]
pub(super) struct CopiesBody {
    log_id: LogIdBody,
    /// The level that was asked for.
    reached: String,
    copies: usize,
    acked: Vec<String>,
}

impl CopiesBody {
    pub(super) fn of(ran: &Ran) -> Self {
        Self {
            log_id: ran.log_id.into(),
            reached: ran.reached.to_string(),
            copies: ran.acked.len(),
            acked: ran.acked.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A place in the log.
#[derive(Debug, Serialize)]
pub(super) struct LogIdBody {
    term: u64,
    index: u64,
}

impl From<LogId> for LogIdBody {
    fn from(id: LogId) -> Self {
        Self { term: id.term.0, index: id.index.0 }
    }
}
