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

/// How often news is told by each node among `live` members: three times the logarithm, so that
/// all know it with a probability close to one (Das et al. 2002, section 4.1).
pub(crate) fn limit(live: usize) -> u32 {
    // ceil(3 * log2(live + 1)), without floating point: log2 of the cube.
    let cube = (live as u128 + 1).pow(3);
    cube.next_power_of_two().trailing_zeros().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_three_times_the_logarithm() {
        for live in [1_usize, 2, 3, 7, 30, 100, 8_192] {
            let expected = (3.0 * (live as f64 + 1.0).log2()).ceil() as u32;
            assert_eq!(limit(live), expected, "{live}");
        }
    }
}
