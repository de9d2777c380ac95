//! Every rule of the file format, and every way to break one.

use quorate_lin::{Budget, MODEL_NAMES, Report, check_ndjson};

#[track_caller]
fn read(model: &str, history: &str) -> Report {
    check_ndjson(model, history.as_bytes(), &mut Budget::default()).expect("a history")
}

/// The lines of a history of one operation of process 1, `op` with `asked`, then `answer`.
fn one(op: &str, asked: &str, answer: &str) -> String {
    format!(
        "{{\"process\":1,\"type\":\"invoke\",\"op\":\"{op}\"{asked}}}\n\
         {{\"process\":1,\"type\":\"ok\"{answer}}}\n"
    )
}

#[track_caller]
fn legal(model: &str, history: &str) {
    let report = read(model, history);
    assert!(report.verdict.is_linearizable(), "{report}");
}

#[track_caller]
fn illegal(model: &str, history: &str) {
    let report = read(model, history);
    assert!(report.to_string().contains("not linearizable"), "{report}");
}

#[track_caller]
fn refused(model: &str, history: &str, expected: &str) {
    let error = check_ndjson(model, history.as_bytes(), &mut Budget::default());
    assert_eq!(error.expect_err("no history").to_string(), expected);
}

const WRITE_1: &str = "{\"process\":1,\"type\":\"invoke\",\"op\":\"write\",\"value\":1}\n";

fn read_by_2(value: &str) -> String {
    format!(
        "{{\"process\":2,\"type\":\"invoke\",\"op\":\"read\"}}\n\
         {{\"process\":2,\"type\":\"ok\",\"value\":{value}}}\n"
    )
}

#[test]
fn null_is_absent() {
    legal("register", &one("read", "", ",\"value\":null"));
    illegal("register", &one("read", "", ",\"value\":0"));
    legal("cas-register", &one("cas", ",\"value\":[null,1]", ",\"swapped\":true"));
    illegal("cas-register", &one("cas", ",\"value\":[null,1]", ",\"swapped\":false"));
    let gone = one("write", ",\"value\":1", "")
        + &one("cas", ",\"value\":[1,null]", ",\"swapped\":true")
        + &read_by_2("null");
    legal("kv", &gone);
}

#[test]
fn a_comparison_says_whether_it_swapped() {
    let write = one("write", ",\"value\":1", "");
    let cas = |pair: &str, swapped: bool| {
        let asked = format!(",\"value\":{pair}");
        write.clone() + &one("cas", &asked, &format!(",\"swapped\":{swapped}"))
    };
    legal("kv", &(cas("[1,2]", true) + &read_by_2("2")));
    legal("kv", &(cas("[3,2]", false) + &read_by_2("1")));
    illegal("kv", &cas("[3,2]", true));
    illegal("kv", &cas("[1,2]", false));
}

#[test]
fn fail_had_no_effect() {
    let failed = format!("{WRITE_1}{{\"process\":1,\"type\":\"fail\"}}\n");
    legal("register", &(failed.clone() + &read_by_2("null")));
    illegal("register", &(failed.clone() + &read_by_2("1")));
    let report = read("register", &(failed + &read_by_2("null")));
    assert_eq!((report.operations, report.failed, report.unknown), (2, 1, 0));
}

#[test]
fn info_and_no_completion_are_unknown() {
    let lost = format!("{WRITE_1}{{\"process\":1,\"type\":\"info\"}}\n");
    for begin in [&lost, WRITE_1] {
        legal("register", &(begin.to_owned() + &read_by_2("null")));
        legal("register", &(begin.to_owned() + &read_by_2("1")));
        legal("register", &(begin.to_owned() + &read_by_2("null") + &read_by_2("1")));
        illegal("register", &(begin.to_owned() + &read_by_2("1") + &read_by_2("null")));
        assert_eq!(read("register", begin).unknown, 1);
    }
    // After an unknown outcome the process goes on.
    legal("register", &(lost + &one("write", ",\"value\":2", "") + &read_by_2("1")));
}

