//! What others claim, and what that changes here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::{Instant, NodeId, Outbox, mutant};

use crate::agenda::Timer;
use crate::claim::{Info, State, Update};
use crate::membership::Membership;
use crate::peer::Peer;
use crate::{Event, Output};

/// What whoever made a claim should be told in return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Nothing,
    /// It is about this node, and wrong.
    Contradiction,
    /// It is a suspicion that the suspect refuted.
    Refutation,
}

impl Membership {
    /// Takes a claim from `from`; a `page` only repeats what its sender's neighbours know.
    ///
    /// What its sender should be told in return. O(log members).
    pub(crate) fn learn(
        &mut self,
        now: Instant,
        from: SocketAddr,
        mut update: Update,
        page: bool,
        out: &mut Outbox<Output>,
    ) -> Answer {
        if update.state == State::Left && mutant!("leave-becomes-dead") {
            update.state = State::Dead;
        }
        if self.is_foreign(update.info.tags.cluster) {
            self.counters.foreign_cluster += 1;
            return Answer::Nothing;
        }
        if update.id == self.me {
            let wrong = self.hear_of_me(now, from, &update, out);
            return if wrong { Answer::Contradiction } else { Answer::Nothing };
        }
        let Some(peer) = self.view.get(&update.id) else {
            self.take_up(now, update, page, out);
            return Answer::Nothing;
        };
        let resurrects = mutant!("membership-resurrects")
            && (update.state, peer.state) == (State::Alive, State::Dead)
            && update.info == peer.info;
        if update.rank() <= peer.rank() && !resurrects {
            let same = peer.info.incarnation == update.info.incarnation;
            if same && peer.state == update.state && !peer.state.is_live() {
                let left = left_of(self.config.tombstone_horizon, update.gone_secs);
                let at = peer.collect_at().min(now + left);
                self.view.bury(&update.id, at);
                self.agenda.set(Timer::Collect(update.id), at);
                return Answer::Nothing;
            }
            let refuted =
                update.state == State::Suspect && update.info.incarnation < peer.info.incarnation;
            return if refuted { Answer::Refutation } else { Answer::Nothing };
        }
        if update.state == State::Suspect && !self.may_accuse(now, &update) {
            return Answer::Nothing;
        }
        let live = self.view.is_live(&update.id);
        if update.state == State::Dead && live {
            self.condemn(now, update, out);
        } else {
            self.adopt(now, update, true, out);
        }
        Answer::Nothing
    }

    /// Whether the author of this accusation has not made too many lately. One that accuses an
    /// eighth of all in the time of a suspicion is more likely at fault itself.
    fn may_accuse(&mut self, now: Instant, update: &Update) -> bool {
        let by = update.accusation.map_or(0, |accusation| accusation.by);
        let most = (self.view.live() / 8).max(ACCUSATIONS_MIN);
        let may = by == 0 || self.accusers.allows(now, by, most as u32);
        self.counters.over_limit += u64::from(!may);
        may
    }

    /// A member that was not known.
    fn take_up(&mut self, now: Instant, update: Update, page: bool, out: &mut Outbox<Output>) {
        let horizon = self.config.tombstone_horizon;
        if !update.state.is_live() && left_of(horizon, update.gone_secs).is_zero() {
            return;
        }
        if self.view.len() >= self.config.members_max && !self.make_room() {
            self.counters.no_room += 1;
            return;
        }
        self.adopt(now, update, !page, out);
    }

    /// Forgets the member that is gone for longest. O(log members).
    fn make_room(&mut self) -> bool {
        let oldest = self.view.oldest_grave().cloned();
        if let Some(id) = &oldest {
            self.forget(id);
        }
        oldest.is_some()
    }

    /// Makes a newer claim about another the one that counts here, and tells it on.
    pub(crate) fn adopt(
        &mut self,
        now: Instant,
        update: Update,
        tell: bool,
        out: &mut Outbox<Output>,
    ) {
        let (id, state, incarnation) = (update.id.clone(), update.state, update.info.incarnation);
        self.counters.learned += 1;
        let before = self.view.get(&id).map(Before::of);
        let suspected = self.view.get(&id).is_some_and(|peer| {
            peer.state == State::Suspect && peer.info.incarnation == incarnation
        });
        let left = left_of(self.config.tombstone_horizon, update.gone_secs);
        self.view.claim(now, update);
        let renewed = before.as_ref().is_some_and(|before| before.info.incarnation != incarnation);
        if renewed {
            self.drop_inquiry(&id);
        }
        let Some(peer) = self.view.get_mut(&id) else { return };
        if renewed && let Some(trouble) = &mut peer.trouble {
            trouble.failed_at = None;
            trouble.condemned = false;
            trouble.told_at = None;
        }
        if state == State::Suspect && !suspected {
            let trouble = peer.trouble();
            (trouble.suspected_at, trouble.reviews) = (now, 0);
        }
        if state.is_live() {
            self.agenda.cancel(&Timer::Collect(id.clone()));
            self.agenda.cancel(&Timer::Court(id.clone()));
            if !before.as_ref().is_some_and(|before| before.state.is_live()) {
                self.ring.insert(&mut self.view, &id, &mut self.rng);
            }
        } else {
            self.ring.remove(&mut self.view, &id);
            self.view.bury(&id, now + left);
            self.agenda.set(Timer::Collect(id.clone()), now + left);
        }
        match state {
            State::Suspect => self.arm_suspicion(now, &id),
            State::Alive | State::Dead | State::Left => {
                self.agenda.cancel(&Timer::Suspicion(id.clone()));
            }
        }
        if state == State::Dead {
            self.begin_courting(now, &id);
        }
        let known = before.as_ref().map(|before| (before.state.is_live(), &before.info.address));
        let is = self.view.get(&id).map(|peer| (peer.state.is_live(), &peer.info.address));
        self.acquaintance += u64::from(known != is);
        if tell {
            self.tell(now, &id);
        }
        self.report(now, &id, before, out);
    }

