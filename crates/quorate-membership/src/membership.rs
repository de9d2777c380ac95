//! The machine: what it is made of, and who handles what.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::{BootEpoch, ClusterId, Instant, Machine, NodeId, Outbox, Rng};

use crate::agenda::{Agenda, Timer};
use crate::broadcasting::Broadcasts;
use crate::claim::{Incarnation, Info, Protocol, State, Tags, Update};
use crate::contacts::{Contacts, Seed};
use crate::coordinate::Coordinate;
use crate::courting::Court;
use crate::doubting::Doubts;
use crate::health::Health;
use crate::leaving::Leaving;
use crate::names::Names;
use crate::observing::Inquiry;
use crate::peer::{MemberView, Peer};
use crate::probing::Probes;
use crate::relaying::Relay;
use crate::ring::Ring;
use crate::spread::Spread;
use crate::syncing::Difference;
use crate::throttle::{Quota, Throttle};
use crate::vetting::Vetting;
use crate::view::{View, mix, short_hash, text_hash};
use crate::{Config, Counters, Event, Input, Output, Packet};

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
    pub(crate) name: u32,
    /// The hash of the cluster; zero while there is none.
    pub(crate) cluster_mark: u32,
    /// The hash of the own id.
    pub(crate) own_hash: u32,
    /// Invariant: that of the own claim.
    pub(crate) incarnation: Incarnation,
    pub(crate) coordinate: Coordinate,
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
    /// The successor as it was found last, and for which version of the view.
    pub(crate) successor: Option<(u64, NodeId)>,
    pub(crate) probes: Probes,
    pub(crate) doubts: Doubts,
    pub(crate) relays: BTreeMap<u32, Relay>,
    pub(crate) inquiries: BTreeMap<u32, Inquiry>,
    pub(crate) vettings: BTreeMap<NodeId, Vetting>,
    pub(crate) broadcasts: Broadcasts,
    pub(crate) names: Names,
    pub(crate) contacts: Contacts,
    pub(crate) courts: BTreeMap<NodeId, Court>,
    /// The number of the last announce to a lost peer.
    pub(crate) courted: Option<u32>,
    /// Changes when others should be remembered for a later life.
    pub(crate) acquaintance: u64,
    pub(crate) health: Health,
    /// Whether it was woken late the last time.
    pub(crate) paused: bool,
    /// `Some` from the moment it leaves, for ever.
    pub(crate) leaving: Option<Leaving>,
    /// Since when packets show that views differ.
    pub(crate) difference: Difference,
    pub(crate) compared_at: Option<Instant>,
    pub(crate) answered: Throttle<(NodeId, usize)>,
    pub(crate) accusers: Quota,
    /// About whom others were asked before it was declared dead.
    pub(crate) burials: Throttle<NodeId>,
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
        rng: Rng,
        now: Instant,
    ) -> Self {
        config.validate().expect("the caller validates its configuration");
        tags.validate().expect("the caller validates its tags");
        let mut view = View::new();
        let incarnation = Incarnation::first(boot);
        let cluster_mark = mark_of(tags.cluster);
        let (address, protocol) = (config.address.clone(), Protocol::SUPPORTED);
        let info = Info { incarnation, address, tags: Tags { version: 0, ..tags }, protocol };
        view.claim(now, alive(&me, info));
        let contacts = Contacts::new(&config.seeds);
        let mut membership = Self {
            own_hash: short_hash(&me),
            me,
            boot,
            instance,
            name: Packet::name_hash(&config.cluster_name),
            cluster_mark,
            incarnation,
            coordinate: Coordinate::default(),
            seeds_digest: digest(contacts.names()),
            rng,
            view,
            spread: Spread::default(),
            ring: Ring::default(),
            agenda: Agenda::default(),
            successor_next: false,
            successor: None,
            probes: Probes::default(),
            doubts: Doubts::default(),
            relays: BTreeMap::new(),
            inquiries: BTreeMap::new(),
            vettings: BTreeMap::new(),
            broadcasts: Broadcasts::default(),
            names: Names::new(
                config.resolve_every,
                config.announce_min,
                config.members_max.saturating_mul(2),
            ),
            contacts,
            courts: BTreeMap::new(),
            courted: None,
            acquaintance: 0,
            health: Health::new(),
            paused: false,
            leaving: None,
            difference: Difference::default(),
            compared_at: None,
            answered: Throttle::new(config.probe_interval, ANSWERED_MAX),
            accusers: Quota::new(config.pause_tolerance),
            burials: Throttle::new(config.probe_timeout * 2, BURIALS_MAX),
            warned_sources: Throttle::new(WARN_EVERY, WARNED_MAX),
            warned_ids: Throttle::new(WARN_EVERY, WARNED_MAX),
            warned_twin: Throttle::new(WARN_EVERY, WARNED_MAX),
            counters: Counters::default(),
            config,
        };
        membership.begin(now);
        membership
    }

    /// Begins to probe and to look for others.
    pub(crate) fn begin(&mut self, now: Instant) {
        // Nodes that are started together do not probe together.
        let first = self.rng.duration(MOMENT, self.config.probe_interval);
        self.agenda.set(Timer::Probe, now + first);
        for name in self.contacts.names() {
            if name.parse::<SocketAddr>().is_err() {
                self.agenda.set(Timer::Name(name.clone()), now);
            }
        }
        self.contacts.clear();
        self.refresh_seeds(now);
    }

    /// All members in the order of their ids: this node, those that are gone until they are
    /// forgotten, and the others. O(members log members).
    pub fn members(&self) -> impl Iterator<Item = (&NodeId, MemberView<'_>)> {
        self.view.sorted().into_iter().map(|(id, peer)| (id, peer.view()))
    }

    /// One member. O(1).
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
    pub const fn view_hash(&self) -> u64 {
        self.view.hash()
    }

    /// By how much this node stretches its patience, because it fails to hear what it should:
    /// 1 is well, 8 is worst.
    #[must_use]
    pub const fn health_multiplier(&self) -> u32 {
        self.health.multiplier()
    }

    /// Where this node is in the space of round trips.
    #[must_use]
    pub const fn coordinate(&self) -> Coordinate {
        self.coordinate
    }

    /// How many members are live, this node included.
    #[must_use]
    pub fn live(&self) -> usize {
        self.view.live()
    }

    /// How long a member is suspected before it is declared dead, with as many members as there are
    /// now.
    #[must_use]
    pub fn suspicion_time(&self) -> Duration {
        self.suspicion()
    }

    /// The newest version of packets that all live members read, and the features that all have.
    /// O(members).
    #[must_use]
    pub fn common_protocol(&self) -> Protocol {
        let live = self.view.iter().filter(|(_, peer)| peer.state.is_live());
        live.fold(Protocol::SUPPORTED, |all, (_, peer)| {
            let theirs = peer.info.protocol;
            Protocol {
                min: all.min.max(theirs.min),
                max: all.max.min(theirs.max),
                features: all.features & theirs.features,
            }
        })
    }

    /// Those to remember for a later life, alive or failed, with their addresses; give them back by
    /// [`Input::Known`]. O(members).
    pub fn acquaintances(&self) -> impl Iterator<Item = (&NodeId, &str)> {
        let known = self.courts.iter().map(|(id, court)| (id, court.address()));
        let known = known.filter(|(id, _)| self.view.get(id).is_none());
        let met =
            self.view.iter().filter(|(id, peer)| **id != self.me && peer.state != State::Left);
        met.map(|(id, peer)| (id, peer.info.address.as_str())).chain(known)
    }

    /// Changes whenever [`acquaintances`](Self::acquaintances) did.
    #[must_use]
    pub const fn acquaintances_version(&self) -> u64 {
        self.acquaintance
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
        self.incarnation = incarnation;
        self.cluster_mark = mark_of(tags.cluster);
        let (address, protocol) = (self.config.address.clone(), Protocol::SUPPORTED);
        let info = Info { incarnation, address, tags, protocol };
        let me = self.me.clone();
        self.view.claim(now, Update { state, ..alive(&me, info) });
        self.tell(now, &me);
    }

    fn set_tags(&mut self, now: Instant, tags: Tags, out: &mut Outbox<Output>) {
        tags.validate().expect("the caller validates its tags");
        let version = self.own().tags.version;
        let same = Tags { version, ..tags };
        if self.leaving.is_some() || self.own().tags == same {
            return;
        }
        let tags = Tags { version: version.saturating_add(1), ..same };
        self.speak_up(now, State::Alive, self.own().incarnation.counter + 1, tags);
        // Before this node had a cluster it may have met members of several.
        let foreign: Vec<_> = (self.view.sorted().into_iter())
            .filter(|(_, peer)| self.is_foreign(peer.info.tags.cluster))
            .map(|(id, peer)| (id.clone(), peer.info.tags.cluster))
            .collect();
        for (id, theirs) in foreign {
            self.forget(&id);
            out.push(Output::Event(Event::ForeignCluster { id, theirs: Some(theirs) }));
        }
    }

    /// Removes all traces of a member but its place in the configuration of the log.
    pub(crate) fn forget(&mut self, id: &NodeId) {
        self.ring.remove(&mut self.view, id);
        self.view.remove(id);
        self.broadcasts.forget(id);
        self.acquaintance += 1;
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
        self.health.stalled(now);
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
            Timer::Inquiry(seq) => self.inquiry_due(now, seq, out),
            Timer::Vet(id) => self.vet(now, &id, out),
            Timer::Seed(address) => self.look_for_seed(now, address, out),
            Timer::Name(name) => self.resolve_seed(now, name, out),
            Timer::Court(id) => self.court(now, &id, out),
            Timer::Collect(id) => {
                self.forget(&id);
                out.push(Output::Event(Event::Collected { id }));
            }
        }
    }
}

