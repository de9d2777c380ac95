//! The right to lead, made so that it cannot be had by mistake.

use std::collections::BTreeMap;

use crate::{LogId, LogView, NodeId, Term, VoteResult};

/// The highest term a node has promised. Every message asks it first; it never falls.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TermGate {
    current: Term,
}

impl TermGate {
    /// The gate of a node whose disk says `current`.
    #[must_use]
    pub const fn new(current: Term) -> Self {
        Self { current }
    }

    /// The highest term promised.
    #[must_use]
    pub const fn current(&self) -> Term {
        self.current
    }

    /// Whether something of `term` may still be accepted.
    #[must_use]
    pub fn admits(&self, term: Term) -> bool {
        term >= self.current
    }

    /// Promises `term`; `true` if that was news. The caller persists it before it speaks.
    pub fn raise(&mut self, term: Term) -> bool {
        let news = term > self.current;
        self.current = self.current.max(term);
        news
    }
}

/// A voter's durable word that it voted for `candidate` in `term`, and how fresh its log was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoteCertificate {
    /// Who voted.
    pub voter: NodeId,
    /// In which term.
    pub term: Term,
    /// For whom.
    pub candidate: NodeId,
    /// The voter's own log tip when it granted.
    pub tip: LogId,
}

/// Counts certificates for one candidate in one term.
///
/// Election only feeds it. What counts as enough is decided here, against the log: a faulty
/// elector costs liveness, never safety.
#[derive(Debug, Hash)]
pub struct Tally {
    term: Term,
    candidate: NodeId,
    votes: BTreeMap<NodeId, Option<LogId>>,
}

impl Tally {
    /// Counts for `candidate` in `term`.
    #[must_use]
    pub const fn new(term: Term, candidate: NodeId) -> Self {
        Self { term, candidate, votes: BTreeMap::new() }
    }

    /// The term counted.
    #[must_use]
    pub const fn term(&self) -> Term {
        self.term
    }

    /// Counts a grant; certificates for another term or candidate are ignored.
    pub fn grant(&mut self, certificate: VoteCertificate) {
        if certificate.term == self.term && certificate.candidate == self.candidate {
            self.votes.insert(certificate.voter, Some(certificate.tip));
        }
    }

    /// Counts a refusal; a grant that arrived before stays.
    pub fn refuse(&mut self, voter: NodeId) {
        self.votes.entry(voter).or_insert(None);
    }

    /// What the votes amount to under the configuration in `log`. A grant of a voter whose tip is
    /// above the candidate's own counts as a refusal.
    #[must_use]
    pub fn result(&self, log: &dyn LogView) -> VoteResult {
        let tip = log.tip();
        log.configuration().vote_result(|id| {
            self.votes.get(id).map(|granted| granted.is_some_and(|voter_tip| voter_tip <= tip))
        })
    }

    /// The mandate, if the election is won; else the tally back.
    ///
    /// # Errors
    ///
    /// The tally itself while the election is open or lost.
    pub fn finish(self, log: &dyn LogView) -> Result<Mandate, Self> {
        if log.may_lead(&self.candidate) && self.result(log) == VoteResult::Won {
            Ok(Mandate { term: self.term, leader: self.candidate })
        } else {
            Err(self)
        }
    }
}

/// The right to lead in one term. There is exactly one, because it is not `Clone` and only
/// [`Tally::finish`] makes it; it is void as soon as the [`TermGate`] passes its term.
#[derive(Debug, PartialEq, Eq)]
pub struct Mandate {
    term: Term,
    leader: NodeId,
}

impl Mandate {
    /// The term it is good for.
    #[must_use]
    pub const fn term(&self) -> Term {
        self.term
    }

    /// Who holds it.
    #[must_use]
    pub const fn leader(&self) -> &NodeId {
        &self.leader
    }

    /// Whether it still holds: nothing of a later term was promised.
    #[must_use]
    pub fn holds(&self, gate: &TermGate) -> bool {
        gate.current() == self.term
    }
}
