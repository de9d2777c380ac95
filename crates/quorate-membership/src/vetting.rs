//! A newcomer with the id of a member that is somewhere else: either that one was restarted there,
//! or there are two. Whoever still answers is the one that stays.

use std::net::SocketAddr;

use quorate_core::{Instant, NodeId, Outbox, mutant};

use crate::agenda::Timer;
use crate::claim::{State, Update};
use crate::membership::Membership;
use crate::packet::Body;
use crate::receiving::Letter;
use crate::view::short_hash;
use crate::{Channel, Output};

/// A newcomer that waits until the holder of its id was asked.
#[derive(Debug)]
pub(crate) struct Vetting {
    newcomer: Update,
    from: SocketAddr,
    over: Channel,
    /// The number of its announce.
    announce: u32,
    /// The number of the pings to the holder.
    seq: u32,
    asked: u32,
}

impl Membership {
    /// Whether `claim`, which its subject made itself, possibly in announce `announce`, must wait: a
    /// member of its id is elsewhere and may still be there.
    pub(crate) fn must_vet(
        &mut self,
        now: Instant,
        from: SocketAddr,
        over: Channel,
        announce: Option<u32>,
        claim: &Update,
        out: &mut Outbox<Output>,
    ) -> bool {
        let under_way = self.vettings.get_mut(&claim.id);
        if let Some(vetting) =
            under_way.filter(|vetting| vetting.newcomer.info.address == claim.info.address)
        {
            // It announces itself again and again meanwhile; nothing else asks for the answer.
            if let Some(announce) = announce {
                (vetting.from, vetting.over, vetting.announce) = (from, over, announce);
            }
            return true;
        }
        let Some(holder) = self.view.get(&claim.id) else { return false };
        let elsewhere = holder.info.address != claim.info.address;
        // Within a boot an address never changes: then it is a copy.
        let later = claim.info.incarnation.boot >= holder.info.incarnation.boot;
        let alive = claim.state == State::Alive && holder.state.is_live();
        if !(alive && elsewhere && later) || mutant!("newcomer-not-vetted") {
            return false;
        }
        if self.vettings.len() >= VETTINGS_MAX || self.vettings.contains_key(&claim.id) {
            return true;
        }
        self.counters.vetted += 1;
        let (seq, newcomer) = (self.rng.next_u64() as u32, claim.clone());
        let announce = announce.unwrap_or_default();
        let vetting = Vetting { newcomer, from, over, announce, seq, asked: 0 };
        let id = claim.id.clone();
        self.vettings.insert(id.clone(), vetting);
        self.vet(now, &id, out);
        true
    }

    /// Asks the holder once more, or takes the newcomer.
    pub(crate) fn vet(&mut self, now: Instant, id: &NodeId, out: &mut Outbox<Output>) {
        let Some(vetting) = self.vettings.get_mut(id) else { return };
        if vetting.asked == ASKED {
            return self.take_newcomer(now, id, out);
        }
        vetting.asked += 1;
        let (seq, first) = (vetting.seq, vetting.asked == 1);
        self.agenda.set(Timer::Vet(id.clone()), now + self.config.probe_timeout * 5 / ASKED);
        let Some((at, over)) = self.way_to(now, id, 0, out) else { return };
        let body = Body::Ping { seq, target: short_hash(id) };
        self.send(now, at, over, body.clone(), &[], out);
        if first && over == Channel::Datagram {
            // A port that nobody has refuses a stream at once.
            self.send(now, at, Channel::Stream, body, &[], out);
        }
    }

    /// Nobody listens at `address` any more: whoever was there is gone. O(members).
    pub(crate) fn refused(&mut self, now: Instant, address: SocketAddr, out: &mut Outbox<Output>) {
        let view = &self.view;
        let at = |id: &&NodeId| view.get(id).is_some_and(|peer| peer.at == Some(address));
        let gone: Vec<NodeId> = self.vettings.keys().filter(at).cloned().collect();
        for id in gone {
            self.take_newcomer(now, &id, out);
        }
        // A member whose process is gone while its machine runs is found at once.
        let there = self.view.iter().find(|(_, peer)| peer.at == Some(address));
        if let Some(id) = there.map(|(id, _)| id.clone()) {
            self.probe(now, &id, out);
        }
    }

    fn take_newcomer(&mut self, now: Instant, id: &NodeId, out: &mut Outbox<Output>) {
        let Some(vetting) = self.vettings.remove(id) else { return };
        self.agenda.cancel(&Timer::Vet(id.clone()));
        let Vetting { newcomer, from, over, announce, .. } = vetting;
        // What is known of its id and its cluster may have changed since.
        let foreign = self.is_foreign(newcomer.info.tags.cluster);
        self.learn(now, from, newcomer, false, out);
        if !foreign {
            self.welcome(now, from, over, announce, out);
        }
    }

    /// `letter` answers `seq`: if it is of a holder that was asked, the newcomer is refused.
    pub(crate) fn holder_answered(
        &mut self,
        now: Instant,
        seq: u32,
        letter: &Letter,
        out: &mut Outbox<Output>,
    ) -> bool {
        let sender = &letter.sender;
        if self.vettings.get(sender).is_none_or(|vetting| vetting.seq != seq) {
            return false;
        }
        // One host may have several addresses: where a later life answers, the earlier one is gone.
        let boot = letter.incarnation.boot;
        if self.view.get(sender).is_some_and(|holder| holder.incarnation.boot < boot) {
            self.take_newcomer(now, sender, out);
            return true;
        }
        if let Some(vetting) = self.vettings.remove(sender) {
            self.agenda.cancel(&Timer::Vet(sender.clone()));
            let holder = self.view.get(sender).map(|peer| peer.info.address.clone());
            let holder = holder.unwrap_or_default();
            self.refuse(vetting.from, vetting.over, vetting.announce, holder, out);
        }
        true
    }

    /// Answers an announce: the id is that of another process, at `holder`.
    pub(crate) fn refuse(
        &mut self,
        to: SocketAddr,
        over: Channel,
        seq: u32,
        holder: String,
        out: &mut Outbox<Output>,
    ) {
        self.counters.refused += 1;
        let packet = self.packet(Body::Refused { seq, holder });
        self.emit(to, over, packet, out);
    }
}

/// How often the holder is asked, over half a second in the `lan` preset.
const ASKED: u32 = 3;

/// The most newcomers that are looked into at a time.
const VETTINGS_MAX: usize = 64;
