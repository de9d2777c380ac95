//! Before one is accused: others are asked whether they reach it.
//!
//! A single silence says little where packets are lost. So whoever does not reach a member asks a
//! few others, always the same few for the same member, who look at once and vote. If one of them
//! reaches it, nothing is said; if four fifths do not, it is accused with their word, which kills
//! it sooner. Only those who are asked have work with it, instead of all.

use std::time::Duration;

use quorate_core::{Instant, NodeId, Outbox, mutant};

use crate::Output;
use crate::agenda::Timer;
use crate::claim::{Incarnation, State};
use crate::membership::Membership;
use crate::packet::Body;
use crate::view::{mix, text_hash};

/// A question to observers under way.
#[derive(Debug)]
pub(crate) struct Inquiry {
    pub(crate) target: NodeId,
    incarnation: Incarnation,
    asked: Vec<NodeId>,
    /// Who of them found it silent too.
    silent: Vec<NodeId>,
    rounds: u32,
    since: Instant,
}

impl Membership {
    /// This node's own probe of `id` failed.
    pub(crate) fn inquire(&mut self, now: Instant, id: &NodeId, out: &mut Outbox<Output>) {
        let Some(peer) = self.view.get(id).filter(|peer| peer.state.is_live()) else { return };
        let incarnation = peer.info.incarnation;
        let sure = peer.state == State::Suspect && peer.corroborated;
        // What a deaf node thinks of others it keeps to itself: it can be taken back.
        let alone = self.is_pair();
        if sure || alone || (self.is_deaf(now) && !mutant!("deaf-node-accuses")) {
            self.missed(now, id, out);
            if alone {
                self.accuse(now, id, false, out);
            }
            self.arm_suspicion(now, id);
            return;
        }
        if mutant!("lone-accusation") {
            self.missed(now, id, out);
            return self.accuse(now, id, true, out);
        }
        if self.inquiries.values().any(|inquiry| inquiry.target == *id) {
            return;
        }
        self.counters.inquiries += 1;
        let seq = self.rng.next_u64() as u32;
        let (target, asked, silent) = (id.clone(), Vec::new(), Vec::new());
        let inquiry = Inquiry { target, incarnation, asked, silent, rounds: 0, since: now };
        self.inquiries.insert(seq, inquiry);
        self.ask_observers(now, seq, out);
    }

    /// Asks those observers whose turn it is: the next ones behind the target's own place in the
    /// order of hashes. Those of other zones go first, so that one zone's word is not enough.
    fn ask_observers(&mut self, now: Instant, seq: u32, out: &mut Outbox<Output>) {
        let Some(inquiry) = self.inquiries.get_mut(&seq) else { return };
        inquiry.rounds += 1;
        let target = inquiry.target.clone();
        let place = mix(text_hash(target.as_str()) ^ inquiry.incarnation.boot.0);
        let (view, me, asked) = (&self.view, &self.me, &inquiry.asked);
        let wanted = self.config.observers;
        let mut zones: Vec<&str> = Vec::new();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for id in view.behind(place, me).take(LOOKED_AT) {
            let Some(peer) = view.get(id) else { continue };
            if *id == target || id == me || asked.contains(id) || peer.shown() != State::Alive {
                continue;
            }
            let zone = peer.info.tags.zone.as_str();
            if zones.contains(&zone) && !zone.is_empty() {
                second.push(id.clone());
            } else {
                zones.push(zone);
                first.push(id.clone());
            }
            if first.len() >= wanted {
                break;
            }
        }
        first.extend(second);
        first.truncate(wanted);
        if first.is_empty() {
            return self.conclude(now, seq, out);
        }
        inquiry.asked.extend(first.iter().cloned());
        for observer in first {
            if let Some((at, over)) = self.way_to(now, &observer, 0, out) {
                let body = Body::Observe { seq, target: target.clone() };
                self.send(now, at, over, body, &[], out);
            }
        }
        self.agenda.set(Timer::Inquiry(seq), now + self.inquiry_window());
    }

    /// How long observers have: two pings and the way back, over a slow link.
    fn inquiry_window(&self) -> Duration {
        self.config.probe_timeout * (LOOKS + 1)
    }

    /// `sender` answered inquiry `seq`, if there is one: it does not reach the target either.
    pub(crate) fn voted_silent(
        &mut self,
        now: Instant,
        seq: u32,
        sender: &NodeId,
        out: &mut Outbox<Output>,
    ) {
        let Some(inquiry) = self.inquiries.get_mut(&seq) else { return };
        if !inquiry.asked.contains(sender) || inquiry.silent.contains(sender) {
            return;
        }
        inquiry.silent.push(sender.clone());
        let target = inquiry.target.clone();
        self.missed(now, &target, out);
        self.decide(now, seq, out);
    }

