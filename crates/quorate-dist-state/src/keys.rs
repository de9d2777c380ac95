//! The keys and their items.

use std::ops::Bound;

use bytes::Bytes;
use imbl::OrdMap;
use quorate_core::mutant;

use crate::digest::Digest;
use crate::{Expected, Item, Page, Revision};

/// All keys with their items, and the count of their changes.
#[derive(Clone, Default)]
pub(crate) struct Keys {
    map: OrdMap<Bytes, Item>,
    revision: Revision,
    /// Invariant: the sum of the digests of all items, so that one change costs one item.
    sum: u64,
}

impl Keys {
    /// The keys in `map`, the last change being `revision`. O(keys).
    pub(crate) fn restore(map: OrdMap<Bytes, Item>, revision: Revision) -> Self {
        let sum = map.iter().fold(0, |sum: u64, (key, item)| sum.wrapping_add(weight(key, item)));
        Self { map, revision, sum }
    }

    pub(crate) const fn map(&self) -> &OrdMap<Bytes, Item> {
        &self.map
    }

    pub(crate) const fn revision(&self) -> Revision {
        self.revision
    }

    pub(crate) const fn sum(&self) -> u64 {
        self.sum
    }

    /// Puts `value` under `key`; the item without a copy of its value.
    pub(crate) fn put(&mut self, key: Bytes, value: Bytes) -> (Revision, u64) {
        let now = self.revision.next();
        self.revision = now;
        if let Some(item) = self.map.get_mut(&key) {
            self.sum = self.sum.wrapping_sub(weight(&key, item));
            item.value = value;
            item.mod_revision = now;
            item.version += u64::from(!mutant!("version-stands-still"));
            self.sum = self.sum.wrapping_add(weight(&key, item));
            return (now, item.version);
        }
        let item = Item { value, create_revision: now, mod_revision: now, version: 1 };
        self.sum = self.sum.wrapping_add(weight(&key, &item));
        self.map.insert(key, item);
        (now, 1)
    }

    /// Removes `key`; whether it was there.
    pub(crate) fn delete(&mut self, key: &[u8]) -> bool {
        let Some(item) = self.map.remove(key) else { return false };
        self.revision = self.revision.next();
        self.sum = self.sum.wrapping_sub(weight(key, &item));
        true
    }

    /// Whether `key` is as expected.
    pub(crate) fn is(&self, key: &[u8], expected: &Expected) -> bool {
        let current = self.map.get(key);
        match expected {
            Expected::Absent => current.is_none(),
            Expected::Value(value) => current.is_some_and(|item| item.value == value),
            Expected::Revision(revision) => {
                current.map_or(Revision::ZERO, |item| item.mod_revision) == *revision
            }
        }
    }

    /// The first keys under `prefix` that come behind `after`. O(log keys + page).
    pub(crate) fn page(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        items_max: usize,
        bytes_max: u64,
    ) -> Page {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut page = Page::default();
        let mut bytes = 0_u64;
        let found = self.map.range::<_, [u8]>((from, Bound::Unbounded));
        for (key, item) in found.take_while(|(key, _)| key.starts_with(prefix)) {
            bytes += (key.len() + item.value.len()) as u64;
            let full = page.items.len() >= items_max || bytes > bytes_max;
            if full && !page.items.is_empty() {
                page.more = !mutant!("page-claims-all");
                break;
            }
            page.items.push((key.clone(), item.clone()));
        }
        page
    }
}

/// What an item adds to the digest of the store.
fn weight(key: &[u8], item: &Item) -> u64 {
    item.digest(Digest::new("item").bytes(key)).finish()
}
