//! Simpler faults, operations and times.

use super::search::Search;
use crate::{DiskLoss, Fault, Latency, Plan, Seat, Target, Way};

/// Tries simpler arguments of every fault, one at a time, as long as one helps.
pub(super) fn faults<O: Clone + PartialEq>(search: &mut Search<'_, O>) {
    let mut place = 0;
    while place < search.best.faults.len() && !search.is_over() {
        for simpler in simpler(&search.best.faults[place].fault) {
            let Some(planned) = search.best.faults.get(place) else { break };
            if simpler == planned.fault {
                continue;
            }
            let mut candidate = search.best.clone();
            candidate.faults[place].fault = simpler;
            if search.attempt(candidate) {
                // A shorter fault may be shortened again.
                place = place.wrapping_sub(1);
                break;
            }
        }
        place = place.wrapping_add(1);
    }
}

/// Tries what `simpler` knows for every operation.
pub(super) fn operations<O: Clone + PartialEq>(
    search: &mut Search<'_, O>,
    simpler: &dyn Fn(&O) -> Vec<O>,
) {
    let mut place = 0;
    while place < search.best.operations.len() && !search.is_over() {
        for simpler in simpler(&search.best.operations[place].operation) {
            let Some(planned) = search.best.operations.get(place) else { break };
            if simpler == planned.operation {
                continue;
            }
            let mut candidate = search.best.clone();
            candidate.operations[place].operation = simpler;
            if search.attempt(candidate) {
                place = place.wrapping_sub(1);
                break;
            }
        }
        place = place.wrapping_add(1);
    }
}

/// Tries a run in which messages and disks always take equally long, and nothing rare happens.
pub(super) fn plainer<O: Clone + PartialEq>(search: &mut Search<'_, O>) {
    let constant = |latency| match latency {
        Latency::Exponential { low, mean } => Latency::Exponential { low: low + mean, mean: 0 },
        Latency::Bimodal { fast, .. } => Latency::Exponential { low: fast, mean: 0 },
    };
    let mut candidate = search.best.clone();
    candidate.latency = constant(candidate.latency);
    if candidate.latency != search.best.latency {
        search.attempt(candidate);
    }
    if search.best.rare {
        search.attempt(Plan { rare: false, ..search.best.clone() });
    }
    let mut candidate = search.best.clone();
    candidate.disk = constant(candidate.disk);
    if candidate.disk != search.best.disk {
        search.attempt(candidate);
    }
}

/// Faults that say less than `fault`. Following them ends: times only shrink to whole milliseconds,
/// and each of the others has one simplest value.
fn simpler(fault: &Fault) -> Vec<Fault> {
    let mut all = plainer_crashes(fault);
    let mut with = |change: &dyn Fn(&mut Fault)| {
        let mut other = fault.clone();
        change(&mut other);
        all.push(other);
    };
    with(&|fault| match fault {
        Fault::Crash { disk, .. } | Fault::Cut { disk, .. } | Fault::CrashAll { disk, .. } => {
            *disk = DiskLoss::Nothing;
        }
        Fault::Partition { hold, .. } => *hold = false,
        _ => {}
    });
    with(&|fault| match fault {
        Fault::Crash { disk, .. } | Fault::Cut { disk, .. } | Fault::CrashAll { disk, .. }
            if *disk != DiskLoss::Nothing =>
        {
            *disk = DiskLoss::All;
        }
        Fault::Partition { way, .. } => *way = Way::Both,
        Fault::Loss { chance, .. } => *chance = 1_000_000,
        _ => {}
    });
    for time in [shortest, half, whole] {
        with(&|fault| {
            if let Some(lasting) = time_of(fault) {
                *lasting = time(*lasting);
            }
        });
    }
    all
}

/// A crash of one node in place of one of all, and at any point in place of a chosen one.
fn plainer_crashes(fault: &Fault) -> Vec<Fault> {
    let crash = |target, disk, down| Fault::Crash { target, disk, down };
    match *fault {
        Fault::CrashAll { gap, disk, down } => {
            let mut plainer: Vec<Fault> =
                (0..SEATS).map(|seat| crash(Target::Seat(Seat(seat)), disk, down)).collect();
            if gap > 0 {
                plainer.push(Fault::CrashAll { gap: 0, disk, down });
            }
            plainer
        }
        Fault::Cut { target, disk, down, .. } => vec![crash(target, disk, down)],
        _ => Vec::new(),
    }
}

/// So many nodes are tried; most runs have no more.
const SEATS: u8 = 7;

/// The one argument of a fault that is a length of time.
const fn time_of(fault: &mut Fault) -> Option<&mut u64> {
    match fault {
        Fault::Loss { lasting, .. }
        | Fault::Delay { lasting, .. }
        | Fault::Reorder { lasting, .. }
        | Fault::Copies { lasting, .. }
        | Fault::Partition { lasting, .. }
        | Fault::Clog { lasting, .. }
        | Fault::Corrupt { lasting, .. }
        | Fault::Overflow { lasting, .. }
        | Fault::Pause { lasting, .. }
        | Fault::Busy { lasting, .. }
        | Fault::Starve { lasting, .. }
        | Fault::Freeze { lasting, .. }
        | Fault::Suspend { lasting, .. }
        | Fault::Full { lasting, .. }
        | Fault::Stall { lasting, .. } => Some(lasting),
        Fault::Crash { down, .. }
        | Fault::Cut { down, .. }
        | Fault::CrashAll { down, .. }
        | Fault::Restart { down, .. }
        | Fault::Move { down, .. } => Some(down),
        Fault::Skew { by, .. } | Fault::Jump { by, .. } => Some(by),
        _ => None,
    }
}

fn shortest(time: u64) -> u64 {
    time.min(MILLISECOND)
}

const fn half(time: u64) -> u64 {
    if time < 2 * MILLISECOND { time } else { time / 2 / MILLISECOND * MILLISECOND }
}

/// To whole milliseconds: easier to read.
const fn whole(time: u64) -> u64 {
    if time < MILLISECOND { time } else { time / MILLISECOND * MILLISECOND }
}

const MILLISECOND: u64 = 1_000_000;
