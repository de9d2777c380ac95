//! The states seen so far: a set of fingerprints that does little else than look up.

/// Numbers fingerprints in the order in which they came. Open addressing, at most half full.
#[derive(Debug)]
pub(super) struct Table {
    /// One above the number of the fingerprint in this place; zero where there is none.
    places: Vec<u32>,
    fingerprints: Vec<u128>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self { places: vec![0; PLACES_MIN], fingerprints: Vec::new() }
    }

    pub(super) const fn len(&self) -> usize {
        self.fingerprints.len()
    }

    /// The number of `fingerprint`, and whether it is new.
    pub(super) fn number(&mut self, fingerprint: u128) -> (u32, bool) {
        if (self.fingerprints.len() + 1) * 2 > self.places.len() {
            self.grow();
        }
        let place = self.place(fingerprint);
        if let Some(number) = self.places[place].checked_sub(1) {
            return (number, false);
        }
        let number = self.fingerprints.len() as u32;
        self.fingerprints.push(fingerprint);
        self.places[place] = number + 1;
        (number, true)
    }

    /// Where `fingerprint` is, or belongs.
    fn place(&self, fingerprint: u128) -> usize {
        let mask = self.places.len() - 1;
        let mut place = fingerprint as usize & mask;
        while let Some(number) = self.places[place].checked_sub(1)
            && self.fingerprints[number as usize] != fingerprint
        {
            place = (place + 1) & mask;
        }
        place
    }

    fn grow(&mut self) {
        let places = self.places.len() * 2;
        self.places.clear();
        self.places.resize(places, 0);
        for number in 0..self.fingerprints.len() {
            let place = self.place(self.fingerprints[number]);
            self.places[place] = number as u32 + 1;
        }
    }
}

/// A power of two.
const PLACES_MIN: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use quorate_core::Rng;

    use super::*;

    #[test]
    fn it_numbers_as_a_map_would() {
        let (mut table, mut twin, mut rng) = (Table::new(), BTreeMap::new(), Rng::seeded(1));
        for _ in 0..20_000 {
            // Few distinct low halves, so that places collide.
            let fingerprint = u128::from(rng.below(50)) | u128::from(rng.below(100)) << 64;
            let next = twin.len() as u32;
            let (number, new) = table.number(fingerprint);
            assert_eq!(new, !twin.contains_key(&fingerprint));
            assert_eq!(number, *twin.entry(fingerprint).or_insert(next));
        }
        assert_eq!(table.len(), twin.len());
    }
}
