//! Linearizable reads without a write: the leader asks a quorum whether it still leads.
//!
//! One round is under way at a time; reads that come meanwhile share the next one, so a round
//! trip serves any number of them (Ongaro 2014, section 6.4).

use std::hash::{Hash, Hasher};

use quorate_core::{Instant, LogIndex, mutant};

use crate::io::ReadId;

/// The reads of a leader.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    /// Reads for the next round.
    waiting: Vec<ReadId>,
    round: Option<Round>,
    /// The number of the last round.
    seq: u64,
}

/// A round that a quorum has not confirmed yet.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) seq: u64,
    /// The committed index when the round began: the least that its reads must see.
    pub(crate) index: LogIndex,
    pub(crate) ids: Vec<ReadId>,
    /// When those that have not answered are asked again.
    pub(crate) ask_at: Instant,
}

impl Reads {
    pub(crate) const fn len(&self) -> usize {
        let in_round = match &self.round {
            Some(round) => round.ids.len(),
            None => 0,
        };
        self.waiting.len() + in_round
    }

    pub(crate) fn wait(&mut self, id: ReadId) {
        match &mut self.round {
            Some(round) if mutant!("read-joins-round") => round.ids.push(id),
            _ => self.waiting.push(id),
        }
    }

    /// Begins a round for the waiting reads, unless one is under way or none waits.
    pub(crate) fn begin(&mut self, index: LogIndex, ask_at: Instant) {
        if self.round.is_some() || self.waiting.is_empty() {
            return;
        }
        self.seq += 1;
        let ids = std::mem::take(&mut self.waiting);
        self.round = Some(Round { seq: self.seq, index, ids, ask_at });
    }

    pub(crate) const fn round(&self) -> Option<&Round> {
        self.round.as_ref()
    }

    pub(crate) const fn round_mut(&mut self) -> Option<&mut Round> {
        self.round.as_mut()
    }

    /// Ends the round, confirmed.
    pub(crate) const fn finish(&mut self) -> Option<Round> {
        self.round.take()
    }

    /// Whether reads wait for a round to begin.
    pub(crate) const fn wait_for_round(&self) -> bool {
        !self.waiting.is_empty() && self.round.is_none()
    }

    /// See [`Replicator::fingerprint`](crate::Replicator::fingerprint).
    pub(crate) fn fingerprint(&self, now: Instant, hasher: &mut impl Hasher) {
        let Self { waiting, round, seq } = self;
        (waiting, seq).hash(hasher);
        if let Some(Round { seq, index, ids, ask_at }) = round {
            (seq, index, ids, ask_at.since(now)).hash(hasher);
        }
    }

    /// All reads that have no answer.
    pub(crate) fn take_all(&mut self) -> Vec<ReadId> {
        let mut ids = self.round.take().map_or_else(Vec::new, |round| round.ids);
        ids.append(&mut self.waiting);
        ids
    }
}
