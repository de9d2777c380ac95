//! What travels between nodes that have no cluster yet.

use quorate_core::{ADDRESS_MAX, ClusterId, Configuration, PledgeBallot, Proposal};
use serde::{Deserialize, Serialize};

/// A message of the bootstrap. The transport says who sent it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BootstrapMessage {
    /// Promise to accept nothing below `ballot`, and say what you have accepted.
    Prepare {
        /// The round asked for.
        ballot: PledgeBallot,
    },
    /// The promise; durable.
    Promise {
        /// The round promised.
        ballot: PledgeBallot,
        /// What the sender accepted last, and in which round.
        accepted: Option<(PledgeBallot, Proposal)>,
    },
    /// Accept `proposal`.
    Accept {
        /// The round of the proposal.
        ballot: PledgeBallot,
        /// The first members.
        proposal: Proposal,
    },
    /// Accepted; durable.
    Accepted {
        /// The round of the proposal.
        ballot: PledgeBallot,
    },
    /// The sender has promised a later round.
    Refused {
        /// The round refused.
        ballot: PledgeBallot,
        /// The round promised.
        promised: PledgeBallot,
    },
    /// The decree is made: a quorum of those it names and more than half of the seeds accepted it.
    Chosen {
        /// The round it was made in.
        ballot: PledgeBallot,
        /// The first members.
        proposal: Proposal,
    },
    /// There is a cluster of this name: nothing is left to decide.
    Exists {
        /// Which.
        cluster: ClusterId,
    },
}

impl BootstrapMessage {
    /// Whether a correct node could have sent it.
    pub(crate) fn is_sound(&self) -> bool {
        match self {
            Self::Prepare { .. } | Self::Accepted { .. } | Self::Refused { .. } => true,
            Self::Promise { ballot, accepted } => {
                let sound =
                    |(accepted_in, proposal): &(_, _)| accepted_in <= ballot && is_sound(proposal);
                accepted.as_ref().is_none_or(sound)
            }
            Self::Accept { proposal, .. } | Self::Chosen { proposal, .. } => is_sound(proposal),
            Self::Exists { cluster } => *cluster != ClusterId::NONE,
        }
    }
}

/// Whether a cluster could begin, and live, with `proposal`.
fn is_sound(proposal: &Proposal) -> bool {
    let Configuration { members, outgoing, removed } = &proposal.configuration;
    proposal.cluster != ClusterId::NONE
        && outgoing.is_none()
        && removed.is_empty()
        && members.len() <= MEMBERS_MAX
        && members.values().any(|member| member.kind.leads())
        && members.values().all(|member| member.address.len() <= ADDRESS_MAX)
}

/// More than anybody founds a cluster with; bounds what a peer can have written to the disk.
const MEMBERS_MAX: usize = 64;
