//! Who is there: a ping to the next member each period, and help from others if it is silent.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use quorate_core::{Instant, NodeId, Outbox};

use crate::Output;
use crate::agenda::Timer;
use crate::claim::{Incarnation, State};
use crate::membership::Membership;
use crate::packet::Body;

/// A probe under way.
#[derive(Debug)]
pub(crate) struct Probe {
    target: NodeId,
    /// Which incarnation is asked after; a verdict on an older one is void.
    incarnation: Incarnation,
    /// Where its address is now, if that is known.
    at: Option<SocketAddr>,
    sent_at: Instant,
    /// How many timeouts have passed. A ping is sent after each, so that one lost packet accuses
    /// nobody.
    passed: u32,
    timeout: Duration,
    relays: Vec<NodeId>,
    /// Which relays said that they have no answer either.
    nacks: BTreeSet<NodeId>,
}

/// A ping made for somebody else.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) to: SocketAddr,
    pub(crate) seq: u32,
    pub(crate) target: NodeId,
}

impl Membership {
    /// Probes the next one: by turns the successor in the order of hashes, and one of the round.
    ///
    /// The round alone leaves a crash unnoticed for several periods if chance has it (with a third
    /// of the members nobody happens to look at in any period). The successor is looked at in every
    /// second period for certain; the round finds it if its predecessor is gone too.
    pub(crate) fn probe_next(&mut self, now: Instant, out: &mut Outbox<Output>) {
        self.agenda.set(Timer::Probe, now + self.config.probe_interval);
        self.successor_next = !self.successor_next;
        let view = &self.view;
        let next = if self.successor_next {
            view.successor(&self.me).cloned()
        } else {
            self.ring.next(&mut self.rng, |id| view.is_live(id))
        };
        if let Some(id) = next {
            self.probe(now, &id, out);
        }
    }

    /// Begins to probe `id`, unless that is under way.
    pub(crate) fn probe(&mut self, now: Instant, id: &NodeId, out: &mut Outbox<Output>) {
        let Some(peer) = self.view.get(id) else { return };
        if self.probes.values().any(|probe| probe.target == *id) {
            return;
        }
        let timeout = peer.rtt.timeout(self.config.probe_timeout, self.config.probe_interval);
        let probe = Probe {
            target: id.clone(),
            incarnation: peer.info.incarnation,
            at: None,
            sent_at: now,
            passed: 0,
            timeout: timeout * self.health.multiplier(),
            relays: Vec::new(),
            nacks: BTreeSet::new(),
        };
        self.counters.probes += 1;
        let seq = self.rng.next_u64() as u32;
        self.agenda.set(Timer::Step(seq), now + probe.timeout);
        self.probes.insert(seq, probe);
        self.ping(now, seq, out);
    }

    /// Sends the ping of probe `seq`, with what is claimed of its target.
    fn ping(&mut self, now: Instant, seq: u32, out: &mut Outbox<Output>) {
        let Some(target) = self.probes.get(&seq).map(|probe| probe.target.clone()) else { return };
        let at = self.send_ping(now, seq, &target, out);
        if let Some(probe) = self.probes.get_mut(&seq) {
            probe.at = at;
        }
    }

    /// Pings a member at the address it advertises. A suspicion rides along, so that the accused
    /// is the first to know.
    pub(crate) fn send_ping(
        &mut self,
        now: Instant,
        seq: u32,
        target: &NodeId,
        out: &mut Outbox<Output>,
    ) -> Option<SocketAddr> {
        let peer = self.view.get(target)?;
        let at = self.names.find(now, &peer.info.address, out)?;
        let accused = peer.state != State::Alive;
        let mut first = Vec::new();
        if self.leaving.is_some() {
            first.push(self.me.clone());
        }
        if accused {
            first.push(target.clone());
        }
        self.send(now, at, Body::Ping { seq, target: target.clone() }, &first, out);
        Some(at)
    }

    /// No answer came within another timeout.
    pub(crate) fn step_probe(&mut self, now: Instant, seq: u32, out: &mut Outbox<Output>) {
        let Some(probe) = self.probes.get_mut(&seq) else { return };
        probe.passed += 1;
        if probe.passed == TIMEOUTS {
            return self.probe_failed(now, seq, out);
        }
        let (next, passed) = (now + probe.timeout, probe.passed);
        self.agenda.set(Timer::Step(seq), next);
        self.ping(now, seq, out);
        // Relays have two timeouts to answer, so those asked later could not be of help.
        if passed <= TIMEOUTS - 2 {
            self.ask_relays(now, seq, out);
        }
    }

