//! Which versions of the messages a node speaks.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A range of message versions, both ends included. Version 0 is kept for the handshake itself,
/// whose bytes never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The lowest version spoken.
    pub min: u8,
    /// The highest version spoken.
    pub max: u8,
}

impl Versions {
    /// What this build speaks. A build of version N also speaks N - 1, once there is one.
    pub const SUPPORTED: Self = Self { min: 1, max: 1 };

    /// Whether `version` is spoken.
    #[must_use]
    pub const fn contains(self, version: u8) -> bool {
        self.min <= version && version <= self.max
    }

    /// The highest version that both speak; `None` if there is none, or if a range is empty.
    #[must_use]
    pub fn common(self, other: Self) -> Option<u8> {
        let highest = self.max.min(other.max);
        (highest > 0 && self.contains(highest) && other.contains(highest)).then_some(highest)
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max {
            write!(f, "{}", self.min)
        } else {
            write!(f, "{} to {}", self.min, self.max)
        }
    }
}
