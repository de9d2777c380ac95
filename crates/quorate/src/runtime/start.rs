//! From a configuration to a running node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use quorate_core::{
    BootEpoch, Clock as _, ClusterId, Configuration, Disk, DiskId, Identity, LeaseTerms,
    Machine as _, NodeId, Outbox, Proposal, Record, Recovered,
};
use quorate_membership::{Channel, Packet, Tags};
use quorate_storage::{FileDisk, Journal, Options};
use quorate_tokio::{
    BootClock, DriveEnd, Perform as _, Pulse, Resolver, StorageThread, Transport, TransportConfig,
    TransportEvent, TransportLimits, boot_by_clock, decode_packet, drive, entropy,
};
use quorate_wire::Refusal;
use tokio::sync::{Notify, broadcast, mpsc, watch};

use super::memory::Memory;
use super::node::{Inner, Node};
use super::perform::{ALONE_FIRST, Performer, storage_failed};
use super::{Keyring, StartError, StopReason};
use crate::{Config, Effect, NodeInput, NodeMachine, NodeSetup};

/// How many inputs may wait for the loop before those who bring more must wait.
const INPUTS_MAX: usize = 4_096;
/// The longest a stopping node waits until its neighbours know; shorter than the timeout after
/// which it could be elected again.
const GOODBYE_MAX: Duration = Duration::from_millis(100);
/// How often a person is told of gossip under other keys: anybody can send such.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// How many events a listener may lag behind.
const EVENTS_MAX: usize = 1_024;

/// Prepares a node.
#[derive(Debug)]
#[must_use]
pub struct NodeBuilder {
    config: Config,
    disk: Option<DiskBox>,
    founders: Option<Proposal>,
    api: String,
}

struct DiskBox(Box<dyn Disk>);

impl std::fmt::Debug for DiskBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Disk")
    }
}

impl NodeBuilder {
    pub(super) const fn new(config: Config) -> Self {
        Self { config, disk: None, founders: None, api: String::new() }
    }

    /// Keeps the journal on a disk of your own in place of `node.data_dir`.
    pub fn disk(mut self, disk: Box<dyn Disk>) -> Self {
        self.disk = Some(DiskBox(disk));
        self
    }

    /// Names the first members instead of letting the nodes agree on them; the same on all of
    /// them, and used only by a node whose disk knows no configuration yet. `cluster` is the
    /// identity of the new cluster: draw it at random, once.
    pub fn founders(mut self, cluster: ClusterId, configuration: Configuration) -> Self {
        self.founders = Some(Proposal { cluster, configuration });
        self
    }

    /// Tells the others where clients reach this node's API, `host:port`.
    pub fn api_address(mut self, address: impl Into<String>) -> Self {
        self.api = address.into();
        self
    }

