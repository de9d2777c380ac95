//! Messages between nodes: TCP for what is ordered, UDP for gossip, on one port.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use quorate_core::{ClusterId, Lane, NodeId, Rng};
use tokio::net::UdpSocket;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

mod accept;
mod backoff;
mod claims;
mod config;
mod datagram;
mod dial;
mod event;
mod framing;
mod lanes;
mod packets;
mod registry;
mod socket;
mod stats;
mod streams;

pub use config::{TransportConfig, TransportLimits};
pub use event::{Room, TransportEvent};
pub use packets::{decode_packet, encode_packet};
pub use socket::BindError;
pub use stats::TransportStats;

use claims::{Claim, Vetting};
use dial::Target;
use lanes::Lanes;
use packets::Packets;
use registry::Registry;
use stats::{Counters, count};
use streams::Streams;

/// The network of one node: a TCP listener and a UDP socket on one port, and a connection to every
/// peer it was told about.
///
/// It carries *messages* to peers that are known by name, in order, over connections that are kept;
/// and *packets* to addresses, by UDP or over streams that are opened when they are needed. Packets
/// are sealed if there is a [`Keyring`](crate::Keyring).
///
/// Connections for messages are simplex: a node writes on the connections it dialled and reads on those that others
/// dialled. So a pair of nodes has two connections, no tie between crossing dials must be broken,
/// and one that works in one direction only is seen for what it is.
///
/// Nothing here waits but [`close`](Self::close): what cannot be sent is dropped and counted, as a
/// network would, and protocols recover as from any loss. Dropping the transport ends its tasks
/// and closes its sockets.
#[derive(Debug)]
pub struct Transport {
    shared: Arc<Shared>,
    /// `None` where packets travel over TCP alone.
    udp: Option<Arc<UdpSocket>>,
    local: SocketAddr,
    runtime: Handle,
    /// The listener and the reader of datagrams; aborted when dropped.
    listening: JoinSet<()>,
}

/// Why a message was not queued. It is lost, as if the network had lost it; the counters know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// There is no such peer. Name it with [`Transport::set_peer`] first.
    #[error("the peer was never set, or was removed")]
    UnknownPeer,
    /// The lane to this peer is full: it, or the way to it, is slower than its messages.
    #[error("the lane is full")]
    LaneFull,
    /// The message is above 8 MiB. Cut it.
    #[error("the message is above 8 MiB; cut it into pieces")]
    TooLarge,
}

