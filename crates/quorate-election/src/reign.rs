//! A leader's view of who still hears it.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_core::{Configuration, Instant, NodeId};

/// What a leader remembers of its own term.
#[derive(Debug)]
pub(crate) struct Reign {
    /// When it was elected; every voter counts as heard then.
    pub(crate) since: Instant,
    pub(crate) heard: BTreeMap<NodeId, Instant>,
    /// When the next heartbeat is due.
    pub(crate) beat_at: Instant,
    /// Before this moment the quorum cannot have been silent for too long.
    pub(crate) check_at: Instant,
}

impl Reign {
    pub(crate) const fn new(since: Instant, beat_at: Instant, check_at: Instant) -> Self {
        Self { since, heard: BTreeMap::new(), beat_at, check_at }
    }

    /// Notes that `peer` answered at `now`.
    pub(crate) fn hear(&mut self, peer: NodeId, now: Instant) {
        self.heard.insert(peer, now);
    }

    /// Whether `peer` answered lately: within `patience` of the next heartbeat.
    pub(crate) fn hears(&self, peer: &NodeId, patience: Duration) -> bool {
        self.heard.get(peer).is_some_and(|at| *at + patience >= self.beat_at)
    }

    /// The latest moment since which a quorum was heard, the leader itself always included.
    ///
    /// `O(n^2)` in the voters, which are few; asked once per election timeout and request.
    pub(crate) fn quorum_heard_at(
        &self,
        me: &NodeId,
        now: Instant,
        configuration: &Configuration,
    ) -> Instant {
        let heard = |id: &NodeId| {
            if id == me { now } else { self.heard.get(id).copied().unwrap_or(self.since) }
        };
        let has_quorum = |at: Instant| configuration.has_quorum(|id| heard(id) >= at);
        configuration.voters().map(heard).filter(|at| has_quorum(*at)).max().unwrap_or(self.since)
    }
}
