//! What each disk holds, by the word of its journal.

use std::collections::BTreeMap;

use quorate_core::{Ballot, DiskId, LogId, LogIndex, Recovered, Term};

use crate::{Seat, Violation};

/// A twin of every log as far as it is durable.
#[derive(Debug)]
pub(super) struct Disks {
    nodes: Vec<Twin>,
    /// What those held that are gone: as members they count like nodes that never come back.
    gone: BTreeMap<(Seat, DiskId), Twin>,
}

#[derive(Debug, Clone, Default)]
struct Twin {
    /// The term of each entry, from index 1; zero where only a snapshot knows.
    terms: Vec<Term>,
    snapshot: LogId,
    commit: LogIndex,
    /// The term, and whether there is a vote.
    ballot: (Term, bool),
}

impl Disks {
    pub(super) fn new(nodes: usize) -> Self {
        Self { nodes: vec![Twin::default(); nodes], gone: BTreeMap::new() }
    }

    /// Whether what came back is less than what was durable, in any respect: for a disk that was
    /// harmed. Ask before [`Self::booted`].
    pub(super) fn has_lost(&self, seat: Seat, recovered: &Recovered, commit: LogIndex) -> bool {
        let before = &self.nodes[seat.index()];
        let mut now = Twin::default();
        now.recover(recovered);
        let committed = (1..=before.commit.0.min(before.terms.len() as u64))
            .map(|index| LogId { term: before.terms[index as usize - 1], index: LogIndex(index) });
        let ballot = (recovered.ballot.term, recovered.ballot.vote.is_some());
        commit < before.commit
            || now.tip() < before.tip()
            || ballot < before.ballot
            || committed.filter(|id| id.term != Term::ZERO).any(|id| !now.holds(id))
    }

    /// Compares what came back with what was durable.
    pub(super) fn booted(
        &mut self,
        seat: Seat,
        recovered: &Recovered,
        commit: LogIndex,
    ) -> Result<(), Violation> {
        let twin = &mut self.nodes[seat.index()];
        let before = std::mem::take(twin);
        twin.recover(recovered);
        twin.commit = before.commit;
        if commit < before.commit {
            let message = format!("{seat} came back at {commit}, was durable at {}", before.commit);
            return Err(Violation::new("R5", message));
        }
        // Unsynced records may have survived, and may have replaced the tail; what was known to be
        // committed is there in any case.
        for index in 1..=before.commit.0.min(before.terms.len() as u64) {
            let id = LogId { term: before.terms[index as usize - 1], index: LogIndex(index) };
            if id.term != Term::ZERO && !twin.holds(id) {
                let message = format!("{seat} came back without its durable entry {id}");
                return Err(Violation::new("R5", message));
            }
        }
        Ok(())
    }

    pub(super) fn ballot(&mut self, seat: Seat, ballot: &Ballot) {
        self.nodes[seat.index()].ballot = (ballot.term, ballot.vote.is_some());
    }

    pub(super) fn entries(&mut self, seat: Seat, ids: &[LogId]) {
        self.nodes[seat.index()].append(ids);
    }

    pub(super) fn snapshot(&mut self, seat: Seat, last: LogId) {
        self.nodes[seat.index()].cover(last);
    }

    pub(super) fn commit(&mut self, seat: Seat, index: LogIndex) {
        let commit = &mut self.nodes[seat.index()].commit;
        *commit = (*commit).max(index);
    }

    /// Whether the disk holds any entry or snapshot.
    pub(super) fn holds_any(&self, seat: Seat) -> bool {
        !self.nodes[seat.index()].terms.is_empty()
    }

    /// The disk `disk` of `seat` is replaced by an empty one.
    pub(super) fn replaced(&mut self, seat: Seat, disk: DiskId) {
        self.gone.insert((seat, disk), std::mem::take(&mut self.nodes[seat.index()]));
    }

    /// Whether an earlier disk of `seat` is gone.
    pub(super) fn was_replaced(&self, seat: Seat) -> bool {
        self.gone.range((seat, DiskId::NONE)..).next().is_some_and(|((gone, _), _)| *gone == seat)
    }

    /// Whether the disk `disk` that `seat` had holds the entry, or held it until it was gone.
    pub(super) fn held(&self, seat: Seat, disk: DiskId, id: LogId) -> bool {
        self.gone.get(&(seat, disk)).is_some_and(|twin| twin.holds(id))
    }

    /// Whether the disk on `seat` holds the entry.
    pub(super) fn holds(&self, seat: Seat, id: LogId) -> bool {
        self.nodes[seat.index()].holds(id)
    }
}

impl Twin {
    fn recover(&mut self, recovered: &Recovered) {
        if let Some(snapshot) = &recovered.snapshot {
            self.cover(snapshot.last);
        }
        let ids: Vec<LogId> = recovered.entries.iter().map(|entry| entry.id).collect();
        self.append(&ids);
        self.ballot = (recovered.ballot.term, recovered.ballot.vote.is_some());
    }

    /// The last entry.
    fn tip(&self) -> (Term, usize) {
        (self.terms.last().copied().unwrap_or(Term::ZERO), self.terms.len())
    }

    fn append(&mut self, ids: &[LogId]) {
        for id in ids {
            let place = (id.index.0 - 1) as usize;
            self.terms.resize(place, Term::ZERO);
            self.terms.push(id.term);
        }
    }

    fn cover(&mut self, last: LogId) {
        if last.index > self.snapshot.index {
            self.snapshot = last;
            let place = (last.index.0 - 1) as usize;
            if self.terms.get(place) != Some(&last.term) {
                // A tail that does not continue the snapshot is gone with it.
                self.terms.clear();
                self.terms.resize(place, Term::ZERO);
                self.terms.push(last.term);
            }
        }
    }

    fn holds(&self, id: LogId) -> bool {
        // A snapshot holds only what is committed, so whatever it covers is as it should be.
        id.index <= self.snapshot.index
            || self.terms.get((id.index.0 - 1) as usize) == Some(&id.term)
    }
}
