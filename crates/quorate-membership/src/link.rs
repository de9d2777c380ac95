//! The way to one member: how long a round trip takes, and how many pings are lost on it.

use std::time::Duration;

/// The round trip to a member, smoothed (RFC 6298, section 2), and the loss.
///
/// Kept small, as there is one for each member: microseconds and millionths.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Link {
    /// Zero if it was never measured.
    smooth: u32,
    spread: u32,
    lost: u32,
    /// Whether the last answer came later than expected.
    late: bool,
}

impl Link {
    pub(crate) fn rtt(&self) -> Option<Duration> {
        (self.smooth != 0).then(|| Duration::from_micros(self.smooth.into()))
    }

    /// The share of pings that stayed unanswered lately, in millionths.
    pub(crate) const fn loss(&self) -> u32 {
        self.lost
    }

    /// A ping was answered, or was not. Weighed like about the last 16.
    pub(crate) const fn pinged(&mut self, answered: bool) {
        let now = if answered { 0 } else { MILLION };
        self.lost = (self.lost * 15 + now) / 16;
    }

    /// An answer took `rtt`, and was waited for for `patience`. A single late one was a pause and
    /// is left out: else a crash soon after would be noticed late. Two in a row are a slow link.
    pub(crate) fn measured(&mut self, rtt: Duration, patience: Duration) {
        let late = rtt > patience;
        if late && !std::mem::replace(&mut self.late, true) {
            return;
        }
        self.late = late;
        let rtt = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX / 8).clamp(1, u32::MAX / 8);
        if self.smooth == 0 {
            (self.smooth, self.spread) = (rtt, rtt / 2);
            return;
        }
        self.spread = self.spread / 4 * 3 + self.smooth.abs_diff(rtt) / 4;
        self.smooth = (self.smooth - self.smooth / 8 + rtt / 8).max(1);
    }

    /// How long to wait for an answer: at least `floor`, at most `ceiling`.
    pub(crate) fn timeout(&self, floor: Duration, ceiling: Duration) -> Duration {
        if self.smooth == 0 {
            return floor.min(ceiling).max(floor);
        }
        let micros = u64::from(self.smooth) + u64::from(self.spread) * 4;
        Duration::from_micros(micros).min(ceiling).max(floor)
    }
}

const MILLION: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_link_is_known_and_its_loss_too() {
        let mut link = Link::default();
        assert_eq!(link.rtt(), None);
        for _ in 0..200 {
            link.measured(Duration::from_millis(40), Duration::from_secs(1));
            link.pinged(false);
        }
        let rtt = link.rtt().expect("it was measured");
        assert!(rtt.abs_diff(Duration::from_millis(40)) < Duration::from_millis(1), "{rtt:?}");
        assert!(link.loss() > 990_000, "{}", link.loss());
        for _ in 0..200 {
            link.pinged(true);
        }
        assert!(link.loss() < 1_000, "{}", link.loss());
        let (floor, ceiling) = (Duration::from_millis(5), Duration::from_millis(500));
        assert!(link.timeout(floor, ceiling) < Duration::from_millis(60));
        assert_eq!(link.timeout(ceiling, ceiling), ceiling);
    }
}
