//! How safe a write is: who must hold it, who does, and what became of it.

use std::collections::BTreeSet;
use std::fmt;

use quorate_core::{Configuration, DiskId, Kind, LogId, LogIndex, LogView as _, NodeId, mutant};
use serde::{Deserialize, Serialize};

use crate::log::Log;
use crate::replicator::Replicator;

/// How many must hold a write before it is acknowledged; the later, the safer.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum ConsistencyLevel {
    /// The leader's own disk. A failover may lose it.
    Eventual,
    /// A majority of the voters, so that it is committed: no failover loses it.
    #[default]
    Quorum,
    /// Committed, and on the disk of every data voter of the configuration in force where it
    /// stands (of both halves, if that is joint), less those that a committed change has removed
    /// since. Who joins later does not count; who is not reachable does.
    Strong,
}

impl fmt::Display for ConsistencyLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Eventual => "eventual",
            Self::Quorum => "quorum",
            Self::Strong => "strong",
        })
    }
}

/// A member and the disk that it must hold a write on: what a disk of the same name holds that came
/// in its place is no copy of this one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// Who.
    pub id: NodeId,
    /// On which disk; [`DiskId::NONE`]: on any.
    pub disk: DiskId,
}

/// What became of an entry, as far as a node knows. All but `Pending` are final, and true whoever
/// says so: they rest on what is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WriteState {
    /// Neither committed nor overwritten: ask again.
    Pending,
    /// The entry is committed, and no failover loses it. Whether the command in it acted is another
    /// question: a compare-and-swap may not have swapped, and a numbered retry acts once.
    Committed,
    /// Another entry is committed in its place, or before it of a later term: it is in no log of a
    /// leader any more, and had and will have no effect.
    Overwritten,
    /// It lies so far back that the log no longer shows its term: committed, or overwritten.
    Unknown,
}

/// What became of a write, and who holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteStatus {
    /// Its entry.
    pub log_id: LogId,
    /// What became of it.
    pub state: WriteState,
    /// The highest level it is known to have reached; `None` below the lowest.
    pub reached: Option<ConsistencyLevel>,
    /// Who is known to hold it on disk; empty unless the log shows it.
    pub acked: Vec<NodeId>,
    /// Who must hold it for [`ConsistencyLevel::Strong`], and is not known to.
    pub missing: Vec<NodeId>,
}

impl WriteStatus {
    /// Whether waiting for `level` is over: it is reached, or never will be, or nobody can tell.
    #[must_use]
    pub fn settles(&self, level: ConsistencyLevel) -> bool {
        match self.state {
            WriteState::Pending => false,
            WriteState::Committed => self.reached >= Some(level),
            WriteState::Overwritten | WriteState::Unknown => true,
        }
    }
}

impl Log {
    /// What became of the entry `id`. Index *and* term count: a new leader may have put another
    /// entry in the same place.
    #[must_use]
    pub fn state_of(&self, id: LogId) -> WriteState {
        let commit = self.commit();
        if id.index == LogIndex::ZERO {
            return WriteState::Unknown;
        }
        if id.index <= commit {
            return match self.term_at(id.index) {
                Some(term) if term == id.term || mutant!("status-ignores-term") => {
                    WriteState::Committed
                }
                Some(_) => WriteState::Overwritten,
                // Terms never fall along a log, so what was compacted is not of a later one.
                None if id.term > self.base().term => WriteState::Overwritten,
                None => WriteState::Unknown,
            };
        }
        // Every later leader holds what is committed, and behind an entry of a later term none of
        // an earlier one follows. Short of that it may be in the log of whoever leads next, even if
        // this leader does not hold it.
        let newest = self.term_at(commit).unwrap_or_default();
        if id.term < newest { WriteState::Overwritten } else { WriteState::Pending }
    }
}

impl Replicator {
    /// Who must hold the entry at `index` for [`ConsistencyLevel::Strong`], as it is now; `None` if
    /// the log no longer shows which members counted there.
    #[must_use]
    pub fn strong_holders(&self, index: LogIndex) -> Option<Vec<Holder>> {
        let mut holders = data_voters(self.log.configuration_at(index)?);
        for (from, configuration) in self.log.configurations_after(index) {
            if from <= self.log.commit() {
                holders.retain(|holder| holder.remains_in(configuration));
            }
        }
        Some(holders)
    }

    /// Whether `holder` is known to hold the entry at `index` of this log on its disk.
    #[must_use]
    pub fn is_held_by(&self, holder: &Holder, index: LogIndex) -> bool {
        if holder.id == self.me {
            let own = holder.disk == DiskId::NONE || holder.disk == self.log.disk();
            return own && self.log.durable().index >= index;
        }
        // What a peer reports counts for the disk that the configuration in force names.
        let speaks = self.log.configuration().disk(&holder.id) == Some(holder.disk);
        let Some(leading) = self.leading.as_ref().filter(|_| speaks) else { return false };
        let at = leading.peers.binary_search_by(|peer| peer.id.cmp(&holder.id)).ok();
        at.and_then(|at| leading.peers.get(at)).is_some_and(|peer| peer.matched() >= index)
    }

    /// Everyone who is known to hold the entry at `index` of this log on disk, this node first.
    #[must_use]
    pub fn known_holders(&self, index: LogIndex) -> Vec<NodeId> {
        let own = self.log.durable().index >= index || mutant!("acked-overstated");
        let peers = self.leading.iter().flat_map(|leading| &leading.peers);
        let peers = peers.filter(|peer| peer.matched() >= index).map(|peer| peer.id.clone());
        own.then(|| self.me.clone()).into_iter().chain(peers).collect()
    }

    /// What became of the write at `log_id`, as this node knows. Who holds it, a leader knows.
    #[must_use]
    pub fn write_status(&self, log_id: LogId) -> WriteStatus {
        let state = self.log.state_of(log_id);
        let mut status =
            WriteStatus { log_id, state, reached: None, acked: Vec::new(), missing: Vec::new() };
        if !self.log.holds(log_id) {
            status.reached = (state == WriteState::Committed).then_some(ConsistencyLevel::Quorum);
            return status;
        }
        let index = log_id.index;
        status.acked = self.known_holders(index);
        let holders = self.strong_holders(index);
        let missing = holders.iter().flatten().filter(|holder| !self.is_held_by(holder, index));
        status.missing = missing.map(|holder| holder.id.clone()).collect();
        let all = holders.is_some() && status.missing.is_empty();
        status.reached = match state {
            WriteState::Committed if all => Some(ConsistencyLevel::Strong),
            WriteState::Committed => Some(ConsistencyLevel::Quorum),
            _ => status.acked.contains(&self.me).then_some(ConsistencyLevel::Eventual),
        };
        status
    }
}

impl Holder {
    /// Whether it is a member of the committed `configuration`, or still one of it while that is
    /// joint.
    #[must_use]
    pub fn remains_in(&self, configuration: &Configuration) -> bool {
        let halves = std::iter::once(&configuration.members).chain(&configuration.outgoing);
        let named = |member: &quorate_core::Member| member.disk == self.disk;
        halves.into_iter().any(|half| half.get(&self.id).is_some_and(named))
    }
}

/// The voters with data of either half, each disk once.
fn data_voters(configuration: &Configuration) -> Vec<Holder> {
    let halves = std::iter::once(&configuration.members).chain(&configuration.outgoing);
    let voters = halves.flatten().filter(|(_, member)| member.kind == Kind::Voter);
    let holders = voters.map(|(id, member)| Holder { id: id.clone(), disk: member.disk });
    holders.collect::<BTreeSet<_>>().into_iter().collect()
}
