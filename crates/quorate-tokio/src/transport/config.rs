//! What a transport must know before it begins.

use std::net::SocketAddr;
use std::time::Duration;

use quorate_core::{BootEpoch, ClusterId, DiskId, LeaseTerms, NodeId};

use super::lanes::LANES;
use crate::Keyring;

/// Who this node is and where it listens.
#[derive(Debug, Clone)]
pub struct TransportConfig {
    /// Where TCP and UDP listen, both on this port. Port 0 picks one that is free for both.
    pub bind: SocketAddr,
    /// The address that others are told, `host:port`; empty for the bound one.
    pub advertise: String,
    /// This node.
    pub me: NodeId,
    /// How often its data folder was started.
    pub boot: BootEpoch,
    /// Its data folder; [`DiskId::NONE`] if it promises nothing to anybody.
    pub disk: DiskId,
    /// The leases by which it goes; nodes with others are refused. [`LeaseTerms::NONE`] where leaders
    /// have none.
    pub lease: LeaseTerms,
    /// Nodes of another name are refused.
    pub cluster_name: String,
    /// The cluster, or [`ClusterId::NONE`] before it is known.
    pub cluster: ClusterId,
    /// Seals packets: datagrams, and those on streams. `None` leaves them plain: then whoever
    /// reaches the port can forge them. Messages are not sealed by it.
    pub keyring: Option<Keyring>,
    /// Whether UDP is bound; without, datagrams are dropped. Default `true`.
    pub datagrams: bool,
    /// Whether nodes may open connections for messages; without, the port is for packets alone.
    /// Default `true`.
    pub messages: bool,
    /// Bounds on memory and time.
    pub limits: TransportLimits,
    /// Drawn from the operating system's randomness at each start of the process. It tells two
    /// processes with the same name apart, and sets the jitter between dials.
    pub seed: u64,
}

impl TransportConfig {
    /// A transport of the node `me` at `bind`, plain and with the default limits; no cluster yet,
    /// boot and seed zero.
    #[must_use]
    pub fn new(me: NodeId, cluster_name: impl Into<String>, bind: SocketAddr) -> Self {
        Self {
            bind,
            advertise: String::new(),
            me,
            boot: BootEpoch::ZERO,
            disk: DiskId::NONE,
            lease: LeaseTerms::NONE,
            cluster_name: cluster_name.into(),
            cluster: ClusterId::NONE,
            keyring: None,
            datagrams: true,
            messages: true,
            limits: TransportLimits::default(),
            seed: 0,
        }
    }
}

/// Bounds on what a transport holds and waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportLimits {
    /// What may wait for one peer in each lane, in bytes; beyond, the newest is dropped. Defaults
    /// 1, 1, 32, 16 and 16 MiB from the most urgent lane on.
    pub lane_bytes_max: [usize; LANES],
    /// How many received events may wait for the node; then sockets are no longer read. Default
    /// 1024.
    pub events_max: usize,
    /// How many bytes of received messages the node may hold unconsumed; then sockets are no
    /// longer read. Default 64 MiB.
    pub events_bytes_max: usize,
    /// How many nodes may hold a connection to us at once; those that we dial are let in beyond it.
    /// Never more than a sixth of the files that the process may have open. Each holds at most one
    /// message that is still arriving, up to 8 MiB. Default 1024.
    pub connections_max: usize,
    /// How long a new connection may take until both sides know each other. Default 5 s.
    pub handshake_max: Duration,
    /// How long one attempt to connect may take. Default 2 s.
    pub dial_max: Duration,
    /// How long a connection may refuse to take a byte before it is dropped. Default 5 s.
    pub write_max: Duration,
    /// The pause after the first failed dial; it doubles up to `backoff_max`, and the pause taken
    /// is drawn between a half and all of it. Default 20 ms.
    pub backoff_min: Duration,
    /// The longest pause between two dials. Default 1 s.
    pub backoff_max: Duration,
    /// How many streams of packets we may have dialled, and as many that others dialled. When there
    /// are more, the one that was not used for longest ends. Never more than an eighth of the files
    /// that the process may have open. Default 512.
    pub streams_max: usize,
    /// How long one attempt to open a stream may take. Default 1 s.
    pub stream_dial_max: Duration,
    /// How long a stream that is not used stays open; half as long again if the other end dialled
    /// it. Default 30 s.
    pub stream_idle: Duration,
}

impl Default for TransportLimits {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Self {
            lane_bytes_max: [MIB, MIB, 32 * MIB, 16 * MIB, 16 * MIB],
            events_max: 1024,
            events_bytes_max: 64 * MIB,
            connections_max: 1024,
            handshake_max: Duration::from_secs(5),
            dial_max: Duration::from_secs(2),
            write_max: Duration::from_secs(5),
            backoff_min: Duration::from_millis(20),
            backoff_max: Duration::from_secs(1),
            streams_max: 512,
            stream_dial_max: Duration::from_secs(1),
            stream_idle: Duration::from_secs(30),
        }
    }
}
