//! Whom to probe next: everybody once, in random order, then again in another.

use quorate_core::{NodeId, Rng};

use crate::view::View;

/// The other members. Each is probed once a round, so a crash is found within two rounds for
/// certain (Das et al. 2002, section 4.3), and no two nodes have the same order.
///
/// Invariant: each knows its place in [`Peer::place`](crate::peer::Peer::place).
#[derive(Debug, Default)]
pub(crate) struct Ring {
    ids: Vec<NodeId>,
    next: usize,
}

impl Ring {
    /// Adds `id` at a random place of the round, unless it is there.
    pub(crate) fn insert(&mut self, view: &mut View, id: &NodeId, rng: &mut Rng) {
        if view.get(id).is_none_or(|peer| peer.place.is_some()) {
            return;
        }
        let last = self.ids.len();
        self.ids.push(id.clone());
        self.swap(view, rng.index(last + 1), last);
    }

    /// Takes `id` out; the others keep their turns.
    pub(crate) fn remove(&mut self, view: &mut View, id: &NodeId) {
        let Some(mut place) = view.get_mut(id).and_then(|peer| peer.place.take()) else { return };
        if (place as usize) < self.next {
            // What takes its place had its turn as well.
            self.next -= 1;
            self.swap(view, place as usize, self.next);
            place = self.next as u32;
        }
        let last = self.ids.len() - 1;
        self.swap(view, place as usize, last);
        self.ids.pop();
        if let Some(peer) = view.get_mut(id) {
            peer.place = None;
        }
    }

    fn swap(&mut self, view: &mut View, a: usize, b: usize) {
        self.ids.swap(a, b);
        for place in [a, b] {
            if let Some(peer) = view.get_mut(&self.ids[place]) {
                peer.place = Some(place as u32);
            }
        }
    }

    /// The next one. Amortised O(1).
    pub(crate) fn next(&mut self, view: &mut View, rng: &mut Rng) -> Option<NodeId> {
        if self.next >= self.ids.len() {
            rng.shuffle(&mut self.ids);
            for (place, id) in self.ids.iter().enumerate() {
                if let Some(peer) = view.get_mut(id) {
                    peer.place = Some(place as u32);
                }
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
    use std::collections::BTreeMap;

    use quorate_core::{BootEpoch, Instant};

    use super::*;
    use crate::claim::{Incarnation, Info, Protocol, State, Tags, Update};

    #[test]
    fn each_has_its_turn_once_a_round_and_those_that_are_gone_leave_nothing() {
        let mut rng = Rng::seeded(1);
        for _ in 0..300 {
            let (mut ring, mut view) = (Ring::default(), View::new());
            let ids: Vec<_> = (0..rng.index(12)).map(|n| NodeId::new(&n.to_string())).collect();
            for id in ids.iter().flatten() {
                view.claim(Instant::ZERO, alive(id));
                ring.insert(&mut view, id, &mut rng);
            }
            let mut turns: BTreeMap<NodeId, u32> = BTreeMap::new();
            for round in 0..40 {
                if ring.next == ring.ids.len() {
                    turns.clear();
                }
                if let Some(id) = ring.next(&mut view, &mut rng) {
                    *turns.entry(id).or_default() += 1;
                }
                assert!(turns.values().all(|count| *count == 1), "{round}: {turns:?}");
                if rng.chance(100_000) && !ids.is_empty() {
                    let gone = ids[rng.index(ids.len())].as_ref().expect("a number is a name");
                    ring.remove(&mut view, gone);
                    assert!(!ring.ids.contains(gone));
                }
                for (place, id) in ring.ids.iter().enumerate() {
                    let known = view.get(id).and_then(|peer| peer.place);
                    assert_eq!(known, Some(place as u32));
                }
                let missed = ring.ids[..ring.next].iter().filter(|id| !turns.contains_key(id));
                assert_eq!(missed.count(), 0, "{round}");
            }
        }
    }

    fn alive(id: &NodeId) -> Update {
        let (tags, protocol) = (Tags::default(), Protocol::SUPPORTED);
        let incarnation = Incarnation::first(BootEpoch(1));
        let info = Info { incarnation, address: String::new(), tags, protocol }.into();
        Update { id: id.clone(), state: State::Alive, gone_secs: 0, accusation: None, info }
    }
}
