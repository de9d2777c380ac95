//! The news: about whom something is still to be told, and how often it was.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::NodeId;

/// One slot for each member there is news of: what is told is always the newest claim, and a new
/// one about the same member takes the slot of the old. So memory is bounded by the members, and no
/// flood of changes builds up a queue.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    told: BTreeMap<NodeId, u32>,
    /// The least told first.
    order: BTreeSet<(u32, NodeId)>,
}

impl Spread {
    /// There is news about `id`.
    pub(crate) fn push(&mut self, id: &NodeId) {
        self.remove(id);
        self.told.insert(id.clone(), 0);
        self.order.insert((0, id.clone()));
    }

    pub(crate) fn remove(&mut self, id: &NodeId) {
        if let Some(told) = self.told.remove(id) {
            self.order.remove(&(told, id.clone()));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// The members there is news of, the least told first.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &NodeId> {
        self.order.iter().map(|(_, id)| id)
    }

    /// The news of `id` was told once more; after `limit` times it is none.
    pub(crate) fn told(&mut self, id: &NodeId, limit: u32) {
        let Some(told) = self.told.get_mut(id) else { return };
        self.order.remove(&(*told, id.clone()));
        *told += 1;
        if *told < limit {
            self.order.insert((*told, id.clone()));
        } else {
            self.told.remove(id);
        }
    }
}

/// How often news is told by each node among `live` members: the logarithm and some more, so that
/// even where a quarter of all packets is lost all but one node in a thousand hears it (Das et al.
/// 2002, section 4.1); those few see by the hash of their view that they missed something.
pub(crate) fn limit(live: usize) -> u32 {
    (log2(live + 1) + MORE).max(LEAST)
}

/// For how many rounds news travel until all among `live` members know it, told to three in each.
pub(crate) const fn rounds(live: usize) -> u32 {
    log2(live + 1).div_ceil(2) + MORE
}

/// Rounded up.
const fn log2(value: usize) -> u32 {
    value.next_power_of_two().trailing_zeros()
}

const MORE: u32 = 3;

/// Among few, one that is missed by chance is missed by all.
const LEAST: u32 = 9;
