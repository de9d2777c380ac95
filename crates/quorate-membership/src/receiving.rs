//! What comes from others: first whether it may be read at all, then what it asks for.

use std::net::SocketAddr;

use quorate_core::{ClusterId, Instant, NodeId, Outbox, mutant};

use crate::claim::{Incarnation, Protocol, State};
use crate::coordinate::Coordinate;
use crate::learning::Answer;
use crate::membership::{Membership, Warning};
use crate::observing::LOOKS;
use crate::packet::{Body, Packet};
use crate::relaying::Asker;
use crate::{Channel, Event, Output};

/// A packet that was admitted, and what the claims in it changed.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) from: SocketAddr,
    pub(crate) over: Channel,
    pub(crate) sender: NodeId,
    pub(crate) incarnation: Incarnation,
    /// The hash of its sender's view.
    pub(crate) view: u64,
    /// Whether this node does not know its sender, or not this life of it.
    stranger: bool,
    /// Whether it says something wrong about this node.
    contradict: bool,
}

impl Membership {
    /// Takes a packet from anybody. O(updates log members).
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        from: SocketAddr,
        over: Channel,
        packet: Packet,
        out: &mut Outbox<Output>,
    ) {
        self.counters.received += 1;
        if !self.admits(now, from, over, &packet, out) {
            return;
        }
        let Packet { from: sender, incarnation, view, body, updates, .. } = packet;
        if self.is_deaf(now) {
            self.judge_anew(now, out);
        }
        self.health.heard(now, &sender);
        if let Some(claim) = updates.iter().find(|update| update.id == sender) {
            let announce = if let Body::Announce { seq, .. } = &body { Some(*seq) } else { None };
            if self.must_vet(now, from, over, announce, claim, out) {
                return;
            }
        }
        // What a page says, others know already: to tell all of it again would flood the cluster
        // each time somebody joins.
        let page = matches!(body, Body::Page { .. });
        let mut contradict = false;
        let mut refuted = Vec::new();
        for update in updates {
            let id = (update.state == State::Suspect).then(|| update.id.clone());
            match self.learn(now, from, update, page, out) {
                Answer::Nothing => {}
                Answer::Contradiction => contradict = true,
                Answer::Refutation => refuted.extend(id),
            }
        }
        let (stranger, accused) = self.heard(now, &sender, incarnation, over, out);
        // Only where an answer is due anyway: old news are on their way long after they are wrong.
        let mut first = if matches!(body, Body::Ping { .. }) { refuted } else { Vec::new() };
        if contradict || self.leaving.is_some() {
            first.push(self.me.clone());
        }
        // A sender that does not know what is claimed of it is told by the answer.
        if accused {
            first.push(sender.clone());
        }
        let letter = Letter { from, over, stranger, contradict, view, sender, incarnation };
        self.read(now, &letter, body, first, out);
    }

    fn read(
        &mut self,
        now: Instant,
        letter: &Letter,
        body: Body,
        first: Vec<NodeId>,
        out: &mut Outbox<Output>,
    ) {
        let Letter { from, over, ref sender, stranger, .. } = *letter;
        match body {
            Body::Announce { seq, seeds, .. } => {
                self.compare_seeds(now, sender, seeds, out);
                self.welcome_with(now, from, over, seq, first, out);
            }
            Body::Welcome { seq, seeds, .. } => {
                self.compare_seeds(now, sender, seeds, out);
                self.seed_answered(now, seq, sender);
                self.answer(now, letter, &first, out);
                self.compare(now, letter, true, out);
            }
            Body::Ping { seq, target } if target == self.own_hash => {
                let body = if self.rng.chance(COORDINATE_SHARE) {
                    Body::AckAt { seq, coordinate: self.coordinate }
                } else {
                    Body::Ack { seq }
                };
                self.send(now, from, over, body, &first, out);
                self.compare(now, letter, stranger, out);
            }
            // Another is meant; and only a foreigner, who is not admitted, says that we are one.
            Body::Ping { .. } | Body::Foreign { .. } => {}
            Body::Ack { seq } | Body::AckAt { seq, .. } => {
                let coordinate =
                    if let Body::AckAt { coordinate, .. } = body { Some(coordinate) } else { None };
                self.acked(now, seq, letter, coordinate, out);
                self.answer(now, letter, &first, out);
                self.compare(now, letter, stranger, out);
            }
            Body::PingReq { seq, target } => {
                self.relay(now, Asker { id: sender, from, over }, seq, &target, 1, out);
            }
            Body::Observe { seq, target } => {
                // Whoever asks does not know better; if we do, that is the answer.
                self.relay(now, Asker { id: sender, from, over }, seq, &target, LOOKS, out);
            }
            Body::Nack { seq } => self.nacked(now, seq, sender, out),
            Body::Gossip { broadcasts } => {
                self.hear_broadcasts(now, broadcasts, out);
                self.answer(now, letter, &first, out);
            }
            Body::Digest { parts } => self.show_differences(now, letter, &parts, out),
            Body::Pull { parts } => {
                self.show(now, letter, parts, out);
            }
            Body::Page { left } => {
                self.answer(now, letter, &first, out);
                self.pull(now, letter, left, out);
            }
            Body::Refused { seq, holder } => self.hear_refusal(seq, sender, holder, out),
        }
    }

    /// Answers announce `seq`.
    pub(crate) fn welcome(
        &mut self,
        now: Instant,
        to: SocketAddr,
        over: Channel,
        seq: u32,
        out: &mut Outbox<Output>,
    ) {
        self.welcome_with(now, to, over, seq, Vec::new(), out);
    }

    fn welcome_with(
        &mut self,
        now: Instant,
        to: SocketAddr,
        over: Channel,
        seq: u32,
        mut first: Vec<NodeId>,
        out: &mut Outbox<Output>,
    ) {
        first.insert(0, self.me.clone());
        first.dedup();
        let (seeds, cluster) = (self.seeds_digest, self.cluster());
        self.send(now, to, over, Body::Welcome { seq, seeds, cluster }, &first, out);
    }

    /// Somebody says that another process has this node's id. Only believed of one that was asked.
    fn hear_refusal(&mut self, seq: u32, by: &NodeId, holder: String, out: &mut Outbox<Output>) {
        if self.contacts.asked(seq).is_some() || self.courted == Some(seq) {
            let by = by.clone();
            out.push(Output::Event(Event::Refused { by, holder }));
        }
    }

    /// Whether a packet may be read. What is refused is counted and, where an operator can do
    /// something about it, reported.
    fn admits(
        &mut self,
        now: Instant,
        from: SocketAddr,
        over: Channel,
        packet: &Packet,
        out: &mut Outbox<Output>,
    ) -> bool {
        if !Protocol::SUPPORTED.reads(packet.version) {
            self.other_version(now, from, packet.version, out);
            return false;
        }
        if packet.name != self.name && !mutant!("foreign-name-accepted") {
            self.counters.foreign_name += 1;
            if self.warned_sources.allows(now, from) {
                self.meet_foreigner(from, over, &packet.body, out);
            }
            return false;
        }
        if !packet.is_sound() {
            self.counters.malformed += 1;
            return false;
        }
        let theirs = match packet.body {
            Body::Announce { cluster, .. } | Body::Welcome { cluster, .. } => cluster,
            _ => ClusterId::NONE,
        };
        let (ours, mark) = (self.cluster_mark, packet.cluster);
        if (ours != 0 && mark != 0 && ours != mark) || self.is_foreign(theirs) {
            self.counters.foreign_cluster += 1;
            if self.warned_ids.allows(now, (Warning::Cluster, packet.from.clone())) {
                if matches!(packet.body, Body::Announce { .. }) {
                    self.name_to_foreigner(from, over, out);
                }
                let id = packet.from.clone();
                let theirs = (theirs != ClusterId::NONE).then_some(theirs);
                out.push(Output::Event(Event::ForeignCluster { id, theirs }));
            }
            return false;
        }
        if packet.from == self.me {
            self.hear_own_id(now, from, over, packet, out);
            return false;
        }
        true
    }

    /// Somebody speaks a version that this build does not read.
    pub(crate) fn other_version(
        &mut self,
        now: Instant,
        from: SocketAddr,
        theirs: u8,
        out: &mut Outbox<Output>,
    ) {
        self.counters.other_version += 1;
        if self.warned_sources.allows(now, from) {
            out.push(Output::Event(Event::OtherVersion { from, theirs }));
        }
    }

    /// A node of another cluster name speaks to us: an operator gave one of the two a wrong name or
    /// a wrong seed, and may be reading the log of either.
    fn meet_foreigner(
        &mut self,
        from: SocketAddr,
        over: Channel,
        body: &Body,
        out: &mut Outbox<Output>,
    ) {
        let theirs = match body {
            Body::Announce { .. } => {
                self.name_to_foreigner(from, over, out);
                None
            }
            Body::Foreign { name, .. } => Some(name.chars().take(NAME_SHOWN).collect()),
            _ => None,
        };
        out.push(Output::Event(Event::ForeignName { from, theirs }));
    }

    /// Tells one of another cluster which this is, and nothing else: our members are none of its
    /// business, and what it is told reaches none of ours.
    fn name_to_foreigner(&mut self, to: SocketAddr, over: Channel, out: &mut Outbox<Output>) {
        let name = self.config.cluster_name.chars().take(NAME_SHOWN).collect();
        let packet = self.packet(Body::Foreign { name, protocol: Protocol::SUPPORTED });
        self.emit(to, over, packet, out);
    }

    /// A packet under this node's own id: its own announce, or a twin.
    fn hear_own_id(
        &mut self,
        now: Instant,
        from: SocketAddr,
        over: Channel,
        packet: &Packet,
        out: &mut Outbox<Output>,
    ) {
        let (me, boot) = (self.me.clone(), packet.incarnation.boot);
        let same_boot = boot == self.boot;
        match &packet.body {
            Body::Announce { seq, instance, .. } if *instance == self.instance => {
                return self.seed_answered(now, *seq, &me);
            }
            // Only an announce tells two processes of one boot apart; anything else may be our own
            // packet, gone astray.
            Body::Announce { seq, .. } if boot <= self.boot && self.leaving.is_none() => {
                self.refuse(from, over, *seq, self.config.address.clone(), out);
            }
            Body::Announce { .. } => {}
            Body::Refused { seq, holder } => self.hear_refusal(*seq, &me, holder.clone(), out),
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
    /// Whether it, or this life of it, is unknown; and whether it speaks as if nothing were claimed
    /// of it.
    fn heard(
        &mut self,
        now: Instant,
        sender: &NodeId,
        incarnation: Incarnation,
        over: Channel,
        out: &mut Outbox<Output>,
    ) -> (bool, bool) {
        let Some(peer) = self.view.get_mut(sender) else { return (true, false) };
        let known = peer.incarnation;
        let accused = peer.state != State::Alive && known >= incarnation;
        if incarnation >= known {
            peer.heard_at = Some(now);
            peer.by_stream &= over == Channel::Stream;
            if peer.trouble.is_some() {
                self.reached(now, sender, out);
            }
        }
        (known < incarnation, accused)
    }

    /// Sends the claims `first` back, where no answer carries them.
    fn answer(
        &mut self,
        now: Instant,
        letter: &Letter,
        first: &[NodeId],
        out: &mut Outbox<Output>,
    ) {
        let due = first.contains(&letter.sender) && self.may_tell(now, &letter.sender);
        if letter.contradict || due {
            let body = Body::Gossip { broadcasts: Vec::new() };
            self.send(now, letter.from, letter.over, body, first, out);
        }
    }

    /// Whether `id` was not just told what is claimed of it; if so, it counts as told.
    pub(crate) fn may_tell(&mut self, now: Instant, id: &NodeId) -> bool {
        let pause = self.config.probe_timeout;
        let Some(peer) = self.view.get_mut(id) else { return false };
        let told_at = peer.trouble.as_ref().and_then(|trouble| trouble.told_at);
        let may = told_at.is_none_or(|at| now.since(at) >= pause);
        if may {
            peer.trouble().told_at = Some(now);
        }
        may
    }

    fn acked(
        &mut self,
        now: Instant,
        seq: u32,
        letter: &Letter,
        coordinate: Option<Coordinate>,
        out: &mut Outbox<Output>,
    ) {
        let sender = &letter.sender;
        if let Some(leaving) = &mut self.leaving {
            leaving.acked(sender, seq);
            self.finish_leave(now, out);
            return;
        }
        self.seed_answered(now, seq, sender);
        if self.relay_answered(now, seq, sender, out)
            || self.holder_answered(now, seq, letter, out)
            || self.voted_alive(now, seq, sender, out)
        {
            return;
        }
        self.probe_answered(now, seq, sender, letter.over, coordinate, out);
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

/// How often an answer carries the sender's coordinate, in millionths.
const COORDINATE_SHARE: u32 = 100_000;
