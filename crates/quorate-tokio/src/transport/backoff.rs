//! How long to wait between two dials.

use std::time::Duration;

use quorate_core::Rng;

/// Pauses that double from a least to a longest one, each drawn between its half and all of it, so
/// that nodes that lost the same peer do not come back in step.
#[derive(Debug)]
pub(crate) struct Backoff {
    rng: Rng,
    least: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(rng: Rng, least: Duration, longest: Duration) -> Self {
        Self { rng, least, longest: longest.max(least), next: least }
    }

    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.rng.duration(self.next / 2, self.next);
        self.next = (self.next * 2).clamp(self.least, self.longest);
        pause
    }

    /// Begins again, without a pause this once: after a connection that worked for a while. If the
    /// process is gone, its host says so, and that is the fastest sign of a crash.
    pub(crate) const fn restart(&mut self) {
        self.next = Duration::ZERO;
    }

    /// The next pause is the longest: whoever refused us does not change its mind soon.
    pub(crate) const fn exhaust(&mut self) {
        self.next = self.longest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_begin_again_after_success() {
        let (least, longest) = (Duration::from_millis(20), Duration::from_secs(1));
        let mut backoff = Backoff::new(Rng::seeded(1), least, longest);
        let mut bound = least;
        for _ in 0..10 {
            let pause = backoff.pause();
            assert!((bound / 2..=bound).contains(&pause));
            bound = (bound * 2).min(longest);
        }
        backoff.restart();
        assert_eq!(backoff.pause(), Duration::ZERO);
        assert!((least / 2..=least).contains(&backoff.pause()));
        backoff.exhaust();
        assert!(backoff.pause() >= longest / 2);
    }
}
