//! What all nodes must agree on before a leader may answer reads by itself.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long the leases of a cluster last, and how far apart its clocks may drift.
///
/// A leader answers reads by itself for [`length`](Self::length); whoever leads next waits for
/// [`over_after`](Self::over_after) on its own clock. Both are safe only if all nodes go by the same
/// values: so a handshake tells them, and a node that starts with others first waits until a lease
/// that it helped to make is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeaseTerms {
    /// For how long a lease lasts, in nanoseconds; zero if nobody has one.
    pub nanos: u64,
    /// By how much one clock may run faster than another, in millionths.
    pub drift_millionths: u32,
}

impl LeaseTerms {
    /// No leases.
    pub const NONE: Self = Self { nanos: 0, drift_millionths: 0 };

    /// Leases of `length` among clocks that drift apart by at most `drift_millionths`. Without a
    /// length the drift says nothing, and is left out. A length beyond 584 years is cut to that.
    #[must_use]
    pub fn new(length: Duration, drift_millionths: u32) -> Self {
        if length.is_zero() {
            return Self::NONE;
        }
        let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        Self { nanos, drift_millionths }
    }

    /// For how long a lease lasts on its holder's clock.
    #[must_use]
    pub const fn length(self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    /// After how long on *any* node's clock a lease that began earlier is over.
    #[must_use]
    pub fn over_after(self) -> Duration {
        if self.nanos == 0 {
            return Duration::ZERO;
        }
        let nanos =
            u128::from(self.nanos) * (1_000_000 + u128::from(self.drift_millionths)) / 1_000_000;
        // Rounded up: a nanosecond too early is too early.
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            .saturating_add(Duration::from_nanos(1))
    }
}

impl fmt::Display for LeaseTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("none");
        }
        write!(f, "{:?} with a drift of {} millionths", self.length(), self.drift_millionths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_over_once_the_fastest_clock_has_waited_for_it() {
        let over =
            |millis, drift| LeaseTerms::new(Duration::from_millis(millis), drift).over_after();
        assert_eq!(over(100, 0), Duration::from_nanos(100_000_001));
        assert_eq!(over(100, 100_000), Duration::from_nanos(110_000_001));
        assert_eq!(over(0, 100_000), Duration::ZERO, "nobody waits for what nobody has");
        let forever = LeaseTerms::new(Duration::MAX, 500_000).over_after();
        assert_eq!(forever, Duration::from_nanos(u64::MAX).saturating_add(Duration::from_nanos(1)));
    }

    #[test]
    fn without_leases_the_drift_makes_no_difference() {
        assert_eq!(LeaseTerms::new(Duration::ZERO, 5), LeaseTerms::NONE);
        assert_eq!(LeaseTerms::NONE.to_string(), "none");
        let terms = LeaseTerms::new(Duration::from_millis(120), 10_000);
        assert_eq!(terms.to_string(), "120ms with a drift of 10000 millionths");
    }
}
