//! What is told: every packet carries what fits of the news, and while there are any, some are
//! told news alone.

use std::net::SocketAddr;
use std::time::Duration;

use quorate_core::{Instant, NodeId, Outbox, mutant, rare};

use crate::agenda::Timer;
use crate::claim::{State, Update};
use crate::membership::Membership;
use crate::packet::{Body, Packet};
use crate::spread::{self, Spread};
use crate::{Channel, Output};

impl Membership {
    /// There is news about `id`.
    pub(crate) fn tell(&mut self, now: Instant, id: &NodeId) {
        self.spread.push(id);
        self.agenda.gossip_by(now + self.config.gossip_interval);
    }

    /// Tells the news to a few.
    pub(crate) fn gossip(&mut self, now: Instant, out: &mut Outbox<Output>) {
        // Those that are silent are told by pings what concerns them.
        let (view, fanout) = (&self.view, self.config.gossip_fanout);
        let well = |id: &NodeId| view.get(id).is_some_and(|peer| peer.shown() == State::Alive);
        let mut targets = self.ring.sample(fanout, &mut self.rng, well);
        if targets.is_empty() {
            targets = self.ring.sample(fanout, &mut self.rng, |_| true);
        }
        if targets.is_empty() {
            // Whoever comes will pull the whole view.
            self.spread = Spread::default();
            self.broadcasts.drop_all();
        }
        for id in targets {
            if self.spread.is_empty() && self.broadcasts.is_empty() {
                break;
            }
            if let Some((at, over)) = self.way_to(now, &id, 0, out) {
                // No view shows that one was missed, so they are told twice as often as news.
                let limit = spread::limit(self.view.live()) * 2;
                // Each class may fill what the other leaves, and a third in any case: neither
                // starves.
                let most = if self.spread.is_empty() { ROOM } else { ROOM / 3 };
                let broadcasts = self.broadcasts.take(most, limit);
                self.send(now, at, over, Body::Gossip { broadcasts }, &[], out);
            }
        }
        if !(self.spread.is_empty() && self.broadcasts.is_empty()) {
            self.agenda.set(Timer::Gossip, now + self.config.gossip_interval);
        }
    }

    /// Sends `body` with the claims about `first` and what fits of the news. O(updates log
    /// members).
    pub(crate) fn send(
        &mut self,
        now: Instant,
        to: SocketAddr,
        over: Channel,
        body: Body,
        first: &[NodeId],
        out: &mut Outbox<Output>,
    ) {
        let mut packet = self.packet(body);
        if !(first.is_empty() && self.spread.is_empty()) {
            self.load(now, &mut packet, first);
        }
        self.emit(to, over, packet, out);
    }

    fn load(&mut self, now: Instant, packet: &mut Packet, first: &[NodeId]) {
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
    }

    /// A packet of this node without claims.
    pub(crate) fn packet(&self, body: Body) -> Packet {
        Packet {
            version: Packet::VERSION,
            name: self.name,
            cluster: self.cluster_mark,
            from: self.me.clone(),
            incarnation: self.incarnation,
            view: self.view.hash(),
            body,
            updates: Vec::new(),
        }
    }

    pub(crate) fn update(&self, now: Instant, id: &NodeId) -> Option<Update> {
        // Of this node itself there is no tombstone: it has just left.
        let horizon = self.config.tombstone_horizon;
        let update = self.view.update(now, horizon, id)?;
        if *id == self.me {
            return Some(Update { gone_secs: 0, ..update });
        }
        Some(self.signed(now, update))
    }

    pub(crate) fn emit(
        &mut self,
        to: SocketAddr,
        over: Channel,
        packet: Packet,
        out: &mut Outbox<Output>,
    ) {
        debug_assert!(packet.updates.len() <= 250, "one byte holds their number");
        if over == Channel::Stream {
            if !self.config.streams {
                return;
            }
            self.counters.by_stream += 1;
        }
        self.counters.sends(packet.body.class(), packet.bytes() as u64);
        out.push(Output::Send { to, over, packet });
    }

    /// `wait`, give or take a quarter, so that nodes do not fall into step.
    pub(crate) fn about(&mut self, wait: Duration) -> Duration {
        self.rng.duration(wait * 3 / 4, wait * 5 / 4)
    }
}

/// The most claims in a packet. The smallest takes about 20 bytes, so this bounds nothing but the
/// work of trying.
const UPDATES_MAX: usize = 60;

/// How many bytes of a packet messages of users may take if there is nothing else to tell.
const ROOM: usize = Packet::BYTES_MAX - 120;
