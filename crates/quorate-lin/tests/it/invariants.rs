//! A test for each numbered invariant of the crate.

use crate::brute;
use crate::generate::{Grants, Lock, Object, Random, Shape, Store, append, history};
use quorate_lin::{
    Access, Answer, Budget, History, Model, Mutex, MutexCall, Operation, Register, TokenLock,
    Verdict, check, check_ndjson,
};
use std::fmt::Write as _;

const SMALL: Shape = Shape { operations: 8, clients: 4, unknown_percent: 25, wrong_percent: 25 };

fn register() -> Register<u64> {
    Register::new().with_append(append)
}

/// Runs `claim` on small histories of one kind of object; returns how many were linearizable.
fn small<O: Object>(
    seeds: std::ops::Range<u64>,
    object: impl Fn(u64) -> O,
    claim: impl Fn(&History<u64, <O::Model as Model>::Input, <O::Model as Model>::Output>, u64) -> bool,
) -> usize {
    let one = |seed: &u64| {
        let mut random = Random::seeded(*seed);
        let shape = Shape {
            operations: 3 + seed % 7,
            clients: 2 + seed / 7 % 3,
            unknown_percent: [0, 15, 50][(seed / 3 % 3) as usize],
            wrong_percent: [5, 20, 50][(seed % 3) as usize],
        };
        let shape = if seed.is_multiple_of(5) { SMALL } else { shape };
        claim(&history(&mut object(*seed), shape, &mut random), *seed)
    };
    seeds.filter(one).count()
}

fn agrees<M: Model>(model: &M, history: &History<u64, M::Input, M::Output>, seed: u64) -> bool {
    let expected = brute::linearizable(model, history);
    match check(model, history, &mut Budget::default()) {
        Verdict::Linearizable(_) => assert!(expected, "seed {seed}: missed a fault\n{history:#?}"),
        Verdict::NotLinearizable(why) => assert!(!expected, "seed {seed}: false alarm\n{why}"),
        Verdict::Undecided(_) => panic!("seed {seed}: undecided"),
    }
    expected
}

/// Enough of both verdicts for the comparison to mean something.
fn both_occur(linearizable: usize, all: u64) {
    let all = all as usize;
    assert!(linearizable > all / 10 && linearizable < all - all / 10, "{linearizable} of {all}");
}

#[test]
fn v1_a_decided_verdict_is_the_one_of_an_exhaustive_search_registers() {
    for values in [0, 2, 4] {
        let good = small(0..20_000, |_| Store::of(values), |h, seed| agrees(&register(), h, seed));
        both_occur(good, 20_000);
    }
}

#[test]
fn v1_a_decided_verdict_is_the_one_of_an_exhaustive_search_locks() {
    both_occur(small(0..10_000, |_| Lock::default(), |h, seed| agrees(&Mutex, h, seed)), 10_000);
    let strict = |h: &_, seed| agrees(&TokenLock::new(), h, seed);
    both_occur(small(0..10_000, |_| Grants::default(), strict), 10_000);
    let lease = |_| Grants { expires: true, ..Grants::default() };
    let expiring = |h: &_, seed| agrees(&TokenLock::with_expiry(), h, seed);
    both_occur(small(0..10_000, lease, expiring), 10_000);
}

/// A model that helps the search with nothing but `step`.
struct Plain<M>(M);

impl<M: Model> Model for Plain<M> {
    type Input = M::Input;
    type Output = M::Output;
    type State = M::State;

    fn initial(&self) -> M::State {
        self.0.initial()
    }

    fn step(
        &self,
        state: &M::State,
        input: &M::Input,
        output: Option<&M::Output>,
    ) -> Option<M::State> {
        self.0.step(state, input, output)
    }
}

#[test]
fn v1_a_decided_verdict_is_the_same_for_a_model_without_hints() {
    let good = small(0..3_000, |_| Store::of(3), |h, seed| agrees(&Plain(register()), h, seed));
    both_occur(good, 3_000);
    small(0..1_500, |_| Lock::default(), |h, seed| agrees(&Plain(Mutex), h, seed));
}

