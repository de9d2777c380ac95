//! What travels between nodes over their streams.

use quorate_core::{Lane, Term};
use serde::{Deserialize, Serialize};

use crate::{Answer, Request};

/// A message from node to node. The stream it came on says who sent it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerMessage {
    /// Votes and heartbeats.
    Election(quorate_election::Message),
    /// The log.
    Replication(quorate_replication::Message),
    /// A client's request, passed on to the leader.
    Forward {
        /// Chosen by the sender; comes back with the answer.
        id: u64,
        /// How long the client still waits, in milliseconds.
        wait_ms: u32,
        /// The request.
        request: Request,
    },
    /// The answer to a forwarded request.
    Answer {
        /// Of the forwarded request.
        id: u64,
        /// What became of it.
        answer: Answer,
    },
    /// The birth of the cluster.
    Bootstrap(quorate_election::BootstrapMessage),
}

impl PeerMessage {
    /// The term it speaks for; `None` if it speaks for no term.
    #[must_use]
    pub const fn term(&self) -> Option<Term> {
        match self {
            Self::Election(message) => Some(message.term()),
            Self::Replication(message) => Some(message.term()),
            Self::Forward { .. } | Self::Answer { .. } | Self::Bootstrap(_) => None,
        }
    }
}

/// The lane of forwarded requests and their answers: clients wait for them.
pub(crate) const FORWARD_LANE: Lane = Lane::Live;
