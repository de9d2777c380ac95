//! Who is there: a ping to the next member each period, and help from others if it is silent.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use quorate_core::{Instant, NodeId, Outbox};

use crate::agenda::Timer;
use crate::claim::{Incarnation, State};
use crate::coordinate::Coordinate;
use crate::membership::Membership;
use crate::packet::Body;
use crate::view::{short_hash, text_hash};
use crate::{Channel, Output};

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
pub(crate) struct Pings {
    sent_at: [Instant; TIMEOUTS as usize],
    sent: u32,
}

impl Pings {
    fn push(&mut self, now: Instant) {
        if let Some(at) = self.sent_at.get_mut(self.sent as usize) {
            *at = now;
            self.sent += 1;
        }
    }

    /// When ping `seq` was sent, if it is one of probe `probe`.
    fn sent_at(&self, probe: u32, seq: u32) -> Option<Instant> {
        let index = seq.wrapping_sub(probe);
        (index < self.sent).then(|| self.sent_at[index as usize])
    }
}

/// The probes under way, by their numbers: one in most cases.
#[derive(Debug, Default)]
pub(crate) struct Probes(Vec<(u32, Probe)>);

impl Probes {
    pub(crate) fn get(&self, seq: u32) -> Option<&Probe> {
        self.0.iter().find(|(known, _)| *known == seq).map(|(_, probe)| probe)
    }

    fn get_mut(&mut self, seq: u32) -> Option<&mut Probe> {
        self.0.iter_mut().find(|(known, _)| *known == seq).map(|(_, probe)| probe)
    }

    fn insert(&mut self, seq: u32, probe: Probe) {
        self.0.push((seq, probe));
    }

    fn remove(&mut self, seq: u32) -> Option<Probe> {
        let index = self.0.iter().position(|(known, _)| *known == seq)?;
        Some(self.0.remove(index).1)
    }

    fn is_probed(&self, id: &NodeId) -> bool {
        self.0.iter().any(|(_, probe)| probe.target == *id)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Ends all of them; their numbers and targets.
    pub(crate) fn take(&mut self) -> Vec<(u32, NodeId)> {
        self.0.drain(..).map(|(seq, probe)| (seq, probe.target)).collect()
    }
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
        let mut next = None;
        if self.successor_next {
            next = self.successor();
        }
        if next.is_none() {
            next = self.ring.next(&mut self.view, &mut self.rng);
        }
        if let Some(id) = next {
            self.probe(now, &id, out);
        }
        self.look_again(now, out);
        let silence = self.health.silence(now);
        if silence >= period
            && let Some(id) = self.health.heard_last().cloned()
        {
            self.probe(now, &id, out);
        }
        if silence >= period {
            let asked = if silence >= period * 2 { ASKED_BY_THE_DEAF } else { ASKED_IN_SILENCE };
            let view = &self.view;
            let unknown =
                |id: &NodeId| view.get(id).is_some_and(|peer| peer.shown() == State::Alive);
            for id in self.ring.sample(asked, &mut self.rng, unknown) {
                self.probe(now, &id, out);
            }
        }
    }

    /// The next one in the order of hashes that is not known to be silent. O(1) while nobody comes
    /// or goes.
    fn successor(&mut self) -> Option<NodeId> {
        let version = self.view.version();
        if let Some((at, id)) = &self.successor
            && *at == version
            && self.inquiries.is_empty()
            && self.view.get(id).is_some_and(|peer| peer.failed_at().is_none())
        {
            return Some(id.clone());
        }
        let next = self.find_successor();
        // One that only stands in for the next one does so until that is well again.
        let place = text_hash(self.me.as_str());
        let nearest = self.view.behind(place, &self.me).next();
        self.successor = next.clone().filter(|id| nearest == Some(id)).map(|id| (version, id));
        next
    }

    fn find_successor(&self) -> Option<NodeId> {
        let inquired = |id: &NodeId| self.inquiries.values().any(|inquiry| inquiry.target == *id);
        self.view.successor(&self.me, inquired).filter(|id| **id != self.me).cloned()
    }

