//! Logs, commits and what is applied.

use std::collections::BTreeMap;

use quorate_core::{Entry, LogId, LogIndex, LogView as _, Payload, Term};
use quorate_dist_state::Limits;

use super::twin::Twin;
use crate::cluster::program::NodeProgram;
use crate::trace::digest;
use crate::{Seat, Violation};

#[derive(Debug)]
pub(super) struct LogCheck {
    /// Every entry ever seen in a log: what it says, and the term of the one before it.
    entries: BTreeMap<LogId, (Content, Option<Term>)>,
    /// What is committed, from index 1; `None` where it was seen only as part of a snapshot.
    committed: Vec<Option<Committed>>,
    nodes: Vec<Known>,
    /// The digest of the state at each index at which some node rested.
    states: BTreeMap<LogIndex, (u64, Seat)>,
    /// The highest revision that any node has applied.
    revision: u64,
    /// The highest index that each node has applied in any of its lives.
    ever_applied: Vec<LogIndex>,
    /// The state as the committed entries make it.
    twin: Twin,
}

#[derive(Debug, Clone, Copy)]
struct Committed {
    id: LogId,
    content: Content,
    /// The term in which it was first called committed.
    by: Term,
}

/// What an entry says, in two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Content {
    /// The digest of its command.
    says: u64,
    time: u64,
}

/// A node's log as it was at its last step.
#[derive(Debug, Clone, Default)]
struct Known {
    tip: LogId,
    /// The terms of its entries from index 1; zero where only a snapshot knows.
    terms: Vec<Term>,
    commit: LogIndex,
    applied: LogIndex,
}

impl LogCheck {
    pub(super) fn new(nodes: usize, limits: Limits) -> Self {
        Self {
            entries: BTreeMap::new(),
            committed: Vec::new(),
            nodes: vec![Known::default(); nodes],
            states: BTreeMap::new(),
            revision: 0,
            ever_applied: vec![LogIndex::ZERO; nodes],
            twin: Twin::new(limits),
        }
    }

    pub(super) fn booted(&mut self, seat: Seat) {
        self.nodes[seat.index()] = Known::default();
    }