#[test]
fn the_order_of_lines_is_real_time() {
    let [invoke, ok]: [&str; 2] = [WRITE_1, "{\"process\":1,\"type\":\"ok\"}\n"];
    let read = read_by_2("null");
    let (ask, answer) = read.split_at(read.find('\n').unwrap() + 1);
    legal("register", &[invoke, ask, ok, answer].concat());
    legal("register", &[ask, invoke, ok, answer].concat());
    illegal("register", &[invoke, ok, ask, answer].concat());
    // Times in the lines are ignored.
    let timed = "{\"time\":9,\"index\":0,\"process\":1,\"type\":\"invoke\",\"op\":\"read\"}\n\
                 {\"time\":3,\"process\":1,\"type\":\"ok\",\"value\":null,\"error\":[\"?\"]}\n";
    legal("register", timed);
}

#[test]
fn keys_are_apart_and_may_be_left_out() {
    let write = one("write", ",\"key\":\"a\",\"value\":1", "");
    let read = |key: &str, value: &str| {
        one("read", &format!(",\"key\":{key}"), &format!(",\"value\":{value}"))
    };
    legal("register", &(write.clone() + &read("\"b\"", "null") + &read("\"a\"", "1")));
    illegal("register", &(write.clone() + &read("\"a\"", "null")));
    assert_eq!(super::ndjson::read("register", &(write + &read("\"b\"", "null"))).keys, 2);
    // A number is the text of it; a missing key is one too, and so is the completion's.
    let number = one("write", ",\"key\":7,\"value\":1", ",\"key\":\"7\"");
    legal("register", &(number + &read("\"7\"", "1")));
    legal("register", &(one("write", ",\"value\":1", "") + &read("\"\"", "1")));
}

#[test]
fn get_and_put_are_read_and_write_in_every_register() {
    for model in ["register", "cas-register", "kv"] {
        legal(model, &(one("put", ",\"value\":1", "") + &one("get", "", ",\"value\":1")));
    }
}

#[test]
fn stores_delete_and_append() {
    let put = one("put", ",\"value\":\"x\"", "");
    legal("kv", &(put.clone() + &one("delete", "", ",\"deleted\":true")));
    legal("kv", &(put.clone() + &one("delete", "", "") + &read_by_2("null")));
    illegal("kv", &(put.clone() + &one("delete", "", ",\"deleted\":false")));
    illegal("kv", &one("delete", "", ",\"deleted\":true"));
    let append = one("append", ",\"value\":\"y\"", "");
    legal("kv", &(put + &append + &read_by_2("\"xy\"")));
    legal("kv", &(append + &read_by_2("\"y\"")));
    let item = one("append", ",\"value\":1", "");
    legal("kv", &(item.clone() + &item + &read_by_2("[1,1]")));
    illegal("kv", &(one("put", ",\"value\":1", "") + &item));
}

#[test]
fn a_mutex_knows_processes_and_a_lock_tokens() {
    let (acquire, release) = (one("acquire", "", ""), one("release", "", ""));
    legal("mutex", &(acquire.clone() + &release + &acquire));
    illegal("mutex", &(acquire.clone() + &acquire));
    illegal("mutex", &release);
    let granted = |token: &str| one("acquire", "", &format!(",\"value\":{token}"));
    let released = |token: u64, released: &str| {
        one("release", &format!(",\"value\":{token}"), &format!(",\"released\":{released}"))
    };
    legal("lock", &(granted("1") + &granted("null") + &released(1, "true") + &granted("2")));
    legal("lock", &(granted("1") + &one("release", ",\"value\":1", "") + &granted("2")));
    illegal("lock", &granted("null"));
    illegal("lock", &(granted("1") + &released(1, "false")));
    legal("lease-lock", &(granted("1") + &granted("2") + &released(1, "false")));
    illegal("lease-lock", &(granted("2") + &granted("1")));
}

