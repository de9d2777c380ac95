//! Cost in steps, which are the same on every machine: 10 million take about half a second.

use crate::generate::{Random, Shape, Store, history};
use quorate_lin::{Access, Answer, Budget, History, Operation, Register, Verdict, check};

type Recorded = History<u64, Access<u64>, Answer<u64>>;

const LONG: Shape = Shape {
    operations: 10_000,
    clients: 10,
    unknown_percent: 5,
    idle_percent: 0,
    wrong_percent: 0,
};

fn tame(values: u64, shape: Shape, seed: u64) -> Recorded {
    let mut store = Store { tame: true, ..Store::of(values) };
    history(&mut store, shape, &mut Random::seeded(seed))
}

/// Steps until the verdict, which must be `legal`.
fn steps(history: &Recorded, legal: bool) -> u64 {
    let mut budget = Budget::default();
    let verdict = check(&Register::new(), history, &mut budget);
    let expected = match &verdict {
        Verdict::Linearizable(_) => legal,
        Verdict::NotLinearizable(_) => !legal,
        Verdict::Undecided(_) => false,
    };
    assert!(expected, "{verdict}");
    budget.spent()
}

/// The history with a late read that returns a value overwritten long ago.
fn with_a_stale_read(history: &Recorded) -> Recorded {
    let mut operations: Vec<Operation<_, _, _>> = history.operations().to_vec();
    let late = operations.len() * 9 / 10;
    let read = operations[late..]
        .iter_mut()
        .find(|operation| matches!(operation.output, Some(Answer::Value(Some(_)))))
        .expect("there are many reads");
    read.output = Some(Answer::Value(Some(17)));
    History::from_operations(operations).unwrap()
}

#[test]
fn ten_thousand_operations_on_one_key_with_lost_answers_take_few_steps() {
    for seed in 0..3 {
        for (values, limit) in [(0, 100), (5, 100), (50, 1_000)] {
            let history = tame(values, LONG, seed);
            let unknown = history.operations().iter().filter(|o| o.completed.is_none()).count();
            assert!(unknown > 400, "{unknown}");
            let spent = steps(&history, true) / LONG.operations;
            assert!(spent < limit, "{values} values, seed {seed}: {spent} steps an operation");
            let rested = tame(values, Shape { idle_percent: 80, ..LONG }, seed);
            let spent = steps(&rested, true) / LONG.operations;
            assert!(spent < limit / 4, "{values} values, seed {seed}: {spent} when clients rest");
        }
    }
}

#[test]
fn one_stale_read_among_ten_thousand_operations_is_found() {
    for seed in 0..3 {
        let history = with_a_stale_read(&tame(0, LONG, seed));
        let spent = steps(&history, false) / LONG.operations;
        assert!(spent < 1_200, "seed {seed}: {spent} steps an operation");
        let rested = with_a_stale_read(&tame(0, Shape { idle_percent: 80, ..LONG }, seed));
        let spent = steps(&rested, false) / LONG.operations;
        assert!(spent < 300, "seed {seed}: {spent} steps an operation when clients rest");
    }
}

#[test]
fn unknown_writes_that_nobody_sees_cost_nothing() {
    let mut history = History::new();
    for value in 0..5_000 {
        history.invoke(1, 0, Access::Write(value)); // all different
        history.invoke(2, 0, Access::Delete);
        let read = history.invoke(3, 0, Access::Read);
        history.ok(read, Answer::Value(None));
    }
    let spent = steps(&history, true) / 5_000;
    assert!(spent < 10, "{spent} steps a read");
    let read = history.invoke(3, 0, Access::Read);
    history.ok(read, Answer::Value(Some(5_001)));
    let spent = steps(&history, false) / 5_000;
    assert!(spent < 100, "{spent} steps a read");
}

#[test]
fn more_clients_than_a_word_has_bits_are_no_limit() {
    let shape = Shape { operations: 3_000, clients: 150, idle_percent: 90, ..LONG };
    let history = tame(0, shape, 7);
    assert!(steps(&history, true) / 3_000 < 2_000);
}

#[test]
fn a_hard_key_does_not_hide_an_illegal_one() {
    let hard = history(&mut Store::of(50), LONG, &mut Random::seeded(3));
    let mut operations = hard.operations().to_vec();
    let hard = History::from_operations(operations.clone()).unwrap();
    let model = Register::new().with_append(crate::generate::append);
    let verdict = check(&model, &hard, &mut Budget::steps(300_000));
    assert!(matches!(verdict, Verdict::Undecided(_)), "no longer hard: choose another");
    for key in 1..20 {
        operations.push(Operation {
            process: 1,
            key,
            invoked: key,
            completed: Some(key + 1),
            input: Access::Read,
            output: Some(Answer::Value(if key == 19 { Some(1) } else { None })),
        });
    }
    let both = History::from_operations(operations).unwrap();
    let verdict = check(&model, &both, &mut Budget::steps(300_000));
    let Verdict::NotLinearizable(why) = verdict else { panic!("{verdict}") };
    assert_eq!(why.key, 19);
}
