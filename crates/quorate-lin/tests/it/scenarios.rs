//! Good and bad histories of every model, and what a person reads about them.

use quorate_lin::{
    Access, Answer, Budget, History, Model, Mutex, MutexCall, Operation, OperationError, Register,
    TokenAnswer, TokenCall, TokenLock, Verdict, check,
};

/// Calls one after the other, each with its answer, or `None` if that was lost.
fn sequential<M: Model>(model: &M, calls: &[(M::Input, Option<M::Output>)]) -> bool {
    let mut history = History::new();
    for (input, output) in calls {
        let call = history.invoke(1, "k", input.clone());
        match output {
            Some(output) => history.ok(call, output.clone()),
            None => history.info(call),
        }
    }
    check(model, &history, &mut Budget::default()).is_linearizable()
}

fn value<V>(value: V) -> Option<Answer<V>> {
    Some(Answer::Value(Some(value)))
}

fn done<V>() -> Option<Answer<V>> {
    Some(Answer::Done)
}

#[test]
fn a_register_returns_what_was_written_last() {
    let register = Register::new();
    let write = |v| (Access::Write(v), done());
    assert!(sequential(
        &register,
        &[(Access::Read, Some(Answer::Value(None))), write(1), (Access::Read, value(1))]
    ));
    assert!(!sequential(&register, &[write(1), write(2), (Access::Read, value(1))]));
    assert!(!sequential(&register, &[write(1), (Access::Read, Some(Answer::Value(None)))]));
    assert!(sequential(&Register::new().starting_with(7), &[(Access::Read, value(7))]));
    // An answer that does not fit the question.
    assert!(!sequential(&register, &[(Access::Write(1), Some(Answer::Swapped(true)))]));
}

#[test]
fn overlapping_writes_settle_on_one_order_for_all_readers() {
    let register = Register::new();
    let mut history = History::new();
    let one = history.invoke(1, "k", Access::Write(1));
    let two = history.invoke(2, "k", Access::Write(2));
    for (process, seen) in [(3, 1), (4, 2)] {
        let read = history.invoke(process, "k", Access::Read);
        history.ok(read, Answer::Value(Some(seen)));
    }
    let mut flipped = history.clone();
    history.ok(one, Answer::Done);
    history.ok(two, Answer::Done);
    assert!(check(&register, &history, &mut Budget::default()).is_linearizable());
    let read = flipped.invoke(3, "k", Access::Read);
    flipped.ok(read, Answer::Value(Some(1)));
    let verdict = check(&register, &flipped, &mut Budget::default());
    assert!(matches!(verdict, Verdict::NotLinearizable(_)), "1, then 2, then 1 again");
}

#[test]
fn a_compare_and_swap_says_whether_it_found_what_it_expected() {
    let register = Register::new();
    let cas =
        |expected, new, swapped| (Access::Cas { expected, new }, Some(Answer::Swapped(swapped)));
    assert!(sequential(
        &register,
        &[
            cas(None, Some(1), true),
            cas(None, Some(2), false),
            cas(Some(1), Some(3), true),
            (Access::Read, value(3)),
            cas(Some(3), None, true),
            (Access::Read, Some(Answer::Value(None))),
        ]
    ));
    assert!(!sequential(&register, &[cas(None, Some(1), true), cas(None, Some(2), true)]));
    assert!(!sequential(&register, &[cas(None, Some(1), false)]));
    // A lost one explains a value, or its absence, but not both.
    let lost = (Access::Cas { expected: None, new: Some(1) }, None);
    assert!(sequential(&register, &[lost.clone(), (Access::Read, value(1))]));
    assert!(sequential(
        &register,
        &[lost.clone(), cas(None, Some(2), true), (Access::Read, value(2))]
    ));
    assert!(!sequential(&register, &[lost, (Access::Read, value(1)), cas(None, Some(2), true)]));
}

