//! The log in memory: what is retained of it, and what is known about it.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;

use bytes::Bytes;
use quorate_core::{
    ClusterTime, Configuration, DiskId, Entry, LogId, LogIndex, LogView, NodeId, Payload,
    Recovered, Snapshot, Term, mutant,
};

use crate::message::EpochTable;

/// The entries of the log behind a base, with the newest snapshot.
///
/// Lookups cost `O(1)`, appending is `O(1)` amortised, and entries share their payloads with the
/// messages and records made of them.
///
/// Invariant: `base.index <= snapshot.last.index <= commit <= tip.index`.
#[derive(Debug, Clone)]
pub struct Log {
    /// The entry before the first retained one; [`LogId::ZERO`] if none was ever dropped.
    base: LogId,
    /// The time of the entry at the base.
    base_time: ClusterTime,
    /// Invariant: consecutive from `base` on, their terms never fall.
    entries: VecDeque<Entry>,
    /// The last entry of each term from the base's on. Invariant: ascending.
    ends: VecDeque<LogId>,
    /// Where it is kept: by it the log knows whether a member of this node's name is this node.
    disk: DiskId,
    /// Each configuration with the index from which it counts. Invariant: ascending, never empty;
    /// the first is the one in force at the base.
    configurations: Vec<(LogIndex, Configuration)>,
    /// How often the configuration in force was replaced.
    configuration_changes: u64,
    commit: LogIndex,
    /// Entries up to here are on the own disk.
    durable: LogIndex,
    snapshot: Option<Snapshot>,
    /// The size of all retained entries.
    bytes: usize,
    /// The size of the entries behind the snapshot.
    fresh_bytes: usize,
    /// The size of those of them that are committed.
    spared_bytes: usize,
}

impl LogView for Log {
    fn tip(&self) -> LogId {
        self.entries.back().map_or(self.base, |entry| entry.id)
    }

    fn configuration(&self) -> &Configuration {
        if mutant!("configuration-once-committed")
            && let Some(committed) = self.configuration_at(self.commit)
        {
            return committed;
        }
        &self.configurations.last().expect("the configuration at the base never leaves").1
    }

    fn commit(&self) -> LogIndex {
        self.commit
    }

    fn may_lead(&self, id: &NodeId) -> bool {
        let open = self.configurations.partition_point(|(from, _)| *from <= self.commit);
        let mut may_count = self.configurations[open.saturating_sub(1)..].iter();
        if mutant!("removed-never-stands") {
            return self.configuration().may_lead(id);
        }
        // On another disk than the one that has the vote nobody is who that vote was given to: not
        // even its own voice would count. So the configuration that gives it the vote must name this
        // disk, and the one by which the votes are counted too.
        let names_this = |configuration: &Configuration| {
            configuration.speaks_for(id, self.disk) || mutant!("another-disk-stands")
        };
        names_this(self.configuration())
            && may_count.any(|(_, voters)| voters.may_lead(id) && names_this(voters))
    }
}

impl Log {
    /// The log of a journal.
    ///
    /// Entries that do not continue the snapshot are left out: those of a tail that an installed
    /// snapshot replaced. A commit mark above the last entry is lowered to it; a journal that
    /// knows of such a mark and not of the entry is damaged and must not be opened.
    pub(crate) fn recover(recovered: &Recovered) -> Self {
        let snapshot = recovered.snapshot.clone();
        let (base, base_time, configuration) = match &snapshot {
            Some(snapshot) => (snapshot.last, snapshot.time, snapshot.configuration.clone()),
            None => (LogId::ZERO, ClusterTime::ZERO, Configuration::default()),
        };
        let mut log = Self {
            base,
            base_time,
            entries: VecDeque::new(),
            ends: (base != LogId::ZERO).then_some(base).into_iter().collect(),
            disk: DiskId::NONE,
            configurations: vec![(base.index, configuration)],
            configuration_changes: 0,
            commit: base.index,
            durable: base.index,
            snapshot,
            bytes: 0,
            fresh_bytes: 0,
            spared_bytes: 0,
        };
        let replaced = |entry: &Entry| entry.id.index == base.index && entry.id != base;
        if !recovered.entries.iter().any(replaced) {
            for entry in recovered.entries.iter().skip_while(|entry| entry.id.index <= base.index) {
                if !log.continues(entry) {
                    break;
                }
                log.push(entry.clone());
            }
        }
        log.durable = log.tip().index;
        log.set_commit(recovered.commit.min(log.tip().index));
        log
    }