    /// Begins to probe `id`, unless that is under way.
    pub(crate) fn probe(&mut self, now: Instant, id: &NodeId, out: &mut Outbox<Output>) {
        let Some(peer) = self.view.get(id).filter(|peer| peer.state.is_live()) else { return };
        if self.probes.is_probed(id) {
            return;
        }
        let timeout = peer.link.timeout(self.config.probe_timeout, self.config.probe_interval);
        let probe = Probe {
            target: id.clone(),
            incarnation: peer.incarnation,
            at: None,
            passed: 0,
            pings: Pings::default(),
            timeout: timeout * self.health.multiplier().div_ceil(4),
            relays: Vec::new(),
            nacks: BTreeSet::new(),
        };
        self.counters.probes += 1;
        let seq = self.rng.next_u64() as u32;
        self.agenda.set(Timer::Step(seq), now + probe.timeout);
        self.probes.insert(seq, probe);
        self.ping(now, seq, out);
    }

    /// Sends the next ping of probe `seq`, with what is claimed of its target. The last one goes by
    /// the other way as well: where datagrams do not get through, a stream may.
    fn ping(&mut self, now: Instant, seq: u32, out: &mut Outbox<Output>) {
        let Some(probe) = self.probes.get_mut(seq) else { return };
        let (target, sent) = (probe.target.clone(), probe.pings.sent);
        probe.pings.push(now);
        let last = sent + 1 == TIMEOUTS;
        let ping = seq.wrapping_add(sent);
        let at = self.send_ping(now, ping, &target, sent as usize, out);
        if let (true, true, Some(at)) = (last, self.config.streams, at) {
            let by_stream = self.view.get(&target).is_some_and(|peer| peer.by_stream);
            let over = if by_stream { Channel::Datagram } else { Channel::Stream };
            let body = Body::Ping { seq: ping, target: short_hash(&target) };
            self.send(now, at, over, body, &[], out);
        }
        if let Some(probe) = self.probes.get_mut(seq) {
            probe.at = at;
        }
    }

    /// Pings a member at the address it advertises, the `turn`th of several. A suspicion rides
    /// along, so that the accused is the first to know.
    pub(crate) fn send_ping(
        &mut self,
        now: Instant,
        seq: u32,
        target: &NodeId,
        turn: usize,
        out: &mut Outbox<Output>,
    ) -> Option<SocketAddr> {
        let (at, over) = self.way_to(now, target, turn, out)?;
        let accused = self.view.get(target).is_some_and(|peer| peer.state != State::Alive);
        let body = Body::Ping { seq, target: short_hash(target) };
        if self.leaving.is_some() || accused {
            let me = self.leaving.is_some().then(|| self.me.clone());
            let first: Vec<_> = me.into_iter().chain(accused.then(|| target.clone())).collect();
            self.send(now, at, over, body, &first, out);
        } else {
            self.send(now, at, over, body, &[], out);
        }
        Some(at)
    }

    /// Where a member is, and by which way it is reached.
    pub(crate) fn way_to(
        &mut self,
        now: Instant,
        id: &NodeId,
        turn: usize,
        out: &mut Outbox<Output>,
    ) -> Option<(SocketAddr, Channel)> {
        let peer = self.view.get(id)?;
        let over = if peer.by_stream { Channel::Stream } else { Channel::Datagram };
        let at = match peer.at {
            Some(at) => at,
            None => self.names.find(now, &peer.info.address, turn, out)?,
        };
        Some((at, over))
    }

    /// No answer came within another timeout.
    pub(crate) fn step_probe(&mut self, now: Instant, seq: u32, out: &mut Outbox<Output>) {
        let Some(probe) = self.probes.get_mut(seq) else { return };
        probe.passed += 1;
        if probe.passed == TIMEOUTS {
            return self.probe_failed(now, seq, out);
        }
        let (next, passed) = (now + probe.timeout, probe.passed);
        self.agenda.set(Timer::Step(seq), next);
        self.ping(now, seq, out);
        // Relays have two timeouts to answer.
        if passed + 2 == TIMEOUTS {
            self.ask_relays(now, seq, out);
        }
    }

    /// Asks some others to ping the target.
    fn ask_relays(&mut self, now: Instant, seq: u32, out: &mut Outbox<Output>) {
        let Some(probe) = self.probes.get_mut(seq) else { return };
        let target = probe.target.clone();
        let view = &self.view;
        let well = |id: &NodeId| {
            *id != target && view.get(id).is_some_and(|peer| peer.shown() == State::Alive)
        };
        let relays = self.ring.sample(self.config.indirect_probes, &mut self.rng, well);
        probe.relays.clone_from(&relays);
        for relay in relays {
            if let Some((at, over)) = self.way_to(now, &relay, 0, out) {
                let body = Body::PingReq { seq, target: target.clone() };
                self.send(now, at, over, body, &[], out);
            }
        }
    }

