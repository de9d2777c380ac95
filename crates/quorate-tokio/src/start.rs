//! What a process draws as it starts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use quorate_core::{BootEpoch, Rng};

/// From the Unix epoch to 2025.
const SINCE: Duration = Duration::from_secs(1_735_689_600);

/// A boot epoch by the wall clock: quarters of a second since 2025.
///
/// Later starts have higher ones as long as the clock is not set back, also without any memory; in
/// 32 bits, which are short on the wire, until 2059. Two calls of one process never get the same.
/// Who remembers its last one takes the higher of that one's next and this.
#[must_use]
pub fn boot_by_clock() -> BootEpoch {
    static LAST: AtomicU64 = AtomicU64::new(0);
    #[expect(clippy::disallowed_methods, reason = "a driver may read the clock")]
    let now = std::time::SystemTime::now();
    let since_2025 = now.duration_since(UNIX_EPOCH + SINCE).unwrap_or_default();
    let quarters = u64::try_from(since_2025.as_millis() / 250).unwrap_or(u64::MAX / 2);
    let next = |last: u64| Some(quarters.max(last + 1));
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or(0);
    BootEpoch(quarters.max(last + 1))
}

/// A seed from the operating system, for timers, names and numbers that need not be secret.
#[must_use]
pub fn entropy() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    // The standard library seeds its hash maps from the system's randomness; that is all the
    // randomness that these need.
    let drawn = std::hash::RandomState::new().build_hasher().finish();
    Rng::seeded(drawn).next_u64()
}
