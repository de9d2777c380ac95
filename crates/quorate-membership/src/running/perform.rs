//! Carries out what the machine wants, and tells it what happened.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use quorate_core::{Clock as _, Instant, NodeId, Outbox};
use quorate_tokio::{
    BootClock, PACKET_BYTES_MAX, Perform, Pulse, Resolver, StateFolder, Transport, TransportEvent,
    decode_packet, drive, encode_packet,
};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;

use super::handle::{Gauges, Shared};
use super::memory::{Peers, keep};
use super::{End, Members};
use crate::{Channel, Event, Incarnation, Input, Membership, Output, Packet};

/// Turns what the sockets say into inputs.
pub(super) async fn listen(mut heard: mpsc::Receiver<TransportEvent>, shared: Arc<Shared>) {
    while let Some(event) = heard.recv().await {
        let input = match event {
            TransportEvent::Datagram { from, bytes } => {
                read(&shared, from, Channel::Datagram, &bytes)
            }
            TransportEvent::StreamPacket { from, bytes } => {
                read(&shared, from, Channel::Stream, &bytes)
            }
            TransportEvent::StreamRefused { address } => Some(Input::Refused { address }),
            TransportEvent::Rejected { from, why } => {
                tracing::debug!(%from, why, "refused");
                None
            }
            _ => None,
        };
        if let Some(input) = input
            && shared.inputs.send(input).await.is_err()
        {
            return;
        }
    }
}

fn read(shared: &Shared, from: SocketAddr, over: Channel, bytes: &[u8]) -> Option<Input> {
    if let Some(version) = bytes.first().copied().filter(|version| *version != Packet::VERSION) {
        return Some(Input::Unreadable { from, version });
    }
    match decode_packet(bytes) {
        Ok(packet) => Some(Input::Received { from, over, packet }),
        Err(error) => {
            shared.undecodable.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%from, %error, "a packet could not be decoded");
            None
        }
    }
}

/// Runs the machine until it is told to stop, or must.
pub(super) async fn run(
    mut machine: Membership,
    mut performer: Performer,
    mut first: Outbox<Output>,
    mut inputs: mpsc::Receiver<Input>,
    mut stop: watch::Receiver<bool>,
) {
    let shared = performer.shared.clone();
    let now = BootClock.now();
    let first = first.drain().try_for_each(|output| performer.perform(now, output));
    let end = match first {
        Err(end) => end,
        Ok(()) => {
            // An error means that the last handle was dropped.
            let signal = async { drop(stop.wait_for(|stop| *stop).await) };
            let pulse = Pulse::new();
            let driven =
                drive(&mut machine, &BootClock, &mut inputs, &mut performer, &pulse, signal);
            driven.await.err().unwrap_or(End::Asked)
        }
    };
    // From here on nobody gives orders, and whoever reads the sockets sees that it is over.
    drop(inputs);
    performer.publish(BootClock.now(), &machine);
    let Performer { transport, keeper, .. } = performer;
    if let Some(keeper) = keeper {
        keeper.finish(&machine).await;
    }
    shared.transport.lock().take();
    // A reader of the statistics may hold it for a moment longer, and then frees the port.
    if let Some(transport) = Arc::into_inner(transport) {
        transport.close(CLOSE_MAX).await;
    }
    shared.events.lock().take();
    shared.ended.send_replace(Some(end));
}

/// Carries out the outputs of one machine.
pub(super) struct Performer {
    shared: Arc<Shared>,
    transport: Arc<Transport>,
    resolver: Resolver,
    datagrams: bool,
    events: Option<broadcast::Sender<Event>>,
    keeper: Option<Keeper>,
    /// Events of this turn: told once their effect is published.
    pending: Vec<Event>,
    members: Members,
    own: Incarnation,
    /// When all members are looked at again, for what changes without an event.
    refresh_at: Instant,
}

impl Performer {
    pub(super) fn new(
        shared: Arc<Shared>,
        resolver: Resolver,
        datagrams: bool,
        keeper: Option<Keeper>,
    ) -> Self {
        let transport = shared.transport.lock().clone();
        let members = Members::clone(&shared.members.read());
        let events = shared.events.lock().clone();
        Self {
            transport: transport.expect("it has not ended before it began"),
            resolver,
            datagrams,
            events,
            keeper,
            pending: Vec::new(),
            members,
            own: Incarnation::default(),
            refresh_at: Instant::ZERO,
            shared,
        }
    }

    fn send(&self, to: SocketAddr, over: Channel, packet: &Packet) {
        match encode_packet(packet) {
            Ok(bytes) if over == Channel::Datagram && self.datagrams => {
                self.transport.send_datagram(to, &bytes);
            }
            Ok(bytes) => self.transport.send_over_stream(to, &bytes),
            Err(error) => tracing::error!(%error, %to, "a packet could not be encoded"),
        }
    }

