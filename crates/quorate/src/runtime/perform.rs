//! Carries out what the node wants done.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quorate_core::Instant;
use quorate_membership as membership;
use quorate_tokio::{Perform, StorageEnded, StorageError, StorageThread};
use tokio::sync::mpsc;

use super::StopReason;
use super::node::Inner;
use crate::{Effect, NodeEvent, NodeInput, NodeMachine};

pub(super) struct Performer {
    pub(super) inner: Arc<Inner>,
    pub(super) storage: StorageThread,
}

impl Perform<NodeMachine> for Performer {
    type Error = StopReason;

    fn perform(&mut self, _now: Instant, effect: Effect) -> Result<(), StopReason> {
        match effect {
            Effect::Persist { token, record } => {
                // The thread has said why it ended, on its own way.
                let ended = |error: StorageEnded| StopReason::Storage(error.to_string());
                self.storage.submit(token, record).map_err(ended)?;
            }
            Effect::Send { to, lane, message } => match quorate_wire::encode(&message) {
                // A message that cannot be queued is lost, as the network may lose any; the
                // transport counts it.
                Ok(bytes) => drop(self.inner.transport.send(&to, lane, Bytes::from(bytes))),
                Err(error) => tracing::error!(%error, %to, "a message could not be encoded"),
            },
            Effect::Packet { to, over: _, packet } => match quorate_wire::encode(&packet) {
                Ok(bytes) => self.inner.transport.send_datagram(to, &bytes),
                Err(error) => tracing::error!(%error, %to, "a packet could not be encoded"),
            },
            Effect::Resolve { name } => {
                let own = self.inner.transport.local_addr();
                tokio::spawn(resolve(name, own, self.inner.inputs.clone()));
            }
            Effect::Connect { peer, address } => self.inner.transport.set_peer(peer, address),
            Effect::Disconnect { peer } => self.inner.transport.remove_peer(&peer),
            Effect::Belong { cluster } => self.inner.transport.set_cluster(cluster),
            Effect::Reply { id, answer } => {
                let waiting = self.inner.replies.lock().remove(&id);
                if let Some(waiting) = waiting {
                    // An error means that the caller has gone.
                    let _ = waiting.send(answer);
                }
            }
            Effect::Event(event) => {
                log(&event);
                if event == NodeEvent::Member(membership::Event::LeaveSpread) {
                    self.inner.left.notify_one();
                }
                // An error means that nobody listens.
                let _ = self.inner.events.send(event);
            }
        }
        Ok(())
    }

    fn turned(&mut self, _now: Instant, machine: &NodeMachine) -> Result<(), StopReason> {
        if let Some(error) = machine.failure() {
            return Err(StopReason::Snapshot(error.to_string()));
        }
        let status = machine.status();
        *self.inner.status.write() = Arc::new(status);
        Ok(())
    }
}

/// Looks up a name; the node asks again if the answer is none.
///
/// Addresses that the own socket cannot call are left out: each address of the seed list counts,
/// and `localhost` has one that nobody of an IPv4 cluster answers at.
async fn resolve(name: String, own: SocketAddr, inputs: mpsc::Sender<NodeInput>) {
    let reaches = |to: &SocketAddr| own.is_ipv6() || to.is_ipv4();
    let lookup = async { Ok(tokio::net::lookup_host(&name).await?.filter(reaches).collect()) };
    let found: io::Result<Vec<SocketAddr>> = tokio::time::timeout(LOOKUP_MAX, lookup)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let addresses = found.unwrap_or_else(|error| {
        tracing::debug!(%name, %error, "a name could not be resolved");
        Vec::new()
    });
    // An error means that the node has stopped.
    let _ = inputs.send(NodeInput::Resolved { name, addresses }).await;
}

/// What a person should read of an event.
fn log(event: &NodeEvent) {
    use membership::Event;
    match event {
        NodeEvent::Founded { cluster } => tracing::info!(%cluster, "the cluster is born"),
        NodeEvent::TwoClusters { ours, theirs } => {
            tracing::error!(%ours, %theirs, "a second cluster of this name was born: refused");
        }
        NodeEvent::Member(Event::ForeignCluster { id, theirs }) => {
            let theirs = theirs.map(|theirs| theirs.to_string());
            tracing::error!(node = %id, theirs, "a node of another cluster of this name: refused");
        }
        NodeEvent::Member(Event::ForeignName { from, theirs }) => {
            let theirs = theirs.as_deref().unwrap_or("unknown");
            tracing::warn!(%from, theirs, "a node of another cluster name: correct name or seeds");
        }
        // An alarm and no more: anybody can send a datagram. If there is another process of this
        // name, a peer refuses this one when it connects, and that stops it.
        NodeEvent::Member(Event::DuplicateId { from, boot }) => {
            tracing::error!(%from, boot = boot.0, "a later start of this node id is said to run");
        }
        NodeEvent::Member(Event::SeedListsDiffer { id, .. }) => {
            tracing::warn!(node = %id, "a node has another seed list: make them the same");
        }
        NodeEvent::BecameLeader { .. } | NodeEvent::QuorumLost => tracing::info!(?event),
        event => tracing::debug!(?event),
    }
}

/// What a failed write of the journal means to the node.
pub(super) fn storage_failed(error: &StorageError) -> StopReason {
    match error {
        StorageError::DiskFull { .. } => StopReason::DiskFull,
        StorageError::Failed { source } => StopReason::Storage(source.to_string()),
        _ => StopReason::Storage(error.to_string()),
    }
}

/// The longest a lookup may take.
const LOOKUP_MAX: Duration = Duration::from_secs(5);