#[test]
fn a_store_forgets_what_was_deleted_and_keys_are_apart() {
    let store = Register::new();
    let delete = |deleted| (Access::Delete, Some(Answer::Deleted(deleted)));
    let put = (Access::Write("v".to_owned()), done());
    assert!(sequential(&store, &[delete(false), put.clone(), delete(true), delete(false)]));
    assert!(!sequential(&store, &[put.clone(), delete(false)]));
    assert!(!sequential(
        &store,
        &[put.clone(), delete(true), (Access::Read, value("v".to_owned()))]
    ));
    // Two deletes of one value, unless a lost put came between.
    assert!(!sequential(&store, &[put.clone(), delete(true), delete(true)]));
    let lost = (Access::Write("w".to_owned()), None);
    assert!(sequential(&store, &[put.clone(), lost.clone(), delete(true), delete(true)]));
    assert!(!sequential(&store, &[put, lost, delete(true), delete(true), delete(true)]));

    let mut history = History::new();
    let here = history.invoke(1, "a", Access::Write("v".to_owned()));
    history.ok(here, Answer::Done);
    let there = history.invoke(1, "b", Access::Read);
    history.ok(there, Answer::Value(Some("v".to_owned())));
    let verdict = check(&store, &history, &mut Budget::default());
    let Verdict::NotLinearizable(why) = verdict else { panic!("keys got mixed up") };
    assert_eq!((why.key, why.illegal, why.order.len()), ("b", 1, 0));
}

#[test]
fn a_failed_call_had_no_effect() {
    let register = Register::new();
    let mut history = History::new();
    let failed = history.invoke(1, "k", Access::Write(1));
    history.fail(failed);
    let read = history.invoke(1, "k", Access::Read);
    history.ok(read, Answer::Value(None));
    assert!(check(&register, &history, &mut Budget::default()).is_linearizable());
    let read = history.invoke(1, "k", Access::Read);
    history.ok(read, Answer::Value(Some(1)));
    assert!(!check(&register, &history, &mut Budget::default()).is_linearizable());
}

#[test]
fn a_mutex_has_one_owner() {
    let acquire = |owner| (MutexCall::Acquire(owner), Some(()));
    let release = |owner| (MutexCall::Release(owner), Some(()));
    assert!(sequential(&Mutex, &[acquire(1), release(1), acquire(2), release(2)]));
    assert!(!sequential(&Mutex, &[acquire(1), acquire(2)]));
    assert!(!sequential(&Mutex, &[acquire(1), acquire(1)]));
    assert!(!sequential(&Mutex, &[acquire(1), release(2)]));
    assert!(!sequential(&Mutex, &[release(1)]));
    // The owner's lost release explains a second grant; somebody else's does not.
    let lost = |owner| (MutexCall::Release(owner), None);
    assert!(sequential(&Mutex, &[acquire(1), lost(1), acquire(2)]));
    assert!(!sequential(&Mutex, &[acquire(1), lost(2), acquire(2)]));
    // So does a lost acquire explain a release.
    assert!(sequential(&Mutex, &[(MutexCall::Acquire(1), None), release(1)]));
}

