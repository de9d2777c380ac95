//! One member, as this node sees it.

use std::time::Duration;

use quorate_core::Instant;

use crate::claim::{Info, State};
use crate::probing::Pings;

/// A member, as this node sees it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

/// What this node keeps of a member.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// The shared claim. Invariant: `(incarnation, state, info)` never decreases.
    pub(crate) state: State,
    pub(crate) info: Info,
    /// Since when it is shown as it is.
    pub(crate) since: Instant,
    pub(crate) heard_at: Option<Instant>,
    /// Since when this node's own probes fail. Kept apart from the claim, because it can be taken
    /// back: a claim cannot.
    pub(crate) failed_at: Option<Instant>,
    /// Since when the claim here is a suspicion.
    pub(crate) suspected_at: Instant,
    /// Somebody says that it is dead, but it is not suspected here for long enough yet.
    pub(crate) condemned: bool,
    /// When it was last told what is claimed of it.
    pub(crate) told_at: Option<Instant>,
    pub(crate) rtt: Rtt,
    /// The pings of its last probe, if that failed: they may be answered yet.
    pub(crate) overdue: Option<(u32, Pings)>,
    /// When it is forgotten, if it is gone.
    pub(crate) collect_at: Instant,
}

impl Peer {
    pub(crate) const fn new(state: State, info: Info, now: Instant) -> Self {
        Self {
            state,
            info,
            since: now,
            heard_at: None,
            failed_at: None,
            suspected_at: now,
            condemned: false,
            told_at: None,
            rtt: Rtt { smooth: None, spread: Duration::ZERO, late: false },
            overdue: None,
            collect_at: Instant::FAR,
        }
    }

    /// How it is, to this node.
    pub(crate) const fn shown(&self) -> State {
        match (self.state, self.failed_at) {
            (State::Alive, Some(_)) => State::Suspect,
            (state, _) => state,
        }
    }

    pub(crate) const fn view(&self) -> MemberView<'_> {
        MemberView {
            state: self.shown(),
            info: &self.info,
            since: self.since,
            heard_at: self.heard_at,
            rtt: self.rtt.smooth,
        }
    }
}

/// The round trip to a member, smoothed (RFC 6298, section 2).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rtt {
    smooth: Option<Duration>,
    spread: Duration,
    /// Whether the last answer came later than expected.
    late: bool,
}

impl Rtt {
    /// An answer took `rtt`, and was waited for for `patience`. A single late one was a pause and
    /// is left out: else a crash soon after would be noticed late. Two in a row are a slow link.
    pub(crate) fn measured(&mut self, rtt: Duration, patience: Duration) {
        let late = rtt > patience;
        if late && !std::mem::replace(&mut self.late, true) {
            return;
        }
        self.late = late;
        let Some(smooth) = self.smooth else {
            (self.smooth, self.spread) = (Some(rtt), rtt / 2);
            return;
        };
        self.spread = self.spread * 3 / 4 + smooth.abs_diff(rtt) / 4;
        self.smooth = Some(smooth * 7 / 8 + rtt / 8);
    }

    /// How long to wait for an answer: at least `floor`, at most `ceiling`.
    pub(crate) fn timeout(&self, floor: Duration, ceiling: Duration) -> Duration {
        let expected = self.smooth.map_or(floor, |smooth| smooth + self.spread * 4);
        expected.min(ceiling).max(floor)
    }
}
