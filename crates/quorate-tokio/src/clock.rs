//! The clock of a real node.

use std::pin::Pin;
use std::time::Duration;

use quorate_core::{Clock, Instant};
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Sleep;

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
/// Tokio's timers stand still in suspend. So the sleep is cut into pieces of at most half a second,
/// and after a resume this returns at most one piece late.
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

/// A timer for a deadline that moves with every turn of a loop.
///
/// Setting a timer that rings before all others costs a system call, and a second one to get over
/// the first. So one that is set stays while it does not ring too late: to ring too early is
/// allowed, and costs a turn in which nothing is due.
pub(crate) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    /// When it rings; [`Instant::ZERO`] when it is not set.
    rings_at: Instant,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Self { sleep: Box::pin(tokio::time::sleep(SLEEP_MAX)), rings_at: Instant::ZERO }
    }

    /// Returns at `due` on `clock` or before, at once if that is past; like [`sleep_until`] late
    /// by at most half a second after a suspend. Cancel-safe: it stays set.
    pub(crate) async fn ring(&mut self, clock: &impl Clock, due: Instant) {
        let now = clock.now();
        let left = due.since(now).min(SLEEP_MAX);
        if left.is_zero() {
            return;
        }
        let rang = self.rings_at <= now;
        if rang || due < self.rings_at {
            self.rings_at = now + left;
            self.sleep.as_mut().reset(tokio::time::Instant::now() + left);
        }
        self.sleep.as_mut().await;
        self.rings_at = Instant::ZERO;
    }
}

/// The longest sleep without a look at the boot clock.
const SLEEP_MAX: Duration = Duration::from_millis(500);

#[cfg(any(target_os = "linux", target_os = "android"))]
const BOOT_CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const BOOT_CLOCK: ClockId = ClockId::Monotonic;
