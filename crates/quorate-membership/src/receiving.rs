//! What comes from others: first whether it may be read at all, then what it asks for.

use std::net::SocketAddr;

use quorate_core::{Instant, NodeId, Outbox, mutant};

use crate::agenda::Timer;
use crate::claim::{Incarnation, State};
use crate::membership::{Membership, Warning};
use crate::packet::{Body, Packet};
use crate::{Event, Output};

impl Membership {
    /// Takes a packet from anybody. O(updates log members).
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        from: SocketAddr,
        packet: Packet,
        out: &mut Outbox<Output>,
    ) {
        self.counters.received += 1;
        if !self.admits(now, from, &packet, out) {
            return;
        }
        let Packet { from: sender, incarnation, view, body, updates, .. } = packet;
        if self.is_deaf(now) {
            self.judge_anew(now, out);
        }
        self.health.heard(now, &sender);
        // What a page says, others know already: to tell all of it again would flood the cluster
        // each time somebody joins.
        let page = matches!(body, Body::Page { .. });
        let mut contradict = false;
        for update in updates {
            contradict |= self.learn(now, from, update, page, out);
        }
        self.heard(now, &sender, incarnation, out);
        let mut first = Vec::new();
        if contradict || self.leaving.is_some() {
            first.push(self.me.clone());
        }
        // A sender that does not know what is claimed of it is told by the answer.
        if self.is_accused(&sender, incarnation) {
            first.push(sender.clone());
        }
        let stranger =
            self.view.get(&sender).is_none_or(|peer| peer.info.incarnation < incarnation);
        match body {
            Body::Announce { seq, seeds, .. } => {
                self.compare_seeds(now, &sender, seeds, out);
                first.insert(0, self.me.clone());
                first.dedup();
                let seeds = self.seeds_digest;
                self.send(now, from, Body::Welcome { seq, seeds }, &first, out);
            }
            Body::Welcome { seq, seeds } => {
                self.compare_seeds(now, &sender, seeds, out);
                self.seed_answered(now, seq, &sender);
                self.answer(now, from, &sender, contradict, &first, out);
                self.compare(now, from, view, true, out);
            }
            Body::Ping { seq, target } if target == self.me => {
                self.send(now, from, Body::Ack { seq }, &first, out);
                self.compare(now, from, view, stranger, out);
            }
            // Another is meant; and only a foreigner, who is not admitted, says that we are one.
            Body::Ping { .. } | Body::Foreign { .. } => {}
            Body::Ack { seq } => {
                self.acked(now, seq, &sender, out);
                self.answer(now, from, &sender, contradict, &first, out);
                self.compare(now, from, view, stranger, out);
            }
            Body::PingReq { seq, target } => self.relay(now, from, seq, &target, out),
            Body::Nack { seq } => self.nacked(seq, &sender),
            Body::Gossip => self.answer(now, from, &sender, contradict, &first, out),
            Body::Digest { parts } => self.show_differences(now, from, &sender, &parts, out),
            Body::Pull { parts } => {
                self.show(now, from, &sender, parts, out);
            }
            Body::Page { left } => {
                self.answer(now, from, &sender, contradict, &first, out);
                self.pull(now, from, left, out);
            }
        }
    }

    /// Whether a packet may be read. What is refused is counted and, where an operator can do
    /// something about it, reported.
    fn admits(
        &mut self,
        now: Instant,
        from: SocketAddr,
        packet: &Packet,
        out: &mut Outbox<Output>,
    ) -> bool {
        if packet.version != Packet::VERSION {
            self.counters.other_version += 1;
            return false;
        }
        if packet.name != self.name && !mutant!("foreign-name-accepted") {
            self.counters.foreign_name += 1;
            if self.warned_sources.allows(now, from) {
                self.meet_foreigner(from, &packet.body, out);
            }
            return false;
        }
        if !packet.is_sound() {
            self.counters.malformed += 1;
            return false;
        }
        if packet.from == self.me {
            self.hear_own_id(now, from, packet, out);
            return false;
        }
        if self.is_foreign(packet.cluster) {
            self.counters.foreign_cluster += 1;
            if self.warned_ids.allows(now, (Warning::Cluster, packet.from.clone())) {
                if matches!(packet.body, Body::Announce { .. }) {
                    self.name_to_foreigner(from, out);
                }
                let (id, theirs) = (packet.from.clone(), packet.cluster);
                out.push(Output::Event(Event::ForeignCluster { id, theirs }));
            }
            return false;
        }
        true
    }

    /// A node of another cluster name speaks to us: an operator gave one of the two a wrong name or
    /// a wrong seed, and may be reading the log of either.
    fn meet_foreigner(&mut self, from: SocketAddr, body: &Body, out: &mut Outbox<Output>) {
        let theirs = match body {
            Body::Announce { .. } => {
                self.name_to_foreigner(from, out);
                None
            }
            Body::Foreign { name } => Some(name.chars().take(NAME_SHOWN).collect()),
            _ => None,
        };
        out.push(Output::Event(Event::ForeignName { from, theirs }));
    }

    /// Tells one of another cluster which this is, and nothing else: our members are none of its
    /// business, and what it is told reaches none of ours.
    fn name_to_foreigner(&mut self, to: SocketAddr, out: &mut Outbox<Output>) {
        let name = self.config.cluster_name.chars().take(NAME_SHOWN).collect();
        let packet = self.packet(Body::Foreign { name });
        self.emit(to, packet, out);
    }

    /// A packet under this node's own id: its own announce, or a twin.
    fn hear_own_id(
        &mut self,
        now: Instant,
        from: SocketAddr,
        packet: &Packet,
        out: &mut Outbox<Output>,
    ) {
        let same_boot = packet.incarnation.boot == self.boot;
        match packet.body {
            Body::Announce { seq, instance, .. } if instance == self.instance => {
                let me = self.me.clone();
                return self.seed_answered(now, seq, &me);
            }
            // Only an announce tells two processes of one boot apart; anything else may be our own
            // packet, gone astray.
            Body::Announce { .. } => {}
            _ if same_boot => return,
            _ => {}
        }
        self.counters.twins += 1;
        self.meet_twin(now, from, packet.incarnation, out);
    }

    /// Somebody lives or lived under this node's id. One with a higher boot epoch goes before: it
    /// has the newer data. A lower one is refused where it connects.
    pub(crate) fn meet_twin(
        &mut self,
        now: Instant,
        from: SocketAddr,
        theirs: Incarnation,
        out: &mut Outbox<Output>,
    ) {
        let boot = theirs.boot;
        if boot > self.boot && self.warned_twin.allows(now, ()) {
            out.push(Output::Event(Event::DuplicateId { from, boot }));
        }
    }

    /// A packet of `incarnation` came from `sender` itself: whatever is claimed, it can be heard.
    fn heard(
        &mut self,
        now: Instant,
        sender: &NodeId,
        incarnation: Incarnation,
        out: &mut Outbox<Output>,
    ) {
        let Some(peer) = self.view.get_mut(sender) else { return };
        if incarnation >= peer.info.incarnation {
            peer.heard_at = Some(now);
            self.reached(now, sender, out);
        }
    }

    /// Whether the sender speaks as if nothing were claimed of it.
    fn is_accused(&self, sender: &NodeId, incarnation: Incarnation) -> bool {
        (self.view.get(sender))
            .is_some_and(|peer| peer.state != State::Alive && peer.info.incarnation >= incarnation)
    }

    /// Sends the claims `first` back, where no answer carries them.
    fn answer(
        &mut self,
        now: Instant,
        from: SocketAddr,
        sender: &NodeId,
        contradict: bool,
        first: &[NodeId],
        out: &mut Outbox<Output>,
    ) {
        let due = first.contains(sender) && self.may_tell(now, sender);
        if contradict || due {
            self.send(now, from, Body::Gossip, first, out);
        }
    }

    /// Whether `id` was not just told what is claimed of it; if so, it counts as told.
    pub(crate) fn may_tell(&mut self, now: Instant, id: &NodeId) -> bool {
        let pause = self.config.probe_timeout;
        let Some(peer) = self.view.get_mut(id) else { return false };
        let may = peer.told_at.is_none_or(|at| now.since(at) >= pause);
        if may {
            peer.told_at = Some(now);
        }
        may
    }

    fn acked(&mut self, now: Instant, seq: u32, sender: &NodeId, out: &mut Outbox<Output>) {
        if let Some(leaving) = &mut self.leaving {
            leaving.acked(sender, seq);
            self.finish_leave(now, out);
            return;
        }
        self.seed_answered(now, seq, sender);
        if self.relays.get(&seq).is_some_and(|relay| relay.target == *sender) {
            if let Some(relay) = self.relays.remove(&seq) {
                self.agenda.cancel(&Timer::Relay(seq));
                self.send(now, relay.to, Body::Ack { seq: relay.seq }, &[], out);
            }
            return;
        }
        self.probe_answered(now, seq, sender, out);
    }

    fn compare_seeds(&mut self, now: Instant, id: &NodeId, theirs: u64, out: &mut Outbox<Output>) {
        let ours = self.seeds_digest;
        if theirs != ours
            && theirs != 0
            && ours != 0
            && self.warned_ids.allows(now, (Warning::Seeds, id.clone()))
        {
            out.push(Output::Event(Event::SeedListsDiffer { id: id.clone(), theirs }));
        }
    }
}

/// The longest cluster name that is told and repeated, in characters: a configured one has no bound.
const NAME_SHOWN: usize = 64;
