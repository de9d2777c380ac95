//! Pictures of the members that anybody may keep.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::{Instant, NodeId};

use crate::{Coordinate, Info, MemberView, Membership, State};

/// One member as the node saw it.
///
/// What changes without an event (when it was heard, round trip, loss, coordinate) may be a second
/// behind, or some in a cluster of thousands.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberSnapshot {
    /// Who.
    pub id: NodeId,
    /// How it is.
    pub state: State,
    /// What it said of itself last.
    pub info: Info,
    /// Since when it is in that state, on the [`BootClock`](quorate_tokio::BootClock).
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
    /// Whether datagrams do not get through to it and streams do.
    pub by_stream: bool,
    /// Where it is in the space of round trips, if it said so.
    pub coordinate: Option<Coordinate>,
}

impl MemberSnapshot {
    fn of(id: &NodeId, view: &MemberView<'_>) -> Self {
        Self {
            id: id.clone(),
            state: view.state,
            info: view.info.clone(),
            since: view.since,
            heard_at: view.heard_at,
            rtt: view.rtt,
            loss: view.loss,
            failed_at: view.failed_at,
            suspected: view.suspected,
            by_stream: view.by_stream,
            coordinate: view.coordinate,
        }
    }
}

/// All members as the node saw them at one moment, itself and those that are gone included.
#[derive(Debug, Clone, PartialEq)]
pub struct Members {
    me: NodeId,
    members: BTreeMap<NodeId, Arc<MemberSnapshot>>,
}

impl Members {
    pub(super) fn of(machine: &Membership) -> Self {
        let members = machine.members();
        let snapshots =
            members.map(|(id, view)| (id.clone(), Arc::new(MemberSnapshot::of(id, &view))));
        Self { me: machine.me.clone(), members: snapshots.collect() }
    }

    /// Takes over what the machine says of one member now.
    pub(super) fn refresh(&mut self, machine: &Membership, id: &NodeId) {
        match machine.member(id) {
            Some(view) => {
                self.members.insert(id.clone(), Arc::new(MemberSnapshot::of(id, &view)));
            }
            None => drop(self.members.remove(id)),
        }
    }

    /// The node's own name.
    #[must_use]
    pub const fn me(&self) -> &NodeId {
        &self.me
    }

    /// One member. O(log members).
    #[must_use]
    pub fn get(&self, id: &NodeId) -> Option<&MemberSnapshot> {
        self.members.get(id).map(|member| &**member)
    }

    /// All members in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &MemberSnapshot> {
        self.members.values().map(|member| &**member)
    }

    /// Those that answer, or of which nobody says otherwise, in the order of their names.
    pub fn alive(&self) -> impl Iterator<Item = &MemberSnapshot> {
        self.iter().filter(|member| member.state == State::Alive)
    }

    /// How a member is; `None` if it is not known.
    #[must_use]
    pub fn state(&self, id: &NodeId) -> Option<State> {
        self.get(id).map(|member| member.state)
    }
}
