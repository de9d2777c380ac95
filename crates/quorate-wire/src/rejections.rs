//! Counts what was refused.

use std::collections::BTreeMap;

use crate::FrameError;

/// How many frames were refused, by reason: all that a hostile peer costs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejections {
    /// Bounded: the reasons are a handful of words of this crate.
    counts: BTreeMap<&'static str, u64>,
}

impl Rejections {
    /// Counts a frame that was none.
    pub fn frame(&mut self, error: &FrameError) {
        self.count(error.reason());
    }

    /// Counts a frame in order whose body was not.
    pub fn body(&mut self) {
        self.count("bad_body");
    }

    fn count(&mut self, reason: &'static str) {
        let count = self.counts.entry(reason).or_default();
        *count = count.saturating_add(1);
    }

    /// The reasons met so far and how often, ordered by reason.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts.iter().map(|(reason, count)| (*reason, *count))
    }

    /// How many in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().fold(0, |sum, count| sum.saturating_add(*count))
    }
}
