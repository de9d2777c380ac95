//! What travels between nodes that have no cluster yet.

use quorate_core::{ClusterId, PledgeBallot, Proposal};
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
