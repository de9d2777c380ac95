//! How long something takes.

use quorate_core::Rng;
use serde::{Deserialize, Serialize};

/// How long something takes, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[allow(missing_docs, reason = "each variant's sentence names its arguments")]
pub enum Latency {
    /// `low`, plus a memoryless time of `mean`.
    Exponential { low: u64, mean: u64 },
    /// Mostly around `fast`, but around `slow` with `chance` (in millionths).
    Bimodal { fast: u64, slow: u64, chance: u32 },
}

impl Latency {
    /// The longest time in it; a memoryless one is sometimes a few times as long.
    pub(super) const fn longest(&self) -> u64 {
        let (Self::Exponential { low: one, mean: other }
        | Self::Bimodal { fast: one, slow: other, .. }) = *self;
        if one > other { one } else { other }
    }

    /// Draws one.
    pub const fn draw(&self, rng: &mut Rng) -> u64 {
        match *self {
            Self::Exponential { low, mean } => low.saturating_add(exponential(rng, mean)),
            Self::Bimodal { fast, slow, chance } => {
                let middle = if rng.chance(chance) { slow } else { fast };
                middle - middle / 4 + rng.below(middle / 2 + 1)
            }
        }
    }
}

/// A memoryless time of about `mean`, in whole numbers, so that every platform draws the same.
const fn exponential(rng: &mut Rng, mean: u64) -> u64 {
    let bits = rng.next_u64();
    // The negative logarithm of a uniform number, to base 2, in 1/65536: the leading zeros are its
    // whole part; the fraction is read off the next bits, linearly, which is at most 0.09 off.
    let zeros = bits.leading_zeros();
    let next = if zeros >= 48 { 0 } else { (bits << (zeros + 1)) >> 48 };
    let log2 = ((zeros as u64 + 1) << 16) - next;
    // ln 2 = 45426 / 65536.
    ((mean as u128 * log2 as u128 * 45_426) >> 32) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memoryless_times_have_their_mean() {
        let mut rng = Rng::seeded(3);
        let count = 100_000;
        let sum: u64 = (0..count).map(|_| exponential(&mut rng, 1_000_000)).sum();
        let mean = sum / count;
        assert!((900_000..1_100_000).contains(&mean), "{mean}");
    }
}
