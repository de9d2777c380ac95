//! What a voter is told, and what it answers.

use quorate_core::{Ballot, Mandate, NodeId, Term};

use crate::Message;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A message of another voter arrived.
    Received {
        /// Its sender, as the transport proved it.
        from: NodeId,
        /// What it said.
        message: Message,
    },
    /// Another protocol's message carried this term, whatever it is. Raises the gate if higher.
    TermSeen {
        /// The term carried.
        term: Term,
        /// Who carried it.
        from: NodeId,
    },
    /// An append of the leader of `term` was accepted: as good as a heartbeat.
    LeaderHeard {
        /// The leader.
        leader: NodeId,
        /// The term it leads.
        term: Term,
    },
    /// A peer acknowledged something of the current term: as good as a heartbeat's reply.
    PeerHeard {
        /// The peer.
        peer: NodeId,
    },
    /// This ballot, and with it every earlier one, is durable.
    Persisted(Ballot),
    /// Stop leading or standing at once, and sit out one election timeout.
    Resign,
    /// The own connection to the leader was refused or reset by its live host: its process is gone,
    /// most likely. This voter looks for another at once, and helps others that do.
    LeaderLost {
        /// The peer that was the leader.
        leader: NodeId,
    },
    /// Hand the lead over to this voter, as soon as it is [`CaughtUp`](Self::CaughtUp). Answered by
    /// [`Event::HandingOver`] if it can be tried, and in the end by [`Event::HandedOver`] or
    /// [`Event::NotHandedOver`].
    HandOver {
        /// A voter of a priority above 0.
        to: NodeId,
    },
    /// This peer holds the whole log durably, and nothing is appended before the end of the
    /// hand-over.
    CaughtUp {
        /// Whom the lead is being handed over to.
        peer: NodeId,
    },
}

/// What to do about it, in this order.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Make this ballot durable. Everything behind it rests on it. The owner answers with
    /// [`Input::Persisted`].
    Persist(Ballot),
    /// Send a message.
    Send {
        /// The receiver.
        to: NodeId,
        /// What to say.
        message: Message,
        /// Whether it may leave before records that stand in front of it are durable. `true` only
        /// for heartbeats of a leader and replies to them, and only when the ballot of their term
        /// is known to be durable: they claim that term and nothing about the log.
        overtakes: bool,
    },
    /// The election is won; the mandate goes to whoever appends.
    Elected(Mandate),
    /// Something that people and other protocols want to know.
    Event(Event),
}

/// What people and other protocols want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// This node leads.
    BecameLeader {
        /// The term it leads.
        term: Term,
    },
    /// This node follows `leader`, or nobody: it stepped down, or lost sight of its leader.
    BecameFollower {
        /// Whom it follows.
        leader: Option<NodeId>,
        /// Its term.
        term: Term,
    },
    /// This node stands in `term`.
    BecameCandidate {
        /// The term it stands in.
        term: Term,
    },
    /// No quorum answered this node for an election timeout.
    QuorumLost,
    /// After a loss: a quorum answers again, or its leader is heard.
    QuorumRegained,
    /// This leader hands over. Until the end of it nothing should be appended.
    HandingOver {
        /// To whom.
        to: NodeId,
    },
    /// The one that this node handed over to leads.
    HandedOver {
        /// Who leads.
        to: NodeId,
        /// Its term.
        term: Term,
    },
    /// The hand-over could not begin, or ended without its target leading within an election
    /// timeout. If this node leads still, it goes on.
    NotHandedOver {
        /// Who was to lead.
        to: NodeId,
        /// Whether it was told to stand, so that it may do so yet.
        told: bool,
    },
}

/// What a voter is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Waits for a leader to speak.
    Follower,
    /// Asks whether standing makes sense; its term is as it was.
    PreCandidate,
    /// Stands, with a term and a vote of its own.
    Candidate,
    /// Leads.
    Leader,
}
