//! Carries out what the machine wants, and tells it what happened.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use quorate_core::{Clock as _, Instant, NodeId, Outbox};
use quorate_tokio::{
    BootClock, Perform, Pulse, Resolver, StateFolder, Transport, TransportEvent, decode_packet,
    drive, encode_packet,
};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;

use super::handle::{Gauges, Shared};
use super::memory::{Peers, keep};
use super::{End, Members};
use crate::{Channel, Event, Incarnation, Input, Membership, Output, Packet, State};

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
            if let Some(keeper) = &mut self.keeper {
                keeper.note(machine, !changed.is_empty());
            }
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
                let twin = matches!(event, Event::DuplicateId { .. });
                self.pending.push(event);
                let keys = self.shared.keyring.as_ref();
                if twin && keys.is_some_and(|keyring| !keyring.accepts_plain()) {
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
    /// Those of an earlier life that were not met in this one.
    unmet: Peers,
    known: watch::Sender<Peers>,
    task: JoinHandle<()>,
    /// Something changed since the last note.
    stale: bool,
}

impl Keeper {
    pub(super) fn start(folder: StateFolder, peers: Peers) -> Self {
        let (known, seen) = watch::channel(peers.clone());
        let task = tokio::spawn(keep(folder, seen));
        Self { unmet: peers, known, task, stale: true }
    }

    /// Looks at the members now and then, as that is O(members).
    fn note(&mut self, machine: &Membership, changed: bool) {
        self.stale |= changed;
        // Few members are noted at once, so that a crash soon after forgets nobody.
        if self.stale && (!changed || machine.members().nth(NOTED_AT_ONCE).is_none()) {
            self.stale = false;
            self.write(machine);
        }
    }

    fn write(&mut self, machine: &Membership) {
        let mut peers = Peers::new();
        for (id, view) in machine.members() {
            self.unmet.remove(id);
            if view.state != State::Left && *id != machine.me {
                peers.insert(id.clone(), view.info.address.clone());
            }
        }
        for (id, address) in &self.unmet {
            if peers.len() < machine.config.members_max {
                peers.insert(id.clone(), address.clone());
            }
        }
        self.known.send_if_modified(|known| {
            let changed = *known != peers;
            *known = peers;
            changed
        });
    }

    /// Writes for the last time and frees the folder.
    async fn finish(mut self, machine: &Membership) {
        self.write(machine);
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
        | Event::Restarted { id }
        | Event::ForeignCluster { id, .. }
        | Event::SeedListsDiffer { id, .. } => Some(id),
        Event::ForeignName { .. } | Event::DuplicateId { .. } | Event::LeaveSpread => None,
    }
}

/// How long what waits to be sent may take at the end.
const CLOSE_MAX: Duration = Duration::from_millis(500);

/// How long all members are looked at again, at least, and for each of them.
const REFRESH_MIN: Duration = Duration::from_secs(1);
const REFRESH_EACH: Duration = Duration::from_millis(1);

/// Up to so many members a change is noted in the turn in which it happens.
const NOTED_AT_ONCE: usize = 200;
