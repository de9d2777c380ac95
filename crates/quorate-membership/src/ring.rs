//! Whom to probe next: everybody once, in random order, then again in another.

use std::collections::BTreeSet;

use quorate_core::{NodeId, Rng};

/// The other members. Each is probed once a round, so a crash is found within two rounds for
/// certain (Das et al. 2002, section 4.3), and no two nodes have the same order.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    ids: Vec<NodeId>,
    /// Invariant: the same ids.
    held: BTreeSet<NodeId>,
    next: usize,
}

impl Ring {
    /// Adds `id` at a random place of the round, unless it is there. O(log members).
    pub(crate) fn insert(&mut self, id: &NodeId, rng: &mut Rng) {
        if self.held.insert(id.clone()) {
            let place = rng.index(self.ids.len() + 1);
            self.ids.push(id.clone());
            let last = self.ids.len() - 1;
            self.ids.swap(place, last);
        }
    }

    /// The next one that is `live`. Those that are not are dropped on the way. Amortised O(1).
    pub(crate) fn next(&mut self, rng: &mut Rng, live: impl Fn(&NodeId) -> bool) -> Option<NodeId> {
        loop {
            if self.next >= self.ids.len() {
                if self.ids.is_empty() {
                    return None;
                }
                rng.shuffle(&mut self.ids);
                self.next = 0;
            }
            if live(&self.ids[self.next]) {
                self.next += 1;
                return Some(self.ids[self.next - 1].clone());
            }
            let gone = self.ids.swap_remove(self.next);
            self.held.remove(&gone);
        }
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
