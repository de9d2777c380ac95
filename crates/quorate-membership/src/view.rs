//! The members, and a hash by which two nodes see at a glance whether they see the same.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Duration;

use quorate_core::{Instant, NodeId};

use crate::claim::{Accusation, Incarnation, State, Update};
use crate::index::Index;
use crate::peer::Peer;

/// Into how many parts the view is cut for comparison: one bit each in a `u64`.
pub(crate) const PARTS: usize = 64;

/// All members, this node included.
///
/// Every packet asks for somebody, so a member is found by the hash of its id, in O(1).
#[derive(Debug)]
pub(crate) struct View {
    index: Index,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// Invariant: the sum of [`member_hash`] over the live members of each part.
    parts: [u64; PARTS],
    /// Invariant: the sum of `parts`.
    sum: u64,
    /// Invariant: the live members, by the hash of their ids.
    order: BTreeSet<(u64, NodeId)>,
    /// Changes with `order`.
    version: u64,
    /// Invariant: the others that are gone, by the moment at which they are forgotten.
    graves: BTreeSet<(Instant, NodeId)>,
}

#[derive(Debug)]
struct Entry {
    id: NodeId,
    hash: u64,
    peer: Peer,
}

impl View {
    pub(crate) fn new() -> Self {
        Self {
            index: Index::default(),
            entries: Vec::new(),
            free: Vec::new(),
            parts: [0; PARTS],
            sum: 0,
            order: BTreeSet::new(),
            version: 0,
            graves: BTreeSet::new(),
        }
    }

    fn slot(&self, id: &NodeId) -> Option<usize> {
        let hash = text_hash(id.as_str());
        self.index.find(hash, |slot| self.entries[slot].as_ref().is_some_and(|e| e.id == *id))
    }

    pub(crate) fn get(&self, id: &NodeId) -> Option<&Peer> {
        self.entries[self.slot(id)?].as_ref().map(|entry| &entry.peer)
    }

    /// For what is not part of the claim; [`Self::claim`] and [`Self::bury`] change that.
    pub(crate) fn get_mut(&mut self, id: &NodeId) -> Option<&mut Peer> {
        let slot = self.slot(id)?;
        self.entries[slot].as_mut().map(|entry| &mut entry.peer)
    }

