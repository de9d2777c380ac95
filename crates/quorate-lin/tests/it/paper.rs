//! What the papers claim, one test a claim. Sections are named as their headings are, since the
//! versions in circulation number them differently.

use crate::brute;
use crate::generate::{Random, Shape, Store, history};
use quorate_lin::{Access, Answer, Budget, History, Model, Operation, Register, Verdict, check};
use std::collections::BTreeMap;

/// A first-in first-out queue without any hint to the search: the papers' running example.
struct Queue;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Call {
    Enqueue(u64),
    Dequeue,
}

/// What a dequeue answers; an enqueue answers `None`.
type Front = Option<u64>;

impl Model for Queue {
    type Input = Call;
    type Output = Front;
    type State = Vec<u64>;

    fn initial(&self) -> Vec<u64> {
        Vec::new()
    }

    fn step(&self, queue: &Vec<u64>, call: &Call, answer: Option<&Front>) -> Option<Vec<u64>> {
        match call {
            Call::Enqueue(item) => Some(queue.iter().chain([item]).copied().collect()),
            Call::Dequeue => {
                let right = answer.is_none_or(|answer| *answer == queue.first().copied());
                right.then(|| queue.iter().skip(1).copied().collect())
            }
        }
    }
}

type Queues = History<u64, Call, Front>;

fn decide<K: Clone + Ord + std::fmt::Debug, M: Model>(
    model: &M,
    history: &History<K, M::Input, M::Output>,
) -> bool {
    check(model, history, &mut Budget::default()).is_linearizable()
}

/// A completed operation on one object.
const fn done<I, O>(times: [u64; 2], key: u64, input: I, output: O) -> Operation<u64, I, O> {
    let [invoked, completed] = times;
    Operation { process: 1, key, invoked, completed: Some(completed), input, output: Some(output) }
}

/// Wing and Gong, introduction (after Herlihy and Wing 1990, figure 1): overlapping calls may take
/// effect in either order, calls that do not overlap only in theirs.
#[test]
fn wing_gong_overlapping_enqueues_are_dequeued_in_either_order() {
    let queue = |second: [u64; 2], first: u64| {
        let operations = vec![
            done([1, 4], 0, Call::Enqueue(1), None),
            done(second, 0, Call::Enqueue(2), None),
            done([7, 8], 0, Call::Dequeue, Some(first)),
            done([9, 10], 0, Call::Dequeue, Some(3 - first)),
        ];
        decide(&Queue, &History::from_operations(operations).unwrap())
    };
    assert!(queue([2, 6], 1) && queue([2, 6], 2));
    assert!(queue([5, 6], 1) && !queue([5, 6], 2));
}

/// Wing and Gong, definition of linearizability: a call without a return may be completed or left
/// out.
#[test]
fn wing_gong_a_pending_call_is_completed_or_left_out() {
    let mut history = Queues::new();
    let pending = history.invoke(1, 0, Call::Enqueue(7));
    history.info(pending);
    let empty = history.invoke(2, 0, Call::Dequeue);
    history.ok(empty, None);
    assert!(decide(&Queue, &history));
    let full = history.invoke(2, 0, Call::Dequeue);
    history.ok(full, Some(7));
    assert!(decide(&Queue, &history));
    let again = history.invoke(2, 0, Call::Dequeue);
    history.ok(again, Some(7));
    assert!(!decide(&Queue, &history));
}

/// Wing and Gong, the algorithm: only calls that no other precedes come first, and what a wrong
/// choice did is undone, so the first choice does not decide.
#[test]
fn wing_gong_a_wrong_first_choice_is_taken_back() {
    // By completion 1 comes first, but only 3, 2, 1 explains what was dequeued.
    let mut operations: Vec<_> =
        (1..4).map(|item| done([item, 3 + item], 0, Call::Enqueue(item), None)).collect();
    operations
        .extend((0..3).map(|at| done([8 + 2 * at, 9 + 2 * at], 0, Call::Dequeue, Some(3 - at))));
    let history = History::from_operations(operations).unwrap();
    let Verdict::Linearizable(witness) = check(&Queue, &history, &mut Budget::default()) else {
        panic!("three overlapping enqueues have six orders");
    };
    assert_eq!(witness.orders(), [[2, 1, 0, 3, 4, 5]]);
}

/// Gibbons and Korach 1997, cited by all three: a register is decided by its order of writes, and
/// a read of a value that was replaced for certain has no place.
#[test]
fn gibbons_korach_a_stale_read_is_the_shortest_violation() {
    let read = |at: [u64; 2], value| done(at, 0, Access::Read, Answer::Value(value));
    let write = |at: [u64; 2], value| done(at, 0, Access::Write(value), Answer::Done);
    let with = |last| History::from_operations(vec![write([1, 2], 1), write([3, 4], 2), last]);
    assert!(decide(&Register::new(), &with(read([5, 6], Some(2))).unwrap()));
    assert!(decide(&Register::new(), &with(read([3, 6], Some(1))).unwrap()));
    assert!(!decide(&Register::new(), &with(read([5, 6], Some(1))).unwrap()));
}

