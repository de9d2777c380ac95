//! Fewer faults, operations and nodes.

use super::search::Search;
use crate::{Fault, Plan, Seat, SeatSet, Shape, Target};

/// Tries to keep only the last few faults and operations: what breaks a promise stands mostly right
/// before it. A success here spares hundreds of runs.
pub(super) fn leap<O: Clone + PartialEq>(search: &mut Search<'_, O>) {
    let dice = std::mem::replace(&mut search.dice, LEAP_DICE);
    let start = search.best.clone();
    let mut sizes: Vec<(usize, usize)> =
        LEAPS.iter().flat_map(|faults| LEAPS.map(|operations| (*faults, operations))).collect();
    sizes.sort_by_key(|(faults, operations)| (2 * faults + operations, *faults));
    for (faults, operations) in sizes {
        if faults > start.faults.len() || operations > start.operations.len() {
            continue;
        }
        let mut candidate = start.clone();
        candidate.faults.drain(..start.faults.len() - faults);
        candidate.operations.drain(..start.operations.len() - operations);
        if search.attempt(candidate) || search.is_over() {
            break;
        }
    }
    search.dice = dice;
}

const LEAPS: [usize; 6] = [0, 1, 2, 4, 8, 16];
const LEAP_DICE: u32 = 3;

/// Drops faults.
pub(super) fn faults<O: Clone + PartialEq>(search: &mut Search<'_, O>) {
    drop_chunks(search, |plan| plan.faults.len(), |plan, from, to| _ = plan.faults.drain(from..to));
}

/// Drops operations.
pub(super) fn operations<O: Clone + PartialEq>(search: &mut Search<'_, O>) {
    drop_chunks(
        search,
        |plan| plan.operations.len(),
        |plan, from, to| _ = plan.operations.drain(from..to),
    );
}

/// Drops chunks of a list, large ones first, from its front: what came long before matters least.
/// (Zeller and Hildebrandt 2002, complements only: subsets are what [`leap`] tried.)
fn drop_chunks<O: Clone + PartialEq>(
    search: &mut Search<'_, O>,
    len: impl Fn(&Plan<O>) -> usize,
    drain: impl Fn(&mut Plan<O>, usize, usize),
) {
    let mut chunk = len(&search.best);
    while chunk > 0 {
        let mut from = 0;
        while from < len(&search.best) && !search.is_over() {
            let mut candidate = search.best.clone();
            let to = (from + chunk).min(len(&candidate));
            drain(&mut candidate, from, to);
            // What follows has moved to where this was.
            if !search.attempt(candidate) {
                from = to;
            }
        }
        chunk /= 2;
    }
}

/// Drops nodes from the end, many at once first.
pub(super) fn nodes<O: Clone + PartialEq>(search: &mut Search<'_, O>) {
    let mut nodes = 1;
    while nodes < search.best.nodes && !search.is_over() {
        let mut candidate = search.best.clone();
        candidate.nodes = nodes;
        candidate.faults.retain(|planned| reaches(&planned.fault, nodes));
        if search.attempt(candidate) {
            return;
        }
        nodes += 1;
    }
}

/// Whether a fault can strike one of so many nodes.
fn reaches(fault: &Fault, nodes: u8) -> bool {
    let some = |set: SeatSet| !set.within(SeatSet::first(nodes)).is_empty();
    let is_there = |target| !matches!(target, Target::Seat(Seat(seat)) if seat >= nodes);
    match fault {
        Fault::Loss { from, to, .. } | Fault::Delay { from, to, .. } => some(*from) && some(*to),
        Fault::Partition { shape: Shape::Halves { left }, .. } => some(*left),
        Fault::Partition { shape: Shape::Clients { cut }, .. } => some(*cut),
        fault => fault.target().is_none_or(is_there),
    }
}