    /// All members in no order, but the same one after the same claims.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&NodeId, &Peer)> {
        self.entries.iter().flatten().map(|entry| (&entry.id, &entry.peer))
    }

    /// All members in the order of their ids. O(members log members).
    pub(crate) fn sorted(&self) -> Vec<(&NodeId, &Peer)> {
        let mut all: Vec<_> = self.iter().collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    /// The live members behind the place of `hash` in the order of hashes, and around. Not in the
    /// order of ids: neighbours by name often share a rack, and die together.
    pub(crate) fn behind(&self, hash: u64, id: &NodeId) -> impl Iterator<Item = &NodeId> {
        let place = (hash, id.clone());
        let behind = self.order.range((Bound::Excluded(&place), Bound::Unbounded));
        let around = self.order.range(..(hash, id.clone()));
        behind.chain(around).map(|(_, id)| id)
    }

    /// The live member behind `me`, for regular looks. One that this node cannot reach, or that is
    /// being looked into, needs no more looking at than any other, so the next takes its place;
    /// `None` if many in a row are so.
    pub(crate) fn successor(
        &self,
        me: &NodeId,
        looked_into: impl Fn(&NodeId) -> bool,
    ) -> Option<&NodeId> {
        let reached = |id: &&NodeId| {
            !looked_into(id) && self.get(id).is_some_and(|peer| peer.failed_at().is_none())
        };
        self.behind(text_hash(me.as_str()), me).take(SUCCESSORS).find(reached)
    }

    /// Changes when a member comes or goes.
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    pub(crate) const fn len(&self) -> usize {
        self.index.len
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
    pub(crate) const fn hash(&self) -> u64 {
        self.sum
    }

    /// The same for each part alone.
    pub(crate) const fn parts(&self) -> &[u64; PARTS] {
        &self.parts
    }

    /// Stores a claim. O(log members). The caller has compared it.
    pub(crate) fn claim(&mut self, now: Instant, update: Update) {
        let Update { id, state, accusation, info, .. } = update;
        let corroborated =
            state == State::Suspect && accusation.is_some_and(|accusation| accusation.corroborated);
        self.uncount(&id);
        let slot = self.slot(&id);
        let (hash, incarnation) = (text_hash(id.as_str()), info.incarnation);
        match slot.and_then(|slot| self.entries[slot].as_mut()) {
            None => {
                let peer = Peer::new(state, corroborated, info, now);
                self.put(Entry { id: id.clone(), hash, peer });
            }
            Some(Entry { peer, .. }) => {
                if peer.info.address != info.address {
                    peer.at = info.address.parse().ok();
                    peer.by_stream = false;
                }
                (peer.state, peer.corroborated) = (state, corroborated);
                (peer.incarnation, peer.info) = (incarnation, info);
                if let Some(trouble) = &mut peer.trouble {
                    trouble.collect_at = Instant::FAR;
                }
            }
        }
        if state.is_live() {
            self.count(hash, incarnation, u64::wrapping_add);
            self.order.insert((hash, id));
            self.version += 1;
        }
    }

    fn put(&mut self, entry: Entry) {
        let hash = entry.hash;
        let slot = self.free.pop().map_or(self.entries.len(), |slot| slot as usize);
        if slot == self.entries.len() {
            self.entries.push(Some(entry));
        } else {
            self.entries[slot] = Some(entry);
        }
        let entries = &self.entries;
        self.index.insert(hash, slot, |slot| hash_at(entries, slot));
    }

    pub(crate) fn remove(&mut self, id: &NodeId) {
        self.uncount(id);
        let Some(slot) = self.slot(id) else { return };
        let entries = &self.entries;
        self.index.remove(hash_at(entries, slot), slot, |slot| hash_at(entries, slot));
        self.entries[slot] = None;
        self.free.push(slot as u32);
    }

    /// `id` is gone, and is forgotten at `at`. O(log members).
    pub(crate) fn bury(&mut self, id: &NodeId, at: Instant) {
        let Some(peer) = self.get_mut(id) else { return };
        let before = std::mem::replace(&mut peer.trouble().collect_at, at);
        self.graves.remove(&(before, id.clone()));
        self.graves.insert((at, id.clone()));
    }

    /// Who is forgotten next.
    pub(crate) fn oldest_grave(&self) -> Option<&NodeId> {
        self.graves.first().map(|(_, id)| id)
    }

    fn uncount(&mut self, id: &NodeId) {
        let Some(peer) = self.get(id) else { return };
        let (live, incarnation, at) =
            (peer.state.is_live(), peer.info.incarnation, peer.collect_at());
        if live {
            let hash = text_hash(id.as_str());
            self.order.remove(&(hash, id.clone()));
            self.version += 1;
            self.count(hash, incarnation, u64::wrapping_sub);
        } else {
            self.graves.remove(&(at, id.clone()));
        }
    }

    fn count(&mut self, hash: u64, incarnation: Incarnation, step: impl Fn(u64, u64) -> u64) {
        let member = member_hash(hash, incarnation);
        let part = &mut self.parts[part_at(hash)];
        *part = step(*part, member);
        self.sum = step(self.sum, member);
    }

    /// The claim about `id`, to be sent.
    pub(crate) fn update(&self, now: Instant, horizon: Duration, id: &NodeId) -> Option<Update> {
        let peer = self.get(id)?;
        let gone_secs = if peer.state.is_live() {
            0
        } else {
            // Rounded up, so that no hop makes a tombstone younger.
            let gone = horizon.saturating_sub(peer.collect_at().since(now));
            let secs = gone.as_secs() + u64::from(gone.subsec_nanos() > 0);
            u32::try_from(secs).unwrap_or(u32::MAX)
        };
        // Told on, an accusation has no author: only who makes it counts towards its limit.
        let accusation = (peer.state == State::Suspect)
            .then_some(Accusation { by: 0, corroborated: peer.corroborated });
        let (state, info) = (peer.state, peer.info.clone());
        Some(Update { id: id.clone(), state, gone_secs, accusation, info })
    }
}

fn hash_at(entries: &[Option<Entry>], slot: usize) -> u64 {
    entries[slot].as_ref().map_or(0, |entry| entry.hash)
}

/// How many successors in a row are looked at for one that answers.
const SUCCESSORS: usize = 8;

/// In which part of the view a member is.
pub(crate) fn part_of(id: &NodeId) -> usize {
    part_at(text_hash(id.as_str()))
}

const fn part_at(hash: u64) -> usize {
    (hash >> 58) as usize
}

/// A hash of a text, fixed for ever: FNV-1a, 64 bit, and a finaliser that spreads it to all bits.
pub(crate) fn text_hash(text: &str) -> u64 {
    mix(text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    }))
}

/// The short hash of an id: by which a ping names its target.
pub(crate) fn short_hash(id: &NodeId) -> u32 {
    (text_hash(id.as_str()) >> 32) as u32
}

const fn member_hash(hash: u64, incarnation: Incarnation) -> u64 {
    let Incarnation { boot, counter } = incarnation;
    mix(mix(hash ^ boot.0).wrapping_add(counter))
}

/// The finaliser of splitmix64.
pub(crate) const fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use quorate_core::{BootEpoch, Rng};

    use super::*;
    use crate::claim::{Info, Protocol, Tags};

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
                    view.bury(&id, now + Duration::from_millis(rng.below(50)));
                }
                _ => {
                    let state = [State::Alive, State::Suspect, State::Dead][rng.index(3)];
                    let incarnation = Incarnation::first(BootEpoch(step));
                    let (tags, protocol) = (Tags::default(), Protocol::SUPPORTED);
                    let info = Info { incarnation, address: String::new(), tags, protocol }.into();
                    let (gone_secs, accusation) = (0, None);
                    view.claim(now, Update { id: id.clone(), state, gone_secs, accusation, info });
                    if !state.is_live() {
                        view.bury(&id, now + Duration::from_millis(rng.below(50)));
                    }
                }
            }
            let gone = view.iter().filter(|(_, peer)| !peer.state.is_live());
            let oldest = gone.map(|(id, peer)| (peer.collect_at(), id)).min().map(|(_, id)| id);
            assert_eq!(view.oldest_grave(), oldest, "{step}");
        }
    }
}
