//! The members, and a hash by which two nodes see at a glance whether they see the same.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use quorate_core::{Instant, NodeId};

use crate::claim::{Incarnation, Info, State, Update};
use crate::peer::Peer;

/// Into how many parts the view is cut for comparison: one bit each in a `u64`.
pub(crate) const PARTS: usize = 64;

/// All members, this node included, by id.
#[derive(Debug)]
pub(crate) struct View {
    peers: BTreeMap<NodeId, Peer>,
    /// Invariant: the sum of [`member_hash`] over the live members of each part.
    parts: [u64; PARTS],
    /// Invariant: the live members, by the hash of their ids.
    order: BTreeSet<(u64, NodeId)>,
    /// Invariant: the others that are gone, by the moment at which they are forgotten.
    graves: BTreeSet<(Instant, NodeId)>,
}

impl View {
    pub(crate) const fn new() -> Self {
        Self {
            peers: BTreeMap::new(),
            parts: [0; PARTS],
            order: BTreeSet::new(),
            graves: BTreeSet::new(),
        }
    }

    pub(crate) fn get(&self, id: &NodeId) -> Option<&Peer> {
        self.peers.get(id)
    }

    /// For what is not part of the claim; [`Self::claim`] and [`Self::bury`] change that.
    pub(crate) fn get_mut(&mut self, id: &NodeId) -> Option<&mut Peer> {
        self.peers.get_mut(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&NodeId, &Peer)> {
        self.peers.iter()
    }

    /// The live member behind `me` in the order of hashes, and around to the first. Not in the order
    /// of ids: neighbours by name often share a rack, and die together. One that this node cannot
    /// reach needs no more looking at than any other, so the next takes its place; `None` if many in
    /// a row are so.
    pub(crate) fn successor(&self, me: &NodeId) -> Option<&NodeId> {
        let place = (text_hash(me.as_str()), me.clone());
        let behind = self.order.range((Bound::Excluded(&place), Bound::Unbounded));
        let around = behind.chain(self.order.range(..&place)).map(|(_, id)| id);
        let reached = |id: &&NodeId| self.get(id).is_some_and(|peer| peer.failed_at.is_none());
        around.take(SUCCESSORS).find(reached)
    }

    pub(crate) fn len(&self) -> usize {
        self.peers.len()
    }

    /// How many members are live.
    pub(crate) fn live(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn is_live(&self, id: &NodeId) -> bool {
        self.get(id).is_some_and(|peer| peer.state.is_live())
    }

    /// Equal for equal sets of live members and incarnations.
    ///
    /// Suspicions do not count: they come and go faster than views are compared, and end in an
    /// incarnation or a death, which do. Nor do tombstones: each node forgets them on its own, and
    /// a forgotten one must not look like a difference. That someone is gone here and alive there
    /// shows all the same.
    pub(crate) fn hash(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.wrapping_add(*part))
    }

    pub(crate) const fn parts(&self) -> &[u64; PARTS] {
        &self.parts
    }

    /// Stores a claim. O(log members). The caller has compared it.
    pub(crate) fn claim(&mut self, now: Instant, id: &NodeId, state: State, info: Info) {
        self.uncount(id);
        match self.peers.get_mut(id) {
            None => {
                self.peers.insert(id.clone(), Peer::new(state, info, now));
            }
            Some(peer) => {
                (peer.state, peer.info) = (state, info);
                peer.collect_at = Instant::FAR;
            }
        }
        if let Some(peer) = self.peers.get(id).filter(|peer| peer.state.is_live()) {
            self.order.insert((text_hash(id.as_str()), id.clone()));
            let hash = member_hash(id, peer.info.incarnation);
            let part = &mut self.parts[part_of(id)];
            *part = part.wrapping_add(hash);
        }
    }

    pub(crate) fn remove(&mut self, id: &NodeId) {
        self.uncount(id);
        self.peers.remove(id);
    }

    /// `id` is gone, and is forgotten at `at`. O(log members).
    pub(crate) fn bury(&mut self, id: &NodeId, at: Instant) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        self.graves.remove(&(peer.collect_at, id.clone()));
        peer.collect_at = at;
        self.graves.insert((at, id.clone()));
    }

    /// Who is forgotten next.
    pub(crate) fn oldest_grave(&self) -> Option<&NodeId> {
        self.graves.first().map(|(_, id)| id)
    }

    fn uncount(&mut self, id: &NodeId) {
        if let Some(peer) = self.peers.get(id).filter(|peer| peer.state.is_live()) {
            self.order.remove(&(text_hash(id.as_str()), id.clone()));
            let hash = member_hash(id, peer.info.incarnation);
            let part = &mut self.parts[part_of(id)];
            *part = part.wrapping_sub(hash);
        } else if let Some(peer) = self.peers.get(id) {
            self.graves.remove(&(peer.collect_at, id.clone()));
        }
    }

    /// The claim about `id`, to be sent.
    pub(crate) fn update(&self, now: Instant, horizon_secs: u64, id: &NodeId) -> Option<Update> {
        let peer = self.peers.get(id)?;
        let gone_secs = if peer.state.is_live() {
            0
        } else {
            // Rounded up, so that no hop makes a tombstone younger.
            let left = peer.collect_at.since(now).as_secs();
            u32::try_from(horizon_secs.saturating_sub(left)).unwrap_or(u32::MAX)
        };
        Some(Update { id: id.clone(), state: peer.state, gone_secs, info: peer.info.clone() })
    }
}

/// How many successors in a row are looked at for one that answers.
const SUCCESSORS: usize = 8;

/// In which part of the view a member is.
pub(crate) fn part_of(id: &NodeId) -> usize {
    (text_hash(id.as_str()) >> 58) as usize
}

/// A hash of a text, fixed for ever: FNV-1a, 64 bit, and a finaliser that spreads it to all bits.
pub(crate) fn text_hash(text: &str) -> u64 {
    mix(text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    }))
}

fn member_hash(id: &NodeId, incarnation: Incarnation) -> u64 {
    let Incarnation { boot, counter } = incarnation;
    mix(mix(text_hash(id.as_str()) ^ boot.0).wrapping_add(counter))
}

/// The finaliser of splitmix64.
const fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use quorate_core::{BootEpoch, Rng};

    use super::*;
    use crate::claim::Tags;

    #[test]
    fn the_oldest_grave_is_that_of_whom_is_forgotten_next() {
        let mut rng = Rng::seeded(1);
        let mut view = View::new();
        for step in 0..3_000 {
            let id = NodeId::new(&rng.index(9).to_string()).expect("a number is a name");
            let now = Instant::from_millis(step);
            match rng.index(4) {
                0 => view.remove(&id),
                1 if view.get(&id).is_some_and(|peer| !peer.state.is_live()) => {
                    view.bury(&id, now + std::time::Duration::from_millis(rng.below(50)));
                }
                _ => {
                    let state = [State::Alive, State::Suspect, State::Dead][rng.index(3)];
                    let incarnation = Incarnation::first(BootEpoch(step));
                    let info = Info { incarnation, address: String::new(), tags: Tags::default() };
                    view.claim(now, &id, state, info);
                    if !state.is_live() {
                        view.bury(&id, now + std::time::Duration::from_millis(rng.below(50)));
                    }
                }
            }
            let gone = view.iter().filter(|(_, peer)| !peer.state.is_live());
            let oldest = gone.map(|(id, peer)| (peer.collect_at, id)).min().map(|(_, id)| id);
            assert_eq!(view.oldest_grave(), oldest, "{step}");
        }
    }
}
