//! The machine: what it is made of, and who handles what.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use quorate_core::{BootEpoch, ClusterId, Instant, Machine, NodeId, Outbox, Rng};

use crate::agenda::{Agenda, Timer};
use crate::claim::{Incarnation, Info, State, Tags};
use crate::contacts::{Contacts, Seed};
use crate::courting::Court;
use crate::health::Health;
use crate::leaving::Leaving;
use crate::names::Names;
use crate::peer::{MemberView, Peer};
use crate::probing::{Probe, Relay};
use crate::ring::Ring;
use crate::spread::Spread;
use crate::throttle::Throttle;
use crate::view::{View, text_hash};
use crate::{Config, Counters, Event, Input, Output};

/// One node's part in the membership of its cluster.
///
/// Its parts live in files of their own: what is received (`receiving`), what that changes
/// (`learning`), who is probed (`probing`) and given up (`suspicion`), what is told (`gossip`) and
/// compared (`syncing`), whom it looks for (`courting`), and how it goes (`leaving`).
#[derive(Debug)]
pub struct Membership {
    pub(crate) me: NodeId,
    pub(crate) boot: BootEpoch,
    pub(crate) instance: u64,
    pub(crate) config: Config,
    /// The hash of the cluster's name.
    pub(crate) name: u64,
    /// The digest of the seed list; zero if it is empty.
    pub(crate) seeds_digest: u64,
    pub(crate) rng: Rng,
    /// Invariant: holds this node itself.
    pub(crate) view: View,
    pub(crate) spread: Spread,
    /// Invariant: the live members but this node.
    pub(crate) ring: Ring,
    pub(crate) agenda: Agenda,
    /// Whether the successor is probed next, or one of the round.
    pub(crate) successor_next: bool,
    pub(crate) probes: BTreeMap<u32, Probe>,
    pub(crate) relays: BTreeMap<u32, Relay>,
    pub(crate) names: Names,
    pub(crate) contacts: Contacts,
    pub(crate) courts: BTreeMap<NodeId, Court>,
    pub(crate) health: Health,
    /// Whether it was woken late the last time.
    pub(crate) paused: bool,
    /// `Some` from the moment it leaves, for ever.
    pub(crate) leaving: Option<Leaving>,
    /// Since when a packet showed that views differ and none showed the contrary.
    pub(crate) differs_since: Option<Instant>,
    pub(crate) compared_at: Option<Instant>,
    pub(crate) answered: Throttle<(NodeId, usize)>,
    pub(crate) warned_sources: Throttle<SocketAddr>,
    pub(crate) warned_ids: Throttle<(Warning, NodeId)>,
    /// Apart from the others, so that nobody can use up its room: this node must stop for a twin.
    pub(crate) warned_twin: Throttle<()>,
    pub(crate) counters: Counters,
}

/// What an event is about that is not repeated too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Warning {
    Seeds,
    Cluster,
}

impl Membership {
    /// The member `me`, alone until it finds others.
    ///
    /// `boot` counts the starts of its data folder; `instance` is drawn anew by each process, so
    /// that two processes with one id are told apart.
    ///
    /// # Panics
    ///
    /// If `config` does not [`validate`](Config::validate), or `tags` do not
    /// [`validate`](Tags::validate).
    #[must_use]
    pub fn new(
        me: NodeId,
        boot: BootEpoch,
        instance: u64,
        config: Config,
        tags: Tags,
        mut rng: Rng,
        now: Instant,
    ) -> Self {
        config.validate().expect("the caller validates its configuration");
        tags.validate().expect("the caller validates its tags");
        let mut view = View::new();
        let incarnation = Incarnation::first(boot);
        let info = Info { incarnation, address: config.address.clone(), tags };
        view.claim(now, &me, State::Alive, info);
        let contacts = Contacts::new(&config.seeds);
        let mut agenda = Agenda::default();
        // Nodes that are started together do not probe together.
        agenda.set(Timer::Probe, now + rng.duration(MOMENT, config.probe_interval));
        for name in contacts.names().iter().filter(|name| name.parse::<SocketAddr>().is_err()) {
            agenda.set(Timer::Name(name.clone()), now);
        }
        let mut membership = Self {
            me,
            boot,
            instance,
            name: text_hash(&config.cluster_name),
            seeds_digest: digest(contacts.names()),
            rng,
            view,
            spread: Spread::default(),
            ring: Ring::default(),
            agenda,
            successor_next: false,
            probes: BTreeMap::new(),
            relays: BTreeMap::new(),
            names: Names::new(
                config.resolve_every,
                config.announce_min,
                config.members_max.saturating_mul(2),
            ),
            contacts,
            courts: BTreeMap::new(),
            health: Health::new(),
            paused: false,
            leaving: None,
            differs_since: None,
            compared_at: None,
            answered: Throttle::new(config.probe_interval),
            warned_sources: Throttle::new(WARN_EVERY),
            warned_ids: Throttle::new(WARN_EVERY),
            warned_twin: Throttle::new(WARN_EVERY),
            counters: Counters::default(),
            config,
        };
        membership.refresh_seeds(now);
        membership
    }

    /// All members in the order of their ids: this node, those that are gone until they are
    /// forgotten, and the others.
    pub fn members(&self) -> impl Iterator<Item = (&NodeId, MemberView<'_>)> {
        self.view.iter().map(|(id, peer)| (id, peer.view()))
    }

