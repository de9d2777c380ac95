//! What a transport tells its node.

use std::net::SocketAddr;

use bytes::Bytes;
use quorate_core::{BootEpoch, DiskId, NodeId};
use quorate_wire::Refusal;
use tokio::sync::OwnedSemaphorePermit;

/// Something happened on the network.
#[derive(Debug)]
#[non_exhaustive]
pub enum TransportEvent {
    /// A message came over TCP. Its checksum was good; its meaning is the receiver's to judge.
    Message {
        /// Who sent it, as said in the handshake.
        from: NodeId,
        /// On which disk that node is, as said in the handshake of the very same connection.
        disk: DiskId,
        /// The message, encoded.
        bytes: Bytes,
        /// The message's share of the transport's memory, given back when this is dropped.
        room: Room,
    },
    /// Our connection to `peer` is up: what is sent now is on its way.
    Connected {
        /// The peer.
        peer: NodeId,
        /// How often its data folder was started: higher than last time after a restart.
        boot: BootEpoch,
        /// Its data folder: another one than last time if it lost that.
        disk: DiskId,
    },
    /// Our connection to `peer` was lost or could not be made. Told when that changes, not for
    /// every try. What waited to be sent is gone.
    Lost {
        /// The peer.
        peer: NodeId,
        /// `true` if the peer's own host said that nobody listens: the process is gone. A lost
        /// connection is dialled again at once, so after a crash this follows within a round trip.
        refused: bool,
    },
    /// A datagram came. Its checksum or seal was good; its sender's address is not proven.
    Datagram {
        /// Where it came from.
        from: SocketAddr,
        /// Its content.
        bytes: Bytes,
    },
    /// A packet came over a stream. What is sent to `from` over a stream goes back on the same one,
    /// as long as that is open.
    StreamPacket {
        /// The other end of the stream.
        from: SocketAddr,
        /// Its content.
        bytes: Bytes,
    },
    /// A stream was to be opened and the host said that nobody listens: the process is gone. Told
    /// for every try; what waited for the stream is lost.
    StreamRefused {
        /// Where nobody listens.
        address: SocketAddr,
    },
    /// A node that we dialled wants nothing to do with us. It is dialled again, at the slowest
    /// pace.
    Refused {
        /// Whom we dialled.
        peer: NodeId,
        /// Where.
        address: SocketAddr,
        /// Its reason.
        refusal: Refusal,
    },
    /// Another live process bears our own name: a copy of the data folder was started, or the node
    /// elsewhere. It was refused, and must stop.
    DuplicateOfUs {
        /// Where it says it is.
        address: String,
        /// How often its data folder was started.
        boot: BootEpoch,
    },
    /// Somebody broke the rules, or was refused by us. Told at most once a second for each rule;
    /// the statistics count them all.
    Rejected {
        /// Where from.
        from: SocketAddr,
        /// The broken rule; one of a fixed set.
        why: &'static str,
    },
}

/// A share of the memory for received messages; dropping it lets sockets be read on. The default
/// is a share of nothing, for messages that came another way.
#[derive(Debug, Default)]
pub struct Room {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Room {
    pub(crate) const fn new(permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: Some(permit) }
    }
}
