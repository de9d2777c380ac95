//! What a check costs, in steps: the same on every machine, and in proportion to time and memory.

#[path = "../../examples/effort/workload.rs"]
mod workload;

use crate::generate::Random;
use quorate_lin::{Access, Answer, Budget, History, Mutex, MutexCall, Register, Verdict, check};
use workload::Workload;

/// Checks with a budget of `each` steps a call; returns the steps and whether it is legal.
fn decide(workload: Workload, each: u64) -> (u64, bool) {
    let mut budget = Budget::steps(workload.operations * each);
    match check(&Register::new(), &workload.history(), &mut budget) {
        Verdict::Linearizable(_) => (budget.spent(), true),
        Verdict::NotLinearizable(_) => (budget.spent(), false),
        Verdict::Undecided(why) => panic!("{workload:?}\n{why}"),
    }
}

#[test]
fn a_hundred_thousand_calls_take_a_few_steps_each() {
    for (processes, unknown_permille) in [(8, 10), (16, 20), (20, 50)] {
        for (plain, crowded) in [(false, false), (true, false), (false, true)] {
            let legal =
                Workload { processes, unknown_permille, plain, crowded, ..Workload::usual() };
            assert!(decide(legal, 2).1);
            let stale_at = Some(legal.operations * 9 / 10);
            assert!(!decide(Workload { stale_at, ..legal }, 4).1, "missed a stale read");
        }
    }
}

#[test]
fn steps_grow_with_the_history_and_no_faster() {
    for unknown_permille in [10, 50] {
        for stale in [false, true] {
            let steps = |operations| {
                let stale_at = stale.then_some(operations * 9 / 10);
                let usual = Workload::usual();
                let (steps, legal) =
                    decide(Workload { operations, unknown_permille, stale_at, ..usual }, 10);
                assert_eq!(legal, !stale);
                steps
            };
            let (short, long) = (steps(20_000), steps(200_000));
            assert!(long < 13 * short, "{short} steps became {long}");
        }
    }
}

#[test]
fn few_values_are_as_cheap_as_many() {
    let usual = Workload { values: 5, processes: 20, unknown_permille: 50, ..Workload::usual() };
    for seed in 1..4 {
        assert!(decide(Workload { seed, ..usual }, 4).1);
    }
}

#[test]
fn thousands_of_lost_writes_on_one_key_stay_cheap() {
    let one = Workload { operations: 20_000, keys: 1, processes: 8, ..Workload::usual() };
    for (unknown_permille, each) in [(10, 10), (50, 20), (200, 40)] {
        assert!(decide(Workload { unknown_permille, ..one }, each).1);
        let plain = Workload { unknown_permille, plain: true, ..one };
        assert!(decide(plain, 20).1);
        let stale_at = Some(18_000);
        assert!(!decide(Workload { stale_at, ..plain }, 100).1);
    }
}

#[test]
fn clients_that_all_overlap_on_one_key_stay_cheap() {
    for processes in [8, 16, 20] {
        let one = Workload { operations: 10_000, keys: 1, processes, ..Workload::usual() };
        assert!(decide(one, 20).1);
        let plain = Workload { plain: true, ..one };
        assert!(decide(plain, 20).1);
        assert!(!decide(Workload { stale_at: Some(9_000), ..plain }, 200).1);
    }
}

#[test]
fn undecided_tells_if_only_the_place_is_missing() {
    let stale = Workload { operations: 4_000, keys: 1, stale_at: Some(3_600), ..Workload::usual() };
    let history = stale.history();
    let mut whole = Budget::default();
    assert!(!check(&Register::new(), &history, &mut whole).is_linearizable());
    let less = check(&Register::new(), &history, &mut Budget::steps(whole.spent() - 2_000));
    let Verdict::Undecided(why) = less else { panic!("{less}") };
    assert_eq!(why.illegal, Some(0));
    assert!(why.to_string().contains("key 0 is not linearizable"), "{why}");
}

#[test]
fn a_lock_with_crashed_holders_stays_cheap() {
    let mut random = Random::seeded(7);
    let mut history = History::new();
    for turn in 0..10_000 {
        let owner = turn % 10;
        let acquire = history.invoke(owner, 0, MutexCall::Acquire(owner));
        history.ok(acquire, ());
        let release = history.invoke(owner, 0, MutexCall::Release(owner));
        if random.percent(5) {
            history.info(release); // it did take effect: the next acquire succeeds
        } else {
            history.ok(release, ());
        }
    }
    let mut budget = Budget::steps(200_000);
    assert!(check(&Mutex, &history, &mut budget).is_linearizable());
}

type Texts = History<&'static str, Access<String>, Answer<String>>;

/// Appends that all overlap, and a read that none of their many orders explains.
fn hopeless(history: &mut Texts, key: &'static str) {
    let calls: Vec<_> = (0..14_u8)
        .map(|letter| {
            let text = char::from(b'a' + letter).to_string();
            history.invoke(letter.into(), key, Access::Append(text))
        })
        .collect();
    calls.into_iter().for_each(|call| history.ok(call, Answer::Done));
    let read = history.invoke(1, key, Access::Read);
    history.ok(read, Answer::Value(Some("none of them".to_owned())));
}

fn texts() -> Register<String> {
    Register::new()
        .with_append(|value, more| Some(value.cloned().unwrap_or_default() + more.as_str()))
}

#[test]
fn a_hopeless_key_does_not_hide_a_violation_of_another() {
    let mut history = Texts::new();
    hopeless(&mut history, "a");
    for key in ["b", "c", "y"] {
        for _ in 0..2_000 {
            let write = history.invoke(1, key, Access::Write("1".to_owned()));
            history.ok(write, Answer::Done);
        }
    }
    hopeless(&mut history, "d");
    for _ in 0..3_000 {
        let write = history.invoke(1, "z", Access::Write("1".to_owned()));
        history.ok(write, Answer::Done);
    }
    let read = history.invoke(2, "z", Access::Read);
    history.ok(read, Answer::Value(None));

    let mut budget = Budget::steps(100_000);
    let verdict = check(&texts(), &history, &mut budget);
    let Verdict::NotLinearizable(why) = verdict else { panic!("{verdict}") };
    assert_eq!(why.key, "z");
    // Three turns of six keys, and what was left to do for this one.
    assert!(budget.spent() < 25_000, "{} steps", budget.spent());
}

#[test]
fn undecided_names_the_keys_that_are_open_and_no_others() {
    let mut history = Texts::new();
    for key in ["a", "b", "c"] {
        let write = history.invoke(1, key, Access::Write("1".to_owned()));
        history.ok(write, Answer::Done);
    }
    hopeless(&mut history, "b");
    hopeless(&mut history, "d");
    let verdict = check(&texts(), &history, &mut Budget::steps(50_000));
    let Verdict::Undecided(why) = verdict else { panic!("{verdict}") };
    let mut open: Vec<_> = why.keys.iter().map(|(key, _, all)| (*key, *all)).collect();
    open.sort_unstable();
    assert_eq!(open, [("b", 16), ("d", 15)]);
    assert!(why.keys.iter().all(|(_, linearized, all)| 10 < *linearized && linearized < all));
    assert!(!why.stopped && why.steps >= 50_000);
}
