//! What a membership is told and what it answers.

use std::net::SocketAddr;

use quorate_core::{BootEpoch, ClusterId, NodeId};

use crate::{Packet, Tags};

/// By which way a packet travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// UDP: fast, and lost now and then.
    Datagram,
    /// TCP: where datagrams do not get through. Whatever is sent to the address that a packet came
    /// from over a stream goes back on that stream, as long as it is open.
    Stream,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A packet came.
    Received {
        /// From where; not proven for a datagram.
        from: SocketAddr,
        /// By which way.
        over: Channel,
        /// What it says; may come from anybody.
        packet: Packet,
    },
    /// The answer to an [`Output::Resolve`].
    Resolved {
        /// The name that was asked for, `host:port`.
        name: String,
        /// Its addresses; none if it could not be resolved.
        addresses: Vec<SocketAddr>,
    },
    /// A packet came that is written in another version: drivers look at its first byte.
    Unreadable {
        /// From where; not proven.
        from: SocketAddr,
        /// Its version.
        version: u8,
    },
    /// A stream to this address was refused: nobody listens there.
    Refused {
        /// Where.
        address: SocketAddr,
    },
    /// From now on this node is described by these. They must [`validate`](Tags::validate).
    SetTags(Tags),
    /// Tell this to all members, once each: [`Event::Broadcast`]. One that comes or was cut off
    /// meanwhile may miss it. A longer one than [`Broadcast::BYTES_MAX`] is dropped.
    ///
    /// [`Broadcast::BYTES_MAX`]: crate::Broadcast::BYTES_MAX
    Broadcast {
        /// What.
        payload: Vec<u8>,
    },
    /// A peer of an earlier life, or of the log. It is announced to until it answers, like a seed,
    /// but is none.
    Known {
        /// Who.
        id: NodeId,
        /// Where it was last, `host:port`.
        address: String,
    },
    /// Leave the cluster. [`Event::LeaveSpread`] says when the process may end.
    Leave,
    /// Join again after [`Leave`](Self::Leave), without a new process.
    Join,
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a packet. It may be lost; a stream that cannot be opened loses it too.
    Send {
        /// Where to.
        to: SocketAddr,
        /// By which way.
        over: Channel,
        /// What to send; [`Packet::BYTES_MAX`] at most.
        packet: Packet,
    },
    /// Look up a name, `host:port`, and answer with [`Input::Resolved`]. Asked again and again:
    /// names move. A lookup that hangs may be dropped.
    Resolve {
        /// The name.
        name: String,
    },
    /// Something that others may want to know.
    Event(Event),
}

/// What changed, or what somebody did wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A member is new, or back after it had left.
    Joined {
        /// Who.
        id: NodeId,
    },
    /// A member says something else of itself: tags or address.
    Updated {
        /// Who.
        id: NodeId,
    },
    /// A member does not answer. Fast and reversible.
    Unreachable {
        /// Who.
        id: NodeId,
    },
    /// A member answers again, also after it was taken for dead.
    Reachable {
        /// Who.
        id: NodeId,
    },
    /// A member is gone for good, as far as its incarnation goes.
    Dead {
        /// Who.
        id: NodeId,
    },
    /// A member left by its own will.
    Left {
        /// Who.
        id: NodeId,
    },
    /// One that was gone is forgotten.
    Collected {
        /// Who.
        id: NodeId,
    },
    /// A member tells something to all.
    Broadcast {
        /// Who.
        from: NodeId,
        /// What.
        payload: Vec<u8>,
    },
    /// A member that had not left lives its next life: all that its process had in memory is gone.
    /// Its tags and address may have changed too.
    Restarted {
        /// Who.
        id: NodeId,
    },
    /// A peer was started with another list of seeds; at most once a minute for each. Lists that
    /// are empty do not count: the first node of a cluster may have none.
    SeedListsDiffer {
        /// Who.
        id: NodeId,
        /// The digest of its list.
        theirs: u64,
    },
    /// A node of a cluster of another name speaks to us; at most once a minute for each source.
    ForeignName {
        /// From where.
        from: SocketAddr,
        /// The other name, if it was told; shortened.
        theirs: Option<String>,
    },
    /// A node of another cluster of the same name speaks to us; at most once a minute for each.
    ForeignCluster {
        /// Who.
        id: NodeId,
        /// Its cluster, if it was told.
        theirs: Option<ClusterId>,
    },
    /// Somebody speaks a version of the packets that this build does not read; at most once a
    /// minute for each source.
    OtherVersion {
        /// From where.
        from: SocketAddr,
        /// Its version.
        theirs: u8,
    },
    /// A member refuses this node, because another process of its id answers elsewhere: this one
    /// must stop.
    Refused {
        /// Who.
        by: NodeId,
        /// Where the other one is.
        holder: String,
    },
    /// Somebody else uses our id, with a higher boot epoch: this node must stop. At most once a
    /// minute.
    DuplicateId {
        /// Who told us: the other one, or one who knows it.
        from: SocketAddr,
        /// The higher epoch.
        boot: BootEpoch,
    },
    /// Our leave is known to all who answer, or they had their time: the process may end.
    LeaveSpread,
}