    pub(crate) const fn keep_on(&mut self, disk: DiskId) {
        self.disk = disk;
    }

    pub(crate) const fn disk(&self) -> DiskId {
        self.disk
    }

    /// See [`Replicator::fingerprint`](crate::Replicator::fingerprint).
    pub(crate) fn fingerprint(&self, hasher: &mut impl Hasher) {
        let Self {
            base,
            base_time,
            entries,
            ends,
            disk: _,
            configurations,
            configuration_changes: _,
            commit,
            durable,
            snapshot,
            bytes,
            fresh_bytes,
            spared_bytes,
        } = self;
        (base, base_time, entries, ends, configurations).hash(hasher);
        (commit, durable, snapshot, bytes, fresh_bytes, spared_bytes).hash(hasher);
    }

    /// The index of the first retained entry; one above the tip if none is.
    #[must_use]
    pub const fn first_index(&self) -> LogIndex {
        self.base.index.next()
    }

    /// The entry at `index`; `None` if it is compacted away or not there yet. `O(1)`.
    #[must_use]
    pub fn entry(&self, index: LogIndex) -> Option<&Entry> {
        let offset = index.0.checked_sub(self.base.index.0 + 1)?;
        self.entries.get(usize::try_from(offset).ok()?)
    }

    /// The retained entries of `range`, in order.
    pub fn entries(&self, range: RangeInclusive<LogIndex>) -> impl Iterator<Item = &Entry> {
        let offset = |index: LogIndex| {
            let offset = index.0.saturating_sub(self.base.index.0 + 1);
            usize::try_from(offset).unwrap_or(usize::MAX).min(self.entries.len())
        };
        let from = offset(*range.start());
        let to = if *range.end() <= self.base.index { from } else { offset(range.end().next()) };
        self.entries.range(from..to.max(from))
    }