/// Every hint of a model against `step`, over all states and calls of a small world.
fn hints_hold<M: Model>(
    model: &M,
    states: &[M::State],
    inputs: &[M::Input],
    outputs: &[Option<M::Output>],
) {
    for (state, input) in states.iter().flat_map(|s| inputs.iter().map(move |i| (s, i))) {
        assert!(model.step(state, input, None).is_some(), "{input:?} in {state:?}");
        for output in outputs.iter().map(Option::as_ref) {
            let next = model.step(state, input, output);
            if model.only_reads(input, output) {
                assert!(next.is_none_or(|next| next == *state), "{input:?} in {state:?}");
            }
            for earlier in inputs.iter().filter(|e| !model.may_matter(e, input, output)) {
                let between = model.step(state, earlier, None).expect("total");
                let Some(after) = model.step(&between, input, output) else { continue };
                let idle = output.is_none() && after == between;
                if between == *state || idle {
                    continue;
                }
                let case = format!("{earlier:?}, then {input:?} -> {output:?}, in {state:?}");
                let without = model.step(state, input, output).unwrap_or_else(|| panic!("{case}"));
                let later = model.step(&without, earlier, None).expect("total");
                assert!(without == after || later == after, "{case}");
            }
        }
    }
}

#[test]
fn v1_the_hints_of_every_model_are_true() {
    let values = [None, Some(1), Some(2), Some(3)];
    let mut inputs = vec![Access::Read, Access::Delete, Access::Append(1)];
    inputs.extend((1..4).map(Access::Write));
    for expected in values {
        inputs.extend(values.map(|new| Access::Cas { expected, new }));
    }
    let mut outputs = vec![None, Some(Answer::Done)];
    outputs.extend(values.map(|value| Some(Answer::Value(value))));
    for flag in [true, false] {
        outputs.extend([Some(Answer::Swapped(flag)), Some(Answer::Deleted(flag))]);
    }
    hints_hold(&register(), &values, &inputs, &outputs);
    hints_hold(
        &Mutex,
        &[None, Some(1), Some(2)],
        &[1, 2]
            .map(MutexCall::Acquire)
            .into_iter()
            .chain([1, 2].map(MutexCall::Release))
            .collect::<Vec<_>>(),
        &[None, Some(())],
    );
}

#[test]
fn v2_an_unknown_operation_takes_effect_at_any_time_or_never() {
    let register = Register::<u64>::new();
    // For each moment from which on reads see the unknown write, if at all.
    for seen_from in 0..=6 {
        let mut history = History::new();
        let before = history.invoke(1, 0, Access::Write(1));
        history.ok(before, Answer::Done);
        let lost = history.invoke(2, 0, Access::Write(2));
        history.info(lost);
        for read in 0..6 {
            let process = 2 + read % 2; // also by the process that went on
            let call = history.invoke(process, 0, Access::Read);
            history.ok(call, Answer::Value(Some(if read >= seen_from { 2 } else { 1 })));
        }
        assert!(check(&register, &history, &mut Budget::default()).is_linearizable());
        // But once, and not before its invocation.
        let undone = history.invoke(1, 0, Access::Read);
        history.ok(undone, Answer::Value(Some(3 - if seen_from < 6 { 2 } else { 0 })));
        assert!(!check(&register, &history, &mut Budget::default()).is_linearizable());
    }
    let mut history = History::new();
    let early = history.invoke(1, 0, Access::Read);
    history.ok(early, Answer::Value(Some(2)));
    history.invoke(2, 0, Access::Write(2));
    assert!(!check(&register, &history, &mut Budget::default()).is_linearizable());
}

#[test]
fn v3_a_larger_budget_decides_and_never_changes_a_decision() {
    small(
        0..300,
        |_| Store::of(3),
        |history, seed| {
            let mut full = Budget::default();
            let decided = check(&register(), history, &mut full);
            let mut undecided = 0;
            for steps in 0..=full.spent() {
                match check(&register(), history, &mut Budget::steps(steps)) {
                    Verdict::Undecided(_) => undecided += 1,
                    verdict => assert_eq!(verdict, decided, "seed {seed}, {steps} steps"),
                }
            }
            assert!(undecided > 0, "nothing was decided without a step");
            true
        },
    );
}

#[test]
fn v3_a_callback_ends_a_check_undecided() {
    let mut random = Random::seeded(1);
    let shape = Shape { operations: 5_000, clients: 4, unknown_percent: 5, wrong_percent: 0 };
    let history = history(&mut Store::of(0), shape, &mut random);
    let mut asked = 0;
    let mut stop = || {
        asked += 1;
        asked > 2
    };
    let verdict = check(&register(), &history, &mut Budget::default().stop_when(&mut stop));
    let Verdict::Undecided(undecided) = verdict else { panic!("decided in two slices") };
    assert!(undecided.stopped && undecided.steps >= 2_000 && undecided.steps < 4_000);
}

