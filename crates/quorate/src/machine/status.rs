//! What a node knows, as plain data.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::{ClusterId, Configuration, LogId, LogIndex, NodeId, Term};
use quorate_dist_state::Revision;
use quorate_election::Role;

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
    /// Requests under way at this node as leader.
    pub open: usize,
    /// Entries each replica is behind, as a leader knows; empty elsewhere.
    pub lag: BTreeMap<NodeId, u64>,
}