    /// The term of the entry at `index`, as far as it is retained; also known at the base.
    #[must_use]
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        self.entry(index).map(|entry| entry.id.term)
    }

    /// Whether the log holds exactly this entry, or has it as its base.
    #[must_use]
    pub fn holds(&self, id: LogId) -> bool {
        self.term_at(id.index) == Some(id.term)
    }

    /// The last entry that is on the own disk.
    #[must_use]
    pub fn durable(&self) -> LogId {
        let term = self.term_at(self.durable).unwrap_or(self.base.term);
        LogId { term, index: self.durable }
    }

    /// The newest snapshot.
    #[must_use]
    pub const fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// The size of the retained entries, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How often the configuration in force was replaced since this node started: whoever keeps
    /// something made from it need not compare it to know that it is old.
    #[must_use]
    pub const fn configuration_changes(&self) -> u64 {
        self.configuration_changes
    }

    /// The index from which the configuration in force counts.
    #[must_use]
    pub fn configured_at(&self) -> LogIndex {
        self.configurations.last().map_or(LogIndex::ZERO, |(from, _)| *from)
    }

    /// The configuration in force at `index`; `None` below the base. `O(configurations)`.
    #[must_use]
    pub fn configuration_at(&self, index: LogIndex) -> Option<&Configuration> {
        let mut newest_first = self.configurations.iter().rev();
        newest_first.find(|(from, _)| *from <= index).map(|(_, configuration)| configuration)
    }

    /// The configurations that count from behind `index`, and from where on, in order.
    pub(crate) fn configurations_after(
        &self,
        index: LogIndex,
    ) -> impl Iterator<Item = (LogIndex, &Configuration)> {
        let at = self.configurations.partition_point(|(from, _)| *from <= index);
        self.configurations[at..].iter().map(|(from, configuration)| (*from, configuration))
    }

    /// The snapshot of a state machine that has applied everything up to `index` and encodes to
    /// `state`; `None` if that index is not committed or no longer retained.
    #[must_use]
    pub fn snapshot_of(&self, index: LogIndex, state: Bytes) -> Option<Snapshot> {
        if index > self.commit {
            return None;
        }
        let last = LogId { term: self.term_at(index)?, index };
        let time = self.time_at(index)?;
        Some(Snapshot { last, time, configuration: self.configuration_at(index)?.clone(), state })
    }

    /// The cluster's time at the last entry.
    pub(crate) fn tip_time(&self) -> ClusterTime {
        self.entries.back().map_or(self.base_time, |entry| entry.time)
    }

    /// The cluster's time at the entry at `index`, as far as it is retained.
    pub(crate) fn time_at(&self, index: LogIndex) -> Option<ClusterTime> {
        if index == self.base.index {
            return Some(self.base_time);
        }
        self.entry(index).map(|entry| entry.time)
    }

    /// The base: the entry before the first retained one.
    pub(crate) const fn base(&self) -> LogId {
        self.base
    }

    /// Whether `entry` may follow the tip.
    pub(crate) fn continues(&self, entry: &Entry) -> bool {
        let tip = self.tip();
        entry.id.index == tip.index.next() && entry.id.term >= tip.term
    }

    /// Appends `entry`.
    pub(crate) fn push(&mut self, entry: Entry) {
        assert!(self.continues(&entry), "{} does not follow {}", entry.id, self.tip());
        match self.ends.back_mut() {
            Some(end) if end.term == entry.id.term => end.index = entry.id.index,
            _ => self.ends.push_back(entry.id),
        }
        if let Payload::Configuration(configuration) = &entry.payload {
            self.configurations.push((entry.id.index, configuration.clone()));
            self.configuration_changes += 1;
        }
        let size = entry.size_bytes();
        self.bytes += size;
        self.fresh_bytes += size;
        self.entries.push_back(entry);
    }

    /// Drops every entry from `from` on.
    pub(crate) fn truncate(&mut self, from: LogIndex) {
        assert!(
            from > self.commit || mutant!("truncate-below-commit"),
            "{from} is committed: the commit is {}",
            self.commit
        );
        while let Some(entry) = self.entries.back().filter(|entry| entry.id.index >= from) {
            let size = entry.size_bytes();
            self.bytes -= size;
            self.fresh_bytes = self.fresh_bytes.saturating_sub(size);
            self.entries.pop_back();
        }
        let last = from.previous().max(self.base.index);
        while self.ends.back().is_some_and(|end| end.index > last) {
            let before = self.ends.len().checked_sub(2).and_then(|at| self.ends.get(at));
            let starts_behind = before.map_or(self.base.index, |end| end.index) >= last;
            match self.ends.back_mut() {
                Some(end) if !starts_behind || end.term == self.base.term => end.index = last,
                _ => drop(self.ends.pop_back()),
            }
        }
        while self.configurations.len() > 1
            && self.configurations.last().is_some_and(|(index, _)| *index > last)
        {
            self.configurations.pop();
            self.configuration_changes += 1;
        }
        if !mutant!("durable-not-truncated") {
            self.durable = self.durable.min(last);
        }
    }

    /// Entries up to `index` are committed.
    pub(crate) fn set_commit(&mut self, index: LogIndex) {
        debug_assert!(index <= self.tip().index, "{index} lies behind the tip");
        if index > self.commit {
            self.spared_bytes += self.sizes(self.commit, index);
            self.commit = index;
        }
    }

    /// The entry `id` and all before it are on the own disk.
    pub(crate) fn set_durable(&mut self, id: LogId) {
        // An entry that was replaced since says nothing of the one in its place.
        if self.holds(id) {
            self.durable = self.durable.max(id.index);
        }
    }

    /// How much a snapshot would spare: committed entries, and their bytes, behind the newest one.
    pub(crate) fn spared(&self) -> (u64, usize) {
        let from = self.snapshot.as_ref().map_or(LogIndex::ZERO, |snapshot| snapshot.last.index);
        (self.commit.0 - from.0, self.spared_bytes)
    }

    /// The size of the retained entries behind `after`, up to `last`.
    pub(crate) fn sizes(&self, after: LogIndex, last: LogIndex) -> usize {
        self.entries(after.next()..=last).map(Entry::size_bytes).sum()
    }

    /// Takes over a snapshot of the own state machine and drops entries that it contains: all but
    /// the last `keep_bytes`, and none behind `hold`.
    pub(crate) fn compact(&mut self, snapshot: Snapshot, keep_bytes: usize, hold: LogIndex) {
        assert!(self.holds(snapshot.last), "the state machine applied another {}", snapshot.last);
        assert!(snapshot.last.index <= self.commit, "{} is not committed", snapshot.last);
        let last = snapshot.last.index;
        self.snapshot = Some(snapshot);
        self.fresh_bytes = self.sizes(last, self.tip().index);
        self.spared_bytes = self.sizes(last, self.commit);
        let hold = hold.min(last);
        while self.bytes - self.fresh_bytes > keep_bytes
            && self.entries.front().is_some_and(|entry| entry.id.index <= hold)
            && let Some(entry) = self.entries.pop_front()
        {
            self.bytes -= entry.size_bytes();
            self.base = entry.id;
            self.base_time = entry.time;
        }
        while self.ends.front().is_some_and(|end| end.index < self.base.index) {
            self.ends.pop_front();
        }
        let base = self.base.index;
        let below = self.configurations.iter().take_while(|(index, _)| *index <= base).count();
        self.configurations.drain(..below.saturating_sub(1));
    }

    /// Replaces the whole log by a leader's snapshot that it does not hold: what is before the
    /// snapshot's last entry is in it, what is behind conflicts with it.
    pub(crate) fn install(&mut self, snapshot: Snapshot) {
        assert!(snapshot.last.index > self.commit, "{} is committed already", snapshot.last);
        let conflicting: VecDeque<Entry> =
            self.entries(snapshot.last.index.next()..=self.tip().index).cloned().collect();
        self.base = snapshot.last;
        if !mutant!("snapshot-time-forgotten") {
            self.base_time = snapshot.time;
        }
        self.entries.clear();
        self.ends = [snapshot.last].into();
        let newest = self.configurations.pop().map(|(_, configuration)| configuration);
        let kept = newest.filter(|it| mutant!("configuration-lost-in-snapshot") && !it.is_empty());
        let configuration = kept.unwrap_or_else(|| snapshot.configuration.clone());
        self.configurations = vec![(snapshot.last.index, configuration)];
        self.configuration_changes += 1;
        self.commit = snapshot.last.index;
        // Until the record of the snapshot is durable nothing of this log is.
        self.durable = LogIndex::ZERO;
        self.snapshot = Some(snapshot);
        self.bytes = 0;
        self.fresh_bytes = 0;
        self.spared_bytes = 0;
        if mutant!("snapshot-keeps-conflicting-tail") {
            self.ends.extend(conflicting.back().map(|entry| entry.id));
            self.bytes = conflicting.iter().map(Entry::size_bytes).sum();
            self.entries = conflicting;
        }
    }

    /// The shape of the log above its commit.
    pub(crate) fn table(&self) -> EpochTable {
        let above = self.ends.iter().rev().take_while(|end| end.index > self.commit);
        let mut ends: Vec<LogId> = above.take(EpochTable::LEN_MAX).copied().collect();
        ends.reverse();
        EpochTable { commit: self.commit, ends }
    }

    /// The last index at which this log, a leader's, agrees with the log of the shape `table`.
    /// `O(table x log(terms))`.
    pub(crate) fn agreement(&self, table: &EpochTable) -> LogIndex {
        let shared = table.ends.iter().rev().find_map(|theirs| {
            let at = self.ends.binary_search_by_key(&theirs.term, |end| end.term).ok()?;
            self.ends.get(at).map(|mine| mine.index.min(theirs.index))
        });
        // What they know to be committed is in every later leader's log (leader completeness).
        shared.unwrap_or_default().max(table.commit).min(self.tip().index)
    }
}