#[test]
fn v4_the_same_history_takes_the_same_steps_to_the_same_verdict() {
    small(
        0..500,
        |_| Store::of(3),
        |history, _| {
            let run = || {
                let mut budget = Budget::default();
                let verdict = check(&register(), &history.clone(), &mut budget);
                (verdict, budget.spent())
            };
            assert_eq!(run(), run());
            true
        },
    );
}

#[test]
fn v5_a_witness_replays_and_keeps_real_time() {
    let good = small(
        0..3_000,
        |_| Store::of(3),
        |history, seed| {
            let Verdict::Linearizable(witness) =
                check(&register(), history, &mut Budget::default())
            else {
                return false;
            };
            let model = register();
            let order = witness.orders().concat();
            let mut state = model.initial();
            for (at, &index) in order.iter().enumerate() {
                let Operation { input, output, completed, invoked, .. } =
                    &history.operations()[index];
                let answer = completed.and(output.as_ref());
                state = model.step(&state, input, answer).unwrap_or_else(|| panic!("seed {seed}"));
                let late = |&other: &usize| {
                    history.operations()[other].completed.is_some_and(|end| end < *invoked)
                };
                assert!(!order[at..].iter().any(late), "seed {seed}: out of order");
            }
            let mut sorted = order.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), order.len(), "seed {seed}: an operation twice");
            for (index, operation) in history.operations().iter().enumerate() {
                assert!(operation.completed.is_none() || order.contains(&index), "seed {seed}");
                assert!(!(history.failed().contains(&index) && order.contains(&index)));
            }
            for (index, point) in witness.points(history) {
                let operation = &history.operations()[index];
                assert!(operation.invoked <= point);
                assert!(operation.completed.is_none_or(|end| point <= end), "seed {seed}");
            }
            true
        },
    );
    both_occur(good, 3_000);
}

#[test]
fn v6_a_counter_example_ends_at_the_first_completion_that_cannot_be() {
    let bad = small(
        0..3_000,
        |_| Store::of(3),
        |history, seed| {
            let Verdict::NotLinearizable(why) = check(&register(), history, &mut Budget::default())
            else {
                return false;
            };
            let end = history.operations()[why.illegal].completed.unwrap();
            assert!(!brute::linearizable_until(&register(), history, end), "seed {seed}\n{why}");
            assert!(brute::linearizable_until(&register(), history, end - 1), "seed {seed}\n{why}");
            true
        },
    );
    both_occur(bad, 3_000);
}

#[test]
fn v7_no_bytes_make_the_reader_panic() {
    const PIECES: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\n",
        "\n",
        "null",
        "true",
        "-1",
        "1e99",
        "\u{0}",
        "é",
        "\"process\":1",
        "\"type\":\"invoke\"",
        "\"type\":\"ok\"",
        "\"op\":\"cas\"",
        "\"value\":[1,2]",
        "{\"process\":1,\"type\":\"invoke\",\"op\":\"write\",\"value\":1}\n",
        "{\"process\":1,\"type\":\"ok\",\"value\":1}\n",
        "\"op\":\"release\"",
        "\"value\":18446744073709551616",
        "{\"process\":2,\"type\":\"invoke\",\"op\":\"acquire\"}\n",
        "{\"process\":2,\"type\":\"info\"}\n",
    ];
    for seed in 0..4_000 {
        let mut random = Random::seeded(seed);
        let mut text = Vec::new();
        for _ in 0..random.below(20) {
            text.extend(PIECES[random.below(PIECES.len() as u64) as usize].bytes());
            if random.percent(5) {
                text.push(random.below(256) as u8);
            }
        }
        for model in quorate_lin::MODEL_NAMES {
            if let Err(error) = check_ndjson(model, &text[..], &mut Budget::steps(1_000)) {
                let mut shown = String::new();
                write!(shown, "{error}").unwrap();
                assert!(shown.contains("line ") || shown.contains("no events"), "{shown}");
            }
        }
    }
    let deep = "[".repeat(1_000_000);
    assert!(check_ndjson("kv", deep.as_bytes(), &mut Budget::default()).is_err());
    let long = " ".repeat(17 << 20);
    let error = check_ndjson("kv", long.as_bytes(), &mut Budget::default()).unwrap_err();
    assert!(error.to_string().contains("line 1: longer than"), "{error}");
}
