//! Looking again at those whom this node alone does not reach.
//!
//! Where others reach a member, or where it speaks though it does not answer, nobody is told that it
//! is silent. So nobody else would put this node right: it has to look again, and sooner than the
//! round would bring it there.

use std::collections::BTreeSet;
use std::ops::Bound;

use quorate_core::{Instant, NodeId, Outbox};

use crate::Output;
use crate::claim::State;
use crate::membership::Membership;
use crate::peer::Peer;

/// Those that this node missed. Some may be well again, or accused by all: whoever looks finds out.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    ids: BTreeSet<NodeId>,
    last: Option<NodeId>,
}

impl Doubts {
    pub(crate) fn add(&mut self, id: &NodeId) {
        self.ids.insert(id.clone());
    }

    /// The one behind the last one, and around. O(log doubts).
    fn next(&self) -> Option<NodeId> {
        let after = self.last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.ids.range::<NodeId, _>((after, Bound::Unbounded)).next();
        behind.or_else(|| self.ids.first()).cloned()
    }
}

impl Membership {
    /// Probes one of those that it alone does not reach; called each period, so that a node that was
    /// cut off from many does not ask all of them at once when it is back.
    pub(crate) fn look_again(&mut self, now: Instant, out: &mut Outbox<Output>) {
        while let Some(id) = self.doubts.next() {
            let alone = |peer: &Peer| peer.state == State::Alive && peer.failed_at().is_some();
            if self.view.get(&id).is_some_and(alone) {
                self.probe(now, &id, out);
                self.doubts.last = Some(id);
                return;
            }
            self.doubts.ids.remove(&id);
        }
    }
}
