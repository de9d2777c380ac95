//! History files as `cargo xtask lin` reads them.

use quorate_lin::{Budget, MODEL_NAMES, Report, Verdict, check_ndjson};

fn report(model: &str, text: &str) -> Report {
    check_ndjson(model, text.as_bytes(), &mut Budget::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn is_legal(model: &str, text: &str) -> bool {
    report(model, text).verdict.is_linearizable()
}

fn error(model: &str, text: &str) -> String {
    check_ndjson(model, text.as_bytes(), &mut Budget::default()).unwrap_err().to_string()
}

/// A line for each event, from a short form: `1 invoke write 5`, `1 ok cas true`.
fn file(events: &str) -> String {
    let mut text = String::new();
    for event in events.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = event.splitn(4, ' ');
        let [process, kind, op] = [(); 3].map(|()| words.next().unwrap());
        let rest = words.next().map_or(String::new(), |rest| match (kind, op) {
            ("ok", "cas") => format!(",\"swapped\":{rest}"),
            ("ok", "delete") => format!(",\"deleted\":{rest}"),
            _ => format!(",\"value\":{rest}"),
        });
        text += &format!(
            "{{\"process\":{process},\"type\":\"{kind}\",\"op\":\"{op}\",\"key\":\"k\"{rest}}}\n"
        );
    }
    text
}

#[test]
fn a_history_of_every_model_is_read() {
    let register = file(
        "1 invoke write 5\n 2 invoke read\n 2 ok read null\n 1 ok write\n 2 invoke read\n 2 ok read 5",
    );
    assert!(is_legal("register", &register));
    assert!(!is_legal("register", &(register + &file("3 invoke read\n 3 ok read null"))));

    let cas = file(
        "1 invoke cas [null,\"a\"]\n 1 ok cas true\n 2 invoke cas [\"b\",\"c\"]\n 2 ok cas false",
    );
    assert!(is_legal("cas-register", &cas));
    assert!(!is_legal("cas-register", &(cas + &file("1 invoke read\n 1 ok read \"c\""))));

    let kv = file(
        "1 invoke put {\"x\":[1,null]}\n 1 info put\n 1 invoke get\n 1 ok get {\"x\":[1,null]}\n 1 invoke delete\n 1 ok delete true",
    );
    assert!(is_legal("kv", &kv));
    assert!(is_legal("kv", &kv.replace("\"deleted\":true", "\"time\":3")));
    assert!(!is_legal("kv", &kv.replace("true", "false")));

    let lists = file(
        "1 invoke append 1\n 2 invoke append 2\n 1 ok append\n 2 ok append\n 1 invoke get\n 1 ok get [2,1]",
    );
    assert!(is_legal("kv", &lists));
    assert!(!is_legal("kv", &lists.replace("[2,1]", "[2]")));
    let text = file(
        "1 invoke append \"a\"\n 1 ok append\n 1 invoke append \"b\"\n 1 ok append\n 1 invoke get\n 1 ok get \"ab\"",
    );
    assert!(is_legal("kv", &text));

    let mutex = file(
        "1 invoke acquire\n 1 ok acquire\n 2 invoke acquire\n 1 invoke release\n 2 ok acquire\n 1 ok release",
    );
    assert!(is_legal("mutex", &mutex));
    assert!(!is_legal(
        "mutex",
        &mutex
            .replace(
                "1,\"type\":\"invoke\",\"op\":\"release\"",
                "1,\"type\":\"invoke\",\"op\":\"acquire\""
            )
            .replace("\"op\":\"release\"", "\"op\":\"acquire\"")
    ));

    let lock = file("1 invoke acquire\n 1 ok acquire 3\n 2 invoke acquire\n 2 ok acquire 4");
    assert!(!is_legal("lock", &lock));
    assert!(is_legal("lease-lock", &lock));
    assert!(!is_legal("lease-lock", &(lock + &file("3 invoke acquire\n 3 ok acquire 4"))));
}

#[test]
fn a_report_counts_and_tells_in_line_numbers() {
    let text = file(
        "1 invoke write 5\n 1 info write\n 2 invoke write 6\n 2 fail write\n 3 invoke read\n 3 ok read 6",
    );
    let report = report("register", &text);
    assert_eq!((report.operations, report.failed, report.unknown, report.keys), (3, 1, 1, 1));
    let Verdict::NotLinearizable(_) = &report.verdict else { panic!("{report}") };
    let shown = report.to_string();
    assert!(
        shown.starts_with("register: 3 operations on 1 keys (1 failed, 1 unknown), "),
        "{shown}"
    );
    assert!(shown.contains("process 3: read -> 6  [5 to 6]"), "{shown}");
}

#[test]
fn blank_lines_other_fields_and_a_missing_key_are_fine() {
    let text = "\n{\"index\":0,\"time\":1.5,\"process\":1,\"type\":\"invoke\",\"op\":\"read\"}\r\n\n\
                {\"process\":1,\"type\":\"ok\",\"value\":null}";
    assert!(is_legal("register", text));
}

#[test]
fn every_mistake_is_named_with_its_line_and_its_remedy() {
    let invoke = "{\"process\":1,\"type\":\"invoke\",\"op\":\"read\"}\n";
    let cases = [
        ("", "no events in the history; check that the recorder wrote to this file"),
        ("\n{", "line 2: not JSON"),
        ("[1]", "line 1: not an object; write {\"process\":.., \"type\":.., \"op\":.., ..}"),
        (
            "{\"process\":\"nemesis\",\"type\":\"info\"}",
            "line 1: \"process\" must be a whole number",
        ),
        ("{\"process\":1,\"type\":\"done\"}", "line 1: \"type\" must be invoke, ok, fail or info"),
        ("{\"process\":1,\"type\":\"invoke\"}", "line 1: \"op\" must be read, get, write"),
        (
            "{\"process\":1,\"type\":\"ok\"}",
            "line 1: process 1 completes an operation but none is open",
        ),
        (
            "{\"process\":1,\"type\":\"invoke\",\"op\":\"read\",\"key\":[]}",
            "line 1: \"key\" must be a string",
        ),
        (&file("1 invoke delete"), "line 1: model register has no delete; choose a model that has"),
        (&file("1 invoke write"), "line 1: write needs a \"value\" other than null"),
        (&file("1 invoke write 0.1"), "line 1: a number is not whole or too large to be exact"),
        (&(invoke.repeat(2)), "line 2: process 1 has not completed its operation of line 1"),
        (
            &(invoke.to_owned() + "{\"process\":1,\"type\":\"ok\"}"),
            "line 2: read needs \"value\" in its ok",
        ),
        (
            &(invoke.to_owned() + "{\"process\":1,\"type\":\"ok\",\"op\":\"write\"}"),
            "line 2: does not match the invocation in line 1",
        ),
        (
            &(invoke.to_owned() + "{\"process\":1,\"type\":\"ok\",\"key\":\"j\",\"value\":1}"),
            "line 2: does not match the invocation in line 1",
        ),
    ];
    for (text, expected) in cases {
        let shown = error("register", text);
        assert!(shown.starts_with(expected), "{text}\n{shown}");
    }
    let cas = file("1 invoke cas 5");
    assert!(error("cas-register", &cas).contains("cas needs \"value\": [expected, new]"));
    let cas = file("1 invoke cas [1,2]\n1 ok cas");
    assert!(
        error("cas-register", &cas).starts_with("line 2: cas needs \"swapped\": true or false")
    );
    let cas = file("1 invoke cas [1,2]\n1 ok cas 1");
    assert!(error("cas-register", &cas).contains("\"swapped\" must be true or false"));
    assert!(error("lock", &file("1 invoke release")).contains("the token of the grant"));
    assert!(
        error("lock", &file("1 invoke acquire\n1 ok acquire -1")).contains("the token, a whole")
    );
    let none = error("queue", "");
    assert_eq!(none, format!("no model \"queue\"; choose one of {}", MODEL_NAMES.join(", ")));
}

#[test]
fn a_reader_that_fails_is_not_an_empty_history() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("gone"))
        }
    }
    let reader = std::io::BufReader::new(Broken);
    let error = check_ndjson("kv", reader, &mut Budget::default()).unwrap_err();
    assert_eq!(error.to_string(), "cannot read line 1");
}
