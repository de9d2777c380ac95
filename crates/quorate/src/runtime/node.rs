//! The handle on a running node.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use quorate_core::{Change, Clock as _, ClusterId, Configuration, Instant, NodeId, Term};
use quorate_tokio::{BootClock, Pulse, Transport, TransportStats};
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};

use super::{HandOverError, Keyring, NodeBuilder, Replication, State, StopReason, WriteError};
use crate::{
    Answer, Config, Doubt, Failure, NodeEvent, NodeInput, NodeState, NodeStatus, Request, RequestId,
};

/// A running node. It runs on when this handle is dropped; [`shutdown`](Self::shutdown) stops it.
pub struct Node {
    pub(super) inner: Arc<Inner>,
}

/// What handles and the loop share.
pub(super) struct Inner {
    pub(super) config: Config,
    pub(super) me: NodeId,
    pub(super) boot: u64,
    pub(super) inputs: mpsc::Sender<NodeInput>,
    pub(super) replies: Mutex<BTreeMap<RequestId, oneshot::Sender<Answer>>>,
    pub(super) next: AtomicU64,
    pub(super) undecodable: AtomicU64,
    pub(super) status: RwLock<Arc<NodeStatus>>,
    pub(super) events: broadcast::Sender<NodeEvent>,
    pub(super) stopped: watch::Sender<Option<StopReason>>,
    pub(super) transport: Transport,
    pub(super) keyring: Option<Keyring>,
    pub(super) stop: Notify,
    /// The neighbours know that the node leaves.
    pub(super) left: Notify,
    /// A node that stops has handed over, or does not lead.
    pub(super) handed: Notify,
    pub(super) clock: BootClock,
    pub(super) pulse: Pulse,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("me", &self.me).finish_non_exhaustive()
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Inner {
    /// Asks the node; answered at the latest shortly after `wait`.
    pub(super) async fn request(&self, request: Request, wait: Duration) -> Answer {
        let mutates = request.mutates();
        let id = RequestId(self.next.fetch_add(1, Ordering::Relaxed));
        let deadline = self.clock.now() + wait;
        let (answer, answered) = oneshot::channel();
        self.replies.lock().insert(id, answer);
        // A caller that gives up takes its place in the table with it.
        let _guard = Forget { inner: self, id };
        if self.inputs.send(NodeInput::Request { id, deadline, request }).await.is_err() {
            return Answer::Failed(Failure::Stopping);
        }
        answered.await.unwrap_or(if mutates {
            Answer::Unknown(Doubt::Stopping)
        } else {
            Answer::Failed(Failure::Stopping)
        })
    }
}

/// Takes a request off the table of replies when its caller is gone.
struct Forget<'a> {
    inner: &'a Inner,
    id: RequestId,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.inner.replies.lock().remove(&self.id);
    }
}

impl Node {
    /// Prepares a node; [`NodeBuilder::start`] starts it.
    pub const fn builder(config: Config) -> NodeBuilder {
        NodeBuilder::new(config)
    }

    /// Its lasting name.
    #[must_use]
    pub fn id(&self) -> &NodeId {
        &self.inner.me
    }

    /// How often its data folder was started, this time included.
    #[must_use]
    pub fn boot(&self) -> u64 {
        self.inner.boot
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// What it knew at the end of its last turn. Cheap: a reference count.
    #[must_use]
    pub fn status(&self) -> Arc<NodeStatus> {
        self.inner.status.read().clone()
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> Cluster {
        Cluster { inner: self.inner.clone() }
    }

    /// The shared state.
    #[must_use]
    pub fn state(&self) -> State {
        State::new(self.inner.clone())
    }

    /// The replication: how safe writes are.
    #[must_use]
    pub fn replication(&self) -> Replication {
        Replication::new(self.inner.clone())
    }

    /// The keys that seal its gossip; `None` where it is not sealed.
    #[must_use]
    pub fn keyring(&self) -> Option<Keyring> {
        self.inner.keyring.clone()
    }

    /// What happens from now on. A listener that lags behind by more than 1,024 events is told
    /// how many it missed.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<NodeEvent> {
        self.inner.events.subscribe()
    }

    /// Asks the node, past the typed handles; answered at the latest shortly after `wait`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not take a write back.
    pub async fn request(&self, request: Request, wait: Duration) -> Answer {
        self.inner.request(request, wait).await
    }

    /// How long ago its loop last turned; an idle loop turns once a second.
    #[must_use]
    pub fn still_for(&self) -> Duration {
        self.inner.clock.now().since(self.inner.pulse.last_turned())
    }

    /// What its sockets counted.
    #[must_use]
    pub fn transfers(&self) -> TransportStats {
        let mut stats = self.inner.transport.stats();
        let undecodable = self.inner.undecodable.load(Ordering::Relaxed);
        stats.rejected_frames.insert("undecodable", undecodable);
        stats
    }

    /// The address and port its cluster port is bound to.
    #[must_use]
    pub fn address(&self) -> std::net::SocketAddr {
        self.inner.transport.local_addr()
    }

    /// The time on its clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.inner.clock.now()
    }

    /// Waits until the node stops, for whatever reason.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn stopped(&self) -> StopReason {
        let mut stopped = self.inner.stopped.subscribe();
        loop {
            if let Some(reason) = stopped.borrow_and_update().clone() {
                return reason;
            }
            if stopped.changed().await.is_err() {
                return StopReason::Asked;
            }
        }
    }

    /// Stops the node: it hands the lead over, answers what is open, and writes what it promised.
    ///
    /// # Cancel safety
    ///
    /// The node stops all the same.
    pub async fn shutdown(self) {
        self.stop();
        self.stopped().await;
    }

    /// Asks the node to stop; [`stopped`](Self::stopped) says when it has.
    pub fn stop(&self) {
        self.inner.stop.notify_one();
    }
}

