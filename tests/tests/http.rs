//! The HTTP API, word by word, on a real process: what hasty, broken and hostile clients send.

use std::time::Duration;

use quorate_tests::{Cluster, ClusterOptions, Reply, Wire, wait_until};
use serde_json::json;

/// Only a broken promise reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

fn one() -> Cluster {
    let one = ClusterOptions { nodes: 1, ..ClusterOptions::default() };
    let cluster = Cluster::start(one).expect("a process starts");
    cluster.wait_ready(PATIENCE).unwrap_or_else(|| panic!("{}", cluster.logs()));
    cluster
}

fn wire(cluster: &Cluster) -> Wire {
    Wire::connect(cluster.api_address(0)).expect("it listens")
}

fn failed(status: u16, code: &str) -> Option<(u16, String, String)> {
    Some((status, code.to_owned(), "failed".to_owned()))
}

#[test]
fn whatever_cannot_be_read_is_a_problem_and_the_connection_lives_on() {
    let cluster = one();
    let mut wire = wire(&cluster);
    let mut refused = |method: &str, target: &str, head: &str, body: &str| {
        wire.call(method, target, head, body.as_bytes()).expect(target)
    };
    let bad: &[(&str, &str, &str, &str)] = &[
        // Keys and numbers in the path.
        ("GET", "/v1/kv/%FF", "", ""),
        ("PUT", "/v1/kv/%C3%28", "", r#"{"value":"v"}"#),
        ("GET", "/v1/kv/a%20b?key_encoding=base64url", "", ""),
        ("PUT", "/v1/kv/=?key_encoding=base64url", "", r#"{"value":"v"}"#),
        ("POST", "/v1/kv//cas", "", r#"{"expected":null,"value":"v"}"#),
        ("POST", "/v1/sessions/abc/keepalive", "", ""),
        ("DELETE", "/v1/sessions/-1", "", ""),
        // A body is an object, and its fields are what they should be.
        ("PUT", "/v1/kv/k", "", r#"["v"]"#),
        ("PUT", "/v1/kv/k", "", r#""v""#),
        ("PUT", "/v1/kv/k", "", ""),
        ("PUT", "/v1/kv/k", "", r#"{"value":5}"#),
        ("PUT", "/v1/kv/k", "", r#"{"value":null}"#),
        ("PUT", "/v1/kv/k", "", r#"{"value":"a","value":"b"}"#),
        ("PUT", "/v1/kv/k", "", r#"{"value":"v"} {"value":"w"}"#),
        ("PUT", "/v1/kv/k", "", r#"{"value":"?","encoding":"base64"}"#),
        ("PUT", "/v1/kv/k", "", r#"{"value":"v","encoding":"latin1"}"#),
        ("POST", "/v1/sessions", "", "[60000]"),
        ("POST", "/v1/sessions", "", r#"{"ttl_ms":-1}"#),
        ("POST", "/v1/kv/k/cas", "", r#"{"value":"v"}"#),
        ("POST", "/v1/kv/k/cas", "", r#"{"expected":null}"#),
        ("POST", "/v1/kv/k/cas", "", r#"{"expected":null,"expected_revision":1,"value":"v"}"#),
        // Headers.
        ("PUT", "/v1/kv/k", "quorate-deadline-ms: soon\r\n", r#"{"value":"v"}"#),
        ("PUT", "/v1/kv/k", "quorate-session: 1\r\n", r#"{"value":"v"}"#),
        ("PUT", "/v1/kv/k", "quorate-session: 1\r\nquorate-seq: 0\r\n", r#"{"value":"v"}"#),
    ];
    for (method, target, head, body) in bad {
        let reply = refused(method, target, head, body);
        assert_eq!(reply.problem(), failed(400, "bad_request"), "{method} {target} {body}");
    }
    let unknown: &[(&str, &str, &str, &str)] = &[
        ("GET", "/v1/kv/k?consistensy=local", "", "did you mean `consistency`?"),
        ("GET", "/v1/kv?prefx=a", "", "did you mean `prefix`?"),
        ("PUT", "/v1/kv/k?key_encodign=utf8", r#"{"value":"v"}"#, "did you mean `key_encoding`?"),
        ("PUT", "/v1/kv/k", r#"{"valeu":"v"}"#, "did you mean `value`?"),
        ("POST", "/v1/sessions", r#"{"ttl":60000}"#, "did you mean `ttl_ms`?"),
    ];
    for (method, target, body, hint) in unknown {
        let reply = refused(method, target, "", body);
        assert_eq!(reply.problem(), failed(400, "unknown_field"), "{method} {target}");
        assert_eq!(reply.json()["hint"], *hint, "{method} {target}");
    }
    let reply = refused("GET", "/v1/kv/k", "", "");
    assert_eq!(reply.problem(), failed(404, "key_not_found"), "nothing of it was written");
}

#[test]
fn what_is_not_there_is_not_called_an_absent_key() {
    let cluster = one();
    let mut wire = wire(&cluster);
    // A client that reads 404 `key_not_found` as "absent" must not be told so by a wrong path.
    for target in ["/", "/v2/kv/k", "/v1/kv/a/b", "/v1/kv/"] {
        let reply = wire.call("GET", target, "", b"").expect("an answer");
        assert_eq!(reply.problem(), failed(404, "bad_request"), "{target}");
    }
    for method in ["POST", "PATCH", "BREW", "OPTIONS"] {
        let reply = wire.call(method, "/v1/kv/k", "", b"{}").expect("an answer");
        assert_eq!(reply.problem(), failed(405, "bad_request"), "{method}");
        assert_eq!(reply.header("allow"), Some("GET,HEAD,PUT,DELETE"));
    }
    // Parts of the contract that this version does not hold yet say so.
    for (method, target, body) in [
        ("POST", "/v1/txn", "{}"),
        ("GET", "/v1/watch?prefix=a", ""),
        ("POST", "/v1/leases", r#"{"ttl_ms":1000}"#),
        ("POST", "/v1/locks/l/acquire", "{}"),
        ("GET", "/v1/health", ""),
        ("POST", "/v1/failover/switchover", "{}"),
        ("GET", "/v1/kv/k?consistency=bounded", ""),
        ("GET", "/v1/kv/k?revision=1", ""),
        ("PUT", "/v1/kv/k", r#"{"value":"v","consistency":"eventual"}"#),
        ("PUT", "/v1/kv/k", r#"{"value":"v","lease":7}"#),
    ] {
        let reply = wire.call(method, target, "", body.as_bytes()).expect("an answer");
        assert_eq!(reply.problem(), failed(501, "feature_disabled"), "{method} {target}");
    }
    // No answer to HEAD has a body; the next answer on the connection shows it.
    wire.send(b"HEAD /nothing HTTP/1.1\r\nhost: q\r\n\r\n").expect("sent");
    wire.send(b"HEAD /v1/kv/k HTTP/1.1\r\nhost: q\r\n\r\n").expect("sent");
    wire.send(b"GET /livez HTTP/1.1\r\nhost: q\r\n\r\n").expect("sent");
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let mut reply = wire.receive_head().expect("an answer");
        if statuses.len() == 2 {
            wire.receive_body(&mut reply).expect("a body");
            assert_eq!(reply.body, b"alive");
        }
        statuses.push(reply.status);
    }
    assert_eq!(statuses, [404, 404, 200]);
}

#[test]
fn a_body_beyond_the_limit_is_refused_and_the_connection_lives_on() {
    let cluster = one();
    let mut wire = wire(&cluster);
    let large = vec![b'x'; (4 << 20) + 1];
    let raw = "content-type: application/octet-stream\r\n";
    let alive = |wire: &mut Wire, after: &str| {
        let reply = wire.call("GET", "/livez", "", b"").expect(after);
        assert_eq!(reply.status, 200, "{after}");
    };
    let reply = wire.call("PUT", "/v1/kv/k", raw, &large).expect("an answer");
    assert_eq!(reply.problem(), failed(413, "too_large"));
    alive(&mut wire, "a body beyond the limit");
    // Also where the answer is known before the body came.
    let half = vec![b'x'; 2 << 20];
    for target in ["/nothing", "/v1/kv/k?nonsense=1", "/v1/kv/k%FF"] {
        let reply = wire.call("PUT", target, raw, &half).expect("an answer");
        assert!(reply.problem().is_some(), "{target}");
        alive(&mut wire, target);
    }
    let reply = wire.call("PUT", "/v1/kv/k", raw, &half).expect("an answer");
    assert_eq!(reply.problem(), failed(413, "too_large"), "a value above 1 MiB");
    alive(&mut wire, "a value beyond the limit");
    let key = "k".repeat((4 << 10) + 1);
    for method in ["GET", "PUT", "DELETE"] {
        let target = format!("/v1/kv/{key}");
        let reply = wire.call(method, &target, "", br#"{"value":"v"}"#).expect("an answer");
        assert_eq!(reply.problem(), failed(413, "too_large"), "{method}");
    }
    // The largest ones pass, whatever they hold.
    let (key, value) = ("%2F".repeat(4 << 10), vec![0xFF; 1 << 20]);
    let target = format!("/v1/kv/{key}");
    let reply = wire.call("PUT", &target, raw, &value).expect("an answer");
    assert_eq!(reply.status, 200, "{:?}", reply.json());
    let accept = "accept: application/octet-stream\r\n";
    let reply = wire.call("GET", &target, accept, b"").expect("an answer");
    assert_eq!((reply.body == value, reply.header("quorate-version")), (true, Some("1")));
    // A body that is no body is the client's mistake, not a large one.
    let head = b"PUT /v1/kv/k HTTP/1.1\r\nhost: q\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n";
    wire.send(head).expect("sent");
    let reply = wire.receive().expect("an answer");
    assert_eq!(reply.problem(), failed(400, "bad_request"));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let cluster = one();
    let mut wire = wire(&cluster);
    for n in 0..50 {
        let body = json!({ "value": n.to_string() }).to_string();
        wire.ask("PUT", "/v1/kv/p", "", body.as_bytes()).expect("sent");
        wire.ask("GET", "/v1/kv/p", "", b"").expect("sent");
        wire.ask("GET", "/v1/kv/p?x=1", "", b"").expect("sent");
    }
    for n in 0..50 {
        assert_eq!(wire.receive().expect("an answer").json()["version"], n + 1);
        assert_eq!(wire.receive().expect("an answer").json()["value"], n.to_string());
        assert_eq!(wire.receive().expect("an answer").status, 400);
    }
}

#[test]
fn a_deadline_is_kept_and_capped() {
    let cluster = one();
    let mut wire = wire(&cluster);
    let put = |wire: &mut Wire, deadline: &str| -> Reply {
        let head = format!("quorate-deadline-ms: {deadline}\r\n");
        wire.call("PUT", "/v1/kv/k", &head, br#"{"value":"v"}"#).expect("an answer")
    };
    for more in ["60000", "60001", "18446744073709551616", "99999999999999999999999999"] {
        assert_eq!(put(&mut wire, more).status, 200, "{more}");
    }
    // Proposed and not waited for: whether it happens is unknown.
    let reply = put(&mut wire, "0");
    let (status, code, outcome) = reply.problem().expect("it is too late");
    assert_eq!((status, outcome.as_str()), (504, "unknown"));
    // By whether the node had its place in the log when it was too late.
    assert!(["deadline", "indeterminate"].contains(&code.as_str()), "{code}");
}

#[test]
fn sessions_say_what_they_are_and_what_became_of_them() {
    let cluster = one();
    let mut wire = wire(&cluster);
    let mut post = |method: &str, target: &str, head: &str, body: &str| {
        wire.call(method, target, head, body.as_bytes()).expect(target)
    };
    // The time that was granted, not the one that was asked for.
    let short = post("POST", "/v1/sessions", "", r#"{"ttl_ms":1}"#).json();
    assert_eq!(short["ttl_ms"], 1_000, "{short}");
    let opened = post("POST", "/v1/sessions", "", r#"{"ttl_ms":60000}"#).json();
    let session = opened["session"].as_u64().expect("a session");
    let path = format!("/v1/sessions/{session}");
    let kept = post("POST", &format!("{path}/keepalive"), "", "").json();
    assert_eq!((&kept["session"], &kept["ttl_ms"]), (&session.into(), &60_000.into()), "{kept}");
    assert_eq!(kept["remaining_ms"], 60_000, "{kept}");

    let tag = |seq: u64| format!("quorate-session: {session}\r\nquorate-seq: {seq}\r\n");
    let first = post("PUT", "/v1/kv/k", &tag(1), r#"{"value":"v"}"#).json();
    // A failed call does not use up its number.
    let refused = post("PUT", "/v1/kv/k", &tag(2), r#"{"value":5}"#);
    assert_eq!(refused.problem(), failed(400, "bad_request"));
    assert_eq!(post("PUT", "/v1/kv/k", &tag(2), r#"{"value":"w"}"#).status, 200);
    let again = post("PUT", "/v1/kv/k", &tag(1), r#"{"value":"v"}"#).json();
    assert_eq!(again["mod_revision"], first["mod_revision"]);
    let reused = post("DELETE", "/v1/kv/k", &tag(1), "");
    assert_eq!(reused.problem(), failed(422, "seq_reused"));
    let acked = format!("{}quorate-acked: 2\r\n", tag(3));
    assert_eq!(post("PUT", "/v1/kv/k", &acked, r#"{"value":"x"}"#).status, 200);
    let unknown = |status: u16, code: &str| Some((status, code.to_owned(), "unknown".to_owned()));
    let forgotten = post("PUT", "/v1/kv/k", &tag(1), r#"{"value":"v"}"#);
    assert_eq!(forgotten.problem(), unknown(409, "seq_forgotten"));

    assert_eq!(post("DELETE", &path, "", "").json()["closed"], true);
    assert_eq!(post("DELETE", &path, "", "").json()["closed"], false, "it was gone already");
    let kept = post("POST", &format!("{path}/keepalive"), "", "");
    assert_eq!(kept.problem(), unknown(410, "session_expired"));
    let gone = post("PUT", "/v1/kv/k", &tag(4), r#"{"value":"y"}"#);
    assert_eq!(gone.problem(), unknown(410, "session_expired"));
    assert_eq!(post("GET", "/v1/kv/k", "", "").json()["value"], "x");
}

#[test]
fn every_key_can_be_named() {
    let cluster = one();
    let mut wire = wire(&cluster);
    for (written, read) in [
        ("/v1/kv/a%2Fb", "a/b"),
        ("/v1/kv/a+b", "a+b"),
        ("/v1/kv/%25", "%"),
        ("/v1/kv/%3F%23", "?#"),
        ("/v1/kv/%00", "\0"),
        ("/v1/kv/..", ".."),
        ("/v1/kv/%C3%A4", "ä"),
        ("/v1/kv/cas", "cas"),
        ("/v1/kv/w6Q?key_encoding=base64url", "w6Q"),
        ("/v1/kv/_w?key_encoding=base64url", "_w"),
    ] {
        let value = json!({ "value": written }).to_string();
        let reply = wire.call("PUT", written, "", value.as_bytes()).expect("an answer");
        assert_eq!(reply.status, 200, "{written}");
        let item = wire.call("GET", written, "", b"").expect("an answer").json();
        assert_eq!(item["key"], read, "{written}");
    }
    // The last two are bytes; the first of them is the same key as `ä`.
    let page = wire.call("GET", "/v1/kv", "", b"").expect("an answer").json();
    let items = page["items"].as_array().expect("items");
    assert_eq!(items.len(), 9, "{page}");
    // A key that is no text is not passed off as one.
    let binary = items.iter().find(|item| item["key"] == "_w").expect("it is listed");
    assert_eq!(binary["key_encoding"], "base64url", "{binary}");
    assert!(items.iter().filter(|item| item["key_encoding"].is_null()).count() == 8, "{page}");
}

#[test]
fn a_client_that_forbids_forwarding_is_sent_to_the_leader() {
    let cluster = Cluster::start(ClusterOptions::default()).expect("processes start");
    let leader = cluster.wait_ready(PATIENCE).unwrap_or_else(|| panic!("{}", cluster.logs()));
    let mut follower = Wire::connect(cluster.api_address((leader + 1) % 3)).expect("it listens");
    let never = "quorate-forward: never\r\n";
    let there = cluster.api_address(leader);
    // Gossip brings the leader's API address some time after its name.
    let known = wait_until(PATIENCE, || {
        let info = follower.call("GET", "/v1/cluster", "", b"").ok()?.json();
        (info["meta"]["leader_api"] == there).then_some(())
    });
    assert!(known.is_some(), "{}", cluster.logs());
    for (method, body) in [("GET", ""), ("PUT", r#"{"value":"v"}"#), ("DELETE", "")] {
        let target = "/v1/kv/a%2Fb?key_encoding=utf8";
        let reply = follower.call(method, target, never, body.as_bytes()).expect("an answer");
        assert_eq!(reply.problem(), failed(421, "not_here"), "{method}");
        assert_eq!(reply.json()["leader_api"], there, "{method}");
        // To the same key there.
        let location = format!("http://{there}{target}");
        assert_eq!(reply.header("location"), Some(location.as_str()), "{method}");
    }
    let mut wire = Wire::connect(cluster.api_address(leader)).expect("it listens");
    let reply = wire.call("PUT", "/v1/kv/k", never, br#"{"value":"v"}"#).expect("an answer");
    assert_eq!(reply.status, 200, "the leader serves it");
    // A local read needs no leader.
    let read = "/v1/kv/none?consistency=local";
    let reply = follower.call("GET", read, never, b"").expect("an answer");
    assert_eq!(reply.problem(), failed(404, "key_not_found"));
}
