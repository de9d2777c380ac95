//! From silence to death: fast to suspect, slow to give up, and never on deaf ears.

use std::time::Duration;

use quorate_core::{Instant, NodeId, Outbox, mutant};

use crate::Output;
use crate::agenda::Timer;
use crate::claim::{Accusation, State, Update};
use crate::membership::Membership;
use crate::packet::Body;
use crate::peer::Peer;
use crate::view::short_hash;

impl Membership {
    /// This node does not reach `id`, nor do those it asked.
    pub(crate) fn accuse(
        &mut self,
        now: Instant,
        id: &NodeId,
        corroborated: bool,
        out: &mut Outbox<Output>,
    ) {
        if let Some(claim) = self.suspicion_of(id, corroborated)
            && self.view.get(id).is_some_and(|peer| claim.rank() > peer.rank())
        {
            self.counters.accusations += 1;
            self.adopt(now, claim, true, out);
            self.warn(now, id, out);
        }
        self.arm_suspicion(now, id);
    }

    fn suspicion_of(&self, id: &NodeId, corroborated: bool) -> Option<Update> {
        let accusation = Accusation { by: short_hash(&self.me), corroborated };
        let claim = self.claim_of(id, State::Suspect)?;
        Some(Update { accusation: Some(accusation), ..claim })
    }

    /// Signs an accusation of this node's own, so that it counts towards its limit.
    pub(crate) fn signed(&self, now: Instant, update: Update) -> Update {
        let own = update.state == State::Suspect
            && self.view.get(&update.id).is_some_and(|peer| {
                peer.failed_at().is_some() && now.since(peer.suspected_at()) <= FRESH
            });
        match update.accusation {
            Some(accusation) if own => {
                let by = short_hash(&self.me);
                Update { accusation: Some(Accusation { by, ..accusation }), ..update }
            }
            _ => update,
        }
    }

    /// Somebody says that `id`, which is a live member here, is dead.
    ///
    /// Invariant: no member dies here that was not suspected here for the whole minimum. Where two
    /// halves of a cluster meet again, each takes the other for dead; all of them live, and each is
    /// given the time to say so.
    pub(crate) fn condemn(&mut self, now: Instant, update: Update, out: &mut Outbox<Output>) {
        let id = update.id.clone();
        let Some(peer) = self.view.get(&id) else { return };
        let same = peer.info.incarnation == update.info.incarnation;
        let held = now.since(peer.suspected_at());
        let believed = same && peer.state == State::Suspect && held >= self.suspicion();
        if believed || mutant!("death-believed-at-once") {
            self.adopt(now, update, true, out);
            return;
        }
        let accusation = Some(Accusation { by: 0, corroborated: true });
        let suspicion = Update { state: State::Suspect, accusation, ..update };
        if suspicion.rank() > peer.rank() {
            self.adopt(now, suspicion, true, out);
            self.warn(now, &id, out);
        }
        if let Some(peer) = self.view.get_mut(&id) {
            peer.trouble().condemned = true;
        }
        self.arm_suspicion(now, &id);
    }

    /// Tells a member what is claimed of it.
    fn warn(&mut self, now: Instant, id: &NodeId, out: &mut Outbox<Output>) {
        if self.may_tell(now, id) {
            let seq = self.rng.next_u64() as u32;
            self.send_ping(now, seq, id, 0, out);
        }
    }

    /// Sets when a suspicion is looked after next: at its end, or to warn the suspect once more.
    pub(crate) fn arm_suspicion(&mut self, now: Instant, id: &NodeId) {
        let Some(peer) = self.view.get(id).filter(|peer| peer.state == State::Suspect) else {
            return;
        };
        let end = silent_since(peer) + self.patience(now, peer);
        let soon = now + self.config.probe_timeout * 2;
        let at = if peer.failed_at().is_some() { end.min(soon) } else { end };
        self.agenda.set(Timer::Suspicion(id.clone()), at.max(now + LEAST));
    }

    /// The least time a member is suspected before it dies, with as many members as there are now.
    pub(crate) fn suspicion(&self) -> Duration {
        self.config.suspicion(self.view.live())
    }

    /// For how long a suspect may refute.
    fn patience(&self, now: Instant, peer: &Peer) -> Duration {
        let suspicion = self.suspicion();
        if peer.is_condemned() {
            return suspicion;
        }
        let multiplier = self.health.multiplier();
        if peer.corroborated {
            // Many found it silent: this node's own health says little about that.
            return suspicion * multiplier.div_ceil(4);
        }
        let alone = suspicion * (ALONE.max(multiplier));
        if self.is_pair() {
            // Of two nodes, neither can know who is at fault.
            return if self.is_deaf(now) { suspicion * PAIR } else { suspicion * multiplier };
        }
        // Whoever does not see the silence himself leaves the verdict to those who do, for a while.
        if peer.failed_at().is_some() { alone } else { alone * 2 }
    }

