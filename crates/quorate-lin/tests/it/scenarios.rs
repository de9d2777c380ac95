//! Small histories and the reports people read about them.

use expect_test::{Expect, expect};
use quorate_lin::{Budget, check_ndjson};

/// Checks a script against a model. Its lines are `process type fields`, where fields are as in
/// NDJSON without the quotes around names.
#[track_caller]
fn check(model: &str, script: &str, expected: &Expect) {
    check_within(model, script, 10_000, expected);
}

#[track_caller]
fn check_within(model: &str, script: &str, steps: u64, expected: &Expect) {
    let history = ndjson(script);
    let report = check_ndjson(model, history.as_bytes(), &mut Budget::steps(steps));
    let report = report.expect("a history");
    expected.assert_eq(&format!("{report}\n"));
}

/// `1 invoke op="read" key="k"` as `{"process":1,"type":"invoke","op":"read","key":"k"}`.
fn ndjson(script: &str) -> String {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let mut json = format!("{{\"process\":{},\"type\":{:?}", words.next()?, words.next()?);
        for word in words {
            let (name, value) = word.split_once('=')?;
            json += &format!(",{name:?}:{value}");
        }
        Some(json + "}\n")
    };
    script.lines().filter_map(line).collect()
}

#[test]
fn a_register_read_while_it_is_written() {
    check(
        "register",
        r#"
        1 invoke op="write" value=1
        2 invoke op="read"
        1 ok
        2 ok value=null
        2 invoke op="read"
        2 ok value=1
        "#,
        &expect![[r#"
            register: 3 operations on 1 key (0 failed, 0 unknown), 2 steps
            linearizable
        "#]],
    );
}

#[test]
fn a_register_that_forgets() {
    check(
        "register",
        r#"
        1 invoke op="write" value="old"
        1 ok
        1 invoke op="write" value="new"
        2 invoke op="read"
        2 ok value="new"
        3 invoke op="read"
        3 ok value="old"
        1 ok
        "#,
        &expect![[r#"
            register: 4 operations on 1 key (0 failed, 0 unknown), 5 steps
            not linearizable: key "", longest legal order (3 operations):
              process 1: write "old"  [1 to 2], state: "old"
              process 1: write "new"  [3 to 8], state: "new"
              process 2: read -> "new"  [4 to 5], state: "new"
            then no order allows
              process 3: read -> "old"  [6 to 7]
            in state: "new"
        "#]],
    );
}

#[test]
fn a_lost_write_may_be_seen_late_but_not_undone() {
    let lost = r#"
        1 invoke op="write" value=1
        1 info
        2 invoke op="read"
        2 ok value=null
        2 invoke op="read"
        2 ok value=1
    "#;
    check(
        "register",
        lost,
        &expect![[r#"
        register: 3 operations on 1 key (0 failed, 1 unknown), 3 steps
        linearizable
    "#]],
    );
    let undone = r#"
        2 invoke op="read"
        2 ok value=null
    "#;
    check(
        "register",
        &format!("{lost}{undone}"),
        &expect![[r#"
        register: 4 operations on 1 key (0 failed, 1 unknown), 4 steps
        not linearizable: key "", longest legal order (3 operations):
          process 2: read -> absent  [3 to 4], state: absent
          process 1: write 1  [1, outcome unknown], state: 1
          process 2: read -> 1  [5 to 6], state: 1
        then no order allows
          process 2: read -> absent  [7 to 8]
        in state: 1
    "#]],
    );
}

#[test]
fn a_write_that_failed_is_never_seen() {
    check(
        "register",
        r#"
        1 invoke op="write" value=1
        1 fail
        2 invoke op="read"
        2 ok value=1
        "#,
        &expect![[r#"
            register: 2 operations on 1 key (1 failed, 0 unknown), 0 steps
            not linearizable: key "", nothing comes before it
            then no order allows
              process 2: read -> 1  [3 to 4]
            in state: absent
        "#]],
    );
}

#[test]
fn two_comparisons_of_one_value_that_both_swap() {
    check(
        "cas-register",
        r#"
        1 invoke op="cas" value=[null,1]
        2 invoke op="cas" value=[null,2]
        1 ok swapped=true
        2 ok swapped=true
        "#,
        &expect![[r#"
            cas-register: 2 operations on 1 key (0 failed, 0 unknown), 2 steps
            not linearizable: key "", longest legal order (1 operation):
              process 1: cas absent to 1 -> swapped  [1 to 3], state: 1
            then no order allows
              process 2: cas absent to 2 -> swapped  [2 to 4]
            in state: 1
        "#]],
    );
}

#[test]
fn a_comparison_that_fails_because_of_a_lost_write() {
    check(
        "cas-register",
        r#"
        1 invoke op="write" value=1
        1 info
        2 invoke op="cas" value=[null,2]
        2 ok swapped=false
        2 invoke op="read"
        2 ok value=1
        "#,
        &expect![[r#"
            cas-register: 3 operations on 1 key (0 failed, 1 unknown), 4 steps
            linearizable
        "#]],
    );
}

#[test]
fn a_store_whose_keys_are_checked_apart() {
    check(
        "kv",
        r#"
        1 invoke op="put" key="a" value=1
        2 invoke op="append" key="b" value="x"
        2 ok
        1 ok
        1 invoke op="delete" key="a"
        1 ok deleted=true
        2 invoke op="append" key="b" value="y"
        2 ok
        1 invoke op="get" key="a"
        1 ok value=null
        2 invoke op="get" key="b"
        2 ok value="yx"
        "#,
        &expect![[r#"
            kv: 6 operations on 2 keys (0 failed, 0 unknown), 6 steps
            not linearizable: key "b", longest legal order (2 operations):
              process 2: append "x"  [2 to 3], state: "x"
              process 2: append "y"  [7 to 8], state: "xy"
            then no order allows
              process 2: read -> "yx"  [11 to 12]
            in state: "xy"
        "#]],
    );
}

#[test]
fn a_delete_that_finds_what_is_gone() {
    check(
        "kv",
        r#"
        1 invoke op="put" key="a" value={"n":[1,null]}
        1 ok
        1 invoke op="delete" key="a"
        2 invoke op="delete" key="a"
        1 ok deleted=true
        2 ok deleted=true
        3 invoke op="get" key="b"
        "#,
        &expect![[r#"
            kv: 4 operations on 2 keys (0 failed, 1 unknown), 9 steps
            not linearizable: key "a", longest legal order (2 operations):
              process 1: write {"n": [1, null]}  [1 to 2], state: {"n": [1, null]}
              process 1: delete -> deleted  [3 to 5], state: absent
            then no order allows
              process 2: delete -> deleted  [4 to 6]
            in state: absent
        "#]],
    );
}

#[test]
fn two_holders_of_a_mutex() {
    check(
        "mutex",
        r#"
        1 invoke op="acquire" key="m"
        1 ok
        2 invoke op="acquire" key="m"
        2 ok
        1 invoke op="release" key="m"
        1 ok
        "#,
        &expect![[r#"
            mutex: 3 operations on 1 key (0 failed, 0 unknown), 2 steps
            not linearizable: key "m", longest legal order (1 operation):
              process 1: acquire by 1  [1 to 2], state: held by 1
            then no order allows
              process 2: acquire by 2  [3 to 4]
            in state: held by 1
        "#]],
    );
}

#[test]
fn a_mutex_whose_release_was_not_answered() {
    check(
        "mutex",
        r#"
        1 invoke op="acquire" key="m"
        1 ok
        1 invoke op="release" key="m"
        1 info
        2 invoke op="acquire" key="m"
        2 ok
        "#,
        &expect![[r#"
            mutex: 3 operations on 1 key (0 failed, 1 unknown), 5 steps
            linearizable
        "#]],
    );
}

#[test]
fn a_token_given_out_twice() {
    check(
        "lock",
        r#"
        1 invoke op="acquire"
        1 ok value=7
        1 invoke op="release" value=7
        1 ok released=true
        2 invoke op="acquire"
        2 ok value=7
        "#,
        &expect![[r#"
            lock: 3 operations on 1 key (0 failed, 0 unknown), 3 steps
            not linearizable: key "", longest legal order (2 operations):
              process 1: acquire -> token 7  [1 to 2], state: held with token 7
              process 1: release token 7 -> released  [3 to 4], state: free, next token from 8
            then no order allows
              process 2: acquire -> token 7  [5 to 6]
            in state: free, next token from 8
        "#]],
    );
}

#[test]
fn a_second_grant_is_legal_only_where_grants_expire() {
    let script = r#"
        1 invoke op="acquire"
        1 ok value=1
        2 invoke op="acquire"
        2 ok value=2
        1 invoke op="release" value=1
        1 ok released=false
    "#;
    check(
        "lock",
        script,
        &expect![[r#"
        lock: 3 operations on 1 key (0 failed, 0 unknown), 2 steps
        not linearizable: key "", longest legal order (1 operation):
          process 1: acquire -> token 1  [1 to 2], state: held with token 1
        then no order allows
          process 2: acquire -> token 2  [3 to 4]
        in state: held with token 1
    "#]],
    );
    check(
        "lease-lock",
        script,
        &expect![[r#"
        lease-lock: 3 operations on 1 key (0 failed, 0 unknown), 3 steps
        linearizable
    "#]],
    );
}

#[test]
fn an_old_grant_released_after_a_newer_one_was_given() {
    check(
        "lease-lock",
        r#"
        1 invoke op="acquire"
        1 ok value=1
        2 invoke op="acquire"
        2 ok value=2
        1 invoke op="release" value=1
        1 ok released=true
        "#,
        &expect![[r#"
            lease-lock: 3 operations on 1 key (0 failed, 0 unknown), 3 steps
            not linearizable: key "", longest legal order (2 operations):
              process 1: acquire -> token 1  [1 to 2], state: held with token 1
              process 2: acquire -> token 2  [3 to 4], state: held with token 2
            then no order allows
              process 1: release token 1 -> released  [5 to 6]
            in state: held with token 2
        "#]],
    );
}

#[test]
fn a_long_order_is_cut_to_its_end() {
    let mut script = String::new();
    for value in 0..30 {
        script += &format!("1 invoke op=\"write\" value={value}\n1 ok\n");
    }
    script += "2 invoke op=\"read\"\n2 ok value=28\n";
    check(
        "register",
        &script,
        &expect![[r#"
        register: 31 operations on 1 key (0 failed, 0 unknown), 31 steps
        not linearizable: key "", longest legal order (30 operations, last 10 shown):
          process 1: write 20  [41 to 42], state: 20
          process 1: write 21  [43 to 44], state: 21
          process 1: write 22  [45 to 46], state: 22
          process 1: write 23  [47 to 48], state: 23
          process 1: write 24  [49 to 50], state: 24
          process 1: write 25  [51 to 52], state: 25
          process 1: write 26  [53 to 54], state: 26
          process 1: write 27  [55 to 56], state: 27
          process 1: write 28  [57 to 58], state: 28
          process 1: write 29  [59 to 60], state: 29
        then no order allows
          process 2: read -> 28  [61 to 62]
        in state: 29
    "#]],
    );
}

#[test]
fn an_undecided_report_says_what_is_open() {
    let mut script = String::new();
    for key in 0..12 {
        for process in 0..9 {
            script += &format!("{process} invoke op=\"append\" key={key} value=\"{process}\"\n");
        }
        for process in 0..9 {
            script += &format!("{process} ok\n");
        }
        script += &format!("1 invoke op=\"get\" key={key}\n1 ok value=\"?\"\n");
    }
    check_within(
        "kv",
        &script,
        30_000,
        &expect![[r#"
        kv: 120 operations on 12 keys (0 failed, 0 unknown), 30000 steps
        undecided: out of budget after 30000 steps, 12 keys open
          key "0": linearized at most 9 of 10 operations
          key "1": linearized at most 9 of 10 operations
          key "10": linearized at most 9 of 10 operations
          key "11": linearized at most 9 of 10 operations
          key "2": linearized at most 9 of 10 operations
          key "3": linearized at most 9 of 10 operations
          key "4": linearized at most 9 of 10 operations
          key "5": linearized at most 9 of 10 operations
          key "6": linearized at most 9 of 10 operations
          key "7": linearized at most 9 of 10 operations
          and 2 more
    "#]],
    );
}
