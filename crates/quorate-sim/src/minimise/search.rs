//! The best plan so far, and what is asked of a better one.

use super::{Goal, GoesOn, Minimised, Run};
use crate::{Plan, Violation};

/// The state of a search.
pub(super) struct Search<'a, O> {
    run: Run<'a, O>,
    goes_on: GoesOn<'a>,
    runs: u64,
    runs_max: u64,
    is_over: bool,
    /// What must be broken.
    wanted: Violation,
    pub(super) best: Plan<O>,
    violation: Violation,
    /// When the best plan breaks it.
    pub(super) nanos: u64,
    /// How many dice a candidate is tried with.
    pub(super) dice: u32,
    /// How long progress may take in the calm phase of the plan that is wanted.
    calm_lasting: u64,
    /// The dice tried last; zero are those of the plan itself.
    dice_last: u64,
}

impl<'a, O: Clone + PartialEq> Search<'a, O> {
    /// Begins at `plan`; `None` if it breaks nothing.
    pub(super) fn new(
        mut run: Run<'a, O>,
        goes_on: GoesOn<'a>,
        runs_max: u64,
        plan: &Plan<O>,
    ) -> Option<Self> {
        let report = run(plan);
        let violation = report.violation?;
        let mut best = plan.clone();
        if report.nanos < plan.calm_at {
            // What is broken before the calm phase needs none: runs end where it would begin.
            best.calm_lasting = 0;
        }
        Some(Self {
            run,
            goes_on,
            runs: 1,
            runs_max,
            is_over: false,
            wanted: violation.clone(),
            best,
            calm_lasting: plan.calm_lasting,
            violation,
            nanos: report.nanos,
            dice: 1,
            dice_last: plan.dice,
        })
    }

    /// Whether the budget is spent.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) const fn size(&self) -> (usize, usize, u8, u64) {
        let plan = &self.best;
        (plan.faults.len(), plan.operations.len(), plan.nodes, plan.calm_at)
    }

    pub(super) const fn reaches(&self, goal: Goal) -> bool {
        self.best.faults.len() <= goal.faults && self.best.operations.len() <= goal.operations
    }

    /// Takes `candidate` for the best plan, if it breaks the promise with its own dice or with some
    /// others.
    pub(super) fn attempt(&mut self, mut candidate: Plan<O>) -> bool {
        for turn in 0..self.dice {
            if turn > 0 {
                self.dice_last += 1;
                candidate.dice = self.dice_last;
            }
            if self.fails(&candidate) {
                self.best = candidate;
                self.truncate();
                return true;
            }
        }
        false
    }

    /// The same with dice that were not tried before.
    pub(super) fn attempt_with_new_dice(&mut self, mut candidate: Plan<O>) -> bool {
        self.dice_last += 1;
        candidate.dice = self.dice_last;
        let fails = self.fails(&candidate);
        if fails {
            self.best = candidate;
            self.truncate();
        }
        fails
    }

    /// Whether `candidate` breaks the promise; then also how and when.
    fn fails(&mut self, candidate: &Plan<O>) -> bool {
        if self.is_over || self.runs >= self.runs_max || !(self.goes_on)() {
            self.is_over = true;
            return false;
        }
        self.runs += 1;
        let report = (self.run)(candidate);
        match report.violation {
            Some(violation) if is_same(&violation, &self.wanted) => {
                self.violation = violation;
                self.nanos = report.nanos;
                true
            }
            _ => false,
        }
    }

    /// Drops what comes after the violation, unless it matters all the same: what is kept of disks
    /// depends on whether a later fault asks for it. Some time stays, so that a smaller plan may fail
    /// a little later.
    pub(super) fn truncate(&mut self) {
        let nanos = self.nanos;
        if nanos >= self.best.calm_at {
            return;
        }
        let mut shorter = self.best.clone();
        shorter.faults.retain(|planned| planned.at <= nanos);
        shorter.operations.retain(|planned| planned.at <= nanos);
        let slack = (nanos / 4).max(SLACK);
        shorter.calm_at = shorter.calm_at.min(nanos.saturating_add(slack));
        let drops = (shorter.faults.len(), shorter.operations.len())
            != (self.best.faults.len(), self.best.operations.len());
        if !drops || self.fails(&shorter) {
            self.best = shorter;
        }
    }

    pub(super) fn finish(self) -> Minimised<O> {
        Minimised {
            plan: Plan { calm_lasting: self.calm_lasting, ..self.best },
            violation: self.violation,
            nanos: self.nanos,
            runs: self.runs,
            is_unfinished: self.is_over,
        }
    }
}

/// Half a second.
const SLACK: u64 = 500_000_000;

/// Whether two violations are of one promise. Panics are told apart by their first line without
/// its numbers: each is a promise of its own.
fn is_same(one: &Violation, other: &Violation) -> bool {
    let words = |violation: &Violation| -> String {
        let line = violation.message.lines().next().unwrap_or_default();
        line.chars().filter(|letter| !letter.is_ascii_digit()).collect()
    };
    one.invariant == other.invariant
        && (one.invariant != Violation::PANIC || words(one) == words(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_told_apart_and_other_violations_by_their_invariant() {
        let panic = |text: &str| Violation::new(Violation::PANIC, text);
        assert!(is_same(&panic("index 3 of 2\nmore"), &panic("index 17 of 5")));
        assert!(!is_same(&panic("index 3 of 2"), &panic("overflow")));
        assert!(is_same(&Violation::new("E1", "n1"), &Violation::new("E1", "n2")));
        assert!(!is_same(&Violation::new("E1", "n1"), &Violation::new("E3", "n1")));
    }
}
