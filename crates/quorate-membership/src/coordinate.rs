//! Where a member is in the space of round trips, so that one can be foretold that was never
//! measured.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A Vivaldi coordinate: three dimensions and a height, in microseconds of round trip.
///
/// The distance of two foretells the round trip between their nodes. Whole numbers, so that a run
/// gives the same on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coordinate {
    at: [i32; 3],
    /// What every way to this node costs on top: its access link.
    height: u32,
    /// How wrong it expects to be, in thousandths; 1,000 knows nothing.
    error: u16,
}

impl Default for Coordinate {
    fn default() -> Self {
        Self { at: [0; 3], height: HEIGHT_MIN, error: 1_000 }
    }
}

impl Coordinate {
    /// The round trip that is to be expected between the two.
    #[must_use]
    pub fn distance(&self, other: &Self) -> Duration {
        let micros = self.plane(other) + i64::from(self.height) + i64::from(other.height);
        Duration::from_micros(micros.unsigned_abs())
    }

    /// How wrong it expects to be, as a share; 1 knows nothing.
    #[must_use]
    pub fn error(&self) -> f32 {
        f32::from(self.error) / 1_000.0
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.at.iter().all(|axis| axis.unsigned_abs() <= FAR)
            && self.height <= FAR
            && self.error <= 1_000
    }

    fn plane(&self, other: &Self) -> i64 {
        let squares = self.at.iter().zip(&other.at).map(|(a, b)| {
            let apart = i64::from(*a) - i64::from(*b);
            apart * apart
        });
        squares.sum::<i64>().isqrt()
    }

    /// A round trip to `other` was measured: moves this coordinate a little to where it fits
    /// (Dabek et al. 2004, figure 3). `dice` gives the direction if both are at one place.
    pub(crate) fn learn(&mut self, other: &Self, rtt: Duration, dice: u64) {
        let rtt = i64::try_from(rtt.as_micros()).unwrap_or(i64::MAX).clamp(1, i64::from(FAR));
        let plane = self.plane(other);
        let expected = plane + i64::from(self.height) + i64::from(other.height);
        let (own, theirs) = (i64::from(self.error.max(1)), i64::from(other.error.max(1)));
        // How much of the blame is ours, in thousandths.
        let weight = 1_000 * own / (own + theirs);
        let wrong = (1_000 * (expected - rtt).abs() / rtt).min(1_000);
        let share = weight * SHARE / 1_000;
        let error = (wrong * share + own * (1_000 - share)) / 1_000;
        self.error = u16::try_from(error.clamp(1, 1_000)).unwrap_or(1_000);
        let push = (rtt - expected) * share / 1_000;
        for (index, axis) in self.at.iter_mut().enumerate() {
            let apart = i64::from(*axis) - i64::from(other.at[index]);
            let step = if plane == 0 {
                let sign = if dice >> index & 1 == 0 { 1 } else { -1 };
                push * sign / 2
            } else {
                push * apart / plane
            };
            let far = i64::from(FAR);
            *axis = i32::try_from((i64::from(*axis) + step).clamp(-far, far)).unwrap_or(0);
        }
        if plane != 0 {
            let heights = i64::from(self.height) + i64::from(other.height);
            let height = i64::from(self.height) + push * heights / plane.max(1);
            let height = height.clamp(i64::from(HEIGHT_MIN), i64::from(FAR));
            self.height = u32::try_from(height).unwrap_or(HEIGHT_MIN);
        }
    }

    /// How many bytes it takes at most.
    pub(crate) const fn bytes(&self) -> usize {
        let mut bytes = 0;
        let mut index = 0;
        while index < self.at.len() {
            bytes += signed(self.at[index]);
            index += 1;
        }
        bytes + unsigned(self.height as u64) + unsigned(self.error as u64)
    }
}

const fn signed(value: i32) -> usize {
    // Zigzag: small numbers of either sign are small.
    unsigned((((value as i64) << 1) ^ ((value as i64) >> 63)) as u64)
}

const fn unsigned(value: u64) -> usize {
    match value {
        0..=250 => 1,
        251..=0xffff => 3,
        _ => 5,
    }
}

/// By what share of the error a coordinate moves at most, in thousandths: Vivaldi's constant.
const SHARE: i64 = 250;

/// No height is less: ten microseconds.
const HEIGHT_MIN: u32 = 10;

/// No coordinate is further out: ten minutes of round trip.
const FAR: u32 = 600_000_000;

#[cfg(test)]
mod tests {
    use quorate_core::Rng;

    use super::*;

    #[test]
    fn coordinates_foretell_round_trips_that_were_never_measured() {
        // Three places, 20 ms, 50 ms and 60 ms apart; four nodes in each, 1 ms apart.
        let apart = |a: usize, b: usize| -> u64 {
            match (a / 4, b / 4) {
                (x, y) if x == y => 1_000,
                (0, 1) | (1, 0) => 20_000,
                (1, 2) | (2, 1) => 50_000,
                _ => 60_000,
            }
        };
        let mut rng = Rng::seeded(3);
        let mut nodes = [Coordinate::default(); 12];
        for _ in 0..6_000 {
            let (a, b) = (rng.index(12), rng.index(12));
            // One pair is never measured.
            if a == b || (a.min(b), a.max(b)) == (0, 11) {
                continue;
            }
            let other = nodes[b];
            let rtt = Duration::from_micros(apart(a, b) + rng.below(500));
            nodes[a].learn(&other, rtt, rng.next_u64());
            assert!(nodes[a].is_sound());
        }
        let foretold = nodes[0].distance(&nodes[11]);
        assert!((48_000..72_000).contains(&foretold.as_micros()), "{foretold:?}");
        assert!(nodes.iter().all(|node| node.error() < 0.3), "{nodes:?}");
    }
}
