//! What a node is told, and what it wants done.

use quorate_core::{Instant, Lane, LogId, LogIndex, NodeId, Record, Term, Token};

use crate::{Answer, PeerMessage, Request, RequestId};

/// What happened to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeInput {
    /// A peer sent a message.
    Message {
        /// Who sent it, as the stream's handshake said.
        from: NodeId,
        /// The message.
        message: PeerMessage,
    },
    /// The own stream to a peer is up.
    PeerConnected(NodeId),
    /// The own stream to a peer is down.
    PeerLost {
        /// The peer.
        peer: NodeId,
        /// Whether its live host refused or reset it, rather than fell silent.
        refused: bool,
    },
    /// All records up to this token are durable.
    Persisted(Token),
    /// A client asks.
    Request {
        /// Comes back with the reply.
        id: RequestId,
        /// When the client stops waiting.
        deadline: Instant,
        /// What it asks.
        request: Request,
    },
    /// The node is to stop: give up the lead and answer what is open.
    Stop,
}

/// What a node wants done, in this order.
///
/// The law of order is already kept: a message that rests on a record comes out only after
/// [`NodeInput::Persisted`] said that the record is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Write a record, and say when it is durable. Tokens rise by one.
    Persist {
        /// Names the record.
        token: Token,
        /// What to write.
        record: Record,
    },
    /// Send to a peer; may be lost.
    Send {
        /// The peer.
        to: NodeId,
        /// How urgent it is.
        lane: Lane,
        /// The message.
        message: PeerMessage,
    },
    /// Answer a client.
    Reply {
        /// Of its request.
        id: RequestId,
        /// What became of it.
        answer: Answer,
    },
    /// Tell whoever listens.
    Event(NodeEvent),
}

/// What a node tells those who listen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeEvent {
    /// This node leads.
    BecameLeader {
        /// In this term.
        term: Term,
    },
    /// This node follows; `leader` is `None` until one is heard.
    BecameFollower {
        /// In this term.
        term: Term,
        /// Whom.
        leader: Option<NodeId>,
    },
    /// The leader hears no majority.
    QuorumLost,
    /// The leader hears a majority again.
    QuorumRegained,
    /// The state was replaced by a leader's snapshot.
    Installed {
        /// The last entry it holds.
        last: LogId,
    },
    /// A peer did what no correct peer of this cluster does; it changed nothing here.
    Distrusted {
        /// The peer.
        peer: NodeId,
        /// What it did.
        why: quorate_replication::Distrust,
    },
    /// The log was compacted up to here.
    Compacted {
        /// The last entry of the snapshot.
        index: LogIndex,
    },
}