impl Machine for Membership {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input, out: &mut Outbox<Output>) {
        match input {
            Input::Received { from, over, packet } => self.receive(now, from, over, packet, out),
            Input::Unreadable { from, version } => self.other_version(now, from, version, out),
            Input::Refused { address } => self.refused(now, address, out),
            Input::Broadcast { payload } => self.broadcast(now, payload),
            Input::Resolved { name, addresses } => {
                self.names.resolved(&name, addresses);
                self.refresh_seeds(now);
            }
            Input::SetTags(tags) => self.set_tags(now, tags, out),
            Input::Known { id, address } => self.remember(now, id, address),
            Input::Leave => self.leave(now, out),
            Input::Join => self.rejoin(now),
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
            if unread && timer.judges() {
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

/// The hash of a cluster for the head of a packet; zero exactly for none.
fn mark_of(cluster: ClusterId) -> u32 {
    if cluster == ClusterId::NONE {
        return 0;
    }
    let folded = mix((cluster.0 >> 64) as u64) ^ cluster.0 as u64;
    ((mix(folded) >> 32) as u32).max(1)
}

/// The claim of a node about itself.
fn alive(me: &NodeId, info: Info) -> Update {
    let info = Arc::new(info);
    Update { id: me.clone(), state: State::Alive, gone_secs: 0, accusation: None, info }
}

const MOMENT: Duration = Duration::from_millis(1);

/// How often the same misbehaviour of the same peer is reported.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// About how many peers at a time.
const WARNED_MAX: usize = 64;

/// Of how many it is asked at a time, before they are declared dead, whether others see them alive.
const BURIALS_MAX: usize = 8;

/// How many are shown parts of the view in a period. Bounds what a flood of questions costs; a
/// large cluster that starts at once asks one seed this often.
const ANSWERED_MAX: usize = 4_096;