    /// E2: nobody answers by a lease once a later leader has committed.
    pub(super) fn nobody_committed_since(
        &self,
        seat: Seat,
        program: &NodeProgram,
    ) -> Result<(), Violation> {
        let term = program.machine.voter().term();
        match self.committed.iter().rev().flatten().next() {
            Some(newest) if newest.id.term > term => {
                let at = newest.id;
                let message = format!("{seat} holds a lease of {term:?}, and {at} is committed");
                Err(Violation::new("E2", message))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn has_changed(&self, seat: Seat, program: &NodeProgram) -> bool {
        let (known, log) = (&self.nodes[seat.index()], program.machine.log());
        known.tip != log.tip() || known.commit != log.commit()
    }

    /// R1: an entry of one identity says one thing and follows one entry, in every log. X4: time
    /// never goes back from entry to entry; sessions live by it.
    ///
    /// From where on it is new, and whether entries were replaced.
    pub(super) fn entries(
        &mut self,
        seat: Seat,
        program: &NodeProgram,
    ) -> Result<(LogIndex, bool), Violation> {
        let log = program.machine.log();
        let known = &mut self.nodes[seat.index()];
        let (first, tip) = (log.first_index().0, log.tip());
        if let (Some(before), Some(base)) = (first.checked_sub(2), log.term_at(LogIndex(first - 1)))
            && known.terms.get(before as usize) != Some(&base)
        {
            // A snapshot took the place of all that was here.
            known.terms.clear();
            known.terms.resize(before as usize, Term::ZERO);
            known.terms.push(base);
        }
        let same = |index: u64| {
            let term = log.term_at(LogIndex(index));
            term.is_some() && known.terms.get(index as usize - 1).copied() == term
        };
        let mut from = tip.index.0 + 1;
        while from > first && !same(from - 1) {
            from -= 1;
        }
        if from <= known.commit.0 {
            let message = format!("{seat} replaced {from}, and {} was committed", known.commit);
            return Err(Violation::new("R5", message));
        }
        let replaces = from <= known.tip.index.0;
        known.tip = tip;
        known.terms.resize(from as usize - 1, Term::ZERO);
        for index in from..=tip.index.0 {
            let Some(entry) = log.entry(LogIndex(index)) else { continue };
            known.terms.push(entry.id.term);
            let before = log.term_at(LogIndex(index - 1));
            // Also where only a snapshot knows the predecessor: some log held it once.
            let at = before.map(|term| LogId { term, index: LogIndex(index - 1) });
            let earlier = at.and_then(|at| self.entries.get(&at)).map(|(says, _)| says.time);
            if earlier.is_some_and(|earlier| entry.time.0 < earlier) {
                let message = format!("{seat} holds {} of before its predecessor", entry.id);
                return Err(Violation::new("X4", message));
            }
            let says = (content(entry), before);
            let earlier = *self.entries.entry(entry.id).or_insert_with(|| {
                self.twin.seen(entry);
                says
            });
            let differs = |a: Option<Term>, b: Option<Term>| a.is_some() && b.is_some() && a != b;
            if earlier.0 != says.0 || differs(earlier.1, says.1) {
                let message = format!("{seat} holds {} other than others did", entry.id);
                return Err(Violation::new("R1", message));
            }
        }
        Ok((LogIndex(from), replaces))
    }

    /// R3 and R5: a commit mark never falls, and what is committed at an index is one entry. Gives
    /// back what nobody has called committed before.
    pub(super) fn commits(
        &mut self,
        seat: Seat,
        program: &NodeProgram,
    ) -> Result<Vec<LogId>, Violation> {
        let log = program.machine.log();
        let known = &mut self.nodes[seat.index()];
        let (from, to) = (known.commit, log.commit());
        if to < from {
            let message = format!("the commit of {seat} fell from {from} to {to}");
            return Err(Violation::new("R5", message));
        }
        known.commit = to;
        let mut news = Vec::new();
        for index in from.0 + 1..=to.0 {
            let held = log.entry(LogIndex(index)).map(|entry| (entry.id, content(entry)));
            // Committed and compacted in one step: it was seen before, or others see it.
            let term = known.terms.get(index as usize - 1).copied().unwrap_or_default();
            let id = LogId { term, index: LogIndex(index) };
            let seen = || self.entries.get(&id).map(|(says, _)| (id, *says));
            let Some((id, says)) = held.or_else(seen) else { continue };
            let place = index as usize - 1;
            if self.committed.len() <= place {
                self.committed.resize(place + 1, None);
            }
            let by = program.machine.voter().term();
            let committed = Committed { id, content: says, by };
            match &mut self.committed[place] {
                Some(other) if (other.id, other.content) != (committed.id, committed.content) => {
                    let message =
                        format!("at {index} {seat} committed {id}, others committed {}", other.id);
                    return Err(Violation::new("R3", message));
                }
                Some(other) => other.by = other.by.min(by),
                none => {
                    *none = Some(committed);
                    news.push(id);
                }
            }
        }
        if !news.is_empty() {
            self.lead_on()?;
        }
        Ok(news)
    }

    /// What `seat` has applied.
    pub(super) fn applied_by(&self, seat: Seat) -> LogIndex {
        self.nodes[seat.index()].applied
    }

    /// The highest index that `seat` has applied in any of its lives.
    pub(super) fn ever_applied(&self, seat: Seat) -> LogIndex {
        self.ever_applied[seat.index()]
    }

    /// What is committed at `index`, as far as any log has shown it.
    pub(super) fn committed_at(&self, index: LogIndex) -> Option<LogId> {
        let place = usize::try_from(index.0).ok()?.checked_sub(1)?;
        self.committed.get(place).copied().flatten().map(|committed| committed.id)
    }

    /// Whether it is known of `index` that it is committed, and not as what.
    pub(super) fn may_be_in_snapshot(&self, index: LogIndex) -> bool {
        (self.committed.len() as u64) >= index.0 && self.committed_at(index).is_none()
    }

    /// Whether every committed entry was seen, and so checked.
    pub(super) const fn has_seen_all(&self) -> bool {
        self.twin.applied().0 as usize >= self.committed.len()
    }

    /// K1, K3 and X1 for one copy: each command does what it says, once, as the log has them.
    fn lead_on(&mut self) -> Result<(), Violation> {
        while let Some(Some(next)) = self.committed.get(self.twin.applied().0 as usize)
            && self.twin.apply(next.id)?
        {}
        Ok(())
    }

    /// R6 and K5: what is applied goes forward, and equal places mean equal states.
    pub(super) fn applied(&mut self, seat: Seat, program: &NodeProgram) -> Result<(), Violation> {
        let known = &mut self.nodes[seat.index()];
        let (applied, store) = (program.machine.applied().index, program.machine.store());
        let says = store.digest();
        if applied < known.applied || applied > known.commit {
            let message = format!(
                "{seat} had applied {}, now {applied}, and {} is committed",
                known.applied, known.commit
            );
            return Err(Violation::new("R6", message));
        }
        known.applied = applied;
        let ever = &mut self.ever_applied[seat.index()];
        *ever = (*ever).max(applied);
        self.revision = self.revision.max(store.revision().0);
        let (digest, other) = *self.states.entry(applied).or_insert((says, seat));
        if digest != says {
            let message = format!("at {applied} the states of {seat} and {other} differ");
            return Err(Violation::new("K5", message));
        }
        if self.twin.digest(applied).is_some_and(|expected| expected != says) {
            let message = format!("at {applied} the state of {seat} is not what its log makes");
            return Err(Violation::new("K5", message));
        }
        Ok(())
    }

    /// R2: a leader counts only entries of its own term (Ongaro and Ousterhout 2014, figure 8):
    /// earlier ones can still be replaced when they are on a majority.
    pub(super) fn counted(&self, seat: Seat, program: &NodeProgram) -> Result<(), Violation> {
        let machine = &program.machine;
        let (log, term) = (machine.log(), machine.voter().term());
        let newest = log.term_at(log.commit());
        let Some(newest) = newest.filter(|newest| *newest != term) else { return Ok(()) };
        if !machine.replicator().is_leading() {
            return Ok(());
        }
        let message = format!("{seat} leads {term:?} and committed up to an entry of {newest:?}");
        Err(Violation::new("R2", message))
    }

    pub(super) const fn revision(&self) -> u64 {
        self.revision
    }

    /// E4: a leader holds all that was committed in earlier terms.
    pub(super) fn led(
        &self,
        seat: Seat,
        term: Term,
        program: &NodeProgram,
    ) -> Result<(), Violation> {
        let log = program.machine.log();
        let earlier = |committed: &&Committed| committed.by < term;
        let Some(last) = self.committed.iter().flatten().rev().find(earlier) else {
            return Ok(());
        };
        let covered = last.id.index < log.first_index();
        if covered || log.holds(last.id) {
            return Ok(());
        }
        let message = format!(
            "{seat} leads {term:?} up to {} without {}, committed in {:?}",
            log.tip(),
            last.id,
            last.by
        );
        Err(Violation::new("E4", message))
    }

    /// R4: what is acknowledged is committed where the answer says.
    pub(super) fn acknowledged(&self, at: LogId, command: u64) -> Result<(), Violation> {
        let committed = self.committed.get(at.index.0 as usize - 1).copied().flatten();
        if let Some(committed) = committed
            && committed.id == at
        {
            if committed.content.says == command {
                return Ok(());
            }
            let message = format!("a write was acknowledged at {at}, where another one stands");
            return Err(Violation::new("R4", message));
        }
        let there = committed.map(|committed| committed.id);
        let message = format!("a write at {at} was acknowledged; committed there is {there:?}");
        Err(Violation::new("R4", message))
    }
}

fn content(entry: &Entry) -> Content {
    let says = match &entry.payload {
        Payload::Noop => 1,
        Payload::LeaseEnded => 2,
        Payload::Command(bytes) => digest(bytes),
        Payload::Configuration(configuration) => {
            digest(&quorate_wire::encode(configuration).unwrap_or_default())
        }
    };
    Content { says, time: entry.time.0 }
}
