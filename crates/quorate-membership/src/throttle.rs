//! Says a thing at most so often for each of a bounded number of keys.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_core::Instant;

/// Remembers when something was last allowed for a key.
///
/// While all its room is taken by fresh keys, new keys are not allowed at all: so it also bounds
/// the total, whatever keys a hostile peer makes up.
#[derive(Debug)]
pub(crate) struct Throttle<K> {
    period: Duration,
    keys_max: usize,
    last: BTreeMap<K, Instant>,
}

impl<K: Ord> Throttle<K> {
    pub(crate) const fn new(period: Duration, keys_max: usize) -> Self {
        Self { period, keys_max, last: BTreeMap::new() }
    }

    /// Whether `key` has its turn; if so, its next one is a period away. O(log keys), now and then
    /// O(keys).
    pub(crate) fn allows(&mut self, now: Instant, key: K) -> bool {
        let period = self.period;
        let fresh = |at: Instant| now.since(at) < period;
        if self.last.get(&key).is_some_and(|at| fresh(*at)) {
            return false;
        }
        if self.last.len() >= self.keys_max {
            self.last.retain(|_, at| fresh(*at));
        }
        if self.last.len() >= self.keys_max {
            return false;
        }
        self.last.insert(key, now);
        true
    }
}

/// Counts what each of a bounded number of authors did in the last period.
#[derive(Debug)]
pub(crate) struct Quota {
    period: Duration,
    since: BTreeMap<u32, (Instant, u32)>,
}

impl Quota {
    pub(crate) const fn new(period: Duration) -> Self {
        Self { period, since: BTreeMap::new() }
    }

    /// Whether `author` may do it once more, of `most` in a period.
    pub(crate) fn allows(&mut self, now: Instant, author: u32, most: u32) -> bool {
        if self.since.len() >= AUTHORS_MAX && !self.since.contains_key(&author) {
            let period = self.period;
            self.since.retain(|_, (at, _)| now.since(*at) < period);
            if self.since.len() >= AUTHORS_MAX {
                return false;
            }
        }
        let (at, count) = self.since.entry(author).or_insert((now, 0));
        if now.since(*at) >= self.period {
            (*at, *count) = (now, 0);
        }
        *count += 1;
        *count <= most
    }
}

const AUTHORS_MAX: usize = 1_024;
