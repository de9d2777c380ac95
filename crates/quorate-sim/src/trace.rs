//! One number for everything that happened.

/// A running hash of a run: equal for equal runs, in every build and process.
///
/// Not cryptographic: it tells two runs apart, it does not resist someone who wants them alike.
#[derive(Debug, Clone)]
pub(crate) struct TraceHash {
    low: u64,
    high: u64,
}

impl TraceHash {
    pub(crate) const fn new() -> Self {
        Self { low: 0x243f_6a88_85a3_08d3, high: 0x1319_8a2e_0370_7344 }
    }

    /// Adds a word.
    pub(crate) const fn mix(&mut self, word: u64) {
        self.low = fold(self.low ^ word, 0xa076_1d64_78bd_642f);
        self.high = fold(self.high.rotate_left(23) ^ word, 0xe703_7ed1_a0b4_28db) ^ self.low;
    }

    pub(crate) const fn value(&self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }
}

/// A digest of `bytes`, eight at a time.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    let mut hash = 0x9e37_79b9_7f4a_7c15 ^ bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = fold(hash ^ u64::from_le_bytes(*word), 0x8ebc_6af0_9c88_c6e3);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    fold(hash ^ u64::from_le_bytes(last), 0x5899_65cc_7537_4cc3)
}

/// Multiplies to 128 bits and folds the halves together, so that high bits reach low ones.
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    // A zero factor must not erase what came before.
    (product as u64) ^ ((product >> 64) as u64) ^ a.rotate_left(32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_trace_is_fixed_for_ever() {
        let mut hash = TraceHash::new();
        for word in 0..1_000 {
            hash.mix(word);
        }
        hash.mix(digest(b"quorate and a bit more"));
        assert_eq!(format!("{:032x}", hash.value()), "16c9fc2fa7594e4df4edb9dc45b37908");
    }

    #[test]
    fn order_and_zeros_count() {
        let of = |words: &[u64]| {
            let mut hash = TraceHash::new();
            words.iter().for_each(|word| hash.mix(*word));
            hash.value()
        };
        assert_ne!(of(&[1, 2]), of(&[2, 1]));
        assert_ne!(of(&[0]), of(&[0, 0]));
        assert_ne!(digest(b""), digest(b"\0"));
    }
}
