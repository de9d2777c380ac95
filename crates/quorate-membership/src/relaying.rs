//! Pings made for others: help with a probe, or a look at one that somebody does not reach.

use std::net::SocketAddr;

use quorate_core::{Instant, NodeId, Outbox};

use crate::agenda::Timer;
use crate::membership::Membership;
use crate::packet::Body;
use crate::{Channel, Output};

/// A ping made for somebody else.
#[derive(Debug)]
pub(crate) struct Relay {
    asker: NodeId,
    to: SocketAddr,
    over: Channel,
    /// The number under which it was asked for.
    seq: u32,
    target: NodeId,
    /// How many more pings may be sent before it counts as silent.
    left: u32,
}

/// Who asks, and how an answer reaches it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) id: &'a NodeId,
    pub(crate) from: SocketAddr,
    pub(crate) over: Channel,
}

impl Membership {
    /// Pings `target` for another, up to `times`.
    pub(crate) fn relay(
        &mut self,
        now: Instant,
        asker: Asker<'_>,
        seq: u32,
        target: &NodeId,
        times: u32,
        out: &mut Outbox<Output>,
    ) {
        let Asker { id, from, over } = asker;
        if *target == self.me {
            return self.send(now, from, over, Body::Ack { seq }, &[], out);
        }
        let own = self.rng.next_u64() as u32;
        let crowded = self.relays.len() >= EACH_MAX
            && self.relays.values().filter(|relay| relay.asker == *id).count() >= EACH_MAX;
        if crowded {
            self.counters.over_limit += 1;
        }
        // Only members are pinged, and only where they say they are: nobody can make this node
        // send to an address of his choice.
        if self.leaving.is_some()
            || crowded
            || self.relays.len() >= RELAYS_MAX
            || self.send_ping(now, own, target, 0, out).is_none()
        {
            // Who did not look has no vote: only one who is asked to help says so.
            if times == 1 {
                self.send(now, from, over, Body::Nack { seq }, &[], out);
            }
            return;
        }
        self.counters.relayed += 1;
        let relay = Relay {
            asker: id.clone(),
            to: from,
            over,
            seq,
            target: target.clone(),
            left: times - 1,
        };
        self.relays.insert(own, relay);
        self.rest_relay(now, own, if times == 1 { 2 } else { 1 });
    }

    fn rest_relay(&mut self, now: Instant, own: u32, timeouts: u32) {
        let Some(relay) = self.relays.get(&own) else { return };
        let (floor, ceiling) = (self.config.probe_timeout, self.config.probe_interval);
        let link = self.view.get(&relay.target).map(|peer| peer.link).unwrap_or_default();
        self.agenda.set(Timer::Relay(own), now + link.timeout(floor, ceiling) * timeouts);
    }

    /// A ping made for another was not answered in time.
    pub(crate) fn relay_late(&mut self, now: Instant, own: u32, out: &mut Outbox<Output>) {
        let Some(relay) = self.relays.get_mut(&own) else { return };
        if relay.left > 0 {
            relay.left -= 1;
            let (target, left) = (relay.target.clone(), relay.left as usize);
            self.send_ping(now, own, &target, left, out);
            self.rest_relay(now, own, 1);
        } else if let Some(relay) = self.relays.remove(&own) {
            self.send(now, relay.to, relay.over, Body::Nack { seq: relay.seq }, &[], out);
        }
    }

    /// Whether `seq` was a ping made for another; then that one is told.
    pub(crate) fn relay_answered(
        &mut self,
        now: Instant,
        seq: u32,
        sender: &NodeId,
        out: &mut Outbox<Output>,
    ) -> bool {
        if self.relays.get(&seq).is_none_or(|relay| relay.target != *sender) {
            return false;
        }
        if let Some(relay) = self.relays.remove(&seq) {
            self.agenda.cancel(&Timer::Relay(seq));
            self.send(now, relay.to, relay.over, Body::Ack { seq: relay.seq }, &[], out);
        }
        true
    }
}

/// The most pings under way for others.
const RELAYS_MAX: usize = 256;

/// The most of them for one.
const EACH_MAX: usize = 32;