    /// Asks some others, not yet asked, to ping the target.
    fn ask_relays(&mut self, now: Instant, seq: u32, out: &mut Outbox<Output>) {
        let Some(probe) = self.probes.get_mut(&seq) else { return };
        let (target, asked) = (probe.target.clone(), &probe.relays);
        let view = &self.view;
        let well = |id: &NodeId| {
            *id != target
                && !asked.contains(id)
                && view.get(id).is_some_and(|peer| peer.shown() == State::Alive)
        };
        let relays = self.ring.sample(self.config.indirect_probes, &mut self.rng, well);
        probe.relays.extend(relays.iter().cloned());
        for relay in relays {
            let Some(peer) = self.view.get(&relay) else { continue };
            if let Some(at) = self.names.find(now, &peer.info.address, out) {
                let body = Body::PingReq { seq, target: target.clone() };
                self.send(now, at, body, &[], out);
            }
        }
    }

    /// An answer to `seq` came from `sender`: the target, or a relay that reached it.
    pub(crate) fn probe_answered(
        &mut self,
        now: Instant,
        seq: u32,
        sender: &NodeId,
        out: &mut Outbox<Output>,
    ) {
        let Some(probe) = self.probes.get(&seq) else { return };
        let direct = probe.target == *sender;
        if !direct && !probe.relays.contains(sender) {
            return;
        }
        let Some(probe) = self.probes.remove(&seq) else { return };
        self.agenda.cancel(&Timer::Step(seq));
        self.health.better();
        if direct {
            // Of several pings, nobody knows which was answered (Karn's rule).
            if probe.passed == 0
                && let Some(peer) = self.view.get_mut(sender)
            {
                peer.rtt.measured(now.since(probe.sent_at));
            }
            if let Some(at) = probe.at {
                self.seed_answered_at(now, at, sender);
            }
        } else {
            self.reached(now, &probe.target, out);
        }
    }

    pub(crate) fn nacked(&mut self, seq: u32, sender: &NodeId) {
        if let Some(probe) = self.probes.get_mut(&seq).filter(|p| p.relays.contains(sender)) {
            probe.nacks.insert(sender.clone());
        }
    }

    fn probe_failed(&mut self, now: Instant, seq: u32, out: &mut Outbox<Output>) {
        let Some(probe) = self.probes.remove(&seq) else { return };
        self.counters.probes_failed += 1;
        if probe.nacks.len() < probe.relays.len() {
            // The relays were silent as well: it may be this node that hears nothing.
            self.health.worse();
        }
        let current = |peer: &&crate::peer::Peer| peer.info.incarnation == probe.incarnation;
        if self.view.get(&probe.target).filter(current).is_some() {
            self.accuse(now, &probe.target, out);
        }
    }

    /// Pings `target` for the node at `from`.
    pub(crate) fn relay(
        &mut self,
        now: Instant,
        from: SocketAddr,
        seq: u32,
        target: &NodeId,
        out: &mut Outbox<Output>,
    ) {
        if *target == self.me {
            return self.send(now, from, Body::Ack { seq }, &[], out);
        }
        let own = self.rng.next_u64() as u32;
        // Only members are pinged, and only where they say they are: nobody can make this node
        // send to an address of his choice.
        if self.leaving.is_some()
            || self.relays.len() >= RELAYS_MAX
            || self.send_ping(now, own, target, out).is_none()
        {
            return self.send(now, from, Body::Nack { seq }, &[], out);
        }
        self.counters.relayed += 1;
        self.relays.insert(own, Relay { to: from, seq, target: target.clone() });
        self.agenda.set(Timer::Relay(own), now + self.config.probe_timeout * 2);
    }

    /// A ping made for another was not answered in time.
    pub(crate) fn relay_late(&mut self, now: Instant, seq: u32, out: &mut Outbox<Output>) {
        if let Some(relay) = self.relays.remove(&seq) {
            self.send(now, relay.to, Body::Nack { seq: relay.seq }, &[], out);
        }
    }
}

/// After how many timeouts a probe has failed. At a quarter of all packets lost, four pings and six
/// relays leave one probe of 280 unanswered by chance.
const TIMEOUTS: u32 = 4;

/// The most pings under way for others.
const RELAYS_MAX: usize = 256;
