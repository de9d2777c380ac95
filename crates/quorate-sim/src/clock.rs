//! What a node's own clock shows at a moment of the run.

use quorate_core::Instant;

/// Parts per million in one.
const MILLION: u128 = 1_000_000;

/// A clock that starts anywhere, runs too fast or too slow, and jumps; it never goes back.
#[derive(Debug, Clone)]
pub(crate) struct LocalClock {
    /// At this moment of the run, in nanoseconds ..
    since: u64,
    /// .. the clock showed this.
    shown: u64,
    /// How far it runs in a million units of true time.
    pace: u64,
    /// While it stands still, the pace with which it will go on.
    frozen: Option<u64>,
}

impl LocalClock {
    pub(crate) const fn new() -> Self {
        Self { since: 0, shown: 1_000_000_000, pace: MILLION as u64, frozen: None }
    }

    /// What the clock shows at `time`, a moment not before the last change.
    pub(crate) const fn show(&self, time: u64) -> Instant {
        let passed = time.saturating_sub(self.since);
        // In two parts, so that it fits into 64 bits: this runs at every event.
        let million = MILLION as u64;
        let whole = (passed / million).saturating_mul(self.pace);
        let rest = (passed % million) * self.pace / million;
        Instant::from_nanos(self.shown.saturating_add(whole).saturating_add(rest))
    }

    /// The first moment at which the clock shows `local` or later; `None` if that is never.
    pub(crate) fn when(&self, local: Instant) -> Option<u64> {
        let ahead = u128::from(local.as_nanos().saturating_sub(self.shown));
        if self.pace == 0 {
            return (ahead == 0).then_some(self.since);
        }
        let passed = (ahead * MILLION).div_ceil(u128::from(self.pace));
        u64::try_from(passed).ok()?.checked_add(self.since)
    }

    /// From `time` on, the clock runs `drift` millionths too fast (or, if negative, too slow).
    pub(crate) fn drift(&mut self, time: u64, drift: i32) {
        self.rebase(time);
        let pace = (MILLION as u64).saturating_add_signed(drift.into()).max(1);
        match &mut self.frozen {
            Some(later) => *later = pace,
            None => self.pace = pace,
        }
    }

    /// From `time` on, the clock stands still.
    pub(crate) const fn freeze(&mut self, time: u64) {
        self.rebase(time);
        if self.frozen.is_none() {
            self.frozen = Some(self.pace);
            self.pace = 0;
        }
    }

    /// From `time` on, the clock goes on from where it stands.
    pub(crate) const fn thaw(&mut self, time: u64) {
        self.rebase(time);
        if let Some(pace) = self.frozen.take() {
            self.pace = pace;
        }
    }

    /// At `time` the clock leaps forward.
    pub(crate) const fn jump(&mut self, time: u64, nanos: u64) {
        self.rebase(time);
        self.shown = self.shown.saturating_add(nanos);
    }

    const fn rebase(&mut self, time: u64) {
        self.shown = self.show(time).as_nanos();
        self.since = time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_reached_at_the_moment_the_clock_says_and_not_before() {
        let mut clock = LocalClock::new();
        for (time, drift) in [(0, 0), (17, 50_000), (1_000_003, -50_000), (5_000_001, 333)] {
            clock.drift(time, drift);
            let start = clock.show(time).as_nanos();
            for ahead in [0, 1, 2, 999, 1_000_000, 123_456_789] {
                let local = Instant::from_nanos(start + ahead);
                let moment = clock.when(local).unwrap();
                assert!(clock.show(moment) >= local);
                assert!(moment == time || clock.show(moment - 1) < local);
            }
        }
        assert_eq!(clock.when(Instant::FAR).map(|_| ()), Some(()), "584 years are in range");
    }

    #[test]
    fn a_frozen_clock_reaches_no_deadline_and_goes_on_where_it_stood() {
        let mut clock = LocalClock::new();
        clock.drift(0, 50_000);
        clock.freeze(1_000_000);
        let stood = clock.show(1_000_000);
        assert_eq!(clock.show(9_000_000), stood);
        assert_eq!(clock.when(Instant::from_nanos(stood.as_nanos() + 1)), None);
        clock.thaw(9_000_000);
        assert_eq!(clock.show(9_000_000), stood);
        assert_eq!(clock.show(10_000_000).since(stood).as_nanos(), 1_050_000);
    }

    #[test]
    fn drift_and_jumps_never_turn_the_clock_back() {
        let mut clock = LocalClock::new();
        let before = clock.show(10_000);
        clock.drift(10_000, -50_000);
        assert_eq!(clock.show(10_000), before);
        assert_eq!(clock.show(1_010_000).since(before).as_nanos(), 950_000);
        clock.jump(1_010_000, 7);
        assert_eq!(clock.show(1_010_000).since(before).as_nanos(), 950_007);
    }
}
