//! What a node knows, as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::{ClusterId, Configuration, DiskId, Instant, LogId, LogIndex, NodeId, Term};
use quorate_dist_state::Revision;
use quorate_election::{BootstrapStatus, Role};
use quorate_membership::{Counters, Incarnation, State, Tags};

/// What a node knows at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// The node.
    pub node: NodeId,
    /// The cluster it belongs to; `None` before it is formed.
    pub cluster: Option<ClusterId>,
    /// Its role in the election.
    pub role: Role,
    /// The highest term it has promised.
    pub term: Term,
    /// The leader it can ask, itself included.
    pub leader: Option<NodeId>,
    /// Its vote in `term`.
    pub voted_for: Option<NodeId>,
    /// Its last entry.
    pub tip: LogId,
    /// The last entry it knows to be committed.
    pub commit: LogIndex,
    /// The last entry it has applied.
    pub applied: LogId,
    /// The revision of its state.
    pub revision: Revision,
    /// The digest of its state.
    pub digest: u64,
    /// The configuration in force.
    pub configuration: Configuration,
    /// The peers its own streams reach.
    pub connected: BTreeSet<NodeId>,
    /// Members that are there on another disk than the configuration names, this node among them
    /// if it is one: they lost theirs, and have no say until they are members on this one.
    pub another_disk: BTreeMap<NodeId, DiskId>,
    /// Requests under way at this node as leader.
    pub open: usize,
    /// Entries each replica is behind, as a leader knows; empty elsewhere.
    pub lag: BTreeMap<NodeId, u64>,
    /// What gossip knows of everyone, this node included.
    pub neighbours: Arc<BTreeMap<NodeId, NeighbourStatus>>,
    /// How gossip itself fares.
    pub gossip: GossipStatus,
    /// Whether the cluster is born, and if not, what it waits for.
    pub bootstrap: BootstrapStatus,
}

/// What gossip knows of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighbourStatus {
    /// How sure gossip is of it.
    pub state: State,
    /// Which of its lives this is about.
    pub incarnation: Incarnation,
    /// `host:port` of its cluster port.
    pub address: String,
    /// What it says of itself.
    pub tags: Tags,
    /// Since when it is in that state here.
    pub since: Instant,
    /// When it last answered; `None` if it never did, and for this node itself.
    pub heard_at: Option<Instant>,
    /// How long an answer takes; `None` before the first.
    pub rtt: Option<Duration>,
    /// How long an answer should take, by where both are in the space of round trips; also of one
    /// that was never asked.
    pub rtt_expected: Option<Duration>,
    /// The share of pings to it that stayed unanswered lately, in millionths.
    pub loss: u32,
    /// Since when this node itself does not reach it.
    pub failed_at: Option<Instant>,
    /// Since when all suspect it, and whether enough others found it silent too.
    pub suspected: Option<(Instant, bool)>,
    /// Whether datagrams do not get through to it and streams do.
    pub by_stream: bool,
}

/// How gossip fares at one node. At most a second old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GossipStatus {
    /// Equal on two nodes exactly if they know the same live members in the same incarnations.
    pub view_hash: u64,
    /// By how much the node stretches its patience because it fails to hear what it should: 1 is
    /// well, 8 is worst.
    pub health_multiplier: u32,
    /// How many members are live, this node included.
    pub live: usize,
    /// How long a member is suspected before it is given up.
    pub suspicion: Duration,
    /// How often a member came into each state here.
    pub changes: MemberChanges,
    /// How often other things happened.
    pub counters: Counters,
}

/// How often a member came into each state, as one node saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemberChanges {
    /// New, back, or restarted.
    pub alive: u64,
    /// Silent; reversible.
    pub unreachable: u64,
    /// Given up: final for that life.
    pub dead: u64,
    /// Left by its own will.
    pub left: u64,
}