/// The cluster as a node sees it.
#[derive(Debug, Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

/// The cluster in a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterInfo {
    /// Its identity; none before it is formed.
    pub cluster_id: Option<ClusterId>,
    /// Its name.
    pub cluster_name: String,
    /// How many nodes belong to it.
    pub total_nodes: usize,
    /// The leader, if one is known.
    pub leader_node: Option<LeaderNode>,
    /// A leader is known and every voter can be reached from here.
    pub is_healthy: bool,
    /// How many nodes vote.
    pub voters: usize,
    /// How many of them this node reaches, itself included.
    pub reachable: usize,
    /// How many it takes to decide.
    pub needed: usize,
}

/// A lead that was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedOver {
    /// Who leads.
    pub leader: NodeId,
    /// In which term.
    pub term: Term,
}

/// The leader and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderNode {
    /// Its name.
    pub node_id: NodeId,
    /// `host:port` of its cluster port.
    pub address: String,
}

impl Cluster {
    /// The cluster in a few words.
    #[must_use]
    pub fn info(&self) -> ClusterInfo {
        let status = self.inner.status.read().clone();
        let voters: Vec<&NodeId> = status.configuration.voters().collect();
        let nodes = status.nodes();
        let reached = |id: &NodeId| {
            let state = nodes.get(id).copied();
            state
                .is_some_and(|state| state != NodeState::Unreachable && state != NodeState::Leaving)
        };
        let reachable = voters.iter().filter(|id| reached(id)).count();
        let leader_node = self.leader_node();
        ClusterInfo {
            cluster_id: status.cluster,
            cluster_name: self.inner.config.cluster.name.clone(),
            total_nodes: nodes.len(),
            is_healthy: leader_node.is_some() && reachable == voters.len(),
            leader_node,
            voters: voters.len(),
            reachable,
            needed: quorate_core::majority(voters.len()),
        }
    }

    /// Changes the members: adds, promotes, removes or replaces some. Done when the change is
    /// complete and committed; the members from then on. Within `wait`; 30 s are fair, since a
    /// node that joins may need time to answer.
    ///
    /// # Errors
    ///
    /// `Failed` promises that nothing happened, and says what to do; after `Unknown` look at the
    /// members before you ask again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not take the change back.
    pub async fn change(
        &self,
        change: Change,
        wait: Duration,
    ) -> Result<Configuration, WriteError> {
        match self.inner.request(Request::Change(change), wait).await {
            Answer::Changed { configuration, .. } => Ok(configuration),
            Answer::Failed(failure) => Err(WriteError::Failed(failure)),
            Answer::Unknown(doubt) => Err(WriteError::Unknown(doubt)),
            Answer::Written { .. }
            | Answer::Found { .. }
            | Answer::HandedOver { .. }
            | Answer::Replicas { .. }
            | Answer::Status(_) => Err(WriteError::Unknown(Doubt::Stopping)),
        }
    }

    /// Lets another voter lead: `to`, or the best one. Writes wait meanwhile, for a few round trips;
    /// none is lost, and if the heir does not take over within an election timeout, the leader leads
    /// on. Any node may be asked. To name the one that leads changes nothing.
    ///
    /// # Errors
    ///
    /// [`HandOverError`]: `Failed` promises that the leader was not replaced on account of this.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not take the wish back.
    pub async fn hand_over(
        &self,
        to: Option<NodeId>,
        wait: Duration,
    ) -> Result<HandedOver, HandOverError> {
        match self.inner.request(Request::HandOver { to }, wait).await {
            Answer::HandedOver { leader, term } => Ok(HandedOver { leader, term }),
            Answer::Failed(failure) => Err(HandOverError::Failed(failure)),
            Answer::Unknown(doubt) => Err(HandOverError::Unknown(doubt)),
            Answer::Written { .. }
            | Answer::Found { .. }
            | Answer::Changed { .. }
            | Answer::Replicas { .. }
            | Answer::Status(_) => Err(HandOverError::Unknown(Doubt::Stopping)),
        }
    }

    /// Tells something to all nodes, once each, also to this one: they are told by
    /// [`Member`](NodeEvent::Member) events. At most 512 bytes; a node that is cut off meanwhile, or
    /// comes later, may miss it. `false` if it is too long, or the node too busy or stopping.
    #[must_use]
    pub fn broadcast(&self, payload: impl Into<Vec<u8>>) -> bool {
        let payload = payload.into();
        if payload.len() > quorate_membership::Broadcast::BYTES_MAX {
            return false;
        }
        let input = quorate_membership::Input::Broadcast { payload };
        self.inner.inputs.try_send(NodeInput::Gossip(input)).is_ok()
    }

    /// The leader, if this node knows one.
    #[must_use]
    pub fn leader_node(&self) -> Option<LeaderNode> {
        let status = self.inner.status.read().clone();
        let node_id = status.leader.clone()?;
        // Gossip knows where a node is now; the log, where it was when it joined.
        let now = status.neighbours.get(&node_id).map(|neighbour| &neighbour.address);
        let joined = || Some(&status.configuration.member(&node_id)?.address);
        let address = now.or_else(joined)?.clone();
        Some(LeaderNode { node_id, address })
    }
}
