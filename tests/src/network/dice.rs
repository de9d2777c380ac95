//! What becomes of one datagram.

use std::time::Duration;

use quorate_core::Rng;

/// What happens to datagrams in each direction of each link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weather {
    /// How many of a million are lost.
    pub loss_millionths: u32,
    /// How many of a million arrive twice.
    pub twice_millionths: u32,
    /// The least time on the way.
    pub delay_min: Duration,
    /// The longest; as each takes its own time, they overtake one another.
    pub delay_max: Duration,
}

impl Weather {
    /// `loss_percent` lost, the rest up to `jitter` late, and one of a hundred twice.
    #[must_use]
    pub const fn bad(loss_percent: u32, jitter: Duration) -> Self {
        Self {
            loss_millionths: loss_percent * 10_000,
            twice_millionths: 10_000,
            delay_min: Duration::ZERO,
            delay_max: jitter,
        }
    }

    /// How long each copy of one datagram is on its way; none of one that is lost.
    pub(super) fn throw(&self, dice: &mut Rng) -> [Option<Duration>; 2] {
        // All dice are thrown each time, so that one's number does not move the others'.
        let lost = dice.chance(self.loss_millionths);
        let twice = dice.chance(self.twice_millionths);
        let mut delay = || dice.duration(self.delay_min, self.delay_max);
        let (first, second) = (delay(), delay());
        [(!lost).then_some(first), (!lost && twice).then_some(second)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_lost_late_and_doubled_as_it_says() {
        let jitter = Duration::from_millis(200);
        let weather = Weather::bad(30, jitter);
        let mut dice = Rng::seeded(1);
        let throws: Vec<_> = (0..10_000).map(|_| weather.throw(&mut dice)).collect();
        let lost = throws.iter().filter(|copies| copies[0].is_none()).count();
        assert!((2_900..3_100).contains(&lost), "{lost} of 10,000 lost");
        let twice = throws.iter().filter(|copies| copies[1].is_some()).count();
        assert!((40..100).contains(&twice), "{twice} of 7,000 twice");
        let delays: Vec<_> = throws.iter().flatten().flatten().collect();
        assert!(delays.iter().all(|delay| **delay <= jitter));
        let late = delays.iter().filter(|delay| ***delay > jitter / 2).count();
        assert!((delays.len() * 9 / 20..delays.len() * 11 / 20).contains(&late), "{late} late");
    }

    #[test]
    fn equal_seeds_throw_alike_and_good_weather_passes_all_at_once() {
        let weather = Weather::bad(30, Duration::from_millis(200));
        let throws = |seed| {
            let mut dice = Rng::seeded(seed);
            (0..100).map(|_| weather.throw(&mut dice)).collect::<Vec<_>>()
        };
        assert_eq!(throws(1), throws(1));
        assert_ne!(throws(1), throws(2));
        let good = Weather::default().throw(&mut Rng::seeded(1));
        assert_eq!(good, [Some(Duration::ZERO), None]);
    }
}
