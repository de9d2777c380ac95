//! What travels between voters.

use quorate_core::{LogId, Term};
use serde::{Deserialize, Serialize};

/// A message from one voter to another. It says nothing about its sender: the transport does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Would you vote for me in the term after `term`? Binds nobody.
    PreVote {
        /// The sender's term, not the one it would stand in.
        term: Term,
        /// The sender's newest entry.
        tip: LogId,
    },
    /// The answer to a `PreVote`.
    PreVoteReply {
        /// The sender's own term.
        term: Term,
        /// The `term` of the question, so that an old answer is known as one.
        asked: Term,
        /// Whether it would.
        granted: bool,
        /// The sender's newest entry.
        tip: LogId,
    },
    /// Vote for me in `term`.
    Vote {
        /// The term the sender stands in.
        term: Term,
        /// The sender's newest entry.
        tip: LogId,
    },
    /// The answer to a `Vote`. A refusal is no more than a term that was seen.
    VoteReply {
        /// The sender's own term.
        term: Term,
        /// Whether the sender's durable vote of `term` is the receiver's.
        granted: bool,
        /// The sender's newest entry when it answered.
        tip: LogId,
    },
    /// I lead `term`.
    Heartbeat {
        /// The term led.
        term: Term,
    },
    /// I hear you; or, with a higher term, you no longer lead.
    HeartbeatReply {
        /// The sender's own term.
        term: Term,
    },
    /// I lead `term` and hand over to you: stand at once.
    StandNow {
        /// The term led.
        term: Term,
        /// The end of the sender's log, which the receiver holds.
        tip: LogId,
    },
    /// A `Vote` of a node that the leader told to stand: to have heard that leader is no reason to
    /// refuse.
    VoteAtOnce {
        /// The term the sender stands in.
        term: Term,
        /// The sender's newest entry.
        tip: LogId,
    },
}

impl Message {
    /// Whether it answers, and so may count towards a quorum: not a question, nor a leader's word.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        matches!(
            self,
            Self::PreVoteReply { .. } | Self::VoteReply { .. } | Self::HeartbeatReply { .. }
        )
    }

    /// The term that the sender itself had promised.
    ///
    /// For tracing. The owner of a [`Voter`](crate::Voter) must not feed it back as
    /// [`TermSeen`](crate::Input::TermSeen): a request of a node that was cut off must not raise
    /// the term of voters that hear their leader. An answer may raise it, whoever gives it.
    #[must_use]
    pub const fn term(&self) -> Term {
        match self {
            Self::PreVote { term, .. }
            | Self::PreVoteReply { term, .. }
            | Self::Vote { term, .. }
            | Self::VoteReply { term, .. }
            | Self::Heartbeat { term }
            | Self::HeartbeatReply { term }
            | Self::StandNow { term, .. }
            | Self::VoteAtOnce { term, .. } => *term,
        }
    }
}
