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
    last: BTreeMap<K, Instant>,
}

impl<K: Ord> Throttle<K> {
    pub(crate) const fn new(period: Duration) -> Self {
        Self { period, last: BTreeMap::new() }
    }

    /// Whether `key` has its turn; if so, its next one is a period away. O(log keys), now and then
    /// O(keys).
    pub(crate) fn allows(&mut self, now: Instant, key: K) -> bool {
        let period = self.period;
        let fresh = |at: Instant| now.since(at) < period;
        if self.last.get(&key).is_some_and(|at| fresh(*at)) {
            return false;
        }
        if self.last.len() >= KEYS_MAX {
            self.last.retain(|_, at| fresh(*at));
        }
        if self.last.len() >= KEYS_MAX {
            return false;
        }
        self.last.insert(key, now);
        true
    }
}

const KEYS_MAX: usize = 64;