    fn resolve(&self, name: String) {
        let (resolver, shared) = (self.resolver.clone(), self.shared.clone());
        tokio::spawn(async move {
            let addresses = resolver.resolve(&name).await.unwrap_or_else(|error| {
                tracing::debug!(%name, %error, "a name could not be resolved");
                Vec::new()
            });
            // An error means that the membership has ended.
            let _ = shared.inputs.send(Input::Resolved { name, addresses }).await;
        });
    }

    /// Shows what changed, then tells of it.
    fn publish(&mut self, now: Instant, machine: &Membership) {
        *self.shared.gauges.lock() = Gauges::of(machine);
        let mut changed: BTreeSet<NodeId> =
            self.pending.iter().filter_map(about).cloned().collect();
        let own = machine.own().incarnation;
        if std::mem::replace(&mut self.own, own) != own {
            changed.insert(self.shared.me.clone());
        }
        let all = now >= self.refresh_at;
        if all {
            self.members = Members::of(machine);
            // So that it takes little time, however many they are.
            let pause = REFRESH_EACH * u32::try_from(self.members.iter().count()).unwrap_or(1_000);
            self.refresh_at = now + pause.max(REFRESH_MIN);
        }
        for id in &changed {
            self.members.refresh(machine, id);
        }
        if all || !changed.is_empty() {
            *self.shared.members.write() = Arc::new(self.members.clone());
        }
        if let Some(keeper) = &mut self.keeper {
            keeper.note(now, machine);
        }
        for event in self.pending.drain(..) {
            if event == Event::LeaveSpread {
                self.shared.left.send_replace(true);
            }
            if let Some(events) = &self.events {
                // An error means that nobody listens.
                let _ = events.send(event);
            }
        }
    }
}

impl Perform<Membership> for Performer {
    type Error = End;

    fn perform(&mut self, _: Instant, output: Output) -> Result<(), End> {
        match output {
            Output::Send { to, over, packet } => self.send(to, over, &packet),
            Output::Resolve { name } => self.resolve(name),
            Output::Event(event) => {
                tracing::debug!(?event);
                let twin = matches!(event, Event::DuplicateId { .. } | Event::Refused { .. });
                self.pending.push(event);
                if twin && self.transport.trusts_packets() {
                    return Err(End::DuplicateId);
                }
            }
        }
        Ok(())
    }

    fn turned(&mut self, now: Instant, machine: &Membership) -> Result<(), End> {
        self.publish(now, machine);
        Ok(())
    }
}

/// Keeps the known peers in the data folder.
pub(super) struct Keeper {
    known: watch::Sender<Peers>,
    task: JoinHandle<()>,
    /// Which version of the machine's list was noted.
    noted: Option<u64>,
    /// When it may be noted again, as that is O(members).
    next_at: Instant,
}

impl Keeper {
    pub(super) fn start(folder: StateFolder, peers: Peers) -> Self {
        let (known, seen) = watch::channel(peers);
        let task = tokio::spawn(keep(folder, seen));
        Self { known, task, noted: None, next_at: Instant::ZERO }
    }

    fn note(&mut self, now: Instant, machine: &Membership) {
        let version = Some(machine.acquaintances_version());
        if self.noted == version || now < self.next_at {
            return;
        }
        self.noted = version;
        self.next_at = now + NOTE_EVERY;
        let peers = machine.acquaintances();
        let peers: Peers = peers.map(|(id, address)| (id.clone(), address.to_owned())).collect();
        self.known.send_if_modified(|known| {
            let changed = *known != peers;
            *known = peers;
            changed
        });
    }

    /// Writes for the last time and frees the folder.
    async fn finish(mut self, machine: &Membership) {
        self.note(Instant::FAR, machine);
        drop(self.known);
        // An error is a panic, which the runtime has reported.
        let _ = self.task.await;
    }
}

/// Whose entry an event changes.
const fn about(event: &Event) -> Option<&NodeId> {
    match event {
        Event::Joined { id }
        | Event::Updated { id }
        | Event::Unreachable { id }
        | Event::Reachable { id }
        | Event::Dead { id }
        | Event::Left { id }
        | Event::Collected { id }
        | Event::Restarted { id }
        | Event::ForeignCluster { id, .. } => Some(id),
        Event::Broadcast { .. }
        | Event::SeedListsDiffer { .. }
        | Event::ForeignName { .. }
        | Event::OtherVersion { .. }
        | Event::Refused { .. }
        | Event::DuplicateId { .. }
        | Event::LeaveSpread => None,
    }
}

/// How long what waits to be sent may take at the end.
const CLOSE_MAX: Duration = Duration::from_millis(500);

/// How long all members are looked at again, at least, and for each of them.
const REFRESH_MIN: Duration = Duration::from_secs(1);
const REFRESH_EACH: Duration = Duration::from_millis(1);

/// How often what is known of peers is noted for the folder.
const NOTE_EVERY: Duration = Duration::from_millis(500);

// What the machine sends fits a datagram that no link cuts, under key too.
const _: () = assert!(Packet::BYTES_MAX <= PACKET_BYTES_MAX);
