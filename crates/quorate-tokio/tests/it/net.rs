//! Nodes for the tests of the transport.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use quorate_core::{BootEpoch, ClusterId, DiskId, Lane, NodeId};
use quorate_tokio::{BindError, Transport, TransportConfig, TransportEvent, TransportLimits};
use tokio::sync::mpsc;

/// Far longer than anything takes: only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn id(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

pub(crate) fn config(name: &str) -> TransportConfig {
    TransportConfig {
        bind: SocketAddr::from(([127, 0, 0, 1], 0)),
        advertise: String::new(),
        me: id(name),
        boot: BootEpoch(1),
        disk: DiskId(0xd15c),
        lease: quorate_core::LeaseTerms::NONE,
        cluster_name: "test".to_owned(),
        cluster: ClusterId(7),
        keyring: None,
        datagrams: true,
        messages: true,
        limits: TransportLimits::default(),
        seed: 1,
    }
}

pub(crate) struct Node {
    pub(crate) name: NodeId,
    pub(crate) transport: Transport,
    pub(crate) events: mpsc::Receiver<TransportEvent>,
}

impl Node {
    pub(crate) async fn start(config: TransportConfig) -> Self {
        let name = config.me.clone();
        let (transport, events) = Transport::bind(config).await.unwrap();
        Self { name, transport, events }
    }

    /// Starts at an address that was just given up. The tasks of its last owner may still hold
    /// it for a moment, and so may, rarely, a connection of another test.
    pub(crate) async fn back_at(bind: SocketAddr, config: TransportConfig) -> Self {
        patiently(async {
            loop {
                let config = TransportConfig { bind, ..config.clone() };
                let name = config.me.clone();
                match Transport::bind(config).await {
                    Ok((transport, events)) => return Self { name, transport, events },
                    Err(BindError::PortInUse { .. }) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        })
        .await
    }

    pub(crate) async fn named(name: &str) -> Self {
        Self::start(config(name)).await
    }

    pub(crate) fn address(&self) -> String {
        self.transport.local_addr().to_string()
    }

    /// Dials `other` and waits until the connection is up.
    pub(crate) async fn join(&mut self, other: &Self) {
        self.transport.set_peer(other.name.clone(), other.address());
        self.connected(&other.name).await;
    }

    pub(crate) async fn connected(&mut self, to: &NodeId) {
        self.until(|event| {
            matches!(event, TransportEvent::Connected { peer, .. } if *peer == *to).then_some(())
        })
        .await;
    }

    /// The next event that `wanted` recognises; others are passed over.
    pub(crate) async fn until<T>(&mut self, wanted: impl Fn(&TransportEvent) -> Option<T>) -> T {
        patiently(async {
            loop {
                let event = self.events.recv().await.expect("the transport lives");
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
        })
        .await
    }

    pub(crate) async fn message(&mut self) -> (NodeId, Bytes) {
        self.until(|event| match event {
            TransportEvent::Message { from, bytes, .. } => Some((from.clone(), bytes.clone())),
            _ => None,
        })
        .await
    }

    pub(crate) async fn rejected(&mut self) -> &'static str {
        self.until(|event| match event {
            TransportEvent::Rejected { why, .. } => Some(*why),
            _ => None,
        })
        .await
    }

    pub(crate) fn send(&self, to: &Self, lane: Lane, text: &str) {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        self.transport.send(&to.name, lane, bytes).unwrap();
    }

    /// A message from here to `other` arrives: both live.
    pub(crate) async fn reaches(&self, other: &mut Self) {
        self.send(other, Lane::Urgent, "still there?");
        assert_eq!(other.message().await, (self.name.clone(), "still there?".into()));
    }
}

pub(crate) async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("within the test's patience")
}