/// The state of a node in its cluster, as users see it. Where several hold, the first in this
/// order is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeState {
    /// It leaves, or has left, by its own will.
    Leaving,
    /// It does not answer.
    Unreachable,
    /// It is there, and no member of the log yet, or one that does not hold the data yet.
    Joining,
    /// It answers, and its own verdict on itself is bad.
    Degraded,
    /// It leads.
    Leader,
    /// It is a member and well.
    Active,
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Leaving => "LEAVING",
            Self::Unreachable => "UNREACHABLE",
            Self::Joining => "JOINING",
            Self::Degraded => "DEGRADED",
            Self::Leader => "LEADER",
            Self::Active => "ACTIVE",
        })
    }
}

impl NodeStatus {
    /// Every node that is known, member of the log or not, with its state. Nodes that left and are
    /// no members are not among them.
    #[must_use]
    pub fn nodes(&self) -> BTreeMap<NodeId, NodeState> {
        let known = self.neighbours.keys().chain(self.configuration.ids());
        let states = known.filter_map(|id| Some((id.clone(), self.state(id)?)));
        states.collect()
    }

    fn state(&self, id: &NodeId) -> Option<NodeState> {
        let gossip = self.neighbours.get(id).map(|neighbour| neighbour.state);
        let is_member = self.configuration.member(id).is_some();
        // Only the leader, and it itself, know how far a learner is.
        let behind = |lag: &u64| *lag > CAUGHT_UP;
        let is_behind = self.configuration.kind(id).is_some_and(|kind| !kind.votes())
            && (self.lag.get(id).is_some_and(behind)
                || (*id == self.node && self.commit > self.applied.index));
        // A stream that works proves more than a suspicion. Not more than a death: a stream on which
        // nothing is said stays up when the way is cut.
        let is_reached = (*id == self.node || self.connected.contains(id))
            && !self.another_disk.contains_key(id);
        let leads = self.leader.as_ref() == Some(id);
        match state(gossip, is_member, is_reached, leads) {
            Some(NodeState::Active) if is_behind => Some(NodeState::Joining),
            state => state,
        }
    }
}

/// A learner that lacks no more entries than this holds the data.
const CAUGHT_UP: u64 = 1_024;

/// `None` for a node that left and is no member. One that is dead is shown until gossip forgets it.
fn state(
    gossip: Option<State>,
    is_member: bool,
    is_reached: bool,
    leads: bool,
) -> Option<NodeState> {
    Some(match gossip {
        Some(State::Left) if is_member => NodeState::Leaving,
        Some(State::Left) => return None,
        Some(State::Dead) => NodeState::Unreachable,
        // Only members need a stream: a newcomer's may still be on its way.
        _ if !is_reached && (is_member || gossip != Some(State::Alive)) => NodeState::Unreachable,
        _ if !is_member => NodeState::Joining,
        _ if leads => NodeState::Leader,
        _ => NodeState::Active,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_states_the_first_in_their_order_is_shown() {
        use NodeState::{Active, Joining, Leader, Leaving, Unreachable};
        use State::{Alive, Dead, Left, Suspect};
        for (gossip, is_member, is_reached, leads, shown) in [
            (Some(Alive), true, true, false, Some(Active)),
            (Some(Alive), true, true, true, Some(Leader)),
            (Some(Suspect), true, true, true, Some(Leader)),
            (Some(Alive), true, false, true, Some(Unreachable)),
            (None, true, true, false, Some(Active)),
            (None, true, false, false, Some(Unreachable)),
            (Some(Left), true, true, true, Some(Leaving)),
            (Some(Left), false, false, false, None),
            (Some(Alive), false, false, false, Some(Joining)),
            (Some(Suspect), false, false, false, Some(Unreachable)),
            (Some(Dead), false, false, false, Some(Unreachable)),
            (Some(Dead), true, false, false, Some(Unreachable)),
            (Some(Dead), true, true, true, Some(Unreachable)),
        ] {
            let case = (gossip, is_member, is_reached, leads);
            assert_eq!(state(gossip, is_member, is_reached, leads), shown, "{case:?}");
        }
    }
}
