//! What stands under a key.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// A moment in the history of the store: the number of changes of keys so far.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Revision(pub u64);

impl Revision {
    /// Before the first change; also the mod revision of a key that is absent.
    pub const ZERO: Self = Self(0);

    /// The following one.
    ///
    /// # Panics
    ///
    /// Never in practice: after 2^63 changes.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("2^63 changes outlive any cluster"))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// What stands under a key. Cloning is cheap: the value is shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The value.
    pub value: Bytes,
    /// The change that created the key; a deletion in between starts it anew.
    pub create_revision: Revision,
    /// The change that put this value.
    pub mod_revision: Revision,
    /// How often the key was put since it was created; 1 after the first.
    pub version: u64,
}

impl Item {
    /// Adds the item to `digest`.
    pub(crate) fn digest(&self, digest: Digest) -> Digest {
        digest
            .word(self.create_revision.0)
            .word(self.mod_revision.0)
            .word(self.version)
            .bytes(&self.value)
    }
}

/// A piece of a range of keys, in the order of their bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The keys with their items.
    pub items: Vec<(Bytes, Item)>,
    /// Whether more follow; ask on with `after` = the last key here.
    pub more: bool,
}
