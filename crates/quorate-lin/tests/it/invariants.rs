//! A test for each numbered invariant of the crate.

use crate::brute;
use crate::generate::{Grants, Lock, Object, Random, Shape, Store, append, history, history_of};
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
    many(seeds, |seed| vec![object(seed)], claim)
}

/// The same with several objects, each with a key of its own.
fn many<O: Object>(
    seeds: std::ops::Range<u64>,
    objects: impl Fn(u64) -> Vec<O>,
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
        claim(&history_of(&mut objects(*seed), shape, &mut random), *seed)
    };
    seeds.filter(one).count()
}

/// Checks a verdict, and what it claims, against the definition; whether it is linearizable.
fn agrees<M: Model>(model: &M, history: &History<u64, M::Input, M::Output>, seed: u64) -> bool {
    let expected = brute::linearizable(model, history);
    match check(model, history, &mut Budget::default()) {
        Verdict::Linearizable(witness) => {
            assert!(expected, "seed {seed}: missed a fault\n{history:#?}");
            witness.orders().iter().for_each(|order| replays(model, history, order, seed));
            let order = witness.orders().concat();
            holds_all_before(history, &order, u64::MAX, |_| true, seed);
            in_time(history, &witness.points(history), seed);
        }
        Verdict::NotLinearizable(why) => {
            assert!(!expected, "seed {seed}: false alarm\n{why}");
            replays(model, history, &why.order, seed);
            let illegal = &history.operations()[why.illegal];
            let end = illegal.completed.unwrap_or_else(|| panic!("seed {seed}: not completed"));
            assert!(illegal.key == why.key && !why.order.contains(&why.illegal), "seed {seed}");
            holds_all_before(history, &why.order, end, |key| key == why.key, seed);
            in_time(history, &why.points(history), seed);
            let until = |end| brute::linearizable_until(model, history, &why.key, end);
            assert!(!until(end), "seed {seed}: goes on\n{why}");
            assert!(until(end - 1), "seed {seed}: ended before\n{why}");
        }
        Verdict::Undecided(_) => panic!("seed {seed}: undecided"),
    }
    expected
}

/// The order of one key is legal, keeps real time, and has no operation twice or that failed.
fn replays<M: Model>(
    model: &M,
    history: &History<u64, M::Input, M::Output>,
    order: &[usize],
    seed: u64,
) {
    let mut state = model.initial();
    for (at, &index) in order.iter().enumerate() {
        let Operation { input, output, completed, invoked, key, .. } = &history.operations()[index];
        let answer = completed.and(output.as_ref());
        state = model.step(&state, input, answer).unwrap_or_else(|| panic!("seed {seed}: illegal"));
        let late = |&other: &usize| {
            history.operations()[other].completed.is_some_and(|end| end < *invoked)
        };
        assert!(!order[at..].iter().any(late), "seed {seed}: out of order");
        assert!(!order[..at].contains(&index), "seed {seed}: an operation twice");
        assert!(!history.failed().contains(&index), "seed {seed}: a failed operation");
        assert_eq!(*key, history.operations()[order[0]].key, "seed {seed}: two keys");
    }
}

/// Nothing is missing in `order` that completed before `end` on the keys in question.
fn holds_all_before<I, O>(
    history: &History<u64, I, O>,
    order: &[usize],
    end: u64,
    concerns: impl Fn(u64) -> bool,
    seed: u64,
) {
    for (index, operation) in history.operations().iter().enumerate() {
        let before = operation.completed.is_some_and(|completed| completed < end);
        let there = !before || !concerns(operation.key) || order.contains(&index);
        assert!(there, "seed {seed}: operation {index} is missing");
    }
}

