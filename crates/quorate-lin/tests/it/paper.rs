//! Claims of the papers this crate rests on.

use crate::brute;
use crate::generate::{Random, Shape, Store, history};
use quorate_lin::{Access, Answer, Budget, History, Model, Operation, Register, check};
use std::collections::BTreeMap;

/// A first-in first-out queue: a model of a user's own, without any hints.
struct Queue;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Call {
    Put(char),
    Take,
}

impl Model for Queue {
    type Input = Call;
    type Output = Option<char>;
    type State = Vec<char>;

    fn initial(&self) -> Vec<char> {
        Vec::new()
    }

    fn step(
        &self,
        state: &Vec<char>,
        input: &Call,
        output: Option<&Option<char>>,
    ) -> Option<Vec<char>> {
        match input {
            Call::Put(item) => Some(state.iter().chain([item]).copied().collect()),
            Call::Take if output.is_none_or(|item| item.as_ref() == state.first()) => {
                Some(state.iter().skip(1).copied().collect())
            }
            Call::Take => None,
        }
    }
}

/// Events as "A+x" (A begins to put x), "A-" (A begins to take), "A." or "A=x" (A's call returns).
fn is_linearizable(script: &str) -> bool {
    let mut history = History::new();
    let mut open = BTreeMap::new();
    for event in script.split_whitespace() {
        let letters: Vec<char> = event.chars().collect();
        let process = letters[0];
        let begin = |history: &mut History<(), Call, Option<char>>, call| {
            history.invoke(u64::from(u32::from(process)), (), call)
        };
        match letters[1..] {
            ['+', item] => drop(open.insert(process, begin(&mut history, Call::Put(item)))),
            ['-'] => drop(open.insert(process, begin(&mut history, Call::Take))),
            ['.'] => history.ok(open.remove(&process).unwrap(), None),
            ['=', item] => history.ok(open.remove(&process).unwrap(), Some(item)),
            _ => panic!("{event}"),
        }
    }
    let verdict = check(&Queue, &history, &mut Budget::default());
    assert_eq!(verdict.is_linearizable(), brute::linearizable(&Queue, &history), "{script}");
    verdict.is_linearizable()
}

/// Herlihy and Wing 1990, the queue histories H1 to H4 of the introduction.
#[test]
fn queues_of_herlihy_and_wing() {
    // Puts overlap, so they may have happened in either order.
    assert!(is_linearizable("A+x B+y B. A. B- B=x A- A=y A+z"));
    assert!(is_linearizable("A+x B+y B. A. B- B=y A- A=x"));
    // x was put before y, yet y comes out first.
    assert!(!is_linearizable("A+x A. B+y A- B. A=y"));
    // What is still being put may be taken.
    assert!(is_linearizable("A+x B- B=x"));
    // y comes out twice.
    assert!(!is_linearizable("A+x B+y A. B. A- C- A=y C=y"));
}

/// Several registers as one object.
struct Registers;

impl Model for Registers {
    type Input = (u64, Access<u64>);
    type Output = Answer<u64>;
    type State = BTreeMap<u64, u64>;

    fn initial(&self) -> BTreeMap<u64, u64> {
        BTreeMap::new()
    }

    fn step(
        &self,
        state: &Self::State,
        (key, access): &Self::Input,
        output: Option<&Answer<u64>>,
    ) -> Option<Self::State> {
        let value = Register::new().step(&state.get(key).copied(), access, output)?;
        let mut state = state.clone();
        match value {
            Some(value) => state.insert(*key, value),
            None => state.remove(key),
        };
        Some(state)
    }
}

/// Herlihy and Wing 1990, theorem 1 (locality): a history is linearizable if and only if that of
/// each object is. Here: checking by key gives what checking all keys as one object gives.
#[test]
fn locality_of_herlihy_and_wing() {
    let mut legal = 0;
    for seed in 0..600 {
        let mut random = Random::seeded(seed);
        let shape = Shape {
            operations: 6,
            clients: 3,
            unknown_percent: 20,
            idle_percent: 0,
            wrong_percent: 20,
        };
        let mut parts = Vec::new();
        for key in 0..2 {
            // Without appends, of which this store has none while nothing was written.
            let one = history(&mut Store { tame: true, ..Store::of(3) }, shape, &mut random);
            parts.extend(one.operations().iter().cloned().map(|call| Operation { key, ..call }));
        }
        let whole =
            parts.iter().map(|Operation { process, key, invoked, completed, input, output }| {
                Operation {
                    process: *process,
                    key: (),
                    invoked: *invoked,
                    completed: *completed,
                    input: (*key, input.clone()),
                    output: output.clone(),
                }
            });
        let whole = History::from_operations(whole.collect()).unwrap();
        let parts = History::from_operations(parts).unwrap();
        let by_key = check(&Register::new(), &parts, &mut Budget::default());
        let at_once = check(&Registers, &whole, &mut Budget::default());
        assert_eq!(by_key.is_linearizable(), at_once.is_linearizable(), "seed {seed}\n{by_key}");
        legal += usize::from(by_key.is_linearizable());
    }
    assert!((60..540).contains(&legal), "{legal}");
}
