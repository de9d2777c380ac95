//! Real processes under too many connections, and told to stop at the wrong moment.

use std::ffi::OsStr;
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quorate_tests::{Cluster, ClusterOptions, Outcome, Wire, binary, skip, spawn, wait_until};
use serde_json::json;

/// Only a broken promise reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

fn one(options: ClusterOptions) -> Cluster {
    let cluster = Cluster::start(ClusterOptions { nodes: 1, ..options }).expect("it starts");
    cluster.wait_ready(PATIENCE).unwrap_or_else(|| panic!("{}", cluster.logs()));
    cluster
}

/// A cluster of one with few files and small segments, the folder of its configuration beside it.
fn frugal() -> (Cluster, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("q.toml");
    std::fs::write(&config, "[storage]\nsegment_bytes = 65536\n").expect("a file");
    let flags = vec!["--config".into(), config.display().to_string()];
    let options = ClusterOptions { limit: Some("-n 128".into()), flags, ..Default::default() };
    (one(options), folder)
}

/// Connections that say nothing, as many as the other side's kernel takes.
fn silent(address: &str, count: usize) -> Vec<TcpStream> {
    let address = address.parse().expect("an address");
    let connect = || TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok();
    std::iter::from_fn(connect).take(count).collect()
}

/// Writes so much that the journal needs several new files.
fn change_segments(wire: &mut Wire) {
    let body = json!({ "value": "v".repeat(10_000) }).to_string();
    for n in 0..40 {
        let reply = wire.call("PUT", &format!("/v1/kv/{n}"), "", body.as_bytes());
        assert_eq!(reply.expect("an answer").status, 200, "write {n}");
    }
}

#[test]
fn a_storm_of_connections_to_the_api_leaves_the_journal_its_files() {
    let (mut cluster, _folder) = frugal();
    let mut wire = Wire::connect(cluster.api_address(0)).expect("it listens");
    assert_eq!(wire.call("GET", "/livez", "", b"").expect("an answer").status, 200);
    let storm = silent(cluster.api_address(0), 200);
    assert!(storm.len() > 128, "{}", storm.len());
    change_segments(&mut wire);
    assert!(cluster.daemon(0).expect("started").is_running(), "{}", cluster.logs());
    drop(storm);
    let mut late = Wire::connect(cluster.api_address(0)).expect("it listens");
    assert_eq!(late.call("GET", "/v1/kv/0", "", b"").expect("an answer").status, 200);
}

#[test]
fn a_storm_of_connections_to_the_cluster_port_leaves_the_journal_its_files() {
    let (mut cluster, _folder) = frugal();
    let mut wire = Wire::connect(cluster.api_address(0)).expect("it listens");
    assert_eq!(wire.call("GET", "/livez", "", b"").expect("an answer").status, 200);
    let storm = silent(cluster.cluster_address(0), 200);
    assert!(storm.len() > 128, "{}", storm.len());
    change_segments(&mut wire);
    assert!(cluster.daemon(0).expect("started").is_running(), "{}", cluster.logs());
}

#[test]
fn a_thousand_connections_are_served_at_once() {
    // The soft limit of most systems is no more than this; a node takes what it is granted.
    let cluster = one(ClusterOptions { limit: Some("-Sn 1024".into()), ..Default::default() });
    let mut wires = Vec::new();
    for n in 0..1_024 {
        match Wire::connect(cluster.api_address(0)) {
            Ok(wire) => wires.push(wire),
            Err(error) => {
                let why = format!("connection {n} of this side: {error}");
                return skip("a_thousand_connections_are_served_at_once", &why);
            }
        }
    }
    for round in 0..2 {
        for (n, wire) in wires.iter_mut().enumerate() {
            wire.ask("GET", &format!("/v1/kv/{n}"), "", b"").expect("sent");
        }
        for wire in &mut wires {
            let reply = wire.receive().unwrap_or_else(|error| panic!("round {round}: {error}"));
            assert_eq!(reply.status, 404);
        }
    }
}

#[test]
fn a_node_that_is_told_to_stop_while_it_starts_stops_well() {
    let mut cluster =
        Cluster::prepare(ClusterOptions { nodes: 1, ..Default::default() }).expect("places");
    for _ in 0..5 {
        let before = cluster.log(0).len();
        cluster.start_node(0).expect("it starts");
        let begun =
            wait_until(PATIENCE, || cluster.log(0)[before..].contains("start").then_some(()));
        assert!(begun.is_some(), "{}", cluster.logs());
        let daemon = cluster.daemon(0).expect("started");
        daemon.signal("TERM").expect("it hears");
        let status = daemon.ended(PATIENCE).expect("it ends");
        assert_eq!(status.code(), Some(0), "{}", cluster.logs());
    }
}

#[test]
fn what_is_under_way_is_finished_before_the_node_stops() {
    let mut cluster = one(ClusterOptions::default());
    let done = AtomicUsize::new(0);
    let last = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..16)
            .map(|writer| {
                let (client, done) = (cluster.client(0), &done);
                scope.spawn(move || {
                    loop {
                        match client.put(&format!("{writer}"), "v") {
                            Outcome::Ok(_) => done.fetch_add(1, Ordering::Relaxed),
                            other => return other,
                        };
                    }
                })
            })
            .collect();
        let busy = wait_until(PATIENCE, || (done.load(Ordering::Relaxed) > 200).then_some(()));
        cluster.daemon(0).expect("started").signal("TERM").expect("it hears");
        assert!(busy.is_some(), "{}", cluster.logs());
        writers.into_iter().map(|writer| writer.join().expect("it ends")).collect::<Vec<_>>()
    });
    let status = cluster.daemon(0).expect("started").ended(PATIENCE).expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", cluster.logs());
    // Connections are closed between two calls; no call is given up on half way.
    for outcome in last {
        assert_eq!(outcome.code(), Some("connection_lost"), "{outcome:?}");
    }
}

#[test]
fn an_environment_that_is_no_text_is_passed_over() {
    let strange = OsStr::from_bytes(b"\xFF");
    let mut command = Command::new(binary());
    command.env("STRANGE", strange).stdout(Stdio::null()).stderr(Stdio::piped());
    let output = spawn(&mut command).and_then(Child::wait_with_output).expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "nothing is enabled: {said}");
}

#[test]
fn a_second_word_ends_the_wait_for_clients() {
    // Far beyond the patience of this test: only the second signal can end it in time.
    let flags = vec!["--drain-seconds".into(), "600".into()];
    let mut cluster = one(ClusterOptions { flags, ..Default::default() });
    let mut wire = Wire::connect(cluster.api_address(0)).expect("it listens");
    wire.call("PUT", "/v1/kv/k", "", br#"{"value":"v"}"#).expect("an answer");
    wire.send(b"PUT /v1/kv/k HTTP/1.1\r\nhost: q\r\ncontent-length: 100\r\n\r\n{").expect("sent");
    // The server has seen the half request when it answers the next one on another connection.
    let probe = cluster.client(0);
    assert!(probe.probe("/livez"));
    cluster.daemon(0).expect("started").signal("TERM").expect("it hears");
    let draining = wait_until(PATIENCE, || cluster.log(0).contains("draining").then_some(()));
    assert!(draining.is_some(), "{}", cluster.logs());
    let daemon = cluster.daemon(0).expect("started");
    assert!(daemon.is_running(), "it waits for the half request");
    daemon.signal("TERM").expect("it hears");
    let status = daemon.ended(PATIENCE).expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", cluster.logs());
}
