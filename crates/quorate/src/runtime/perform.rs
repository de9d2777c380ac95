//! Carries out what the node wants done.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use quorate_core::Instant;
use quorate_election::BootstrapStatus;
use quorate_membership::{self as membership, Channel};
use quorate_tokio::{Perform, Resolver, StorageEnded, StorageError, StorageThread, encode_packet};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::StopReason;
use super::memory::Memory;
use super::node::Inner;
use crate::{Effect, NodeEvent, NodeInput, NodeMachine};

pub(super) struct Performer {
    pub(super) inner: Arc<Inner>,
    pub(super) storage: StorageThread,
    pub(super) resolver: Resolver,
    /// The names that had no address when they were last looked up.
    pub(super) unresolved: Arc<Mutex<BTreeSet<String>>>,
    /// When a person is told next that the node is in no cluster, if it is in none then.
    pub(super) alone_at: Instant,
    /// Whom the node met, and what writes it down; `None` if it is not to remember.
    pub(super) memory: Option<(Memory, JoinHandle<()>)>,
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
            Effect::Packet { to, over, packet } => match encode_packet(&packet) {
                Ok(bytes) => match over {
                    Channel::Datagram => self.inner.transport.send_datagram(to, &bytes),
                    Channel::Stream => self.inner.transport.send_over_stream(to, &bytes),
                },
                Err(error) => tracing::error!(%error, %to, "a packet could not be encoded"),
            },
            Effect::Resolve { name } => {
                let (resolver, unresolved) = (self.resolver.clone(), self.unresolved.clone());
                tokio::spawn(resolve(name, resolver, unresolved, self.inner.inputs.clone()));
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
                // Where anybody could have said so, a peer that refuses the connection decides.
                if let NodeEvent::Member(membership::Event::Refused { by, holder }) = &event
                    && self.inner.transport.trusts_packets()
                {
                    let text = format!(
                        "another process of this node id answers at {holder}, says {by}: give this \
                         node another node id, or stop the other process"
                    );
                    return Err(StopReason::DuplicateId(text));
                }
                if event == NodeEvent::Member(membership::Event::LeaveSpread) {
                    self.inner.left.notify_one();
                }
                // An error means that nobody listens.
                let _ = self.inner.events.send(event);
            }
        }
        Ok(())
    }

    fn turned(&mut self, now: Instant, machine: &NodeMachine) -> Result<(), StopReason> {
        if let Some(error) = machine.failure() {
            return Err(StopReason::Snapshot(error.to_string()));
        }
        if let Some((memory, _)) = &mut self.memory {
            memory.look_at(machine.membership());
        }
        if !machine.is_handing_over() {
            self.inner.handed.notify_one();
        }
        let status = machine.status();
        if now >= self.alone_at && !knows_cluster(&status.bootstrap) {
            self.alone_at = now + ALONE_EVERY;
            tracing::warn!(why = %status.bootstrap, "in no cluster yet");
        }
        *self.inner.status.write() = Arc::new(status);
        Ok(())
    }
}

const fn knows_cluster(status: &BootstrapStatus) -> bool {
    matches!(status, BootstrapStatus::Formed(_) | BootstrapStatus::Joining(_))
}

/// After how long a node in no cluster says so, and how often again.
pub(super) const ALONE_FIRST: Duration = Duration::from_secs(5);
const ALONE_EVERY: Duration = Duration::from_secs(60);

/// Looks up a name; the node asks again if the answer is none.
async fn resolve(
    name: String,
    resolver: Resolver,
    unresolved: Arc<Mutex<BTreeSet<String>>>,
    inputs: mpsc::Sender<NodeInput>,
) {
    let addresses = match resolver.resolve(&name).await {
        Ok(addresses) => {
            unresolved.lock().remove(&name);
            addresses
        }
        Err(error) => {
            // A person is told once, until it has an address again.
            if unresolved.lock().insert(name.clone()) {
                let error: &(dyn Error + 'static) = &error;
                tracing::warn!(%name, error, "a name has no address now; it is looked up again");
            }
            Vec::new()
        }
    };
    // An error means that the node has stopped.
    let _ = inputs.send(NodeInput::Resolved { name, addresses }).await;
}

/// What a person should read of an event.
fn log(event: &NodeEvent) {
    use membership::Event;
    match event {
        NodeEvent::Founded { cluster } => tracing::info!(%cluster, "the cluster is born"),
        NodeEvent::AnotherDisk { peer, named, disk } => tracing::warn!(
            %peer, %named, %disk,
            "a member lost its disk and has no say until it is a member on the new one: the leader \
             sees to that where `cluster.autopilot` is on and a quorum of the others stands; else \
             remove the member and add it again"
        ),
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
        NodeEvent::Member(Event::Refused { by, holder }) => {
            tracing::error!(%by, holder, "another process of this node id is said to answer");
        }
        NodeEvent::Member(Event::OtherVersion { from, theirs }) => {
            tracing::warn!(%from, theirs, "a node speaks a version of gossip that is unknown here");
        }
        NodeEvent::Member(
            Event::Joined { .. }
            | Event::Unreachable { .. }
            | Event::Reachable { .. }
            | Event::Dead { .. }
            | Event::Left { .. }
            | Event::Restarted { .. },
        ) => tracing::info!(?event),
        NodeEvent::Member(Event::SeedListsDiffer { id, .. }) => {
            tracing::warn!(node = %id, "a node has another seed list: make them the same");
        }
        NodeEvent::BecameLeader { .. }
        | NodeEvent::QuorumLost
        | NodeEvent::HandingOver { .. }
        | NodeEvent::HandedOver { .. }
        | NodeEvent::NotHandedOver { .. } => tracing::info!(?event),
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