    /// This node can reach `id`, whatever it thought.
    pub(crate) fn reached(&mut self, now: Instant, id: &NodeId, out: &mut Outbox<Output>) {
        let Some(peer) = self.view.get_mut(id).filter(|peer| peer.trouble.is_some()) else {
            return;
        };
        let before = Before::of(peer);
        let failed = peer.failed_at().is_some();
        match &mut peer.trouble {
            // Of one that is well nothing more is kept.
            Some(trouble) if trouble.overdue.is_some() || peer.state != State::Alive => {
                trouble.failed_at = None;
            }
            trouble => *trouble = None,
        }
        if !failed {
            return;
        }
        self.report(now, id, Some(before), out);
    }

    /// This node cannot reach `id`.
    pub(crate) fn missed(&mut self, now: Instant, id: &NodeId, out: &mut Outbox<Output>) {
        let Some(peer) = self.view.get_mut(id).filter(|peer| peer.failed_at().is_none()) else {
            return;
        };
        let before = Before::of(peer);
        peer.trouble().failed_at = Some(now);
        self.doubts.add(id);
        self.report(now, id, Some(before), out);
    }

    /// What is said of this node itself. `true` if it is wrong.
    fn hear_of_me(
        &mut self,
        now: Instant,
        from: SocketAddr,
        update: &Update,
        out: &mut Outbox<Output>,
    ) -> bool {
        let theirs = update.info.incarnation;
        if theirs.boot > self.boot {
            self.meet_twin(now, from, theirs, out);
            return false;
        }
        if theirs.boot == self.boot && update.info.address != self.config.address {
            // An address never changes within a boot: this is no claim of ours.
            self.counters.twins += 1;
        }
        let own = self.own();
        if theirs < own.incarnation {
            // Old news; but whoever takes this node for gone should know better.
            return update.state != State::Alive;
        }
        let state = if self.leaving.is_some() { State::Left } else { State::Alive };
        let rank = (own.incarnation, state, false, own);
        if update.rank() <= rank || mutant!("refutation-forgotten") {
            return false;
        }
        let tags = own.tags.clone();
        self.counters.refutations += 1;
        self.health.worse();
        self.speak_up(now, state, theirs.counter + 1, tags);
        true
    }

    /// Says what changed about a member that is not this node.
    fn report(
        &mut self,
        now: Instant,
        id: &NodeId,
        before: Option<Before>,
        out: &mut Outbox<Output>,
    ) {
        let Some(peer) = self.view.get_mut(id) else { return };
        let after = peer.shown();
        if before.as_ref().is_none_or(|before| before.shown != after) {
            peer.since = now;
        }
        for event in events(id, before.as_ref(), after, &peer.info) {
            out.push(Output::Event(event));
        }
    }

    /// The claim that `id`, as it is known, is in `state` now.
    pub(crate) fn claim_of(&self, id: &NodeId, state: State) -> Option<Update> {
        let info = self.view.get(id)?.info.clone();
        Some(Update { id: id.clone(), state, gone_secs: 0, accusation: None, info })
    }
}

/// How a member was before a change.
struct Before {
    state: State,
    shown: State,
    info: Arc<Info>,
}

impl Before {
    fn of(peer: &Peer) -> Self {
        Self { state: peer.state, shown: peer.shown(), info: peer.info.clone() }
    }
}

fn events(id: &NodeId, before: Option<&Before>, after: State, info: &Info) -> Vec<Event> {
    let id = || id.clone();
    let was = before.map(|before| before.shown);
    let restarted =
        before.is_some_and(|before| before.info.incarnation.boot < info.incarnation.boot);
    let mut events = Vec::new();
    match after {
        State::Dead if was.is_some_and(|was| was != State::Dead) => {
            events.push(Event::Dead { id: id() });
        }
        State::Left if was.is_some_and(|was| was != State::Left) => {
            events.push(Event::Left { id: id() });
        }
        State::Dead | State::Left => {}
        State::Alive | State::Suspect => {
            match was {
                None | Some(State::Left) => events.push(Event::Joined { id: id() }),
                Some(_) if restarted => events.push(Event::Restarted { id: id() }),
                Some(was) if was > after => events.push(Event::Reachable { id: id() }),
                Some(_) => {}
            }
            let changed = before.is_some_and(|before| {
                (&before.info.tags, &before.info.address) != (&info.tags, &info.address)
            });
            if changed && !restarted {
                events.push(Event::Updated { id: id() });
            }
            if after == State::Suspect && (was != Some(State::Suspect) || restarted) {
                events.push(Event::Unreachable { id: id() });
            }
        }
    }
    events
}

/// How long a tombstone of that age is still kept.
pub(crate) fn left_of(horizon: Duration, gone_secs: u32) -> Duration {
    horizon.saturating_sub(Duration::from_secs(u64::from(gone_secs)))
}

/// How many accusations anybody may make in the time of a suspicion.
const ACCUSATIONS_MIN: usize = 8;