    /// Opens the journal and the ports, and starts the node on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// [`StartError`], whose text names the fix; nothing runs then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it is ready leaves nothing running.
    pub async fn start(self) -> Result<Node, StartError> {
        let Self { config, disk, founders, api } = self;
        if !config.cluster_enabled() {
            return Err(StartError::NothingEnabled);
        }
        let srv = config.cluster.seeds.iter().find(|seed| Resolver::is_srv(seed));
        if let Some(seed) = srv.filter(|_| !Resolver::knows_srv()) {
            return Err(StartError::NoSrv { seed: seed.clone() });
        }
        let keyring = Keyring::of(&config)?;
        let options = Options::default().segment_bytes(config.storage.segment_bytes);
        let own_folder = disk.is_none();
        let (mut journal, mut recovered) = match disk {
            Some(DiskBox(disk)) => Journal::open(disk, options)?,
            None => open_folder(&config, options)?,
        };
        let (known, memory) = Memory::open(config.node.data_dir.as_deref().filter(|_| own_folder));
        let identity = identify(&config, &recovered)?;
        outwait(recovered.identity.as_ref().map(|before| before.lease), identity.lease).await;
        journal.write(&Record::Identity(identity.clone()))?;
        journal.sync()?;
        recovered.identity = Some(identity.clone());

        let seed = entropy();
        let (transport, events) = Transport::bind(TransportConfig {
            bind: config.cluster_bind(),
            advertise: config.cluster.advertise.clone().unwrap_or_default(),
            me: identity.node.clone(),
            boot: identity.boot,
            disk: identity.disk,
            lease: identity.lease,
            cluster_name: config.cluster.name.clone(),
            cluster: identity.cluster,
            keyring: keyring.as_ref().map(Keyring::ring),
            datagrams: true,
            messages: true,
            limits: TransportLimits::default(),
            seed,
        })
        .await?;
        let clock = BootClock::new();
        let setup = NodeSetup {
            me: identity.node.clone(),
            election: config.election_config(),
            replication: config.replication_config(),
            limits: quorate_dist_state::Limits::default(),
            membership: config.membership_config(&transport.local_addr().to_string()),
            tags: Tags { priority: config.election.priority, api_address: api, ..Tags::default() },
            bootstrap: config.bootstrap_config(),
            boot: identity.boot,
            disk: identity.disk,
            instance: seed,
            founders,
            autopilot: config.autopilot_config(),
        };
        let mut out = Outbox::new();
        let now = clock.now();
        let mut machine = NodeMachine::new(setup, &recovered, seed, now, &mut out)?;
        for (id, address) in known.into_iter().filter(|(id, _)| *id != identity.node) {
            let known = quorate_membership::Input::Known { id, address };
            machine.handle(now, NodeInput::Gossip(known), &mut out);
        }
        let first: Vec<Effect> = out.drain().collect();

        let (inputs, received) = mpsc::channel(INPUTS_MAX);
        let (failed, failure) = mpsc::channel(1);
        let refused = failed.clone();
        let persisted = inputs.clone();
        let storage = StorageThread::start(journal, move |done| match done {
            // Called on the storage thread, which may wait for the loop: the loop never waits
            // for it.
            Ok(token) => drop(persisted.blocking_send(NodeInput::Persisted(token))),
            Err(error) => drop(failed.try_send(storage_failed(&error))),
        })
        .map_err(StartError::Thread)?;
        let (events_out, _) = broadcast::channel(EVENTS_MAX);
        let inner = Arc::new(Inner {
            me: identity.node,
            boot: identity.boot.0,
            config,
            inputs: inputs.clone(),
            replies: Mutex::default(),
            next: AtomicU64::new(1),
            undecodable: AtomicU64::new(0),
            stop: Notify::new(),
            left: Notify::new(),
            handed: Notify::new(),
            status: RwLock::new(Arc::new(machine.status())),
            events: events_out,
            stopped: watch::Sender::new(None),
            transport,
            keyring,
            clock,
            pulse: Pulse::new(),
        });
        tokio::spawn(listen(events, inputs, inner.clone(), refused));
        let memory = memory.map(|(memory, keeper)| (memory, tokio::spawn(keeper.keep())));
        let resolver = Resolver::new(inner.transport.local_addr());
        let unresolved = Arc::default();
        let performer = Performer {
            inner: inner.clone(),
            storage,
            resolver,
            unresolved,
            alone_at: now + ALONE_FIRST,
            memory,
        };
        tokio::spawn(run(machine, performer, first, received, failure));
        Ok(Node { inner })
    }
}

fn open_folder(config: &Config, options: Options) -> Result<(Journal, Recovered), StartError> {
    let folder = config.node.data_dir.as_ref().ok_or(StartError::NoDataDir)?;
    Ok(Journal::open(Box::new(FileDisk::open(folder)?), options)?)
}

