//! What the owner of a running membership holds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use quorate_core::NodeId;
use quorate_tokio::{Keyring, Transport, TransportStats};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::timeout;

use super::{End, Events, LeaveError, Members, OrderError};
use crate::{Broadcast, Counters, Event, Input, Membership, Tags};

/// A membership that runs. Clones are handles to the same one.
///
/// Dropping the last of them ends it like a crash: the others find it silent, call it unreachable
/// and then dead. [`leave`](Self::leave) says goodbye.
#[derive(Debug, Clone)]
pub struct Running {
    shared: Arc<Shared>,
    /// Tells the task to end, also by being dropped.
    stop: Arc<watch::Sender<bool>>,
}

impl Running {
    pub(super) fn new(shared: Arc<Shared>, stop: watch::Sender<bool>) -> Self {
        Self { shared, stop: Arc::new(stop) }
    }

    /// This node's name.
    #[must_use]
    pub fn id(&self) -> &NodeId {
        &self.shared.me
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.bound
    }

    /// Where others are told to reach it, `host:port`.
    #[must_use]
    pub fn advertised(&self) -> &str {
        &self.shared.address
    }

    /// All members as of the last turn. Cheap: shares a picture, never waits for the machine.
    #[must_use]
    pub fn members(&self) -> Arc<Members> {
        self.shared.members.read().clone()
    }

    /// The events from now on. Each subscriber has a queue of its own of 1,024.
    #[must_use]
    pub fn events(&self) -> Events {
        let open = self.shared.events.lock().as_ref().map(broadcast::Sender::subscribe);
        // Of one that ended: a stream that ends at once.
        Events(open.unwrap_or_else(|| broadcast::channel(1).1))
    }

    /// Describes this node by `tags` from now on.
    ///
    /// # Errors
    ///
    /// [`OrderError`]; nothing changes then.
    ///
    /// # Cancel safety
    ///
    /// Safe: either it was taken or nothing changes.
    pub async fn set_tags(&self, tags: Tags) -> Result<(), OrderError> {
        tags.validate()?;
        self.order(Input::SetTags(tags)).await
    }

    /// Tells `payload` to all members, once each: [`Event::Broadcast`]. One that comes or was cut off
    /// meanwhile may miss it, and so may all if this node dies soon.
    ///
    /// # Errors
    ///
    /// [`OrderError`]; it is told to nobody then.
    ///
    /// # Cancel safety
    ///
    /// Safe: either it was taken or nobody is told.
    pub async fn broadcast(&self, payload: Vec<u8>) -> Result<(), OrderError> {
        if payload.len() > Broadcast::BYTES_MAX {
            return Err(OrderError::TooLong { bytes: payload.len() });
        }
        self.order(Input::Broadcast { payload }).await
    }

    /// Leaves: tells all others and ends, when they know it or after the configured
    /// `leave_timeout`. Then the port and the data folder are free, so that it can be started
    /// again in this process.
    ///
    /// # Errors
    ///
    /// [`LeaveError`]. It has ended in either case.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it running, and perhaps leaving: call it again.
    pub async fn leave(&self) -> Result<(), LeaveError> {
        let mut left = self.shared.left.subscribe();
        let told = self.order(Input::Leave).await;
        let limit = self.shared.leave_timeout + LEAVE_SLACK;
        let spread = timeout(limit, left.wait_for(|left| *left)).await;
        let spread = spread.is_ok_and(|waited| waited.is_ok());
        self.stop.send_replace(true);
        let end = self.ended().await;
        match (told, spread, end) {
            (Ok(()), true, _) => Ok(()),
            (Ok(()), false, End::Asked) => Err(LeaveError::NotSpread),
            _ => Err(LeaveError::Ended),
        }
    }

    /// Waits until it has ended; says why.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is lost.
    pub async fn ended(&self) -> End {
        let mut ended = self.shared.ended.subscribe();
        let end = ended.wait_for(Option::is_some).await.ok().and_then(|end| *end);
        // The sender is in `shared`, so the wait never fails.
        end.unwrap_or(End::Asked)
    }