    /// `sender` reaches the target of inquiry `seq`, if there is one. `true` if there was.
    pub(crate) fn voted_alive(
        &mut self,
        now: Instant,
        seq: u32,
        sender: &NodeId,
        out: &mut Outbox<Output>,
    ) -> bool {
        let asked = self.inquiries.get(&seq).is_some_and(|inquiry| inquiry.asked.contains(sender));
        if asked && let Some(inquiry) = self.inquiries.remove(&seq) {
            self.agenda.cancel(&Timer::Inquiry(seq));
            self.counters.inquiries_cleared += 1;
            self.reached(now, &inquiry.target, out);
        }
        asked
    }

    /// Observers had their time.
    pub(crate) fn inquiry_due(&mut self, now: Instant, seq: u32, out: &mut Outbox<Output>) {
        let Some(inquiry) = self.inquiries.get(&seq) else { return };
        let (target, rounds) = (inquiry.target.clone(), inquiry.rounds);
        self.missed(now, &target, out);
        if self.decide(now, seq, out) {
            return;
        }
        if rounds < ROUNDS {
            self.ask_observers(now, seq, out);
        } else {
            self.conclude(now, seq, out);
        }
    }

    /// Accuses the target if enough votes are in; `true` if the inquiry is over.
    fn decide(&mut self, now: Instant, seq: u32, out: &mut Outbox<Output>) -> bool {
        let Some(inquiry) = self.inquiries.get(&seq) else { return true };
        // Those this node does not reach either have no vote that could come.
        let view = &self.view;
        let there = |id: &&NodeId| {
            inquiry.silent.contains(id)
                || view.get(id).is_some_and(|peer| peer.shown() == State::Alive)
        };
        let there = inquiry.asked.iter().filter(there).count();
        let voters = there.min(self.config.observers);
        let needed = (voters * 4).div_ceil(5).max(1);
        if inquiry.silent.len() < needed {
            return false;
        }
        self.end_inquiry(now, seq, true, out);
        true
    }

    /// No more votes are to be had.
    fn conclude(&mut self, now: Instant, seq: u32, out: &mut Outbox<Output>) {
        if !self.decide(now, seq, out) {
            self.end_inquiry(now, seq, false, out);
        }
    }

    fn end_inquiry(
        &mut self,
        now: Instant,
        seq: u32,
        corroborated: bool,
        out: &mut Outbox<Output>,
    ) {
        let Some(inquiry) = self.inquiries.remove(&seq) else { return };
        self.agenda.cancel(&Timer::Inquiry(seq));
        let known = self.view.get(&inquiry.target);
        let Some(peer) = known.filter(|peer| peer.info.incarnation == inquiry.incarnation) else {
            return;
        };
        // It speaks, so it may be this node's own packets that are lost on the way there.
        let spoke = peer.heard_at.is_some_and(|at| at >= inquiry.since);
        self.missed(now, &inquiry.target, out);
        if corroborated || !(spoke || self.heard_nobody(now, inquiry.since)) {
            self.accuse(now, &inquiry.target, corroborated, out);
        }
    }

    /// Whether nobody was heard since an inquiry began: then it may be this node's own deafness that
    /// nobody votes.
    fn heard_nobody(&self, now: Instant, since: Instant) -> bool {
        let silent = since < now && self.health.is_deaf(now, now.since(since));
        self.is_deaf(now) || (silent && !mutant!("deaf-node-accuses"))
    }

    /// Ends the inquiry about `id`, of whom something else is known now.
    pub(crate) fn drop_inquiry(&mut self, id: &NodeId) {
        let of = |(seq, inquiry): (&u32, &Inquiry)| (inquiry.target == *id).then_some(*seq);
        if let Some(seq) = self.inquiries.iter().find_map(of) {
            self.inquiries.remove(&seq);
            self.agenda.cancel(&Timer::Inquiry(seq));
        }
    }
}

/// How often an observer pings before it votes.
pub(crate) const LOOKS: u32 = 2;

/// How often observers are asked, each time others, until the accusation stands without them.
const ROUNDS: u32 = 3;

/// At how many members it is looked for observers of as many zones as possible.
const LOOKED_AT: usize = 64;