/// Lowe, "graph search": a pair of linearized operations and state is explored once. Sixteen
/// overlapping enqueues of equal items have 16! orders and 2^16 sets.
#[test]
fn lowe_equal_configurations_are_explored_once() {
    let mut history = Queues::new();
    let calls: Vec<_> =
        (0..16).map(|process| history.invoke(process, 0, Call::Enqueue(1))).collect();
    calls.into_iter().for_each(|call| history.ok(call, None));
    let wrong = history.invoke(1, 0, Call::Dequeue);
    history.ok(wrong, Some(2));
    let mut budget = Budget::steps(16 << 16);
    let verdict = check(&Queue, &history, &mut budget);
    assert!(matches!(verdict, Verdict::NotLinearizable(_)), "{verdict}");
}

/// Lowe, "just-in-time linearization": an operation is linearized no earlier than some return needs
/// it, so calls that stay pending cost nothing.
#[test]
fn lowe_pending_calls_nobody_needs_cost_nothing() {
    let steps = |pending: u64| {
        let mut history = History::new();
        for process in 0..pending {
            history.invoke(100 + process, 0, Access::Write(process));
        }
        for value in 1_000..2_000 {
            let write = history.invoke(1, 0, Access::Write(value));
            history.ok(write, Answer::Done);
            let read = history.invoke(1, 0, Access::Read);
            history.ok(read, Answer::Value(Some(value)));
        }
        let mut budget = Budget::default();
        assert!(check(&Register::new(), &history, &mut budget).is_linearizable());
        budget.spent()
    };
    assert_eq!(steps(0), steps(500));
}

/// Horn and Kroening, "P-compositionality": a history of a key-value store is linearizable exactly
/// if the part of each key is.
#[test]
fn horn_kroening_a_store_is_linearizable_if_each_key_is() {
    let mut legal = 0;
    for seed in 0..2_000 {
        let parts: Vec<_> = (0..2_u64)
            .map(|key| {
                let shape =
                    Shape { operations: 4, clients: 2, unknown_percent: 20, wrong_percent: 15 };
                let mut random = Random::seeded(2 * seed + key);
                (key, history(&mut Store::of(3), shape, &mut random))
            })
            .collect();
        let mut whole = Vec::new();
        for (key, part) in &parts {
            let kept = (0..part.operations().len()).filter(|at| !part.failed().contains(at));
            whole.extend(kept.map(|at| Operation { key: *key, ..part.operations()[at].clone() }));
        }
        let whole = History::from_operations(whole).unwrap();
        let together = decide(&Register::new(), &whole);
        let apart = parts.iter().all(|(_, part)| decide(&Register::new(), part));
        assert_eq!(together, apart, "seed {seed}");
        assert_eq!(together, brute::linearizable(&Stores, &as_one(&whole)), "seed {seed}");
        legal += u64::from(together);
    }
    assert!((200..1_800).contains(&legal), "{legal} of 2000");
}

/// Horn and Kroening, experiments: partitions turn a product of searches into a sum. The same
/// operations as one object with a map for its state cost far more.
#[test]
fn horn_kroening_partitions_cost_a_sum_and_not_a_product() {
    let mut operations = Vec::new();
    for key in 0..5 {
        for value in 0..4 {
            operations.push(done([1, 9], key, Access::Write(value), Answer::Done));
        }
        operations.push(done([10, 11], key, Access::Read, Answer::Value(Some(key % 2 * 7))));
    }
    let whole = History::from_operations(operations).unwrap();
    let mut apart = Budget::default();
    assert!(!check(&Register::new(), &whole, &mut apart).is_linearizable());
    let mut together = Budget::steps(500_000);
    let verdict = check(&Stores, &as_one(&whole), &mut together);
    assert!(!verdict.is_linearizable());
    assert!(apart.spent() * 1_000 < together.spent(), "{apart:?}, {together:?}");
}

/// All keys of a store as one object.
struct Stores;

impl Model for Stores {
    type Input = (u64, Access<u64>);
    type Output = Answer<u64>;
    type State = BTreeMap<u64, u64>;

    fn initial(&self) -> BTreeMap<u64, u64> {
        BTreeMap::new()
    }

    fn step(
        &self,
        state: &BTreeMap<u64, u64>,
        (key, input): &(u64, Access<u64>),
        output: Option<&Answer<u64>>,
    ) -> Option<BTreeMap<u64, u64>> {
        let value = Register::new().step(&state.get(key).copied(), input, output)?;
        let mut state = state.clone();
        match value {
            Some(value) => state.insert(*key, value),
            None => state.remove(key),
        };
        Some(state)
    }
}

fn as_one(
    history: &History<u64, Access<u64>, Answer<u64>>,
) -> History<u64, (u64, Access<u64>), Answer<u64>> {
    let operations = history.operations().iter().cloned();
    let operations = operations.map(|operation| {
        let Operation { process, key, invoked, completed, input, output } = operation;
        Operation { process, key: 0, invoked, completed, input: (key, input), output }
    });
    History::from_operations(operations.collect()).expect("times as before")
}
