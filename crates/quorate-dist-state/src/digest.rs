//! A 64-bit digest that is the same on every platform and in every release.
//!
//! It tells replicas that drifted apart and bodies that differ under one number; it is no defence
//! against someone who searches for collisions, and none is needed: that client would only ever
//! spoil its own session.

/// A digest in the making.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Digest(u64);

impl Digest {
    /// The digest of nothing, for things called `kind`: equal contents of two kinds differ.
    pub(crate) fn new(kind: &str) -> Self {
        Self(SEED).bytes(kind.as_bytes())
    }

    /// Adds a number.
    pub(crate) const fn word(self, word: u64) -> Self {
        Self(fold(self.0 ^ word, FACTOR).wrapping_add(SEED))
    }

    /// Adds bytes and their number, so that neighbours cannot trade bytes unnoticed.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<8>();
        let digest = words.iter().fold(self.word(bytes.len() as u64), |digest, word| {
            digest.word(u64::from_le_bytes(*word))
        });
        if rest.is_empty() {
            return digest;
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        digest.word(u64::from_le_bytes(last))
    }

    /// The digest.
    pub(crate) const fn finish(self) -> u64 {
        fold(self.0, SEED)
    }
}

/// The two halves of the product, folded: every bit of `a` reaches every bit of the result.
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

/// Odd numbers without pattern: the first 64 bits of the fractions of pi and of e.
const SEED: u64 = 0x243f_6a88_85a3_08d3;
const FACTOR: u64 = 0xb7e1_5162_8aed_2a6b;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_digest_of_a_text_is_fixed_for_ever() {
        assert_eq!(
            Digest::new("test").word(7).bytes(b"quorate, nine").finish(),
            0xe92a_aecc_da14_d3fa
        );
    }

    #[test]
    fn near_neighbours_differ() {
        let mut seen = BTreeSet::new();
        for a in 0..64_u64 {
            for b in 0..64_u64 {
                assert!(seen.insert(Digest::new("").word(a).word(b).finish()));
            }
        }
        for length in 0..40 {
            assert!(seen.insert(Digest::new("zeros").bytes(&vec![0; length]).finish()));
        }
        let split = |a: &[u8], b: &[u8]| Digest::new("").bytes(a).bytes(b).finish();
        assert_ne!(split(b"ab", b"c"), split(b"a", b"bc"));
        assert_ne!(Digest::new("a").finish(), Digest::new("b").finish());
    }
}
