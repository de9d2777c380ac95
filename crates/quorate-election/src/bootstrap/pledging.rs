//! What an acceptor may pledge: the only place where a [`Pledge`] changes.

use quorate_core::{Pledge, PledgeBallot, Proposal, mutant};

/// Promises `ballot`; `false` if a later round was promised.
pub(crate) fn promise(pledge: &mut Pledge, ballot: &PledgeBallot) -> bool {
    if *ballot < pledge.promised && !mutant!("bootstrap-promises-backwards") {
        return false;
    }
    pledge.promised = ballot.clone();
    true
}

/// Accepts `proposal` in `ballot`; `false` if a later round was promised.
pub(crate) fn accept(pledge: &mut Pledge, ballot: &PledgeBallot, proposal: &Proposal) -> bool {
    if !promise(pledge, ballot) {
        return false;
    }
    pledge.accepted = Some((ballot.clone(), proposal.clone()));
    true
}

/// Remembers a decree that is made, so that it is told to everyone who asks later.
pub(crate) fn learn(pledge: &mut Pledge, ballot: &PledgeBallot, proposal: &Proposal) {
    if pledge.promised < *ballot {
        pledge.promised = ballot.clone();
    }
    pledge.accepted = Some((ballot.clone(), proposal.clone()));
}

/// The accepted value of the latest round: a later proposer must carry it on, since it may be the
/// one that was decided.
pub(crate) fn latest<'a>(
    accepted: impl Iterator<Item = &'a (PledgeBallot, Proposal)>,
) -> Option<&'a Proposal> {
    accepted.max_by(|a, b| a.0.cmp(&b.0)).map(|(_, proposal)| proposal)
}
