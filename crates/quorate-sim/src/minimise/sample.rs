//! Small parts of a plan, drawn at random.

use quorate_core::Rng;

use super::Goal;
use super::search::Search;
use super::times::{MILLISECOND, START, shift};
use crate::Plan;

/// Where nothing more can go one by one, a small part of the plan may still do, with other dice: a
/// bug that a seed in thirty shows is shown by one in some hundred of the small plans too, and
/// those run fast. Draws until `misses_max` in a row are in vain.
pub(super) fn sample<O: Clone + PartialEq>(
    search: &mut Search<'_, O>,
    rng: &mut Rng,
    goal: Goal,
    misses_max: u32,
) {
    let mut misses = 0;
    while misses < misses_max && !search.reaches(goal) && !search.is_over() {
        let candidate = draw(&search.best, rng, goal);
        misses = if search.attempt_with_new_dice(candidate) { 0 } else { misses + 1 };
    }
}

/// A part of `plan`: what lies in a window of time, thinned out, and moved towards the start.
fn draw<O: Clone>(plan: &Plan<O>, rng: &mut Rng, goal: Goal) -> Plan<O> {
    let mut part = plan.clone();
    let length = plan.calm_at / [1, 1, 1, 2, 4, 8][rng.index(6)];
    let begin = rng.below(plan.calm_at.saturating_sub(length) + 1);
    let end = begin.saturating_add(length);
    part.faults.retain(|planned| planned.at == 0 || (begin..end).contains(&planned.at));
    part.operations.retain(|planned| (begin..end).contains(&planned.at));
    // To what is wanted at once, or some of the way there.
    let eighths = [0, 4, 6, 7][rng.index(4)];
    let most = |count: usize, wanted: usize| wanted.max(count * eighths / 8);
    thin(&mut part.faults, most(plan.faults.len(), goal.faults), rng);
    thin(&mut part.operations, most(plan.operations.len(), goal.operations), rng);
    part.calm_at = end.saturating_add(SLACK).min(plan.calm_at);
    if length < plan.calm_at && rng.chance(500_000) {
        shift(&mut part, begin.saturating_sub(START));
    }
    part
}

/// Drops random items until at most `most` are left.
fn thin<T>(items: &mut Vec<T>, most: usize, rng: &mut Rng) {
    while items.len() > most {
        items.remove(rng.index(items.len()));
    }
}

const SLACK: u64 = 500 * MILLISECOND;