/// Who this node is: as configured, as its folder says, or new.
fn identify(config: &Config, recovered: &Recovered) -> Result<Identity, StartError> {
    let known = recovered.identity.clone();
    let node = match (&config.node.id, &known) {
        (Some(id), _) => id.clone(),
        (None, Some(known)) => known.node.clone(),
        (None, None) => made_up()?,
    };
    if let Some(known) = &known
        && known.node != node
    {
        let theirs = known.node.clone();
        return Err(crate::NodeError::OtherNode { ours: node, theirs }.into());
    }
    let (cluster, boot) = known
        .as_ref()
        .map_or((ClusterId::NONE, BootEpoch::ZERO), |known| (known.cluster, known.boot));
    // By the clock as well: an empty folder knows nothing of the lives before it, and whoever
    // remembers one of them believes no earlier one.
    let boot = boot.next().max(boot_by_clock());
    // Zero means that none is known; 2^-64 is rarer than a disk that forges another's number.
    let disk = known.map_or_else(|| DiskId(entropy().max(1)), |known| known.disk);
    let lease = config.replication_config().lease_terms();
    Ok(Identity { node, cluster, boot, disk, lease })
}

/// Waits until a lease is over that this node helped to make `before`, if it goes by another `now`:
/// as a voter it would let a leader commit that knows nothing of it.
async fn outwait(before: Option<LeaseTerms>, now: LeaseTerms) {
    if let Some(before) = before.filter(|before| *before != now && *before != LeaseTerms::NONE) {
        let wait = before.over_after();
        tracing::info!(%before, %now, ?wait, "the leases are others now: waits for the old ones");
        tokio::time::sleep(wait).await;
    }
}

/// `host-xxxxxx`, made once and kept in the data folder.
fn made_up() -> Result<NodeId, StartError> {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "node".to_owned());
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let host: String = host.chars().filter(|c| allowed(*c)).take(48).collect();
    let host = if host.is_empty() { "node" } else { &host };
    Ok(NodeId::new(&format!("{host}-{:06x}", entropy() & 0x00ff_ffff))?)
}

/// Turns what the sockets say into inputs of the node.
async fn listen(
    mut events: mpsc::Receiver<TransportEvent>,
    inputs: mpsc::Sender<NodeInput>,
    inner: Arc<Inner>,
    failed: mpsc::Sender<StopReason>,
) {
    let mut warned_at = None;
    while let Some(event) = events.recv().await {
        let input = match event {
            TransportEvent::Message { from, disk, bytes, room: _room } => {
                match quorate_wire::decode(&bytes) {
                    Ok(message) => NodeInput::Message { from, disk, message },
                    Err(error) => {
                        inner.undecodable.fetch_add(1, Ordering::Relaxed);
                        tracing::debug!(%error, %from, "a message could not be decoded");
                        continue;
                    }
                }
            }
            TransportEvent::Datagram { from, bytes } => {
                let Some(input) = packet(&inner, from, Channel::Datagram, &bytes) else { continue };
                input
            }
            TransportEvent::StreamPacket { from, bytes } => {
                let Some(input) = packet(&inner, from, Channel::Stream, &bytes) else { continue };
                input
            }
            TransportEvent::DuplicateOfUs { address, boot } => {
                tracing::error!(%address, boot = boot.0, "another process bears this node id: refused");
                continue;
            }
            TransportEvent::StreamRefused { address } => {
                NodeInput::Gossip(quorate_membership::Input::Refused { address })
            }
            TransportEvent::Rejected { from, why } => {
                tracing::debug!(%from, why, "refused");
                let now = inner.clock.now();
                if is_of_keys(why) && warned_at.is_none_or(|at| now.since(at) >= WARN_EVERY) {
                    warned_at = Some(now);
                    tracing::warn!(
                        %from,
                        why,
                        "gossip that the keyring does not open: if it is from a node of this \
                         cluster, correct its keys or its cluster.name"
                    );
                }
                continue;
            }
            TransportEvent::Connected { peer, disk, .. } => NodeInput::PeerConnected { peer, disk },
            TransportEvent::Lost { peer, refused } => NodeInput::PeerLost { peer, refused },
            TransportEvent::Refused { peer, refusal, .. } => {
                tracing::warn!(%peer, %refusal, "a peer refused this node");
                if matches!(refusal, Refusal::DuplicateId { .. }) {
                    // The other one was there first, or is there in our place since; an error means
                    // that we stop already.
                    let _ = failed.try_send(StopReason::DuplicateId(refusal.to_string()));
                }
                continue;
            }
            _ => continue,
        };
        if inputs.send(input).await.is_err() {
            return;
        }
    }
}