    /// A suspicion is due to be looked after.
    pub(crate) fn look_after(&mut self, now: Instant, id: &NodeId, out: &mut Outbox<Output>) {
        let Some(peer) = self.view.get(id).filter(|peer| peer.state == State::Suspect) else {
            return;
        };
        let own = peer.failed_at().is_some();
        let over = now.since(silent_since(peer)) >= self.patience(now, peer);
        let sure = own || peer.corroborated || peer.is_condemned();
        let frozen = self.is_deaf(now) && !self.is_pair();
        if sure && !frozen && (over || mutant!("suspect-dies-at-once")) {
            if self.ask_before_burying(now, id, out) {
                return;
            }
            self.counters.deaths += 1;
            if let Some(claim) = self.claim_of(id, State::Dead) {
                self.adopt(now, claim, true, out);
            }
            return;
        }
        if over && !sure {
            // The accuser itself may be gone: see for ourselves.
            self.probe(now, id, out);
        } else if own {
            self.warn(now, id, out);
        }
        self.arm_suspicion(now, id);
        if over {
            // Frozen, or being probed: no news before another probe has had its time.
            let later = now + self.config.probe_interval;
            self.agenda.set(Timer::Suspicion(id.clone()), later);
        }
    }

    /// Whether some others are asked first, because they see something else for a while already, or
    /// hardly anybody was heard. It may be the refutation that is missing here: of news that are
    /// told a few times each, one in thousands reaches not everybody where many packets are lost.
    /// Where many die at once, views differ for that, and only a few are asked about.
    fn ask_before_burying(&mut self, now: Instant, id: &NodeId, out: &mut Outbox<Output>) -> bool {
        let window = self.config.probe_timeout * 2;
        let differs = self.difference.since().is_some_and(|at| now.since(at) >= window);
        let behind = differs || self.health.silence(now) >= self.suspicion() / 2;
        let Some(trouble) = self.view.get_mut(id).map(Peer::trouble) else { return false };
        // Whom somebody else buried already was asked about there.
        let settled = trouble.condemned || trouble.reviews == REVIEWS;
        if !behind || settled || !self.burials.allows(now, id.clone()) {
            return false;
        }
        trouble.reviews += 1;
        let view = &self.view;
        let well = |id: &NodeId| view.get(id).is_some_and(|peer| peer.shown() == State::Alive);
        let asked = self.ring.sample(self.config.indirect_probes, &mut self.rng, well);
        if asked.is_empty() {
            return false;
        }
        for peer in asked {
            if let Some((at, over)) = self.way_to(now, &peer, 0, out) {
                let seq = self.rng.next_u64() as u32;
                let body = Body::Ping { seq, target: short_hash(&peer) };
                self.send(now, at, over, body, std::slice::from_ref(id), out);
            }
        }
        self.agenda.set(Timer::Suspicion(id.clone()), now + window);
        true
    }

    /// Drops all verdicts under way: this node stood still or was cut off. What it did not hear
    /// meanwhile says nothing of others, and what waits in its buffers was not read yet. O(members),
    /// but only after such a pause.
    pub(crate) fn judge_anew(&mut self, now: Instant, out: &mut Outbox<Output>) {
        if self.leaving.is_some() {
            return;
        }
        // Accusations come first: only the accused can take them back.
        let accused = self.view.sorted().into_iter();
        let accused = accused.filter(|(_, peer)| peer.state == State::Suspect);
        let mut silent: Vec<NodeId> = accused.map(|(id, _)| id.clone()).collect();
        for (seq, inquiry) in std::mem::take(&mut self.inquiries) {
            self.agenda.cancel(&Timer::Inquiry(seq));
            silent.push(inquiry.target);
        }
        for (seq, target) in self.probes.take() {
            self.agenda.cancel(&Timer::Step(seq));
            silent.push(target);
        }
        // Those it asked are asked again: else one that is deaf now and then never has an answer.
        let asked = silent.clone();
        let suspects = self.view.sorted().into_iter();
        let suspects = suspects.filter(|(_, peer)| peer.shown() == State::Suspect);
        silent.extend(suspects.map(|(id, _)| id.clone()).filter(|id| !asked.contains(id)));
        for (index, id) in silent.iter().enumerate() {
            if let Some(peer) = self.view.get_mut(id).filter(|peer| peer.state == State::Suspect) {
                let trouble = peer.trouble();
                (trouble.suspected_at, trouble.failed_at) = (now, None);
            }
            self.arm_suspicion(now, id);
            if index < AT_ONCE {
                self.probe(now, id, out);
            } else {
                self.reached(now, id, out);
            }
        }
    }

    /// Whether nobody was heard for two periods.
    pub(crate) fn is_deaf(&self, now: Instant) -> bool {
        self.health.is_deaf(now, self.config.probe_interval * 2) && !mutant!("deaf-node-accuses")
    }

    /// Whether there is only one other member: then its silence and our deafness look the same.
    pub(crate) fn is_pair(&self) -> bool {
        self.view.live() <= 2
    }
}

/// Since when a suspect counts as silent. What it says itself outweighs the word of a single one,
/// whose own packets may be those that are lost.
fn silent_since(peer: &Peer) -> Instant {
    let suspected_at = peer.suspected_at();
    if peer.corroborated || peer.is_condemned() {
        return suspected_at;
    }
    peer.heard_at.map_or(suspected_at, |heard_at| suspected_at.max(heard_at))
}

/// How much longer one is suspected that nobody else found silent: Lifeguard's stretch for a
/// suspicion that nobody confirms.
const ALONE: u32 = 6;

/// How much longer a pair waits in which nobody is heard: Lifeguard's greatest stretch.
const PAIR: u32 = 8;

/// How often others are asked before one is buried, each time a few.
const REVIEWS: u8 = 3;

/// How many members are probed at once after a pause; of more, the round finds the silent ones.
const AT_ONCE: usize = 32;

const LEAST: Duration = Duration::from_millis(1);

/// How long an accusation is told as one's own.
const FRESH: Duration = Duration::from_secs(1);
