/// A small set of small numbers. Up to 64 of them cost no allocation, which is the usual case: a
/// window of operations in flight has as many bits as there are concurrent clients of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bits {
    first: u64,
    /// Words after the first. Invariant: the last one is not zero, so equal sets compare equal.
    rest: Vec<u64>,
}

impl Bits {
    pub(crate) fn has(&self, bit: u32) -> bool {
        self.word(bit / 64) >> (bit % 64) & 1 == 1
    }

    pub(crate) fn set(&mut self, bit: u32) {
        let word = (bit / 64) as usize;
        if word == 0 {
            self.first |= 1 << bit;
            return;
        }
        if self.rest.len() < word {
            self.rest.resize(word, 0);
        }
        self.rest[word - 1] |= 1 << (bit % 64);
    }

    pub(crate) fn clear(&mut self, bit: u32) {
        let word = (bit / 64) as usize;
        if word == 0 {
            self.first &= !(1 << bit);
        } else if let Some(bits) = self.rest.get_mut(word - 1) {
            *bits &= !(1 << (bit % 64));
            while self.rest.last() == Some(&0) {
                self.rest.pop();
            }
        }
    }

    /// The smallest number from `bit` on that is not in the set. `O(words)`.
    pub(crate) fn first_missing(&self, bit: u32) -> u32 {
        let mut index = bit / 64;
        let mut word = self.word(index) | ((1 << (bit % 64)) - 1);
        while word == u64::MAX {
            index += 1;
            word = self.word(index);
        }
        index * 64 + word.trailing_ones()
    }

    pub(crate) fn count(&self) -> u32 {
        self.first.count_ones() + self.rest.iter().map(|word| word.count_ones()).sum::<u32>()
    }

    /// Whether every number of this set is in `other` too. `O(words)`.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.first & !other.first == 0
            && self.rest.len() <= other.rest.len()
            && self.rest.iter().zip(&other.rest).all(|(mine, theirs)| mine & !theirs == 0)
    }

    fn word(&self, index: u32) -> u64 {
        match index {
            0 => self.first,
            _ => self.rest.get(index as usize - 1).copied().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Bits;
    use std::collections::BTreeSet;

    #[test]
    fn a_set_of_bits_agrees_with_a_plain_set() {
        let mut bits = Bits::default();
        let mut plain = BTreeSet::new();
        for step in 0..2_000_u32 {
            let bit = step.wrapping_mul(2_654_435_761) % 200;
            let before = bits.clone();
            if step % 3 == 0 {
                bits.clear(bit);
                plain.remove(&bit);
                assert!(bits.is_within(&before));
            } else {
                bits.set(bit);
                plain.insert(bit);
                assert!(before.is_within(&bits));
                assert_eq!(bits.is_within(&before), bits == before);
            }
            assert_eq!(bits.count() as usize, plain.len());
            assert!((0..200).all(|bit| bits.has(bit) == plain.contains(&bit)));
            let from = step % 200;
            let missing = (from..).find(|bit| !plain.contains(bit));
            assert_eq!(Some(bits.first_missing(from)), missing);
        }
        (0..200).for_each(|bit| bits.clear(bit));
        assert_eq!(bits, Bits::default());
    }
}