    /// The keys, to be changed while it runs; `None` if it was started without.
    #[must_use]
    pub fn keyring(&self) -> Option<&Keyring> {
        self.shared.keyring.as_ref()
    }

    /// The files of the data folder that were damaged when it started, and were ignored: `node`,
    /// `peers`. None of it is lost for long: the others tell again.
    #[must_use]
    pub fn damaged(&self) -> &[&'static str] {
        &self.shared.damaged
    }

    /// What was counted so far. Round trips of single members are in
    /// [`members`](Self::members).
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let Gauges { counters, health_multiplier, view_hash, live } = *self.shared.gauges.lock();
        let transfers = self
            .shared
            .transport
            .lock()
            .as_ref()
            .map_or_else(TransportStats::default, |t| t.stats());
        let undecodable = self.shared.undecodable.load(Ordering::Relaxed);
        Metrics { counters, transfers, health_multiplier, view_hash, live, undecodable }
    }

    async fn order(&self, input: Input) -> Result<(), OrderError> {
        if self.shared.ended.borrow().is_some() {
            return Err(OrderError::Ended);
        }
        self.shared.inputs.send(input).await.map_err(|_| OrderError::Ended)
    }
}

/// What a running membership counted since its start.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// What the protocol did.
    pub counters: Counters,
    /// What went over the sockets: packets and bytes by way, and what was refused by cause. All
    /// zero once it has ended.
    pub transfers: TransportStats,
    /// By how much the node stretches its patience because it fails to hear what it should: 1 is
    /// well, 8 is worst.
    pub health_multiplier: u32,
    /// Equal on two nodes exactly if they know the same live members in the same incarnations.
    pub view_hash: u64,
    /// How many members are live, the node included.
    pub live: usize,
    /// Packets with good frames or seals that hold no packet of membership.
    pub undecodable: u64,
}

/// What the handles and the tasks share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) me: NodeId,
    bound: SocketAddr,
    address: String,
    leave_timeout: Duration,
    damaged: Vec<&'static str>,
    pub(super) keyring: Option<Keyring>,
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) members: RwLock<Arc<Members>>,
    pub(super) gauges: Mutex<Gauges>,
    pub(super) undecodable: AtomicU64,
    /// `None` once it has ended, so that subscribers see the end.
    pub(super) events: Mutex<Option<broadcast::Sender<Event>>>,
    /// `None` once it has ended.
    pub(super) transport: Mutex<Option<Arc<Transport>>>,
    /// Whether all know that this node leaves, or had their time.
    pub(super) left: watch::Sender<bool>,
    pub(super) ended: watch::Sender<Option<End>>,
}

/// Single numbers of the machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gauges {
    counters: Counters,
    health_multiplier: u32,
    view_hash: u64,
    live: usize,
}

impl Gauges {
    pub(super) fn of(machine: &Membership) -> Self {
        Self {
            counters: *machine.counters(),
            health_multiplier: machine.health_multiplier(),
            view_hash: machine.view_hash(),
            live: machine.live(),
        }
    }
}

impl Shared {
    #[expect(clippy::too_many_arguments, reason = "called once, from where all of it is made")]
    pub(super) fn new(
        machine: &Membership,
        transport: Transport,
        inputs: mpsc::Sender<Input>,
        events: broadcast::Sender<Event>,
        keyring: Option<Keyring>,
        address: String,
        leave_timeout: Duration,
        damaged: Vec<&'static str>,
    ) -> Arc<Self> {
        Arc::new(Self {
            me: machine.me.clone(),
            bound: transport.local_addr(),
            address,
            leave_timeout,
            damaged,
            keyring,
            inputs,
            members: RwLock::new(Arc::new(Members::of(machine))),
            gauges: Mutex::new(Gauges::of(machine)),
            undecodable: AtomicU64::new(0),
            events: Mutex::new(Some(events)),
            transport: Mutex::new(Some(Arc::new(transport))),
            left: watch::Sender::new(false),
            ended: watch::Sender::new(None),
        })
    }
}

/// How much longer than the machine itself a leave may take.
const LEAVE_SLACK: Duration = Duration::from_secs(1);
