//! Whom to probe next: everybody once, in random order, then again in another.

use std::collections::BTreeMap;

use quorate_core::{NodeId, Rng};

/// The other members. Each is probed once a round, so a crash is found within two rounds for
/// certain (Das et al. 2002, section 4.3), and no two nodes have the same order.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    ids: Vec<NodeId>,
    /// Invariant: the same ids, each with its place.
    places: BTreeMap<NodeId, usize>,
    next: usize,
}

impl Ring {
    /// Adds `id` at a random place of the round, unless it is there. O(log members).
    pub(crate) fn insert(&mut self, id: &NodeId, rng: &mut Rng) {
        if self.places.contains_key(id) {
            return;
        }
        let last = self.ids.len();
        self.ids.push(id.clone());
        self.places.insert(id.clone(), last);
        self.swap(rng.index(last + 1), last);
    }

    /// Takes `id` out; the others keep their turns. O(log members).
    pub(crate) fn remove(&mut self, id: &NodeId) {
        let Some(mut place) = self.places.get(id).copied() else { return };
        if place < self.next {
            // What takes its place had its turn as well.
            self.next -= 1;
            self.swap(place, self.next);
            place = self.next;
        }
        self.swap(place, self.ids.len() - 1);
        self.ids.pop();
        self.places.remove(id);
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.ids.swap(a, b);
        for place in [a, b] {
            self.places.insert(self.ids[place].clone(), place);
        }
    }

    /// The next one. Amortised O(log members).
    pub(crate) fn next(&mut self, rng: &mut Rng) -> Option<NodeId> {
        if self.next >= self.ids.len() {
            rng.shuffle(&mut self.ids);
            for (place, id) in self.ids.iter().enumerate() {
                self.places.insert(id.clone(), place);
            }
            self.next = 0;
        }
        let id = self.ids.get(self.next)?.clone();
        self.next += 1;
        Some(id)
    }

    /// Up to `count` different random ones that are `wanted`. O(count), so where few are wanted it
    /// may find fewer than there are.
    pub(crate) fn sample(
        &self,
        count: usize,
        rng: &mut Rng,
        wanted: impl Fn(&NodeId) -> bool,
    ) -> Vec<NodeId> {
        let mut found: Vec<NodeId> = Vec::with_capacity(count);
        // In small rings, look at all of them from a random place; in large ones draw.
        if self.ids.len() <= SMALL {
            let start = if self.ids.is_empty() { 0 } else { rng.index(self.ids.len()) };
            let around = self.ids[start..].iter().chain(&self.ids[..start]);
            found.extend(around.filter(|id| wanted(id)).take(count).cloned());
            return found;
        }
        for _ in 0..count * 8 {
            let id = &self.ids[rng.index(self.ids.len())];
            if found.len() < count && wanted(id) && !found.contains(id) {
                found.push(id.clone());
            }
        }
        found
    }
}

const SMALL: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_turn_once_a_round_and_those_that_are_gone_leave_nothing() {
        let mut rng = Rng::seeded(1);
        for _ in 0..300 {
            let mut ring = Ring::default();
            let ids: Vec<_> = (0..rng.index(12)).map(|n| NodeId::new(&n.to_string())).collect();
            for id in ids.iter().flatten() {
                ring.insert(id, &mut rng);
            }
            let mut turns: BTreeMap<NodeId, u32> = BTreeMap::new();
            for round in 0..40 {
                if ring.next == ring.ids.len() {
                    turns.clear();
                }
                if let Some(id) = ring.next(&mut rng) {
                    *turns.entry(id).or_default() += 1;
                }
                assert!(turns.values().all(|count| *count == 1), "{round}: {turns:?}");
                if rng.chance(100_000) && !ids.is_empty() {
                    let gone = ids[rng.index(ids.len())].as_ref().expect("a number is a name");
                    ring.remove(gone);
                    assert!(!ring.ids.contains(gone));
                }
                let places = ring.ids.iter().enumerate().map(|(place, id)| (id.clone(), place));
                assert_eq!(ring.places, places.collect());
                let missed = ring.ids[..ring.next].iter().filter(|id| !turns.contains_key(id));
                assert_eq!(missed.count(), 0, "{round}");
            }
        }
    }
}