#[test]
fn a_lock_hands_out_growing_tokens() {
    let (strict, lease) = (TokenLock::new(), TokenLock::with_expiry());
    let granted = |token| (TokenCall::Acquire, Some(TokenAnswer::Granted(token)));
    let released = |token, held| (TokenCall::Release(token), Some(TokenAnswer::Released(held)));
    let refused = (TokenCall::Acquire, Some(TokenAnswer::Refused));
    let both = |calls: &[_]| (sequential(&strict, calls), sequential(&lease, calls));

    let good = [granted(0), refused.clone(), released(0, true), granted(5), released(5, true)];
    assert_eq!(both(&good), (true, true));
    assert_eq!(both(&[granted(5), released(5, true), granted(5)]), (false, false));
    assert_eq!(both(&[granted(5), released(5, true), granted(4)]), (false, false));
    assert_eq!(both(&[granted(u64::MAX), released(u64::MAX, true), granted(0)]), (false, false));
    assert_eq!(both(&[refused]), (false, false));
    // A second grant without a release is what expiry is.
    assert_eq!(both(&[granted(1), granted(2)]), (false, true));
    assert_eq!(both(&[granted(1), granted(2), released(1, true)]), (false, false));
    assert_eq!(both(&[granted(1), released(1, false)]), (false, true));
    // A lost grant has used up a token and may be released by it, whichever it was.
    let lost = (TokenCall::Acquire, None);
    assert_eq!(
        both(&[granted(1), released(1, true), lost.clone(), released(9, true)]),
        (true, true)
    );
    assert_eq!(
        both(&[granted(1), released(1, true), lost.clone(), released(1, true)]),
        (false, false)
    );
    assert_eq!(both(&[lost, released(9, true), granted(9)]), (false, false));
}

#[test]
fn times_of_a_clock_are_taken_as_they_are() {
    let call = |invoked, completed, input, output| Operation {
        process: 1,
        key: (),
        invoked,
        completed: Some(completed),
        input,
        output: Some(output),
    };
    let read_none = |at| call(at, at + 1, Access::Read, Answer::Value(None));
    let write = call(10, 20, Access::Write(1), Answer::Done);
    let legal = |operations| {
        let history = History::from_operations(operations).unwrap();
        check(&Register::new(), &history, &mut Budget::default()).is_linearizable()
    };
    assert!(legal(vec![write.clone(), read_none(20)]), "touching is overlapping");
    assert!(!legal(vec![write.clone(), read_none(21)]));
    let backwards = call(5, 4, Access::Write(1), Answer::Done);
    assert_eq!(
        History::from_operations(vec![write, backwards]),
        Err(OperationError::BackInTime { index: 1 })
    );
}

#[test]
fn a_counter_example_reads_as_a_story() {
    let mut history = History::new();
    let one = history.invoke(1, "color", Access::Write("red"));
    history.ok(one, Answer::Done);
    let lost = history.invoke(2, "color", Access::Write("blue"));
    history.info(lost);
    let slow = history.invoke(4, "color", Access::Delete);
    let seen = history.invoke(3, "color", Access::Read);
    history.ok(seen, Answer::Value(Some("blue")));
    let stale = history.invoke(3, "color", Access::Read);
    history.ok(stale, Answer::Value(Some("red")));
    history.ok(slow, Answer::Deleted(true));
    let verdict = check(&Register::new(), &history, &mut Budget::default());
    let expected = "\
not linearizable: key \"color\", longest legal order (3 operations):
  process 1: write \"red\"  [0 to 1], state Some(\"red\")
  process 2: write \"blue\"  [2, outcome unknown], state Some(\"blue\")
  process 3: read -> \"blue\"  [5 to 6], state Some(\"blue\")
then no order allows
  process 3: read -> \"red\"  [7 to 8]
in state Some(\"blue\"), nor after any of
  process 4: delete -> deleted  [4 to 9]";
    assert_eq!(verdict.to_string(), expected);
}

#[test]
fn an_undecided_check_says_how_far_it_came() {
    let mut history = History::new();
    for key in 0..3 {
        let call = history.invoke(1, key, Access::Write(1));
        history.ok(call, Answer::Done);
    }
    let verdict = check(&Register::new(), &history, &mut Budget::steps(1));
    assert_eq!(
        verdict.to_string(),
        "undecided: out of budget after 1 steps, 2 keys open\n  \
         key 1: linearized at most 0 of 1 operations\n  \
         key 2: linearized at most 0 of 1 operations"
    );
    let empty = History::<u64, Access<u64>, Answer<u64>>::new();
    assert!(check(&Register::new(), &empty, &mut Budget::steps(0)).is_linearizable());
}
