//! The vote rule. Nothing else makes a [`Grant`].

use quorate_core::{Ballot, LogId, NodeId, Term, mutant};

/// A term that somebody else has reached, and nothing more: never a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen(pub(crate) Term);

/// The decision to vote; it counts once its ballot is durable.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    ballot: Ballot,
}

impl Grant {
    /// What must be durable before anyone hears of the grant.
    pub(crate) fn into_ballot(self) -> Ballot {
        self.ballot
    }
}

/// A request for a vote.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) candidate: &'a NodeId,
    pub(crate) term: Term,
    /// The candidate's newest entry.
    pub(crate) tip: LogId,
}

/// Whether a voter with `ballot`, whose newest entry is `tip`, votes for the candidate.
///
/// It sees neither priorities nor the configuration: a priority that could veto a vote is a known
/// livelock, and a voter may not know yet that the candidate was added (Ongaro 2014, 4.2.2).
pub(crate) fn decide(ballot: &Ballot, tip: LogId, request: Request<'_>) -> Option<Grant> {
    let Request { candidate, term, tip: theirs } = request;
    let current = term == ballot.term;
    let free = ballot.vote.as_ref().is_none_or(|vote| vote == candidate) || mutant!("vote-twice");
    let fresh = is_fresh(tip, theirs);
    let vote = Some(candidate.clone());
    (current && free && fresh).then_some(Grant { ballot: Ballot { term, vote } })
}

/// Whether a log that ends in `theirs` holds all that one that ends in `mine` may have committed.
pub(crate) fn is_fresh(mine: LogId, theirs: LogId) -> bool {
    theirs >= mine
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vote_goes_once_per_term_and_never_to_an_older_log() {
        let [a, b] = ["a", "b"].map(|id| NodeId::new(id).unwrap());
        let mine = LogId::new(2, 5);
        for (vote, term, candidate, theirs, granted) in [
            (None, 3, &a, mine, true),
            (None, 3, &a, LogId::new(3, 1), true),
            (None, 3, &a, LogId::new(2, 4), false),
            (None, 3, &a, LogId::new(1, 9), false),
            (Some(&a), 3, &a, mine, true),
            (Some(&a), 3, &b, LogId::new(9, 9), false),
            (None, 2, &a, mine, false),
            (None, 4, &a, mine, false),
        ] {
            let ballot = Ballot { term: Term(3), vote: vote.cloned() };
            let request = Request { candidate, term: Term(term), tip: theirs };
            assert_eq!(decide(&ballot, mine, request).is_some(), granted, "{request:?}");
        }
    }
}
