//! One member, as this node sees it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::Instant;

use crate::claim::{Incarnation, Info, Rank, State};
use crate::coordinate::Coordinate;
use crate::link::Link;
use crate::probing::Pings;

/// A member, as this node sees it now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemberView<'a> {
    /// How it is: the claim that all share, or [`State::Suspect`] while this node alone cannot
    /// reach it.
    pub state: State,
    /// What it said of itself last.
    pub info: &'a Info,
    /// Since when it is in that state here.
    pub since: Instant,
    /// When a packet of this incarnation came from it; `None` if never.
    pub heard_at: Option<Instant>,
    /// The smoothed round trip; `None` if not measured.
    pub rtt: Option<Duration>,
    /// The share of pings to it that stayed unanswered lately, in millionths.
    pub loss: u32,
    /// Since when this node itself does not reach it.
    pub failed_at: Option<Instant>,
    /// Since when all suspect it, and whether enough others found it silent too.
    pub suspected: Option<(Instant, bool)>,
    /// Whether datagrams do not get through and streams do.
    pub by_stream: bool,
    /// Where it is in the space of round trips, if it said so.
    pub coordinate: Option<Coordinate>,
}

/// What this node keeps of a member.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// The shared claim. Invariant: `rank` never decreases.
    pub(crate) state: State,
    pub(crate) corroborated: bool,
    /// That of `info`, at hand for every packet.
    pub(crate) incarnation: Incarnation,
    pub(crate) info: Arc<Info>,
    /// What its address spells, if that is no name.
    pub(crate) at: Option<SocketAddr>,
    /// Since when it is shown as it is.
    pub(crate) since: Instant,
    pub(crate) heard_at: Option<Instant>,
    /// Its place among those probed in turn; see [`crate::ring::Ring`].
    pub(crate) place: Option<u32>,
    pub(crate) by_stream: bool,
    pub(crate) link: Link,
    pub(crate) coordinate: Option<Box<Coordinate>>,
    /// What is only kept of the few that are not well.
    pub(crate) trouble: Option<Box<Trouble>>,
}

/// What is kept of a member that is silent, suspected or gone.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    /// Since when this node's own probes fail. Kept apart from the claim, because it can be taken
    /// back: a claim cannot.
    pub(crate) failed_at: Option<Instant>,
    /// Since when the claim here is a suspicion.
    pub(crate) suspected_at: Instant,
    /// Somebody says that it is dead, but it is not suspected here for long enough yet.
    pub(crate) condemned: bool,
    /// How often others were asked before it is declared dead.
    pub(crate) reviews: u8,
    /// When it was last told what is claimed of it.
    pub(crate) told_at: Option<Instant>,
    /// The pings of its last probe, if that failed: they may be answered yet.
    pub(crate) overdue: Option<(u32, Pings)>,
    /// When it is forgotten, if it is gone.
    pub(crate) collect_at: Instant,
}

impl Trouble {
    const NONE: Self = Self {
        failed_at: None,
        suspected_at: Instant::ZERO,
        condemned: false,
        reviews: 0,
        told_at: None,
        overdue: None,
        collect_at: Instant::FAR,
    };
}

impl Peer {
    pub(crate) fn new(state: State, corroborated: bool, info: Arc<Info>, now: Instant) -> Self {
        Self {
            state,
            corroborated,
            incarnation: info.incarnation,
            at: info.address.parse().ok(),
            info,
            since: now,
            heard_at: None,
            place: None,
            by_stream: false,
            link: Link::default(),
            coordinate: None,
            trouble: None,
        }
    }

    pub(crate) fn rank(&self) -> Rank<'_> {
        (self.info.incarnation, self.state, self.corroborated, &self.info)
    }

    pub(crate) fn failed_at(&self) -> Option<Instant> {
        self.trouble.as_ref()?.failed_at
    }

    pub(crate) fn suspected_at(&self) -> Instant {
        self.trouble.as_ref().map_or(Instant::ZERO, |trouble| trouble.suspected_at)
    }

    pub(crate) fn is_condemned(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.condemned)
    }

    pub(crate) fn collect_at(&self) -> Instant {
        self.trouble.as_ref().map_or(Instant::FAR, |trouble| trouble.collect_at)
    }

    pub(crate) fn trouble(&mut self) -> &mut Trouble {
        self.trouble.get_or_insert_with(|| Box::new(Trouble::NONE))
    }

    /// How it is, to this node.
    pub(crate) fn shown(&self) -> State {
        match (self.state, self.failed_at()) {
            (State::Alive, Some(_)) => State::Suspect,
            (state, _) => state,
        }
    }

    pub(crate) fn view(&self) -> MemberView<'_> {
        let suspected =
            (self.state == State::Suspect).then(|| (self.suspected_at(), self.corroborated));
        MemberView {
            state: self.shown(),
            info: &self.info,
            since: self.since,
            heard_at: self.heard_at,
            rtt: self.link.rtt(),
            loss: self.link.loss(),
            failed_at: self.failed_at(),
            suspected,
            by_stream: self.by_stream,
            coordinate: self.coordinate.as_deref().copied(),
        }
    }
}