    /// An answer to `seq` came from `sender`: the target, or a relay that reached it.
    pub(crate) fn probe_answered(
        &mut self,
        now: Instant,
        seq: u32,
        sender: &NodeId,
        over: Channel,
        coordinate: Option<Coordinate>,
        out: &mut Outbox<Output>,
    ) {
        let Some((number, sent_at)) = self.probe_of(seq) else {
            return self.answered_late(now, seq, sender);
        };
        let Some(probe) = self.probes.get(number) else { return };
        let direct = probe.target == *sender;
        if !direct && !probe.relays.contains(sender) {
            return;
        }
        let Some(probe) = self.probes.remove(number) else { return };
        self.agenda.cancel(&Timer::Step(number));
        self.health.better();
        if let Some(peer) = self.view.get_mut(&probe.target) {
            for _ in 0..probe.passed {
                peer.link.pinged(false);
            }
        }
        if direct {
            self.measure(sender, now.since(sent_at), coordinate, over);
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
            .filter_map(|number| Some((number, self.probes.get(number)?)))
            .find_map(|(number, probe)| Some((number, probe.pings.sent_at(number, seq)?)))
    }

    /// An answer came when its probe had failed already: the next one should wait longer.
    fn answered_late(&mut self, now: Instant, seq: u32, sender: &NodeId) {
        let Some(trouble) = self.view.get_mut(sender).and_then(|peer| peer.trouble.as_mut()) else {
            return;
        };
        let overdue = trouble.overdue.as_ref();
        if let Some(sent_at) = overdue.and_then(|(probe, pings)| pings.sent_at(*probe, seq)) {
            trouble.overdue = None;
            self.measure(sender, now.since(sent_at), None, Channel::Datagram);
        }
    }

    fn measure(&mut self, id: &NodeId, rtt: Duration, at: Option<Coordinate>, over: Channel) {
        let (floor, ceiling) = (self.config.probe_timeout, self.config.probe_interval);
        let Some(peer) = self.view.get_mut(id) else { return };
        let patience = peer.link.timeout(floor, ceiling);
        peer.link.measured(rtt, patience);
        peer.link.pinged(true);
        if peer.state == State::Alive && peer.failed_at().is_none() {
            peer.trouble = None;
        }
        peer.by_stream = over == Channel::Stream;
        if let Some(at) = at {
            match &mut peer.coordinate {
                Some(known) => **known = at,
                None => peer.coordinate = Some(Box::new(at)),
            }
            self.coordinate.learn(&at, rtt, self.rng.next_u64());
        }
    }

    pub(crate) fn nacked(
        &mut self,
        now: Instant,
        seq: u32,
        sender: &NodeId,
        out: &mut Outbox<Output>,
    ) {
        if let Some(probe) = self.probes.get_mut(seq).filter(|p| p.relays.contains(sender)) {
            probe.nacks.insert(sender.clone());
        } else {
            self.voted_silent(now, seq, sender, out);
        }
    }

    fn probe_failed(&mut self, now: Instant, seq: u32, out: &mut Outbox<Output>) {
        let Some(probe) = self.probes.remove(seq) else { return };
        self.counters.probes_failed += 1;
        if probe.nacks.len() < probe.relays.len() {
            // The relays were silent as well: it may be this node that hears nothing.
            self.health.worse();
        }
        let Some(peer) = self.view.get_mut(&probe.target) else { return };
        for _ in 0..probe.pings.sent {
            peer.link.pinged(false);
        }
        peer.trouble().overdue = Some((seq, probe.pings));
        if peer.incarnation != probe.incarnation {
            return;
        }
        if probe.at.is_some() {
            self.inquire(now, &probe.target, out);
            // Those behind a silent one have nobody else who looks at them regularly, and neighbours
            // may have gone together.
            if let Some(next) = self.successor() {
                self.probe(now, &next, out);
            }
        } else {
            // Its name is nowhere: nothing was asked, so its silence says nothing.
            self.missed(now, &probe.target, out);
        }
    }
}

/// After how many timeouts a probe has failed. At a quarter of all packets lost, four pings and
/// three relays leave one probe of 85 unanswered by chance; what that means, others are asked.
const TIMEOUTS: u32 = 4;

/// How many a node probes at once that has heard nobody for a period.
const ASKED_IN_SILENCE: usize = 3;

/// How many a node that hears nobody for longer probes at once.
const ASKED_BY_THE_DEAF: usize = 8;
