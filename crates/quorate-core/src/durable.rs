//! What a node must not forget: the records of its journal and what they amount to after a start.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    BootEpoch, ClusterId, ClusterTime, Configuration, DiskId, Entry, LeaseTerms, LogId, LogIndex,
    NodeId, Term,
};

/// The highest term a voter has promised, and its vote in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Ballot {
    /// The highest term seen and promised.
    pub term: Term,
    /// Who was granted the vote of `term`; `None` if nobody yet.
    pub vote: Option<NodeId>,
}

/// Who this data folder belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The node.
    pub node: NodeId,
    /// The cluster; [`ClusterId::NONE`] before it is born.
    pub cluster: ClusterId,
    /// How often the folder was started, this time included.
    pub boot: BootEpoch,
    /// The folder itself; the same for its whole life.
    pub disk: DiskId,
    /// The leases it helps to make and waits for, until it is started with others.
    pub lease: LeaseTerms,
}

/// The ballot of the bootstrap's single decree, compared in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct PledgeBallot {
    /// The round; the proposer picks one above all it has seen.
    pub round: u64,
    /// The proposer's priority.
    pub priority: u8,
    /// The proposer; empty only in the ballot before all others.
    pub proposer: Option<NodeId>,
}

/// A first configuration, proposed for a new cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The fresh identity of the cluster.
    pub cluster: ClusterId,
    /// Its first members.
    pub configuration: Configuration,
}

/// What a node has pledged during the bootstrap of its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pledge {
    /// No proposal of a lower ballot is accepted.
    pub promised: PledgeBallot,
    /// The proposal accepted last, with its ballot.
    pub accepted: Option<(PledgeBallot, Proposal)>,
}

/// A state machine's state at a place in the log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Snapshot {
    /// The last entry it contains.
    pub last: LogId,
    /// That entry's time.
    pub time: ClusterTime,
    /// The configuration in force there.
    pub configuration: Configuration,
    /// The state, encoded by its owner.
    pub state: Bytes,
}

/// One record of the journal. Records count in the order in which they were written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// Who this folder belongs to; replaces the earlier one.
    Identity(Identity),
    /// Replaces the earlier ballot.
    Ballot(Ballot),
    /// Replaces the earlier pledge.
    Pledge(Pledge),
    /// Entries of consecutive indexes, at least one. Whatever stood at or above the first index is
    /// gone with it.
    Entries(Vec<Entry>),
    /// Entries up to here are committed. A hint that may lag behind: never truncated below.
    Commit(LogIndex),
    /// A snapshot; entries up to `last` are no longer needed from the journal.
    Snapshot(Snapshot),
}

/// What a journal amounts to after opening.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Who the folder belongs to; `None` if it is new.
    pub identity: Option<Identity>,
    /// The last ballot.
    pub ballot: Ballot,
    /// The last pledge.
    pub pledge: Pledge,
    /// The newest snapshot.
    pub snapshot: Option<Snapshot>,
    /// Entries behind the snapshot's last (some before it may be there too), consecutive.
    pub entries: Vec<Entry>,
    /// The highest durable commit mark.
    pub commit: LogIndex,
}
