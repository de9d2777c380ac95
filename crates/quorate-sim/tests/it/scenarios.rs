//! One fault each, and what it does.

use std::collections::BTreeSet;

use quorate_core::Instant;
use quorate_sim::{
    CutPoint, DiskLoss, Fault, FaultKind, Latency, Plan, PlanError, PlannedFault, PlannedOperation,
    Seat, SeatSet, Shape, Sim, Target, TraceKind, Way,
};

use crate::toys::{AskOne, Counters, DATAGRAM, MILLISECOND, Pings, SECOND, ping};

const SOME: Target = Target::Seat(Seat(1));

/// Three nodes for two seconds, and these faults.
fn plan<O>(faults: impl IntoIterator<Item = (u64, Fault)>) -> Plan<O> {
    Plan {
        seed: 11,
        dice: 0,
        rare: false,
        nodes: 3,
        calm_at: 2 * SECOND,
        calm_lasting: SECOND,
        latency: Latency::Exponential { low: MILLISECOND / 10, mean: MILLISECOND },
        disk: Latency::Exponential { low: MILLISECOND / 10, mean: MILLISECOND },
        faults: faults.into_iter().map(|(at, fault)| PlannedFault { at, fault }).collect(),
        operations: Vec::new(),
    }
}

#[test]
fn without_faults_everything_sent_arrives_once_and_in_order() {
    let (report, pings) = ping(&plan([]));
    assert!(report.events > 2_000, "{}", report.events);
    for (target, sender) in [(0, 1), (1, 2), (2, 0)] {
        let of = |(_, to, from, number): &(u64, Seat, Seat, u64)| {
            let ordered = number % 2 == 0 && *number < DATAGRAM;
            (to.0 == target && from.0 == sender && ordered).then_some(*number)
        };
        let numbers: Vec<u64> = pings.heard.iter().filter_map(of).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] + 2 == pair[1]), "{numbers:?}");
        assert!(numbers.len() > 100);
    }
}

#[test]
fn a_pause_delays_what_arrives_and_loses_nothing() {
    let pause = Fault::Pause { target: SOME, lasting: SECOND / 2 };
    let (report, pings) = ping(&plan([(SECOND / 2, pause)]));
    assert_eq!(report.tally.faults.of(FaultKind::Pause), 1);
    let at_target: Vec<_> = pings.heard.iter().filter(|heard| heard.1 == Seat(1)).collect();
    let during = |time: u64| time > SECOND / 2 && time < SECOND;
    assert!(!at_target.iter().any(|heard| during(heard.0)));
    let at_end = at_target.iter().filter(|heard| heard.0 == SECOND).count();
    assert!(at_end > 50, "the backlog is delivered at once: {at_end}");
    let from_0: Vec<u64> =
        at_target.iter().filter(|h| h.2 == Seat(0) && h.3 % 2 == 0).map(|h| h.3).collect();
    assert!(from_0.windows(2).all(|pair| pair[0] + 2 == pair[1]), "{from_0:?}");
}

#[test]
fn a_crash_ends_a_life_and_its_streams() {
    let crash = Fault::Crash { target: SOME, disk: DiskLoss::All, down: SECOND / 2 };
    let (report, pings) = ping(&plan([(SECOND / 2, crash)]));
    assert_eq!(pings.crashed, [(SECOND / 2, Seat(1))]);
    assert_eq!(report.tally.faults.of(FaultKind::Restart), 1);
    let during = pings.heard.iter().filter(|heard| heard.0 > SECOND / 2 && heard.0 < SECOND);
    assert!(during.clone().all(|heard| heard.1 != Seat(1)));
    // Those that live go on, and it is heard again in its next life.
    assert!(during.filter(|heard| heard.2 == Seat(2)).count() > 10);
    assert!(pings.heard.iter().any(|heard| heard.0 > SECOND && heard.2 == Seat(1)));
}

#[test]
fn a_target_is_found_when_the_fault_strikes() {
    let faults = [
        (SECOND / 2, Fault::Crash { target: Target::Leader, disk: DiskLoss::Nothing, down: 1 }),
        (SECOND, Fault::Crash { target: Target::Follower, disk: DiskLoss::Nothing, down: 1 }),
    ];
    let (_, pings) = ping(&plan(faults));
    assert_eq!(pings.crashed[0].1, Seat(0), "the first pinger says that it leads");
    assert_ne!(pings.crashed[1].1, Seat(0));
}

