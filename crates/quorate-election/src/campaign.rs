//! The two questions on the way to leadership: would you vote for me, and do you.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::{Instant, LogId, LogView, NodeId, Tally, VoteResult};

/// What a node does about leading.
#[derive(Debug)]
pub(crate) enum State {
    Follower,
    PreCandidate { poll: StrawPoll, ask_at: Instant },
    Candidate { votes: Votes, ask_at: Instant },
    Leader(crate::reign::Reign),
}

/// Opinions gathered before standing. They bind nobody, so they make no mandate.
#[derive(Debug, Default)]
pub(crate) struct StrawPoll {
    pub(crate) answers: BTreeMap<NodeId, (bool, LogId)>,
    /// Wait for everybody: see [`Self::result`].
    pub(crate) reluctant: bool,
}

impl StrawPoll {
    pub(crate) const fn new(reluctant: bool) -> Self {
        Self { answers: BTreeMap::new(), reluctant }
    }

    /// Notes an answer; a yes that arrived before stays.
    pub(crate) fn answer(&mut self, voter: NodeId, granted: bool, tip: LogId) {
        let answer = self.answers.entry(voter).or_insert((granted, tip));
        if granted || !answer.0 {
            *answer = (granted, tip);
        }
    }

    pub(crate) fn has(&self, voter: &NodeId) -> bool {
        self.answers.contains_key(voter)
    }

    /// Whether `voter` said yes. One that said no may change its mind: it heard the leader a
    /// moment later than this node did.
    pub(crate) fn agreed(&self, voter: &NodeId) -> bool {
        self.answers.get(voter).is_some_and(|(granted, _)| *granted)
    }

    /// Whether standing makes sense. A reluctant node waits until all answered or `at_end`, and
    /// gives way to every electable voter that has its log.
    pub(crate) fn result(&self, me: &NodeId, log: &dyn LogView, at_end: bool) -> VoteResult {
        let configuration = log.configuration();
        let result =
            configuration.vote_result(|id| self.answers.get(id).map(|(granted, _)| *granted));
        if !self.reluctant {
            return result;
        }
        let better = |(id, (_, tip)): (&NodeId, &(bool, LogId))| {
            id != me && *tip >= log.tip() && configuration.is_electable(id)
        };
        if self.answers.iter().any(better) {
            return VoteResult::Lost;
        }
        let complete = configuration.voters().all(|id| self.has(id));
        if complete || at_end { result } else { VoteResult::Open }
    }
}

/// The votes of one candidacy.
#[derive(Debug)]
pub(crate) struct Votes {
    pub(crate) tally: Tally,
    pub(crate) answered: BTreeSet<NodeId>,
    /// Whether the leader of the term before told this node to stand.
    pub(crate) at_once: bool,
}

impl Votes {
    pub(crate) const fn new(tally: Tally, at_once: bool) -> Self {
        Self { tally, answered: BTreeSet::new(), at_once }
    }

    /// Notes that `voter` answered.
    pub(crate) fn answer(&mut self, voter: NodeId) {
        self.answered.insert(voter);
    }

    pub(crate) fn has(&self, voter: &NodeId) -> bool {
        self.answered.contains(voter)
    }
}
