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
    pub(crate) target: NodeId,
    /// Which incarnation is asked after; a verdict on an older one is void.
    incarnation: Incarnation,
    /// Where its address is now, if that is known.
    at: Option<SocketAddr>,
    /// How many timeouts have passed. A ping is sent after each, so that one lost packet accuses
    /// nobody.
    passed: u32,
    pings: Pings,
    timeout: Duration,
    relays: Vec<NodeId>,
    /// Which relays said that they have no answer either.
    nacks: BTreeSet<NodeId>,
}

/// When each ping of a probe was sent. They are numbered on from the probe's own number, so that it
/// is known which was answered: a link that is slower than the timeout is still measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pings(Vec<Instant>);

impl Pings {
    /// When ping `seq` was sent, if it is one of probe `probe`.
    fn sent_at(&self, probe: u32, seq: u32) -> Option<Instant> {
        self.0.get(seq.wrapping_sub(probe) as usize).copied()
    }
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
    ///
    /// Whoever hears nobody for a period asks more of them: else the few that are left of many
    /// would look at the others one by one, and take their own silence for deafness meanwhile.
    pub(crate) fn probe_next(&mut self, now: Instant, out: &mut Outbox<Output>) {
        let period = self.config.probe_interval;
        self.agenda.set(Timer::Probe, now + period);
        self.successor_next = !self.successor_next;
        let view = &self.view;
        let mut next = Vec::new();
        if self.successor_next {
            next.extend(view.successor(&self.me).cloned());
        }
        if next.is_empty() {
            next.extend(self.ring.next(&mut self.rng));
        }
        let silence = self.health.silence(now);
        if silence >= period {
            next.extend(self.health.heard_last().cloned());
        }
        if silence >= period * 2 {
            let unknown =
                |id: &NodeId| view.get(id).is_some_and(|peer| peer.shown() == State::Alive);
            next.extend(self.ring.sample(ASKED_BY_THE_DEAF, &mut self.rng, unknown));
        }
        for id in next {
            self.probe(now, &id, out);
        }
    }

    /// Begins to probe `id`, unless that is under way.
    pub(crate) fn probe(&mut self, now: Instant, id: &NodeId, out: &mut Outbox<Output>) {
        let Some(peer) = self.view.get(id).filter(|peer| peer.state.is_live()) else { return };
        if self.probes.values().any(|probe| probe.target == *id) {
            return;
        }
        let timeout = peer.rtt.timeout(self.config.probe_timeout, self.config.probe_interval);
        let probe = Probe {
            target: id.clone(),
            incarnation: peer.info.incarnation,
            at: None,
            passed: 0,
            pings: Pings::default(),
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

    /// Sends the next ping of probe `seq`, with what is claimed of its target.
    fn ping(&mut self, now: Instant, seq: u32, out: &mut Outbox<Output>) {
        let Some(probe) = self.probes.get_mut(&seq) else { return };
        let (target, ping) = (probe.target.clone(), seq.wrapping_add(probe.pings.0.len() as u32));
        probe.pings.0.push(now);
        let at = self.send_ping(now, ping, &target, out);
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
        let Some((number, sent_at)) = self.probe_of(seq) else {
            return self.answered_late(now, seq, sender);
        };
        let Some(probe) = self.probes.get(&number) else { return };
        let direct = probe.target == *sender;
        if !direct && !probe.relays.contains(sender) {
            return;
        }
        let Some(probe) = self.probes.remove(&number) else { return };
        self.agenda.cancel(&Timer::Step(number));
        self.health.better();
        if direct {
            self.measure(sender, now.since(sent_at));
            if let Some(at) = probe.at {
                self.seed_answered_at(now, at, sender);
            }
        } else {
            self.reached(now, &probe.target, out);
        }
    }

    /// The probe that ping `seq` belongs to, and when that was sent.
    fn probe_of(&self, seq: u32) -> Option<(u32, Instant)> {
        let numbers = (0..TIMEOUTS).map(|back| seq.wrapping_sub(back));
        numbers
            .filter_map(|number| Some((number, self.probes.get(&number)?)))
            .find_map(|(number, probe)| Some((number, probe.pings.sent_at(number, seq)?)))
    }

    /// An answer came when its probe had failed already: the next one should wait longer.
    fn answered_late(&mut self, now: Instant, seq: u32, sender: &NodeId) {
        let Some(peer) = self.view.get_mut(sender) else { return };
        let sent_at = peer.overdue.as_ref().and_then(|(probe, pings)| pings.sent_at(*probe, seq));
        if let Some(sent_at) = sent_at {
            peer.overdue = None;
            self.measure(sender, now.since(sent_at));
        }
    }

    fn measure(&mut self, id: &NodeId, rtt: Duration) {
        let (floor, ceiling) = (self.config.probe_timeout, self.config.probe_interval);
        if let Some(peer) = self.view.get_mut(id) {
            let patience = peer.rtt.timeout(floor, ceiling);
            peer.rtt.measured(rtt, patience);
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
        let Some(peer) = self.view.get_mut(&probe.target) else { return };
        peer.overdue = Some((seq, probe.pings));
        if peer.info.incarnation != probe.incarnation {
            return;
        }
        if probe.at.is_some() {
            self.accuse(now, &probe.target, out);
        } else {
            // Its name is nowhere: nothing was asked, so its silence says nothing.
            self.missed(now, &probe.target, out);
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
        let (floor, ceiling) = (self.config.probe_timeout, self.config.probe_interval);
        let timeout = self.view.get(target).map_or(floor, |peer| peer.rtt.timeout(floor, ceiling));
        self.agenda.set(Timer::Relay(own), now + timeout * 2);
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

/// How many a node that hears nobody probes at once.
const ASKED_BY_THE_DEAF: usize = 8;

/// The most pings under way for others.
const RELAYS_MAX: usize = 256;