#[test]
fn clients_are_answered_unless_they_are_cut_off() {
    let cut = Shape::Clients { cut: SeatSet::only(Seat(2)) };
    let fault = Fault::Partition { shape: cut, way: Way::Both, hold: false, lasting: SECOND };
    let mut plan = plan([(SECOND / 2, fault)]);
    let ask = |at, seat| PlannedOperation { at, operation: AskOne { seat: Seat(seat) } };
    plan.operations = vec![ask(MILLISECOND, 2), ask(SECOND, 1), ask(SECOND, 2)];
    let (_, pings) = ping(&plan);
    assert_eq!(pings.answers, [(0, 1), (1, 11)]);
}

#[test]
fn rolling_crashes_reach_every_node_one_after_the_other() {
    let fault = Fault::CrashAll { gap: 100 * MILLISECOND, disk: DiskLoss::Some, down: 50 };
    let (_, pings) = ping(&plan([(SECOND, fault)]));
    let expected = [0, 1, 2].map(|seat| (SECOND + seat * 100 * MILLISECOND, Seat(seat as u8)));
    assert_eq!(pings.crashed, expected);
}

#[test]
fn held_messages_arrive_when_the_partition_ends() {
    let shape = Shape::One { target: SOME };
    let lasting = 400 * MILLISECOND;
    let fault = |hold| Fault::Partition { shape, way: Way::Both, hold, lasting };
    let late = |hold| {
        let (_, pings) = ping(&plan([(SECOND / 2, fault(hold))]));
        let end = SECOND / 2 + lasting;
        pings.heard.iter().filter(|h| h.1 == Seat(1) && h.0 > end && h.0 < end + 6_000_000).count()
    };
    assert!(late(true) > 40 && late(false) < 20, "{} {}", late(true), late(false));
}

#[test]
fn a_process_ends_at_each_point_of_its_disk_work() {
    let points = [
        (CutPoint::Effects { count: 0 }, "crash between effects"),
        (CutPoint::Write, "crash after a write"),
        (CutPoint::Sync, "crash after a sync"),
        (CutPoint::Persisted { effects: 0 }, "crash between effects"),
        (CutPoint::DiskChanges { count: 0 }, "crash within the work of a disk"),
    ];
    for (point, mark) in points {
        for disk in [DiskLoss::Nothing, DiskLoss::All, DiskLoss::Some, DiskLoss::Torn] {
            let cut = Fault::Cut { target: SOME, point, disk, down: 1_000 };
            let plan: Plan<()> = plan((1..20).map(|n| (n * 50 * MILLISECOND, cut.clone())));
            let (report, counters) = Sim::new(Counters::default(), &plan).run();
            assert_eq!(report.violation, None);
            assert_eq!(counters.boots, 3 + 19);
            assert_eq!(report.tally.marks[mark], 19);
        }
    }
}

#[test]
fn a_failed_fsync_ends_the_process() {
    let sync = Fault::SyncFails { target: SOME };
    let (report, counters) = Sim::new(Counters::default(), &plan([(SECOND / 2, sync)])).run();
    assert_eq!((report.violation, counters.boots), (None, 4));
    assert_eq!(report.tally.marks["a process ended itself"], 1);
}

#[test]
fn a_full_disk_keeps_a_process_down_until_it_is_free() {
    let full = Fault::Full { target: SOME, room: 0, lasting: SECOND };
    let crash = Fault::Crash { target: SOME, disk: DiskLoss::Nothing, down: 1 };
    let plan = plan([(10, full), (20, crash)]);
    let (report, counters) = Sim::new(Counters::default(), &plan).run();
    assert_eq!((report.violation, counters.boots), (None, 4));
    assert!(report.tally.faults.of(FaultKind::Restart) > 1, "it was tried in vain before");
}

#[test]
fn a_clock_that_runs_fast_or_jumps_shows_it() {
    let faults = [
        (SECOND, Fault::Drift { target: SOME, millionths: 50_000 }),
        (SECOND, Fault::Jump { target: Target::Seat(Seat(2)), by: 7 * SECOND }),
    ];
    let (_, pings) = ping(&plan(faults));
    let shown = |seat, from: u64, to: u64| {
        let of: Vec<_> =
            pings.clocks.iter().filter(|c| c.1 == Seat(seat) && c.0 > from && c.0 < to).collect();
        let (first, last) = (of[0], of[of.len() - 1]);
        let passed = last.2.since(first.2).as_nanos() as u64;
        (passed * 1_000_000 / (last.0 - first.0)).abs_diff(1_000_000)
    };
    assert_eq!(shown(0, 0, 2 * SECOND), 0);
    assert!(shown(1, SECOND, 2 * SECOND).abs_diff(50_000) <= 1);
    let at = |time| pings.clocks.iter().rfind(|c| c.1 == Seat(2) && c.0 < time);
    let (before, after) = (at(SECOND).unwrap(), at(2 * SECOND).unwrap());
    assert_eq!(after.2.since(before.2).as_nanos() as u64 - (after.0 - before.0), 7 * SECOND);
    assert!(pings.clocks[0].2 > Instant::ZERO);
}