    /// One member. O(log members).
    #[must_use]
    pub fn member(&self, id: &NodeId) -> Option<MemberView<'_>> {
        self.view.get(id).map(Peer::view)
    }

    /// One item for each address that the seed list resolves to, and for each name of it that has
    /// none yet, with who answered there in the last few periods.
    #[must_use]
    pub fn seeds(&self) -> Vec<Seed> {
        self.contacts.seeds(&self.names)
    }

    /// Equal on two nodes exactly if they know the same live members in the same incarnations (but
    /// for a chance of 2^-64).
    #[must_use]
    pub fn view_hash(&self) -> u64 {
        self.view.hash()
    }

    /// By how much this node stretches its patience, because it fails to hear what it should:
    /// 1 is well, 8 is worst.
    #[must_use]
    pub const fn health_multiplier(&self) -> u32 {
        self.health.multiplier()
    }

    /// How often things happened.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What this node says of itself.
    ///
    /// # Panics
    ///
    /// Never: a view holds its own node.
    #[must_use]
    pub fn own(&self) -> &Info {
        &self.view.get(&self.me).expect("put there by `new` and never forgotten").info
    }

    pub(crate) fn cluster(&self) -> ClusterId {
        self.own().tags.cluster
    }

    pub(crate) fn is_foreign(&self, theirs: ClusterId) -> bool {
        let ours = self.cluster();
        ours != ClusterId::NONE && theirs != ClusterId::NONE && ours != theirs
    }

    /// Changes what this node says of itself; the new incarnation makes it the newest claim.
    pub(crate) fn speak_up(&mut self, now: Instant, state: State, counter: u64, tags: Tags) {
        let counter = counter.min(Incarnation::COUNTER_MAX);
        let incarnation = Incarnation { boot: self.boot, counter };
        let info = Info { incarnation, address: self.config.address.clone(), tags };
        let me = self.me.clone();
        self.view.claim(now, &me, state, info);
        self.tell(now, &me);
    }

    fn set_tags(&mut self, now: Instant, tags: Tags, out: &mut Outbox<Output>) {
        tags.validate().expect("the caller validates its tags");
        if self.leaving.is_some() || self.own().tags == tags {
            return;
        }
        self.speak_up(now, State::Alive, self.own().incarnation.counter + 1, tags);
        // Before this node had a cluster it may have met members of several.
        let foreign: Vec<_> = (self.view.iter())
            .filter(|(_, peer)| self.is_foreign(peer.info.tags.cluster))
            .map(|(id, peer)| (id.clone(), peer.info.tags.cluster))
            .collect();
        for (id, theirs) in foreign {
            self.forget(&id);
            out.push(Output::Event(Event::ForeignCluster { id, theirs }));
        }
    }

    /// Removes all traces of a member but its place in the configuration of the log.
    pub(crate) fn forget(&mut self, id: &NodeId) {
        self.view.remove(id);
        self.ring.remove(id);
        self.spread.remove(id);
        self.agenda.cancel(&Timer::Collect(id.clone()));
        self.agenda.cancel(&Timer::Suspicion(id.clone()));
        if self.courts.get(id).is_some_and(|court| !court.known) {
            self.courts.remove(id);
            self.agenda.cancel(&Timer::Court(id.clone()));
        }
    }

    /// This node itself stood still.
    fn stalled(&mut self, now: Instant, out: &mut Outbox<Output>) {
        self.counters.stalls += 1;
        self.health.stalled();
        self.judge_anew(now, out);
    }

    fn fire(&mut self, now: Instant, timer: Timer, out: &mut Outbox<Output>) {
        match timer {
            Timer::Gossip => self.gossip(now, out),
            Timer::Leave => self.tell_leave(now, out),
            // One that leaves judges and seeks nobody.
            _ if self.leaving.is_some() => {}
            Timer::Probe => self.probe_next(now, out),
            Timer::Step(seq) => self.step_probe(now, seq, out),
            Timer::Relay(seq) => self.relay_late(now, seq, out),
            Timer::Suspicion(id) => self.look_after(now, &id, out),
            Timer::Seed(address) => self.look_for_seed(now, address, out),
            Timer::Name(name) => self.resolve_seed(now, name, out),
            Timer::Court(id) => self.court(now, &id, out),
            Timer::Collect(id) => self.forget(&id),
        }
    }
}

impl Machine for Membership {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input, out: &mut Outbox<Output>) {
        match input {
            Input::Received { from, packet, .. } => self.receive(now, from, packet, out),
            Input::Resolved { name, addresses } => {
                self.names.resolved(&name, addresses);
                self.refresh_seeds(now);
            }
            Input::SetTags(tags) => self.set_tags(now, tags, out),
            Input::Known { id, address } => self.remember(now, id, address),
            Input::Leave => self.leave(now, out),
        }
    }

    fn wake(&mut self, now: Instant, out: &mut Outbox<Output>) {
        let Some(due) = self.deadline().filter(|due| *due <= now) else { return };
        let late = now.since(due);
        if late > self.config.probe_interval {
            self.stalled(now, out);
        }
        // What came in a pause is still to be read, and may answer: no verdict before. One that is
        // late each time judges all the same.
        let paused = late > self.config.probe_timeout;
        let before = std::mem::replace(&mut self.paused, paused);
        let unread = paused && !before;
        while let Some(timer) = self.agenda.pop_due(now) {
            if unread && matches!(timer, Timer::Step(_) | Timer::Suspicion(_)) {
                self.agenda.set(timer, now + self.config.probe_timeout / 4);
            } else {
                self.fire(now, timer, out);
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.agenda.next()
    }
}

/// A digest of a list of seeds that does not depend on its order; zero for none.
fn digest(names: &[String]) -> u64 {
    names.iter().fold(0, |sum, name| sum.wrapping_add(text_hash(name)))
}

const MOMENT: Duration = Duration::from_millis(1);

/// How often the same misbehaviour of the same peer is reported.
const WARN_EVERY: Duration = Duration::from_secs(60);
