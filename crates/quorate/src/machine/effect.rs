//! What a node is told, and what it wants done.

use std::net::SocketAddr;

use quorate_core::{
    ClusterId, DiskId, Instant, Lane, LogId, LogIndex, NodeId, Record, Term, Token,
};
use quorate_membership::{Channel, Packet};

use crate::{Answer, PeerMessage, Request, RequestId};

/// What happened to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeInput {
    /// A peer sent a message.
    Message {
        /// Who sent it, as the stream's handshake said.
        from: NodeId,
        /// On which disk the sender is, as the handshake of that very stream said.
        disk: DiskId,
        /// The message.
        message: PeerMessage,
    },
    /// A packet of the gossip came.
    Packet {
        /// From where; not proven for a datagram.
        from: SocketAddr,
        /// By which way.
        over: Channel,
        /// What it says.
        packet: Packet,
    },
    /// The answer to [`Effect::Resolve`].
    Resolved {
        /// The name.
        name: String,
        /// Its addresses; none if it could not be resolved.
        addresses: Vec<SocketAddr>,
    },
    /// Anything else that concerns the gossip.
    Gossip(quorate_membership::Input),
    /// The own stream to a peer is up.
    PeerConnected {
        /// The peer.
        peer: NodeId,
        /// On which disk it is, as its handshake said.
        disk: DiskId,
    },
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
    /// Send a packet of the gossip, at once or never.
    Packet {
        /// Where to.
        to: SocketAddr,
        /// By which way.
        over: Channel,
        /// What.
        packet: Packet,
    },
    /// Look up `host:port`, and answer with [`NodeInput::Resolved`].
    Resolve {
        /// The name.
        name: String,
    },
    /// Keep a stream to `peer` from now on; another address replaces the stream. The same one again:
    /// it answers again, so there is no reason to wait with the next dial.
    Connect {
        /// The peer.
        peer: NodeId,
        /// `host:port` of its cluster port.
        address: String,
    },
    /// Let go of the stream to `peer`.
    Disconnect {
        /// The peer.
        peer: NodeId,
    },
    /// This node belongs to a cluster now: those of other clusters are to be refused.
    Belong {
        /// Which.
        cluster: ClusterId,
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
    /// The cluster is born, and this node is one of its first members.
    Founded {
        /// Its identity.
        cluster: ClusterId,
    },
    /// Two clusters of one name were born: an alarm. A seed lost its disk, or the lists of seeds
    /// differ. This node stays in its own.
    TwoClusters {
        /// The own cluster.
        ours: ClusterId,
        /// The other one.
        theirs: ClusterId,
    },
    /// Something about a neighbour, or what one did wrong.
    Member(quorate_membership::Event),
    /// This leader hands over, and lets writes wait until that is over.
    HandingOver {
        /// To whom.
        to: NodeId,
        /// Why.
        why: crate::HandOverReason,
    },
    /// The one that this node handed over to leads.
    HandedOver {
        /// Who leads.
        to: NodeId,
        /// In which term.
        term: Term,
    },
    /// A hand-over came to nothing within an election timeout.
    NotHandedOver {
        /// Who was to lead.
        to: NodeId,
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
    /// A member is connected that lost its disk: its word does not count as that of the member. A
    /// leader with autopilot makes it a learner, if a quorum of the others stands; else an operator
    /// removes the member and adds it anew.
    AnotherDisk {
        /// The member.
        peer: NodeId,
        /// The disk that the configuration names.
        named: DiskId,
        /// The disk it is on.
        disk: DiskId,
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
