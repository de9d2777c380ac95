//! One round of a proposer.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::{NodeId, PledgeBallot, Proposal, mutant};

use super::pledging::latest;
use super::sight::is_most;

/// A round under way.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    pub(crate) ballot: PledgeBallot,
    /// Who answers where, as it was when the round began: what a quorum is does not change under
    /// a round.
    seeds: Vec<Option<NodeId>>,
    /// What this round proposes unless it meets an accepted value.
    pub(crate) proposal: Proposal,
    promises: BTreeMap<NodeId, Option<(PledgeBallot, Proposal)>>,
    /// `None` before the round's value is settled.
    accepted: Option<BTreeSet<NodeId>>,
}

impl Round {
    pub(crate) const fn new(
        ballot: PledgeBallot,
        seeds: Vec<Option<NodeId>>,
        proposal: Proposal,
    ) -> Self {
        Self { ballot, seeds, proposal, promises: BTreeMap::new(), accepted: None }
    }

    /// All whose word counts: the seeds and those named.
    pub(crate) fn asked(&self) -> BTreeSet<NodeId> {
        let named = self.proposal.configuration.ids().cloned();
        self.seeds.iter().flatten().cloned().chain(named).collect()
    }

    /// Those of them whose word is missing.
    pub(crate) fn missing(&self) -> BTreeSet<NodeId> {
        let mut asked = self.asked();
        match &self.accepted {
            None => asked.retain(|id| !self.promises.contains_key(id)),
            Some(accepted) => asked.retain(|id| !accepted.contains(id)),
        }
        asked
    }

    pub(crate) const fn is_accepting(&self) -> bool {
        self.accepted.is_some()
    }

    /// Counts a promise; `true` if with it the value is settled, and may be proposed.
    pub(crate) fn promised(
        &mut self,
        from: NodeId,
        accepted: Option<(PledgeBallot, Proposal)>,
    ) -> bool {
        if self.accepted.is_some() {
            return false;
        }
        self.promises.insert(from, accepted);
        if !self.is_agreed(|id| self.promises.contains_key(id)) {
            return false;
        }
        let found = latest(self.promises.values().flatten());
        if let Some(found) = found.filter(|_| !mutant!("bootstrap-forgets-accepted")) {
            self.proposal = found.clone();
        } else if !self.proposal.configuration.ids().all(|id| self.promises.contains_key(id)) {
            // Nothing is lost by waiting for those it would name: without them it cannot be made.
            return false;
        }
        self.accepted = Some(BTreeSet::new());
        true
    }

    /// Counts an acceptance; `true` if the decree is made.
    pub(crate) fn accepted(&mut self, from: NodeId) -> bool {
        if let Some(accepted) = &mut self.accepted {
            accepted.insert(from);
        }
        let has_accepted = |id: &NodeId| self.accepted.as_ref().is_some_and(|by| by.contains(id));
        // All it names, so that each knows of the cluster from its first day: where one learns of it
        // days later, the disks of the others may be gone, and nothing else keeps it from founding
        // a second one with them.
        self.proposal.configuration.ids().all(has_accepted) && self.is_agreed(has_accepted)
    }

    /// Whether more than half of the seeds agree. To *hear* them is not enough: two proposers that
    /// do not see each other may hear the same seed, and name two clusters.
    fn is_agreed(&self, agrees: impl Fn(&NodeId) -> bool) -> bool {
        mutant!("bootstrap-seeds-not-asked") || is_most(&self.seeds, agrees)
    }
}
