//! The clock of a real node.

use std::time::Duration;

use quorate_core::{Clock, Instant};
use rustix::time::{ClockId, clock_gettime};

/// The time since the machine booted, suspend included.
///
/// A lease that ran out while a laptop slept or a virtual machine was paused has run out: the
/// ordinary monotonic clock of Linux would not know. Darwin's counts sleep by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct BootClock;

impl BootClock {
    /// The clock. All are the same one.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Clock for BootClock {
    fn now(&self) -> Instant {
        let time = clock_gettime(BOOT_CLOCK);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
        Instant::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
    }
}

/// Sleeps until `due` on `clock`; at once if that is past.
///
/// Tokio's timers stand still in suspend. So the sleep is cut into pieces of at most
/// [`SLEEP_MAX`], and after a resume this returns at most one piece late.
///
/// # Cancel safety
///
/// Safe: nothing is lost when it is dropped.
pub async fn sleep_until(clock: &impl Clock, due: Instant) {
    loop {
        let left = due.since(clock.now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(SLEEP_MAX)).await;
    }
}

/// The longest sleep without a look at the boot clock.
const SLEEP_MAX: Duration = Duration::from_millis(500);

#[cfg(any(target_os = "linux", target_os = "android"))]
const BOOT_CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const BOOT_CLOCK: ClockId = ClockId::Monotonic;