#[test]
fn values_are_compared_exactly() {
    let write = |value: &str| one("write", &format!(",\"value\":{value}"), "");
    legal("register", &(write("{\"a\":1,\"b\":[true]}") + &read_by_2("{\"b\":[true],\"a\":1}")));
    illegal("register", &(write("1") + &read_by_2("\"1\"")));
    illegal("register", &(write("18446744073709551615") + &read_by_2("18446744073709551614")));
    legal("register", &(write("-9223372036854775808") + &read_by_2("-9223372036854775808")));
}

#[test]
fn blank_lines_carriage_returns_and_a_missing_last_newline_are_fine() {
    let history = format!("\n  \r\n{}", one("read", "", ",\"value\":null")).replace('\n', "\r\n");
    legal("register", &history);
    legal("register", history.trim_end());
    // Lines are counted as an editor counts them.
    refused(
        "register",
        &(history + "\n\n?\n"),
        "line 7: not JSON (expected value, column 1); write one object a line",
    );
}

#[test]
fn a_model_that_does_not_exist() {
    refused(
        "queue",
        WRITE_1,
        r#"no model "queue"; choose one of register, cas-register, kv, mutex, lock, lease-lock"#,
    );
    for model in MODEL_NAMES {
        let error = check_ndjson(model, &b""[..], &mut Budget::default()).unwrap_err();
        assert!(matches!(error, quorate_lin::ReadError::Empty));
    }
}

#[test]
fn a_file_without_events() {
    refused("kv", "", "no events in the history; check that the recorder wrote to this file");
    refused("kv", "\n\n", "no events in the history; check that the recorder wrote to this file");
}

#[test]
fn a_file_that_cannot_be_read() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _buffer: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    let reader = std::io::BufReader::new(std::io::Read::chain(WRITE_1.as_bytes(), Broken));
    let error = check_ndjson("kv", reader, &mut Budget::default()).unwrap_err();
    assert_eq!(error.to_string(), "cannot read line 2");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the disk is gone");
}

