//! Finds a member's place by the hash of its id.

/// Open addressing with linear probing, at most half full; nothing is left behind by what is
/// removed (Knuth, volume 3, section 6.4, algorithm R). Only looked up, never walked through, so
/// no order comes from it.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Places plus one; zero is free. The length is a power of two, or zero.
    table: Vec<u32>,
    pub(crate) len: usize,
}

impl Index {
    /// The place under `hash` that `is` the one.
    pub(crate) fn find(&self, hash: u64, is: impl Fn(usize) -> bool) -> Option<usize> {
        let mut at = self.home(hash)?;
        loop {
            match self.table[at] {
                0 => return None,
                place if is(place as usize - 1) => return Some(place as usize - 1),
                _ => at = self.next(at),
            }
        }
    }

    /// Adds a place that is not there yet; `hash_of` says the hash of any place.
    pub(crate) fn insert(&mut self, hash: u64, place: usize, hash_of: impl Fn(usize) -> u64) {
        if (self.len + 1) * 2 > self.table.len() {
            let larger = (self.table.len() * 2).max(8);
            let before = std::mem::replace(&mut self.table, vec![0; larger]);
            for place in before.into_iter().filter(|place| *place != 0) {
                self.settle(hash_of(place as usize - 1), place);
            }
        }
        self.settle(hash, place as u32 + 1);
        self.len += 1;
    }

    fn settle(&mut self, hash: u64, place: u32) {
        let Some(mut at) = self.home(hash) else { return };
        while self.table[at] != 0 {
            at = self.next(at);
        }
        self.table[at] = place;
    }

    /// Takes a place out, if it is there.
    pub(crate) fn remove(&mut self, hash: u64, place: usize, hash_of: impl Fn(usize) -> u64) {
        let Some(mut hole) = self.home(hash) else { return };
        while self.table[hole] != place as u32 + 1 {
            if self.table[hole] == 0 {
                return;
            }
            hole = self.next(hole);
        }
        self.len -= 1;
        // Whatever could not be where it belongs because of this one moves up.
        let mut at = self.next(hole);
        while self.table[at] != 0 {
            let home = self.home(hash_of(self.table[at] as usize - 1)).unwrap_or(0);
            let mask = self.table.len() - 1;
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.table[hole] = self.table[at];
                hole = at;
            }
            at = self.next(at);
        }
        self.table[hole] = 0;
    }

    fn home(&self, hash: u64) -> Option<usize> {
        (!self.table.is_empty()).then(|| hash as usize & (self.table.len() - 1))
    }

    const fn next(&self, at: usize) -> usize {
        (at + 1) & (self.table.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use quorate_core::Rng;

    use super::*;

    #[test]
    fn it_finds_what_is_there_and_nothing_else() {
        let mut rng = Rng::seeded(1);
        // Few hashes, so that many collide.
        let hashes: Vec<u64> = (0..200).map(|_| rng.below(40)).collect();
        let hash_of = |place: usize| hashes[place];
        let (mut index, mut twin) = (Index::default(), BTreeSet::new());
        for _ in 0..20_000 {
            let place = rng.index(hashes.len());
            if twin.remove(&place) {
                index.remove(hashes[place], place, hash_of);
            } else {
                twin.insert(place);
                index.insert(hashes[place], place, hash_of);
            }
            let other = rng.index(hashes.len());
            let found = index.find(hashes[other], |place| place == other);
            assert_eq!(found.is_some(), twin.contains(&other));
            assert_eq!(index.len, twin.len());
        }
    }
}