fn in_time<I, O>(history: &History<u64, I, O>, points: &[(usize, u64)], seed: u64) {
    for &(index, point) in points {
        let operation = &history.operations()[index];
        assert!(operation.invoked <= point, "seed {seed}: before it began");
        assert!(operation.completed.is_none_or(|end| point <= end), "seed {seed}: after its end");
    }
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

/// Moves between places, each from some of them; a look says where things are.
struct Places;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Move(&'static [u8], u8),
    Look,
}

impl Model for Places {
    type Input = Step;
    type Output = u8;
    type State = u8;

    fn initial(&self) -> u8 {
        0
    }

    fn step(&self, place: &u8, input: &Step, output: Option<&u8>) -> Option<u8> {
        match input {
            Step::Move(from, to) => Some(if from.contains(place) { *to } else { *place }),
            Step::Look => output.is_none_or(|seen| seen == place).then_some(*place),
        }
    }

    fn only_reads(&self, input: &Step, _output: Option<&u8>) -> bool {
        matches!(input, Step::Look)
    }

    fn may_matter(&self, earlier: &Step, input: &Step, output: Option<&u8>) -> bool {
        let Step::Move(_, to) = earlier else { return false };
        match input {
            Step::Move(from, _) => output.is_some() || from.contains(to),
            Step::Look => output.is_none_or(|seen| seen == to),
        }
    }
}

#[test]
fn v1_a_chain_of_unknown_operations_may_begin_in_its_middle() {
    let moves: [(&[u8], u8); 3] = [(&[0], 1), (&[0, 1], 2), (&[2], 3)];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 0, 2]] {
        let mut history = History::new();
        for at in order {
            let (from, to) = moves[at];
            history.invoke(at as u64, 0, Step::Move(from, to));
        }
        let far = history.invoke(9, 0, Step::Look);
        history.ok(far, 3); // without the first move, which is needed below
        let back = history.invoke(9, 0, Step::Move(&[3], 0));
        history.ok(back, 0);
        let near = history.invoke(9, 0, Step::Look);
        history.ok(near, 1);
        assert!(agrees(&Places, &history, 0));
    }
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
                assert!(next.as_ref().is_none_or(|next| next == state), "{input:?} in {state:?}");
            }
            if let Some(needed) = model.needs(input, output)
                && *state != needed
            {
                let idle = output.is_none() && next.as_ref() == Some(state);
                assert!(next.is_none() || idle, "{input:?} in {state:?}");
            }
            if let (Some(left), Some(next)) = (model.leaves(input, output), &next) {
                assert!(next == state || *next == left, "{input:?} in {state:?}");
                assert_eq!(Some(next), model.step(state, input, None).as_ref(), "{input:?}");
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
fn v5_a_witness_replays_and_keeps_real_time_on_every_key() {
    let several = |seed| vec![Store::of(3), Store::of(2), Store::of(seed % 2)];
    let good = many(0..6_000, several, |history, seed| agrees(&register(), history, seed));
    both_occur(good, 6_000);
    let locks =
        |seed| vec![Grants { expires: seed % 2 == 0, ..Grants::default() }, Grants::default()];
    let good = many(0..4_000, locks, |history, seed| agrees(&TokenLock::new(), history, seed));
    both_occur(good, 4_000);
}

#[test]
fn v6_a_counter_example_ends_at_the_first_completion_that_cannot_be() {
    // Against a search that tries everything; `agrees` asks brute force about small histories.
    let medium = Shape { operations: 40, clients: 5, unknown_percent: 15, wrong_percent: 6 };
    for (values, operations) in [(0, 40), (3, 40), (0, 80)] {
        let shape = Shape { operations, ..medium };
        let mut bad = 0;
        for seed in 0..300 {
            let mut random = Random::seeded(seed);
            let history = history(&mut Store::of(values), shape, &mut random);
            let fast = check(&register(), &history, &mut Budget::default());
            match (fast, check(&Plain(register()), &history, &mut Budget::default())) {
                (Verdict::NotLinearizable(fast), Verdict::NotLinearizable(slow)) => {
                    assert_eq!(fast.illegal, slow.illegal, "seed {seed}\n{fast}\n{slow}");
                    bad += 1;
                }
                (fast, slow) => {
                    let undecided = matches!(slow, Verdict::Undecided(_));
                    assert!(undecided || fast.is_linearizable() == slow.is_linearizable());
                    assert!(!matches!(fast, Verdict::Undecided(_)), "seed {seed}");
                }
            }
        }
        assert!((30..300).contains(&bad), "{bad} of 300");
    }
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