#[test]
fn lines_that_are_no_events() {
    refused(
        "kv",
        "write 1\n",
        "line 1: not JSON (expected value, column 1); write one object a line",
    );
    refused(
        "kv",
        "{\"process\":1,\n",
        "line 1: not JSON (EOF while parsing a value, column 13); write one object a line",
    );
    refused(
        "kv",
        "[1,2]\n",
        r#"line 1: not an object; write {"process":.., "type":.., "op":.., ..}"#,
    );
    refused(
        "kv",
        "{}\n",
        r#"line 1: "process" must be a whole number from 0 up; leave lines of fault injectors out"#,
    );
    for process in ["-1", "1.5", "\"nemesis\"", "null"] {
        let line = format!("{{\"process\":{process},\"type\":\"info\"}}");
        refused("kv", &line, BAD_PROCESS);
    }
    for kind in ["", ",\"type\":\"done\"", ",\"type\":1"] {
        let line = format!("{{\"process\":1{kind},\"op\":\"read\"}}");
        refused("kv", &line, r#"line 1: "type" must be invoke, ok, fail or info"#);
    }
    for op in ["", ",\"op\":\"increment\"", ",\"op\":null", ",\"op\":7"] {
        let line = format!("{{\"process\":1,\"type\":\"invoke\"{op}}}");
        refused("kv", &line, BAD_OP);
    }
}

#[test]
fn fields_of_the_wrong_kind() {
    let line = |rest: &str| format!("{{\"process\":1,\"type\":\"invoke\",\"op\":\"read\",{rest}}}");
    for key in ["[1]", "true", "{}"] {
        refused("kv", &line(&format!("\"key\":{key}")), r#"line 1: "key" must be a string"#);
    }
    for number in ["1.5", "1e3", "[{\"a\":0.1}]", "18446744073709551616"] {
        refused(
            "kv",
            &line(&format!("\"value\":{number}")),
            "line 1: a number is not whole or too large to be exact; write it as a string",
        );
    }
    refused("kv", &line("\"swapped\":1"), r#"line 1: "swapped" must be true or false"#);
    refused("kv", &line("\"deleted\":\"no\""), r#"line 1: "deleted" must be true or false"#);
    refused("kv", &line("\"released\":[]"), r#"line 1: "released" must be true or false"#);
}

#[test]
fn events_that_lack_something() {
    refused(
        "kv",
        &one("write", "", ""),
        r#"line 1: write needs a "value" other than null (absent is written with delete)"#,
    );
    refused(
        "kv",
        &one("write", ",\"value\":null", ""),
        r#"line 1: write needs a "value" other than null (absent is written with delete)"#,
    );
    refused(
        "kv",
        &one("append", "", ""),
        r#"line 1: append needs a "value" other than null (absent is written with delete)"#,
    );
    for pair in ["", ",\"value\":1", ",\"value\":[1]", ",\"value\":[1,2,3]", ",\"value\":null"] {
        refused(
            "kv",
            &one("cas", pair, ",\"swapped\":true"),
            r#"line 1: cas needs "value": [expected, new], null for absent"#,
        );
    }
    refused(
        "kv",
        &one("cas", ",\"value\":[1,2]", ""),
        r#"line 2: cas needs "swapped": true or false in its ok"#,
    );
    refused("kv", &one("read", "", ""), r#"line 2: read needs "value" in its ok, null for absent"#);
    for token in ["", ",\"value\":-1", ",\"value\":\"1\""] {
        refused("lock", &one("acquire", "", token), NO_TOKEN);
    }
    for token in ["", ",\"value\":null", ",\"value\":18446744073709551615e1"] {
        let history = one("release", token, "");
        let error = check_ndjson("lock", history.as_bytes(), &mut Budget::default()).unwrap_err();
        assert!(error.to_string().starts_with("line 1: "), "{error}");
    }
    refused(
        "lock",
        &one("release", "", ""),
        r#"line 1: release needs "value": the token of the grant, a whole number from 0 up"#,
    );
}

#[test]
fn operations_of_another_model() {
    refused(
        "register",
        &one("cas", ",\"value\":[1,2]", ""),
        "line 1: model register has no cas; choose cas-register or kv",
    );
    refused(
        "cas-register",
        &one("delete", "", ""),
        "line 1: model cas-register has no delete; choose kv",
    );
    refused(
        "kv",
        &one("acquire", "", ""),
        "line 1: model kv has no acquire; choose mutex or lock or lease-lock",
    );
    refused(
        "mutex",
        &one("read", "", ""),
        "line 1: model mutex has no read; choose register or cas-register or kv",
    );
    refused(
        "lease-lock",
        &one("put", "", ""),
        "line 1: model lease-lock has no write; choose register or cas-register or kv",
    );
}

#[test]
fn events_that_do_not_fit_those_before() {
    refused(
        "kv",
        &WRITE_1.repeat(2),
        "line 2: process 1 has not completed its operation of line 1; write its ok, fail or info \
         first, or give concurrent calls processes of their own",
    );
    refused(
        "kv",
        "{\"process\":4,\"type\":\"ok\"}",
        "line 1: process 4 completes an operation but none is open; write its invoke first",
    );
    let twice = one("write", ",\"value\":1", "") + "{\"process\":1,\"type\":\"info\"}";
    refused(
        "kv",
        &twice,
        "line 3: process 1 completes an operation but none is open; write its invoke first",
    );
    refused(
        "kv",
        &one("write", ",\"value\":1", ",\"op\":\"read\""),
        "line 2: does not match the invocation in line 1; op and key must be the same",
    );
    refused(
        "kv",
        &one("read", ",\"key\":\"a\"", ",\"key\":\"b\",\"value\":1"),
        "line 2: does not match the invocation in line 1; op and key must be the same",
    );
}

const BAD_PROCESS: &str =
    "line 1: \"process\" must be a whole number from 0 up; leave lines of fault injectors out";
const BAD_OP: &str =
    "line 1: \"op\" must be read, get, write, put, cas, delete, append, acquire or release";
const NO_TOKEN: &str = "line 2: acquire needs \"value\" in its ok: the token, a whole number from \
     0 up, null if refused";
