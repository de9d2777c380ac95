//! A state as one number.

use std::hash::{Hash, Hasher};

use crate::trace::{TraceHash, digest};

/// Gathers what makes up a state into 128 bits: equal in every build and process.
///
/// Among a billion states two that differ get one number with a chance below 10^-20.
#[derive(Debug, Clone)]
pub struct Fingerprint(TraceHash);

impl Fingerprint {
    /// Of nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(TraceHash::new())
    }

    /// The number of what was gathered.
    #[must_use]
    pub const fn value(&self) -> u128 {
        self.0.value()
    }
}

impl Default for Fingerprint {
    fn default() -> Self {
        Self::new()
    }
}

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        self.0.mix(digest(bytes));
    }

    fn write_u8(&mut self, value: u8) {
        self.0.mix(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.0.mix(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.0.mix(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.0.mix(value as u64);
    }

    fn finish(&self) -> u64 {
        self.0.value() as u64
    }
}

/// The fingerprint of anything that can be hashed.
pub fn fingerprint(value: &(impl Hash + ?Sized)) -> u128 {
    let mut fingerprint = Fingerprint::new();
    value.hash(&mut fingerprint);
    fingerprint.value()
}
