//! What is told: every packet carries what fits of the news, and while there are any, some are
//! told news alone.

use std::net::SocketAddr;
use std::time::Duration;

use quorate_core::{Instant, NodeId, Outbox, mutant, rare};

use crate::agenda::Timer;
use crate::claim::Update;
use crate::membership::Membership;
use crate::packet::{Body, Packet};
use crate::spread::{self, Spread};
use crate::{Channel, Output};

impl Membership {
    /// There is news about `id`.
    pub(crate) fn tell(&mut self, now: Instant, id: &NodeId) {
        self.spread.push(id);
        self.agenda.set_by(Timer::Gossip, now + self.config.gossip_interval);
    }

    /// Tells the news to a few.
    pub(crate) fn gossip(&mut self, now: Instant, out: &mut Outbox<Output>) {
        let targets = self.ring.sample(self.config.gossip_fanout, &mut self.rng, |_| true);
        if targets.is_empty() {
            // Whoever comes will pull the whole view.
            self.spread = Spread::default();
        }
        for id in targets {
            if self.spread.is_empty() {
                break;
            }
            let Some(peer) = self.view.get(&id) else { continue };
            if let Some(at) = self.names.find(now, &peer.info.address, out) {
                self.send(now, at, Body::Gossip, &[], out);
            }
        }
        if !self.spread.is_empty() {
            self.agenda.set(Timer::Gossip, now + self.config.gossip_interval);
        }
    }

    /// Sends `body` with the claims about `first` and what fits of the news. O(updates log
    /// members).
    pub(crate) fn send(
        &mut self,
        now: Instant,
        to: SocketAddr,
        body: Body,
        first: &[NodeId],
        out: &mut Outbox<Output>,
    ) {
        let mut packet = self.packet(body);
        let mut room = Packet::BYTES_MAX.saturating_sub(packet.bytes());
        let limit = spread::limit(self.view.live());
        let most = if rare("one claim rides along") { 1 } else { UPDATES_MAX };
        let pending: Vec<NodeId> =
            self.spread.ids().filter(|id| !first.contains(id)).take(most).cloned().collect();
        for id in first.iter().chain(&pending) {
            let Some(update) = self.update(now, id) else { continue };
            let bytes = update.bytes();
            if bytes <= room || mutant!("packet-overfilled") {
                room = room.saturating_sub(bytes);
                packet.updates.push(update);
                self.spread.told(id, limit);
            }
        }
        self.emit(to, packet, out);
    }

    /// A packet of this node without claims.
    pub(crate) fn packet(&self, body: Body) -> Packet {
        Packet {
            version: Packet::VERSION,
            name: self.name,
            cluster: self.cluster(),
            from: self.me.clone(),
            incarnation: self.own().incarnation,
            view: self.view.hash(),
            body,
            updates: Vec::new(),
        }
    }

    pub(crate) fn update(&self, now: Instant, id: &NodeId) -> Option<Update> {
        // Of this node itself there is no tombstone: it has just left.
        let horizon = self.config.tombstone_horizon;
        let update = self.view.update(now, horizon.as_secs(), id)?;
        if *id == self.me { Some(Update { gone_secs: 0, ..update }) } else { Some(update) }
    }

    pub(crate) fn emit(&mut self, to: SocketAddr, packet: Packet, out: &mut Outbox<Output>) {
        debug_assert!(packet.updates.len() <= 250, "one byte holds their number");
        self.counters.sent += 1;
        self.counters.sent_bytes += packet.bytes() as u64;
        out.push(Output::Send { to, over: Channel::Datagram, packet });
    }

    /// `wait`, give or take a quarter, so that nodes do not fall into step.
    pub(crate) fn about(&mut self, wait: Duration) -> Duration {
        self.rng.duration(wait * 3 / 4, wait * 5 / 4)
    }
}

/// The most claims in a packet. The smallest takes about 20 bytes, so this bounds nothing but the
/// work of trying.
const UPDATES_MAX: usize = 60;
