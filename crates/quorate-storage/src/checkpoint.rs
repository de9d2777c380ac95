//! What records amount to: all but the entries at a glance, the entries by replaying them.

use quorate_core::{Ballot, Entry, Identity, LogId, LogIndex, Pledge, Record};
use serde::{Deserialize, Serialize};

/// Everything that the records before a place amount to, except the entries themselves. It begins
/// every segment, so that segments before it are needed for their entries alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    pub(crate) identity: Option<Identity>,
    pub(crate) ballot: Ballot,
    pub(crate) pledge: Pledge,
    pub(crate) commit: LogIndex,
    /// The last entry of the newest snapshot.
    pub(crate) snapshot: Option<LogId>,
    /// The last entry of the log.
    pub(crate) tip: LogIndex,
}

/// Stands in the journal for a snapshot, whose state is in a file of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) last: LogId,
    /// Whether the log contained `last`, so that the entries behind it stay.
    pub(crate) kept: bool,
}

impl Checkpoint {
    /// Takes a record that is not about entries or snapshots.
    pub(crate) fn apply(&mut self, record: &Record) {
        match record {
            Record::Identity(identity) => self.identity = Some(identity.clone()),
            Record::Ballot(ballot) => self.ballot.clone_from(ballot),
            Record::Pledge(pledge) => self.pledge.clone_from(pledge),
            Record::Commit(commit) => self.commit = self.commit.max(*commit),
            Record::Entries(_) | Record::Snapshot(_) => {}
        }
    }

    /// Takes the mark of a snapshot. What a snapshot contains is committed.
    pub(crate) fn cover(&mut self, last: LogId) {
        self.snapshot = Some(last);
        self.commit = self.commit.max(last.index);
    }

    /// The last entry that the journal need not hold.
    pub(crate) fn covered(&self) -> LogIndex {
        self.snapshot.map_or(LogIndex::ZERO, |last| last.index)
    }
}

/// The records make no sense together.
#[derive(Debug)]
pub(crate) struct Nonsense;

/// Replays the records of the segments that are left.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) state: Checkpoint,
    pub(crate) entries: Vec<Entry>,
    /// The log before `entries` reached up to here, in segments that are no longer needed. That
    /// they are not is checked at the end.
    unseen: LogIndex,
}

impl Replay {
    /// Begins behind what `state` says.
    pub(crate) const fn new(state: Checkpoint) -> Self {
        Self { unseen: state.tip, state, entries: Vec::new() }
    }

    pub(crate) fn record(&mut self, record: Record) -> Result<(), Nonsense> {
        self.state.apply(&record);
        match record {
            Record::Entries(entries) => self.append(entries),
            Record::Snapshot(_) => Err(Nonsense),
            Record::Identity(_) | Record::Ballot(_) | Record::Pledge(_) | Record::Commit(_) => {
                Ok(())
            }
        }
    }

    fn append(&mut self, entries: Vec<Entry>) -> Result<(), Nonsense> {
        let first = first_of_consecutive(&entries).ok_or(Nonsense)?;
        if first > self.state.tip.next() {
            return Err(Nonsense);
        }
        let stay = self.entries.partition_point(|entry| entry.id.index < first);
        self.entries.truncate(stay);
        if self.entries.is_empty() {
            self.unseen = self.unseen.min(first.previous());
        }
        self.state.tip = entries.last().map_or(self.state.tip, |entry| entry.id.index);
        self.entries.extend(entries);
        Ok(())
    }

    pub(crate) fn mark(&mut self, mark: Mark) -> Result<(), Nonsense> {
        let index = mark.last.index;
        if mark.kept {
            if index > self.state.tip {
                return Err(Nonsense);
            }
            let over = self.entries.partition_point(|entry| entry.id.index <= index);
            if let Some(last) = self.entries.drain(..over).next_back() {
                self.unseen = last.id.index;
            }
        } else {
            self.entries.clear();
            (self.unseen, self.state.tip) = (index, index);
        }
        self.state.cover(mark.last);
        Ok(())
    }

    /// Whether snapshot and entries together are the whole log.
    pub(crate) fn is_whole(&self) -> bool {
        self.unseen <= self.state.covered()
            && self.entries.first().is_none_or(|e| e.id.index == self.state.covered().next())
    }
}

/// The first index, if there is one and the others follow one by one.
pub(crate) fn first_of_consecutive(entries: &[Entry]) -> Option<LogIndex> {
    let follows = |pair: &[Entry]| pair[0].id.index.0.checked_add(1) == Some(pair[1].id.index.0);
    let first = entries.first()?.id.index;
    // An index of 2^64 - 1 would have no successor.
    let sound = first > LogIndex::ZERO && entries.last()?.id.index < LogIndex(u64::MAX);
    (sound && entries.windows(2).all(follows)).then_some(first)
}
