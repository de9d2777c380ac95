//! Which term each entry of the log has, as the few places where it changes.

use quorate_core::{Entry, LogId, LogIndex, Term};

/// The shape of the log without its content. Takes space per change of leader, not per entry.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    /// The last entry of the newest snapshot.
    base: LogId,
    /// The first entry behind `base` of each run of equal terms, in order.
    runs: Vec<LogId>,
    tip: LogIndex,
}

impl Terms {
    pub(crate) fn new(base: LogId, entries: &[Entry]) -> Self {
        let mut terms = Self { base, runs: Vec::new(), tip: base.index };
        terms.append(entries);
        terms
    }

    pub(crate) const fn tip(&self) -> LogIndex {
        self.tip
    }

    pub(crate) const fn base(&self) -> LogId {
        self.base
    }

    /// Puts `entries` where their first index says; what stood there or behind is gone.
    pub(crate) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        while self.runs.last().is_some_and(|run| run.index >= first.id.index) {
            self.runs.pop();
        }
        for Entry { id, .. } in entries {
            if self.runs.last().is_none_or(|run| run.term != id.term) {
                self.runs.push(*id);
            }
            self.tip = id.index;
        }
    }

    /// Whether the log contains the entry `id`, as far as it is remembered.
    pub(crate) fn contains(&self, id: LogId) -> bool {
        self.term(id.index) == Some(id.term)
    }

    /// Lets a snapshot up to `last` take the place of the entries it contains. If the log does not
    /// contain `last`, none of its entries may follow the snapshot, and it is empty.
    pub(crate) fn cover(&mut self, last: LogId) {
        let kept = self.contains(last);
        self.base = last;
        if kept {
            let over = self.runs.partition_point(|run| run.index <= last.index.next());
            // The run that goes on behind `last` begins there now.
            if over > 0 {
                self.runs.drain(..over - 1);
                self.runs[0].index = self.runs[0].index.max(last.index.next());
            }
            if self.tip == last.index {
                self.runs.clear();
            }
        } else {
            self.runs.clear();
            self.tip = last.index;
        }
    }

    fn term(&self, index: LogIndex) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        let behind = self.runs.partition_point(|run| run.index <= index);
        (index <= self.tip).then(|| Some(self.runs.get(behind.checked_sub(1)?)?.term)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quorate_core::{ClusterTime, Payload, Rng};

    use super::*;

    fn entry(term: u64, index: u64) -> Entry {
        Entry { id: LogId::new(term, index), time: ClusterTime::ZERO, payload: Payload::Noop }
    }

    proptest! {
        #[test]
        fn the_table_agrees_with_the_entries_themselves(seed in any::<u64>()) {
            let mut rng = Rng::seeded(seed);
            let (mut terms, mut base) = (Terms::default(), LogId::ZERO);
            let mut naive: Vec<LogId> = Vec::new();
            for term in 1..20 {
                if rng.chance(600_000) {
                    let first = rng.between(base.index.0 + 1, terms.tip().0 + 1);
                    let run: Vec<Entry> = (first..=first + rng.below(4)).map(|i| entry(term, i)).collect();
                    naive.retain(|id| id.index.0 < first);
                    naive.extend(run.iter().map(|entry| entry.id));
                    terms.append(&run);
                } else {
                    let index = rng.between(base.index.0 + 1, terms.tip().0 + 2);
                    let known = naive.iter().find(|id| id.index.0 == index).copied();
                    let last = known.filter(|_| rng.chance(700_000)).unwrap_or_else(|| LogId::new(term, index));
                    let kept = naive.contains(&last);
                    prop_assert_eq!(terms.contains(last), kept);
                    terms.cover(last);
                    naive.retain(|id| kept && id.index > last.index);
                    base = last;
                }
                let tip = naive.last().map_or(base.index, |id| id.index);
                prop_assert_eq!(terms.tip(), tip);
                for index in base.index.0 + 1..=tip.0 + 1 {
                    let here = naive.iter().find(|id| id.index.0 == index).map(|id| id.term);
                    prop_assert_eq!(terms.term(LogIndex(index)), here);
                }
            }
        }
    }
}