impl Transport {
    /// Binds both sockets and begins to listen. Events come out of the receiver, which must be
    /// drained: while it is full, sockets are not read.
    ///
    /// # Errors
    ///
    /// [`BindError`]; nothing is bound then.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn bind(
        config: TransportConfig,
    ) -> Result<(Self, mpsc::Receiver<TransportEvent>), BindError> {
        if config.cluster_name.len() + config.advertise.len() > NAMES_BYTES_MAX {
            return Err(BindError::NamesTooLong);
        }
        let (listener, udp) = if config.datagrams {
            let (listener, udp) = socket::bind_both(config.bind).await?;
            (listener, Some(Arc::new(udp)))
        } else {
            (socket::bind_tcp(config.bind).await?, None)
        };
        let local = listener.local_addr().map_err(|source| BindError::Other {
            address: config.bind,
            protocol: "TCP",
            source,
        })?;
        let (events, received) = mpsc::channel(config.limits.events_max.max(1));
        let shared = Arc::new(Shared::new(config, local, events));
        let mut listening = JoinSet::new();
        listening.spawn(accept::listen(Arc::clone(&shared), listener));
        if let Some(udp) = &udp {
            // Tokio takes a fresh socket for full until it was polled: the first datagram would be
            // lost.
            udp.writable().await.map_err(|source| BindError::Other {
                address: local,
                protocol: "UDP",
                source,
            })?;
            listening.spawn(datagram::receive(Arc::clone(&shared), Arc::clone(udp)));
        }
        let runtime = Handle::current();
        Ok((Self { shared, udp, local, runtime, listening }, received))
    }

    /// Where both sockets listen.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Whether packets come from those with a key alone, or from this machine alone. Otherwise
    /// anybody who sees them can forge one, and none should end a process.
    #[must_use]
    pub fn trusts_packets(&self) -> bool {
        self.shared.packets.are_sealed() || self.local.ip().is_loopback()
    }

    /// The cluster became known: from now on handshakes and datagrams carry it, and those of
    /// another one are refused. Connections that are up stay.
    pub fn set_cluster(&self, cluster: ClusterId) {
        *self.shared.cluster.lock() = cluster;
    }

    /// Keeps a connection to `peer` at `address` (`host:port`, resolved at each dial) from now on.
    /// A new address replaces the connection; the same one, while there is no connection, is dialled
    /// without further pause: the peer is known to be alive.
    pub fn set_peer(&self, peer: NodeId, address: String) {
        let mut peers = self.shared.peers.lock();
        if let Some(known) = peers.get(&peer) {
            known.target.send_if_modified(|target| {
                let moved = !matches!(target, Target::Dial(known) if *known == address);
                if moved {
                    *target = Target::Dial(address);
                }
                moved
            });
            known.hurry.notify_one();
            return;
        }
        let lanes = Arc::new(Lanes::new(self.shared.limits.lane_bytes_max));
        let hurry = Arc::new(Notify::new());
        let answered = Arc::default();
        let (target, targets) = watch::channel(Target::Dial(address));
        let dialer = dial::Dialer {
            shared: Arc::clone(&self.shared),
            peer: peer.clone(),
            lanes: Arc::clone(&lanes),
            hurry: Arc::clone(&hurry),
            answered: Arc::clone(&answered),
            rng: Rng::stream(self.shared.seed, peer.as_str()),
        };
        let task = self.runtime.spawn(dialer.run(targets)).abort_handle();
        peers.insert(peer, Peer { target, lanes, hurry, answered, task });
    }

    /// Drops the connection to `peer` and what waits for it. No event tells of it.
    pub fn remove_peer(&self, peer: &NodeId) {
        self.shared.peers.lock().remove(peer);
    }

    /// Queues a message to `peer`. It leaves in the order of its lane, behind more urgent lanes;
    /// while there is no connection it waits for the dial that is next or under way and is dropped
    /// if that fails.
    ///
    /// # Errors
    ///
    /// [`SendError`]; the message is lost.
    pub fn send(&self, peer: &NodeId, lane: Lane, message: Bytes) -> Result<(), SendError> {
        if message.len() > framing::MESSAGE_BYTES_MAX {
            self.shared.counters.dropped(lane, 1);
            return Err(SendError::TooLarge);
        }
        let peers = self.shared.peers.lock();
        let why = match peers.get(peer) {
            Some(known) if known.lanes.push(lane, message) => return Ok(()),
            Some(_) => SendError::LaneFull,
            None => SendError::UnknownPeer,
        };
        self.shared.counters.dropped(lane, 1);
        Err(why)
    }

    /// Sends a packet in one datagram, at once or never. Its content should have
    /// [`PACKET_BYTES_MAX`] bytes at most to fit every path.
    pub fn send_datagram(&self, to: SocketAddr, content: &[u8]) {
        let counters = &self.shared.counters;
        let datagram = self.udp.as_ref().zip(self.shared.packets.datagram(content).ok());
        match datagram {
            Some((udp, bytes)) if udp.try_send_to(&bytes, to).is_ok() => {
                count(&counters.datagrams_sent, 1);
                count(&counters.datagram_bytes_sent, bytes.len());
            }
            _ => count(&counters.datagrams_dropped, 1),
        }
    }

    /// Sends a packet over a stream: that on which packets came from `to`, or one that was dialled
    /// before, or a new one. It is dropped if too many wait for the stream, or if it cannot be
    /// opened soon; if nobody listens there, [`TransportEvent::StreamRefused`] says so.
    pub fn send_over_stream(&self, to: SocketAddr, content: &[u8]) {
        let frame = self.shared.packets.frame(content);
        let queued = frame
            .is_ok_and(|frame| self.shared.streams.send(&self.shared, &self.runtime, to, frame));
        if !queued {
            count(&self.shared.counters.stream_packets_dropped, 1);
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> TransportStats {
        self.shared.counters.snapshot()
    }

    /// Sends what waits on live connections, for at most `limit`, then closes everything: the port
    /// is free afterwards. `true` if all of it was written in time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes at once.
    pub async fn close(mut self, limit: Duration) -> bool {
        let peers = std::mem::take(&mut *self.shared.peers.lock());
        for peer in peers.values() {
            peer.target.send_replace(Target::Close);
        }
        let written = async {
            for peer in peers.values() {
                // The task drops its end when it is done.
                peer.target.closed().await;
            }
            self.shared.streams.close().await;
        };
        let written = tokio::time::timeout(limit, written).await.is_ok();
        self.listening.shutdown().await;
        written
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        // The tasks of the peers and of the streams hold what holds them.
        self.shared.peers.lock().clear();
        self.shared.streams.abort();
    }
}

/// What the tasks of a transport share.
#[derive(Debug)]
pub(crate) struct Shared {
    me: NodeId,
    boot: quorate_core::BootEpoch,
    disk: quorate_core::DiskId,
    lease: quorate_core::LeaseTerms,
    cluster_name: String,
    advertise: String,
    limits: TransportLimits,
    /// Whether nodes may connect to send messages.
    messages: bool,
    packets: Packets,
    streams: Streams,
    /// Tells this process from another one of the same name and boot.
    instance: u64,
    seed: u64,
    cluster: Mutex<ClusterId>,
    events: mpsc::Sender<TransportEvent>,
    /// Bytes of received messages that the node may still be given.
    room: Arc<Semaphore>,
    counters: Counters,
    /// Who is connected to us.
    inbound: Mutex<Registry>,
    /// Whom we dial.
    peers: Mutex<BTreeMap<NodeId, Peer>>,
    /// Of whose earlier process is asked whether it is still there.
    vetting: Vetting,
}

/// A peer that we dial. Dropping it ends its task.
#[derive(Debug)]
struct Peer {
    target: watch::Sender<Target>,
    lanes: Arc<Lanes>,
    /// Cuts the pause between two dials short.
    hurry: Arc<Notify>,
    /// Which process answered, while there is a connection.
    answered: Arc<Mutex<Option<Claim>>>,
    task: AbortHandle,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn new(
        config: TransportConfig,
        local: SocketAddr,
        events: mpsc::Sender<TransportEvent>,
    ) -> Self {
        let advertise =
            if config.advertise.is_empty() { local.to_string() } else { config.advertise };
        let room = config.limits.events_bytes_max.clamp(1, ROOM_MAX);
        let connections_max = config.limits.connections_max.min(socket::files_max() / 6).max(1);
        let streams_max = config.limits.streams_max.min(socket::files_max() / 8).max(1);
        Self {
            me: config.me,
            boot: config.boot,
            disk: config.disk,
            lease: config.lease,
            packets: Packets::new(config.keyring, &config.cluster_name),
            streams: Streams::new(),
            messages: config.messages,
            cluster_name: config.cluster_name,
            advertise,
            limits: TransportLimits { connections_max, streams_max, ..config.limits },
            instance: Rng::stream(config.seed, "instance").next_u64(),
            seed: config.seed,
            cluster: Mutex::new(config.cluster),
            events,
            room: Arc::new(Semaphore::new(room)),
            counters: Counters::default(),
            inbound: Mutex::default(),
            peers: Mutex::default(),
            vetting: Vetting::default(),
        }
    }

    fn cluster(&self) -> ClusterId {
        *self.cluster.lock()
    }

    /// Counts a broken rule. The node is told of each rule at most once a second, and only if it
    /// keeps up: garbage must not crowd out messages.
    fn reject(&self, from: SocketAddr, why: &'static str) {
        if self.counters.rejected(&from, why) {
            let _ = self.events.try_send(TransportEvent::Rejected { from, why });
        }
    }

    /// The content of a packet on a stream, or the rule it broke.
    fn read_packet(&self, frame: quorate_wire::Frame) -> Result<Bytes, &'static str> {
        let bytes = self.packets.read_frame(frame)?;
        count(&self.counters.stream_packets_received, 1);
        count(&self.counters.stream_bytes_received, bytes.len());
        Ok(bytes)
    }

    /// Hands a packet to the node, or drops it. Half of the room belongs to messages alone: a flood
    /// of packets, which may be lost anyway, must not crowd out messages, which may not.
    fn hand_on(&self, packet: TransportEvent) {
        let room = self.events.capacity() > self.events.max_capacity() / 2;
        let streamed = matches!(packet, TransportEvent::StreamPacket { .. });
        if !room || self.events.try_send(packet).is_err() {
            let counters = &self.counters;
            let dropped = if streamed {
                &counters.stream_packets_dropped
            } else {
                &counters.datagrams_dropped
            };
            count(dropped, 1);
        }
    }

    /// Hands an event over, waiting for room. An error means that the node is gone.
    async fn tell(&self, event: TransportEvent) -> io::Result<()> {
        self.events.send(event).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Waits for a share of the memory for received messages.
    async fn room(&self, bytes: usize) -> Room {
        let bytes = bytes.min(self.limits.events_bytes_max).clamp(1, ROOM_MAX) as u32;
        // The semaphore is never closed, so this always ends with a permit.
        Arc::clone(&self.room)
            .acquire_many_owned(bytes)
            .await
            .map_or_else(|_| Room::default(), Room::new)
    }

    /// `peer` is alive: if a dial to it pauses, it goes on.
    fn hurry(&self, peer: &NodeId) {
        if let Some(known) = self.peers.lock().get(peer) {
            known.hurry.notify_one();
        }
    }
}

/// The most bytes that the content of a packet should have. Sealed it is 45 longer
/// ([`Keyring::OVERHEAD`](crate::Keyring::OVERHEAD)), plain 24: at most 1,232, which is what every
/// link that carries IPv6 takes in one piece (1,280 with headers of 40 and 8).
pub const PACKET_BYTES_MAX: usize = 1_187;

/// What the cluster's name and our address may take, so that a hello fits its frame.
const NAMES_BYTES_MAX: usize = 1024;

/// The most bytes of room a semaphore can hand out in one piece.
const ROOM_MAX: usize = u32::MAX as usize >> 1;