/// Whether a node with the wrong keys is refused for this.
fn is_of_keys(why: &str) -> bool {
    matches!(why, "plain" | "unknown_key" | "forged")
}

/// A packet of the gossip; nothing, and a count, of what is none.
fn packet(inner: &Inner, from: SocketAddr, over: Channel, bytes: &[u8]) -> Option<NodeInput> {
    if let Some(version) = bytes.first().copied().filter(|version| *version != Packet::VERSION) {
        return Some(NodeInput::Gossip(quorate_membership::Input::Unreadable { from, version }));
    }
    match decode_packet(bytes) {
        Ok(packet) => Some(NodeInput::Packet { from, over, packet }),
        Err(error) => {
            inner.undecodable.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%error, %from, "a packet could not be decoded");
            None
        }
    }
}

/// Runs the node until it is asked to stop or its disk fails.
async fn run(
    mut machine: NodeMachine,
    mut performer: Performer,
    first: Vec<Effect>,
    mut inputs: mpsc::Receiver<NodeInput>,
    mut failure: mpsc::Receiver<StopReason>,
) {
    let inner = performer.inner.clone();
    let clock = inner.clock;
    let mut reason = None;
    for effect in first {
        if let Err(stop) = performer.perform(clock.now(), effect) {
            reason = Some(stop);
        }
    }
    if reason.is_none() {
        let mut failed = None;
        let signal = async {
            tokio::select! {
                () = inner.stop.notified() => {}
                why = failure.recv() => failed = why,
            }
        };
        let ended =
            drive(&mut machine, &clock, &mut inputs, &mut performer, &inner.pulse, signal).await;
        reason = match ended {
            Err(stop) => Some(stop),
            Ok(DriveEnd::Shutdown | DriveEnd::InputsClosed) => failed,
        };
    }
    // Give up the lead and answer what is open; after a failed write nothing more is promised,
    // so only the answers matter.
    let mut out = Outbox::new();
    machine.handle(clock.now(), NodeInput::Stop, &mut out);
    if machine.is_handing_over() {
        // What a turn before noted is no news any more.
        let _ = tokio::time::timeout(Duration::ZERO, inner.handed.notified()).await;
    }
    for effect in out.drain() {
        if reason.is_none() || matches!(effect, Effect::Reply { .. }) {
            let _ = performer.perform(clock.now(), effect);
        }
    }
    if reason.is_none() {
        // A few more turns, so that the goodbye reaches the neighbours also if a datagram is lost.
        // And so that somebody leads, who knows all that this node has.
        let hand_over_max = inner.config.election_config().election_max;
        let goodbye = async {
            let left = tokio::time::timeout(GOODBYE_MAX, inner.left.notified());
            let handed = tokio::time::timeout(hand_over_max, inner.handed.notified());
            let _ = tokio::join!(left, handed);
        };
        let ended =
            drive(&mut machine, &clock, &mut inputs, &mut performer, &inner.pulse, goodbye).await;
        reason = ended.err();
    }
    let reason = reason.unwrap_or(StopReason::Asked);
    let Performer { storage, memory, .. } = performer;
    // First nobody can ask any more: a request that came in behind the last turn would wait for
    // an answer for ever, and the storage thread for room to report in.
    drop(inputs);
    inner.replies.lock().clear();
    if let Some((memory, keeper)) = memory {
        // It writes down the last it knows, and ends.
        drop(memory);
        let _ = keeper.await;
    }
    // Joining waits for the disk, which may take long: not on the runtime's threads.
    let _ = tokio::task::spawn_blocking(move || storage.stop()).await;
    let _ = inner.stopped.send_replace(Some(reason));
}
