//! Shorter runs.

use super::search::Search;
use crate::Plan;

/// Moves what is planned towards the start, and the calm phase towards what is planned.
pub(super) fn earlier<O: Clone + PartialEq>(search: &mut Search<'_, O>) {
    calm_earlier(search);
    for share in [1, 2, 4] {
        let first = first(&search.best);
        let by = first.saturating_sub(START) / share;
        if by < MILLISECOND || search.is_over() {
            break;
        }
        let mut candidate = search.best.clone();
        shift(&mut candidate, by);
        if search.attempt(candidate) {
            break;
        }
    }
}

/// Where the promise breaks in the calm phase, or at its end, the time before may be too long.
fn calm_earlier<O: Clone + PartialEq>(search: &mut Search<'_, O>) {
    for tenths in [1, 3, 5, 7, 9] {
        let plan = &search.best;
        let calm_at = plan.calm_at / 10 * tenths;
        let is_calm = search.nanos >= plan.calm_at;
        if !is_calm || search.is_over() {
            return;
        }
        let mut candidate = plan.clone();
        candidate.calm_at = calm_at;
        candidate.faults.retain(|planned| planned.at < calm_at);
        candidate.operations.retain(|planned| planned.at < calm_at);
        if search.attempt(candidate) {
            return;
        }
    }
}

/// The run need not be longer than until the violation.
pub(super) fn end_soon<O: Clone + PartialEq>(search: &mut Search<'_, O>) {
    if search.nanos < search.best.calm_at {
        search.dice = 1;
        let mut candidate = search.best.clone();
        candidate.calm_at = search.nanos.saturating_add(MILLISECOND);
        search.attempt(candidate);
    }
}

/// When the first thing of the plan happens.
fn first<O>(plan: &Plan<O>) -> u64 {
    let faults = plan.faults.iter().map(|planned| planned.at).filter(|at| *at > 0);
    faults.chain(plan.operations.iter().map(|planned| planned.at)).min().unwrap_or(0)
}

pub(super) fn shift<O>(plan: &mut Plan<O>, by: u64) {
    plan.faults.iter_mut().for_each(|planned| planned.at = planned.at.saturating_sub(by));
    plan.operations.iter_mut().for_each(|planned| planned.at = planned.at.saturating_sub(by));
    plan.calm_at = plan.calm_at.saturating_sub(by);
}

pub(super) const MILLISECOND: u64 = 1_000_000;
/// Before this not much has happened in most systems.
pub(super) const START: u64 = 300 * MILLISECOND;
