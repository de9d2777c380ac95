//! What a node sees of the others before there is a cluster.

use std::collections::BTreeMap;

use quorate_core::{ClusterId, Configuration, DiskId, Kind, Member, NodeId};

/// A node that may become a first member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Higher is named first.
    pub priority: u8,
    /// `host:port` of its cluster port.
    pub address: String,
    /// Its data folder.
    pub disk: DiskId,
    /// Whether it may be a voter.
    pub kind: Kind,
}

impl Candidate {
    /// As a member of a configuration.
    pub(crate) fn member(&self) -> Member {
        let Self { priority, address, disk, kind } = self.clone();
        Member { kind, priority, address, disk }
    }
}

/// What a node sees: from gossip, or from whatever tells it who is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sight {
    /// The nodes that answer and belong to no cluster, this one included.
    pub candidates: BTreeMap<NodeId, Candidate>,
    /// For each address of the seed list, who answers there; this node itself where it is listed.
    pub seeds: Vec<Option<NodeId>>,
    /// A cluster of this name that some node, also one that is gone, is known to belong to.
    pub cluster: Option<ClusterId>,
}

impl Sight {
    /// Whether more than half of the seed list answers.
    #[must_use]
    pub fn hears_most_seeds(&self) -> bool {
        is_most(&self.seeds, |_| true)
    }

    /// The candidates that may vote, the best first: the highest priority, then the lowest id.
    pub(crate) fn ranked(&self) -> Vec<&NodeId> {
        let mut ids: Vec<_> =
            self.candidates.iter().filter(|(_, c)| c.kind == Kind::Voter).collect();
        ids.sort_by_key(|(id, candidate)| (u8::MAX - candidate.priority, *id));
        ids.into_iter().map(|(id, _)| id).collect()
    }

    /// The configuration of the `count` best, if there are so many.
    pub(crate) fn best(&self, count: usize) -> Option<Configuration> {
        let best = self.ranked();
        let members = best
            .get(..count)?
            .iter()
            .filter_map(|id| Some(((*id).clone(), self.candidates.get(*id)?.member())));
        Some(Configuration::of_members(members.collect()))
    }
}

/// Whether `agrees` holds at more than half of the addresses.
pub(crate) fn is_most(seeds: &[Option<NodeId>], agrees: impl Fn(&NodeId) -> bool) -> bool {
    let count = seeds.iter().flatten().filter(|id| agrees(id)).count();
    if quorate_core::mutant!("bootstrap-half-of-the-seeds") {
        return count * 2 >= seeds.len();
    }
    count * 2 > seeds.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_have_the_highest_priority_and_then_the_lowest_name() {
        let id = |name| NodeId::new(name).unwrap();
        let disk = DiskId::NONE;
        let candidate = |priority, kind| Candidate { priority, address: String::new(), disk, kind };
        let sight = Sight {
            candidates: [
                (id("a"), candidate(100, Kind::Voter)),
                (id("b"), candidate(200, Kind::Observer)),
                (id("c"), candidate(120, Kind::Voter)),
                (id("d"), candidate(100, Kind::Voter)),
            ]
            .into(),
            ..Sight::default()
        };
        assert_eq!(sight.ranked(), [&id("c"), &id("a"), &id("d")]);
        assert!(sight.best(2).unwrap().ids().eq([&id("a"), &id("c")]));
        assert_eq!(sight.best(4), None);
    }
}