#[test]
fn a_clock_that_leaps_brings_the_next_wake_nearer() {
    let leap = |by| Fault::Jump { target: SOME, by };
    // Wakes are 5 to 15 ms apart: each leap is within a wait.
    let at = |n: u64| SECOND + n * 3 * MILLISECOND;
    let (_, pings) = ping(&plan((0..100).map(|n| (at(n), leap(2 * MILLISECOND)))));
    assert!(!pings.late.is_empty(), "some leaps pass the moment itself");
    let leaps: BTreeSet<u64> = (0..100).map(at).collect();
    assert!(pings.late.iter().all(|late| leaps.contains(late)), "{:?}", pings.late);
}

#[test]
fn lost_and_doubled_messages_are_counted_and_seen() {
    let all = SeatSet::first(3);
    let loss = Fault::Loss { from: all, to: all, chance: 1_000_000, lasting: SECOND / 2 };
    let copies = Fault::Copies { chance: 500_000, by: SECOND / 2, lasting: SECOND / 2 };
    let (report, pings) = ping(&plan([(SECOND / 2, loss), (SECOND + SECOND / 4, copies)]));
    let quiet = SECOND / 2 + 20 * MILLISECOND..SECOND;
    assert!(!pings.heard.iter().any(|heard| quiet.contains(&heard.0)));
    let (lost, doubled) =
        (report.tally.faults.of(FaultKind::Loss), report.tally.faults.of(FaultKind::Copies));
    assert!(lost > 100 && doubled > 100, "{lost} {doubled}");
    let mut seen: Vec<_> = pings.heard.iter().map(|heard| (heard.1, heard.2, heard.3)).collect();
    let all = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert!(all - seen.len() > 100);
}

#[test]
fn y6_a_trace_tells_what_happened_and_changes_nothing() {
    let crash = Fault::Crash { target: SOME, disk: DiskLoss::All, down: SECOND / 2 };
    let plan = plan([(SECOND / 2, crash)]);
    let (plain, _) = Sim::new(Pings::default(), &plan).run();
    let (traced, _) = Sim::new(Pings::default(), &plan).with_trace().run();
    assert_eq!((plain.hash, plain.trace.len()), (traced.hash, 0));
    let has = |wanted: &TraceKind| traced.trace.iter().any(|event| event.what == *wanted);
    let (seat, life, disk) = (Seat(1), 1, DiskLoss::All);
    assert!(has(&TraceKind::Crashed { seat, life, disk, down: Some(SECOND / 2) }));
    assert!(has(&TraceKind::Started { seat, life: 2 }));
    // Nothing is heard that was not said, and all that is heard took some time.
    let mut sent = BTreeSet::new();
    for event in &traced.trace {
        match &event.what {
            TraceKind::Sent { number, .. } => assert!(sent.insert(*number)),
            TraceKind::Arrived { number, sent: left, .. } => {
                assert!(sent.contains(number) && *left < event.at);
            }
            _ => {}
        }
    }
    let (tail, _) = Sim::new(Pings::default(), &plan).with_tail(7).run();
    assert_eq!(tail.trace, traced.trace[traced.trace.len() - 7..]);
}

#[test]
fn the_calm_phase_leaves_a_quorum_in_peace() {
    let shape = Shape::Ring;
    let faults =
        [(SECOND, Fault::Partition { shape, way: Way::Both, hold: false, lasting: 60 * SECOND })];
    let (_, pings) = ping(&plan(faults));
    let core = pings.core.unwrap();
    assert_eq!(core.len(), 2);
}

#[test]
fn a_plan_that_makes_no_sense_is_refused_in_words() {
    let check = |text: &str, expected: &str| {
        let error = Plan::<AskOne>::from_toml(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let text = plan::<AskOne>([]).to_toml().unwrap();
    check(&text.replace("nodes = 3", "nodes = 33"), "1 to 32 nodes, not 33");
    check(&text.replace("seed = 11", "sead = 11"), "unknown field `sead`");
    check(
        &format!("{text}\n[[faults]]\nat = 1\nfault = \"P3\"\ntarget = \"n77\"\nlasting = 1\n"),
        "`n77` names no node",
    );
    let mut large = plan::<AskOne>([]);
    large.seed = u64::MAX;
    assert!(matches!(large.to_toml(), Err(PlanError::Unwritable(_))));
}
