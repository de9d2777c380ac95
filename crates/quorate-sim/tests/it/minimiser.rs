//! The minimiser, on a bug that needs two faults and an operation.

use quorate_sim::{
    Boot, BootRefused, Context, DiskLoss, Effects, Fault, FaultKind, Goal, Minimiser, Plan,
    PlannedFault, PlannedOperation, Report, Seat, Sim, Target, Violation, World,
};

use crate::toys::{AskOne, MILLISECOND, Pinger, Pings, SECOND, short};

/// Breaks its promise at the first question to `n1` after that node crashed and stood still.
#[derive(Default)]
struct Fragile {
    pings: Pings,
    has_crashed: bool,
    /// Whether it was asked something while it stood still after a crash.
    is_broken: bool,
}

impl World for Fragile {
    type Program = Pinger;
    type Operation = AskOne;
    const OPERATIONS: &'static [&'static str] = &["ask"];

    fn boot(&mut self, boot: Boot, out: &mut Effects<u64>) -> Result<Pinger, BootRefused> {
        self.pings.boot(boot, out)
    }

    fn operation(&mut self, index: u32, op: &AskOne, cx: &mut Context<u64>) {
        cx.ask(op.seat, index.into(), 0);
        if op.seat == Seat(1) {
            cx.after(20 * MILLISECOND, index.into());
        }
    }

    fn timer(&mut self, index: u64, cx: &mut Context<u64>) {
        // An answer that takes so long comes from a node that stands still.
        let answered = self.pings.answers.iter().any(|(id, _)| *id == index);
        self.is_broken |= self.has_crashed && !answered && cx.alive().contains(Seat(1));
    }

    fn answered(&mut self, id: u64, answer: u64, cx: &mut Context<u64>) {
        self.pings.answered(id, answer, cx);
    }

    fn crashed(&mut self, seat: Seat, _: &mut Context<u64>) {
        self.has_crashed |= seat == Seat(1);
    }

    fn stepped(&mut self, _: Seat, _: &mut Pinger, _: &mut Context<u64>) -> Result<(), Violation> {
        if self.is_broken { Err(Violation::new("toy", "asked at a bad time")) } else { Ok(()) }
    }
}

fn run(plan: &Plan<AskOne>) -> Report {
    Sim::new(Fragile::default(), plan).run_caught().0
}

/// Many faults and questions, among them those of the bug.
fn plan() -> Plan<AskOne> {
    let mut plan: Plan<AskOne> = short().plan(5);
    plan.nodes = 5;
    plan.calm_at = 4 * SECOND;
    plan.operations = (1..380)
        .map(|n| {
            let operation = AskOne { seat: Seat((n % 5) as u8) };
            PlannedOperation { at: n * 10 * MILLISECOND, operation }
        })
        .collect();
    let target = Target::Seat(Seat(1));
    let crash = Fault::Crash { target, disk: DiskLoss::Torn, down: SECOND / 3 };
    let pause = Fault::Pause { target, lasting: SECOND / 2 };
    plan.faults.push(PlannedFault { at: SECOND, fault: crash });
    plan.faults.push(PlannedFault { at: 2 * SECOND, fault: pause });
    plan.faults.sort_by_key(|planned| planned.at);
    assert!(plan.faults.len() > 10);
    plan
}

#[test]
fn y7_what_a_bug_does_not_need_is_cut_away() {
    let small = Minimiser::new(run).minimise(&plan()).expect("it fails");
    let kinds: Vec<FaultKind> = small.plan.faults.iter().map(|f| f.fault.kind()).collect();
    assert_eq!(kinds, [FaultKind::Crash, FaultKind::Pause], "{:?}", small.plan);
    assert_eq!(small.plan.operations.len(), 1);
    assert_eq!((small.plan.nodes, small.violation.invariant.as_str()), (2, "toy"));
    // It fails from its file too, and in the same way.
    let again = Plan::from_toml(&small.plan.to_toml().unwrap()).unwrap();
    assert_eq!(run(&again).violation, Some(small.violation.clone()));
    // Once more, and nothing is left to do.
    let twice = Minimiser::new(run).minimise(&small.plan).expect("it fails");
    assert_eq!(twice.plan.faults.len() + twice.plan.operations.len(), 3);
    assert_eq!(Minimiser::new(run).minimise(&plan()), Some(small), "twice the same");
}

#[test]
fn a_budget_ends_the_search_and_what_was_found_still_fails() {
    for runs in [1, 2, 10, 40] {
        let small = Minimiser::new(run).runs_max(runs).minimise(&plan()).expect("it fails");
        assert!(small.runs <= runs && small.is_unfinished);
        assert_eq!(run(&small.plan).violation, Some(small.violation));
    }
    let goal = Goal { faults: 100, operations: 1_000 };
    let mut left = 5;
    let stop = || {
        left -= 1;
        left > 0
    };
    let small = Minimiser::new(run).goal(goal).goes_on(stop).minimise(&plan()).expect("it fails");
    assert_eq!(small.runs, 5);
}

#[test]
fn a_plan_that_breaks_nothing_has_no_smaller_one() {
    let mut fair = plan();
    fair.faults.clear();
    assert_eq!(Minimiser::new(run).minimise(&fair), None);
}

/// What a plan holds may matter before its time comes: disks are kept as they were if some fault is
/// to put them back.
#[test]
fn y7_what_comes_after_the_violation_goes_only_if_it_does_not_matter() {
    let mut late = plan();
    let pause = Fault::Pause { target: Target::Seat(Seat(0)), lasting: SECOND / 100 };
    late.faults.push(PlannedFault { at: 3_900 * MILLISECOND, fault: pause });
    let run = |plan: &Plan<AskOne>| {
        let is_prepared = plan.faults.iter().any(|fault| fault.at == 3_900 * MILLISECOND);
        let mut plan = plan.clone();
        if !is_prepared {
            plan.faults.clear();
        }
        run(&plan)
    };
    let small = Minimiser::new(run).minimise(&late).expect("it fails");
    assert!(small.nanos < 3 * SECOND);
    assert_eq!(run(&small.plan).violation, Some(small.violation));
}
