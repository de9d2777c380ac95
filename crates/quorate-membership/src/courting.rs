//! Looking for others, for ever: seeds, and peers that were lost.

use std::net::SocketAddr;
use std::time::Duration;

use quorate_core::{Instant, NodeId, Outbox, mutant};

use crate::agenda::Timer;
use crate::claim::State;
use crate::membership::Membership;
use crate::packet::Body;
use crate::view::short_hash;
use crate::{Channel, Output};

/// A peer that is announced to while it is no live member.
#[derive(Debug)]
pub(crate) struct Court {
    address: String,
    wait: Duration,
    /// How often it was.
    asked: u32,
    /// Whether the owner of this node named it: then it is never forgotten.
    pub(crate) known: bool,
}

impl Court {
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl Membership {
    // Seeds.

    /// Takes over what the seeds' names resolve to.
    pub(crate) fn refresh_seeds(&mut self, now: Instant) {
        let (new, old) = self.contacts.refresh(&self.names, self.config.announce_min);
        for address in new {
            self.agenda.set(Timer::Seed(address), now);
        }
        for address in old {
            self.agenda.cancel(&Timer::Seed(address));
        }
    }

    pub(crate) fn resolve_seed(&mut self, now: Instant, name: String, out: &mut Outbox<Output>) {
        self.names.ask(now, &name, out);
        let pause = self.names.pause(&name);
        self.agenda.set(Timer::Name(name), now + pause);
    }

    /// How often a seed that answers is asked again: about as often as all members are probed, so
    /// that in a small cluster the probes alone suffice.
    fn check_every(&self) -> Duration {
        let live = u32::try_from(self.view.live()).unwrap_or(u32::MAX);
        let round = self.config.probe_interval.saturating_mul(live);
        round.min(self.config.announce_max / 2).max(self.config.announce_min * 2)
    }

    /// Asks at the address of a seed who is there, if nobody said so lately.
    pub(crate) fn look_for_seed(
        &mut self,
        now: Instant,
        address: SocketAddr,
        out: &mut Outbox<Output>,
    ) {
        let every = self.check_every();
        let wait_max = self.config.announce_max;
        let seq = self.rng.next_u64() as u32;
        let Some(contact) = self.contacts.get_mut(address) else { return };
        if contact.answered(now, every / 2).is_some() {
            self.agenda.set(Timer::Seed(address), now + every / 2);
            return;
        }
        self.contacts.ask(address, seq);
        let Some(contact) = self.contacts.get_mut(address) else { return };
        let over = self.config.way(contact.asked);
        let there = contact.answered(now, every * LATELY).cloned();
        let wait = if there.is_some() {
            every / 2
        } else {
            contact.forget();
            let wait = contact.wait;
            contact.wait = (wait * 2).min(wait_max);
            wait
        };
        let wait = self.about(wait);
        self.agenda.set(Timer::Seed(address), now + wait);
        match there {
            Some(target) if self.view.is_live(&target) && target != self.me => {
                let target = short_hash(&target);
                self.send(now, address, over, Body::Ping { seq, target }, &[], out);
            }
            _ => self.announce(now, seq, address, over, out),
        }
    }

    fn announce(
        &mut self,
        now: Instant,
        seq: u32,
        to: SocketAddr,
        over: Channel,
        out: &mut Outbox<Output>,
    ) {
        let (instance, seeds, cluster) = (self.instance, self.seeds_digest, self.cluster());
        let (body, me) = (Body::Announce { seq, instance, seeds, cluster }, self.me.clone());
        self.send(now, to, over, body, &[me], out);
    }

    /// Question `seq` was answered by `id`: wherever the answer came from, it stands for the
    /// address that was asked.
    pub(crate) fn seed_answered(&mut self, now: Instant, seq: u32, id: &NodeId) {
        if let Some(address) = self.contacts.asked(seq) {
            self.seed_answered_at(now, address, id);
        }
    }

    /// `id` answered at `address`, which may be that of a seed.
    pub(crate) fn seed_answered_at(&mut self, now: Instant, address: SocketAddr, id: &NodeId) {
        if !self.contacts.answered(now, address, id) {
            return;
        }
        let wait = self.config.announce_min;
        if let Some(contact) = self.contacts.get_mut(address) {
            contact.wait = wait;
        }
        self.agenda.set(Timer::Seed(address), now + self.check_every());
    }

    // Lost peers.

    /// A peer that this node knew in an earlier life.
    pub(crate) fn remember(&mut self, now: Instant, id: NodeId, address: String) {
        let full = self.courts.len() >= self.config.members_max;
        if id == self.me || (full && !self.courts.contains_key(&id)) {
            return;
        }
        // It may have moved since: then gossip knows better.
        let peer = self.view.get(&id);
        let address = peer.map_or(address, |peer| peer.info.address.clone());
        let lost = peer.is_some_and(|peer| peer.state == State::Dead);
        let live = peer.is_some_and(|peer| peer.state.is_live());
        if let Some(court) = self.courts.get_mut(&id).filter(|court| court.address == address) {
            court.known = true;
            if lost {
                return; // looked for already, at its own pace
            }
        }
        let wait = self.config.announce_min;
        let court = Court { address: address.clone(), wait, asked: 0, known: true };
        let before = self.courts.insert(id.clone(), court);
        self.acquaintance += u64::from(before.is_none_or(|before| before.address != address));
        if !live {
            // A few at once, many one after the other.
            let later = self.config.announce_min.saturating_mul(self.agenda.courts() / AT_ONCE);
            self.agenda.set(Timer::Court(id), now + later);
        }
    }

    /// A member was given up: it may be an island of its own.
    pub(crate) fn begin_courting(&mut self, now: Instant, id: &NodeId) {
        let Some(peer) = self.view.get(id) else { return };
        let (address, wait) = (peer.info.address.clone(), self.config.announce_min);
        let known = self.courts.get(id).is_some_and(|court| court.known);
        self.courts.insert(id.clone(), Court { address, wait, asked: 0, known });
        let wait = self.about(wait.max(self.pace()));
        self.agenda.set(Timer::Court(id.clone()), now + wait);
    }

    /// The least pause between two announces to one of many lost peers: they share the pace of few,
    /// a handful of announces for each `announce_min` at first and one in the end.
    fn pace(&self) -> Duration {
        self.config.announce_min.saturating_mul(self.agenda.courts()) / AT_ONCE
    }

    /// Announces this node to a lost peer, unless it is back or left.
    pub(crate) fn court(&mut self, now: Instant, id: &NodeId, out: &mut Outbox<Output>) {
        let state = self.view.get(id).map(|peer| peer.state);
        if mutant!("lost-peers-forgotten") || matches!(state, Some(s) if s != State::Dead) {
            return;
        }
        let crowd = self.agenda.courts() + 1;
        let wait_max = self.config.announce_max.max(self.config.announce_min.saturating_mul(crowd));
        let pace = self.pace();
        let Some(court) = self.courts.get_mut(id) else { return };
        court.asked = court.asked.wrapping_add(1);
        let (over, turn) = (self.config.way(court.asked), court.asked as usize);
        let wait = court.wait.max(pace);
        court.wait = (wait * 2).min(wait_max);
        let address = court.address.clone();
        let wait = self.about(wait);
        self.agenda.set(Timer::Court(id.clone()), now + wait);
        if let Some(at) = self.names.find(now, &address, turn, out) {
            let seq = self.rng.next_u64() as u32;
            self.courted = Some(seq);
            self.announce(now, seq, at, over, out);
        }
    }
}

/// To how many lost peers a node announces itself at a time.
const AT_ONCE: u32 = 8;

/// How many checks a seed may miss before it counts as silent.
const LATELY: u32 = 3;
