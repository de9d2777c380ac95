//! Real processes: what a user's first day and worst day look like.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use quorate_tests::{
    Client, Cluster, ClusterOptions, Load, free_port, now, run_to_end, wait_until,
};

/// Only a broken promise reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

fn three() -> (Cluster, usize) {
    let cluster = Cluster::start(ClusterOptions::default()).expect("processes start");
    let leader = cluster.wait_ready(PATIENCE).unwrap_or_else(|| panic!("{}", cluster.logs()));
    (cluster, leader)
}

/// Runs a node with these flags until it gives up; its exit code and what it said.
fn refused(flags: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
    let output = run_to_end(flags, environment).expect("quorated gives up by itself");
    let code = output.status.code().expect("it was not killed");
    (code, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_leaders_death_loses_nothing_and_the_dead_come_back() {
    let (mut cluster, leader) = three();
    let clients: Vec<Client> =
        (0..3).map(|node| cluster.client(node).within(Duration::from_secs(2))).collect();
    let load = Load::start(&clients, 4, 7);
    wait_until(PATIENCE, || (load.ok() > 100).then_some(())).expect("the load gets going");
    cluster.kill(leader);
    let killed = now();
    wait_until(PATIENCE, || load.written_since(killed))
        .unwrap_or_else(|| panic!("no write after the kill\n{}", cluster.logs()));
    cluster.start_node(leader).expect("it starts again");
    let next = cluster.wait_ready(PATIENCE).unwrap_or_else(|| panic!("{}", cluster.logs()));
    let report = load.finish(&cluster.client(next));
    assert!(report.verdict.is_linearizable(), "{}", report.verdict);
    assert!(report.entered > 0 && report.missing.is_empty(), "lost: {:?}", report.missing);
}

#[test]
fn what_was_acknowledged_survives_the_death_of_all() {
    let (mut cluster, leader) = three();
    cluster.client(leader).put("k", "kept").ok().expect("a leader takes a write");
    for node in 0..3 {
        cluster.kill(node);
    }
    for node in 0..3 {
        cluster.start_node(node).expect("it starts again");
    }
    let leader = cluster.wait_ready(PATIENCE).unwrap_or_else(|| panic!("{}", cluster.logs()));
    let item = cluster.client(leader).get("k").ok().flatten().expect("it is there");
    assert_eq!(item.value, "kept");
}

#[test]
fn a_minority_takes_no_write_and_says_that_nothing_happened() {
    let (mut cluster, leader) = three();
    let rest = (leader + 1) % 3;
    cluster.kill(leader);
    cluster.kill((leader + 2) % 3);
    let client = cluster.client(rest).within(Duration::from_secs(1));
    // While the survivor still takes the dead leader for alive, the outcome may be unknown.
    let failed = wait_until(PATIENCE, || {
        client.put("k", "v").code().filter(|code| *code == "no_leader").map(str::to_owned)
    });
    assert_eq!(failed.as_deref(), Some("no_leader"));
    assert!(!client.probe("/readyz"));
    assert!(client.probe("/livez"));
}

#[test]
fn garbage_on_both_ports_costs_a_counter() {
    let (cluster, leader) = three();
    let address = cluster.cluster_address(leader);
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    for length in [0, 1, 23, 24, 25, 1_000] {
        let noise = vec![0xA5_u8; length];
        udp.send_to(&noise, address).expect("loopback takes it");
        for port in [address, cluster.api_address(leader)] {
            let mut stream = TcpStream::connect(port).expect("it listens");
            // It may hang up first.
            let _ = stream.write_all(&noise);
        }
    }
    let client = cluster.client(leader);
    assert!(client.put("k", "v").ok().is_some(), "it serves on");
    let counted = wait_until(PATIENCE, || {
        let (_, status) = client.call("GET", "/v1/status", None)?;
        let rejected = status["rejected_frames"].as_object()?;
        rejected.values().any(|count| count.as_u64() > Some(0)).then_some(())
    });
    assert!(counted.is_some(), "the garbage was counted");
}

#[test]
fn an_oversized_value_and_a_misspelt_field_are_refused_by_name() {
    let (cluster, leader) = three();
    let client = cluster.client(leader);
    let large = "x".repeat((1 << 20) + 1);
    assert_eq!(client.put("k", &large).code(), Some("too_large"));
    let body = serde_json::json!({ "valeu": "v" });
    let (status, problem) = client.call("PUT", "/v1/kv/k", Some(&body)).expect("an answer");
    assert_eq!((status, problem["code"].as_str()), (400, Some("unknown_field")));
    assert_eq!(problem["hint"], "did you mean `value`?");
    assert_eq!(client.get("k").ok(), Some(None), "nothing was written");
}

#[test]
fn a_retry_in_a_session_acts_once() {
    let (cluster, leader) = three();
    let client = cluster.client(leader);
    let body = serde_json::json!({ "ttl_ms": 60_000 });
    let (_, opened) = client.call("POST", "/v1/sessions", Some(&body)).expect("an answer");
    let session = opened["session"].as_u64().expect("a session");
    let client = client.with_header("quorate-session", session).with_header("quorate-seq", 1);
    let first = client.put("k", "v").ok().expect("the first try runs");
    let again = client.put("k", "v").ok().expect("the retry is answered");
    assert_eq!(first, again);
    assert_eq!(client.put("k", "w").code(), Some("seq_reused"));
}

#[test]
fn wrong_configuration_is_refused_with_the_fix() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("q.toml");
    fs::write(&file, "[cluster]\nseed = []\n").expect("a file");
    let (code, said) = refused(&["--config", &file.display().to_string()], &[]);
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("did you mean `cluster.seeds`?"), "{said}");

    let (code, said) = refused(&[], &[("CLUSTER_PORT", "many")]);
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("a whole number"), "{said}");

    let (code, said) = refused(&[], &[("QUORATE__CLUSTER__PAUSE_TOLERANCE", "5")]);
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("expected a duration in `cluster.pause_tolerance`"), "{said}");

    let (code, said) = refused(&["--seeds", "127.0.0.1"], &[]);
    assert_eq!(code, 64, "{said}");
    assert_eq!(said.matches("write host:port").count(), 1, "once, {said}");

    let (code, said) = refused(&["--data-dir", "none", "--seeds", "_quorate._tcp.example"], &[]);
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("feature `srv`, or write host:port"), "{said}");

    let (code, said) = refused(&["--bind", "0.0.0.0:7946"], &[]);
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("--insecure-cluster"), "{said}");

    let (code, said) = refused(&["--bind", "0.0.0.0:7946", "--insecure-cluster"], &[]);
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("--advertise"), "{said}");
}

#[test]
fn a_port_in_use_a_locked_folder_and_another_nodes_folder_are_refused() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let taken = holder.local_addr().expect("it is bound").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data").display().to_string();
    let (api, bind) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
    let (code, said) = refused(&["--data-dir", &data, "--bind", &taken, "--api-bind", &api], &[]);
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("in use"), "{said}");

    let mut cluster =
        Cluster::prepare(ClusterOptions { nodes: 1, ..ClusterOptions::default() }).expect("places");
    cluster.start_node(0).expect("it starts");
    cluster.wait_ready(PATIENCE).unwrap_or_else(|| panic!("{}", cluster.logs()));
    let held = cluster.data_folder(0).display().to_string();
    let flags = ["--node-id", "n1", "--data-dir", &held, "--bind", &bind, "--api-bind", &api];
    let (code, said) = refused(&flags, &[]);
    assert_eq!(code, 66, "{said}");
    cluster.kill(0);
    let flags = ["--node-id", "other", "--data-dir", &held, "--bind", &bind, "--api-bind", &api];
    let (code, said) = refused(&flags, &[]);
    assert_eq!(code, 68, "{said}");
    assert!(said.contains("belongs to node"), "{said}");
}

#[test]
fn a_node_of_another_cluster_is_refused_and_disturbs_nobody() {
    let (cluster, leader) = three();
    let stranger = ClusterOptions { name: "another".into(), ..ClusterOptions::default() };
    let mut stranger = Cluster::prepare(stranger).expect("places");
    // It believes that it belongs to the others.
    let seeds = [0, 1].map(|node| cluster.cluster_address(node)).join(",");
    stranger.start_node_with(2, &["--seeds".into(), seeds]).expect("it starts");
    // Both sides are told; the stranger by name.
    let told = wait_until(PATIENCE, || {
        let names = stranger.log(2).contains(r#"theirs="test""#);
        (names && cluster.logs().contains("another cluster name")).then_some(())
    });
    assert!(told.is_some(), "{}\n{}", cluster.logs(), stranger.log(2));
    assert!(cluster.client(leader).put("k", "v").ok().is_some());
    assert!(!stranger.client(2).probe("/readyz"));
}

#[test]
fn seeds_may_be_names_and_one_of_them_may_be_down() {
    let mut cluster = Cluster::prepare(ClusterOptions::default()).expect("places");
    let port = |node: usize| {
        let address = cluster.cluster_address(node);
        address.rsplit_once(':').map(|(_, port)| format!("localhost:{port}")).expect("a port")
    };
    let seeds = [port(0), port(1), port(2)].join(",");
    let flags = ["--seeds", &seeds, "--min-nodes", "2"].map(str::to_owned);
    cluster.start_node_with(0, &flags).expect("it starts");
    cluster.start_node_with(1, &flags).expect("it starts");
    let written = wait_until(PATIENCE, || cluster.client(0).put("k", "v").ok());
    assert!(written.is_some(), "{}", cluster.logs());
}

#[test]
fn a_node_that_finds_nobody_says_why() {
    let mut cluster = Cluster::prepare(ClusterOptions::default()).expect("places");
    let seeds = [cluster.cluster_address(1), "nowhere.invalid:7946"].join(",");
    cluster.start_node_with(0, &["--seeds".to_owned(), seeds]).expect("it starts");
    let told = "a name has no address now";
    let heard = wait_until(PATIENCE, || cluster.log(0).contains(told).then(|| cluster.log(0)));
    assert!(heard.is_some_and(|log| log.contains("nowhere.invalid:7946")), "{}", cluster.log(0));
    // Meanwhile it is looked up again and again. And what the node waits for is told, too.
    let why = "in no cluster yet why=waiting for seeds: 0 of 2 answer";
    let heard = wait_until(PATIENCE, || cluster.log(0).contains(why).then_some(()));
    assert!(heard.is_some(), "{}", cluster.log(0));
    assert_eq!(cluster.log(0).matches(told).count(), 1, "{}", cluster.log(0));
}

#[test]
fn clusters_of_one_name_refuse_each_other_and_say_so() {
    let (cluster, leader) = three();
    let alone = ClusterOptions { nodes: 1, ..ClusterOptions::default() };
    let mut other = Cluster::prepare(alone).expect("places");
    // Another name, or it would be taken for a second process of the same.
    let name = ["--node-id".to_owned(), "other".to_owned()];
    other.start_node_with(0, &name).expect("it starts");
    assert!(wait_until(PATIENCE, || other.client(0).put("own", "v").ok()).is_some());
    other.kill(0);
    let seeds = ["--seeds".to_owned(), cluster.cluster_address(0).to_owned()];
    other.start_node_with(0, &[name, seeds].concat()).expect("it starts");
    let told = wait_until(PATIENCE, || {
        let both = [other.log(0), cluster.log(0)];
        both.iter().all(|log| log.contains("another cluster of this name")).then_some(())
    });
    assert!(told.is_some(), "{}\n{}", other.log(0), cluster.log(0));
    let own = wait_until(PATIENCE, || other.client(0).get("own").ok().flatten());
    assert_eq!(own.map(|item| item.value).as_deref(), Some("v"), "each keeps what it has");
    assert!(cluster.client(leader).put("k", "v").ok().is_some());
    assert_eq!(cluster.client(leader).get("own").ok(), Some(None));
}

#[test]
fn a_second_process_with_a_live_nodes_name_stops() {
    let (cluster, leader) = three();
    let mut twin = Cluster::prepare(ClusterOptions::default()).expect("places");
    let seeds = [0, 1, 2].map(|node| cluster.cluster_address(node)).join(",");
    twin.start_node_with(0, &["--seeds".into(), seeds]).expect("it starts");
    let status = twin.daemon(0).expect("it was started").ended(PATIENCE).expect("it stops");
    assert_eq!(status.code(), Some(67), "{}", twin.log(0));
    assert!(cluster.client(leader).put("k", "v").ok().is_some());
}

#[test]
fn a_damaged_journal_is_refused_and_left_as_it_is() {
    let one = ClusterOptions { nodes: 1, ..ClusterOptions::default() };
    let mut cluster = Cluster::start(one).expect("it starts");
    cluster.wait_ready(PATIENCE).unwrap_or_else(|| panic!("{}", cluster.logs()));
    for n in 0..20 {
        let key = format!("key {n}");
        cluster.client(0).put(&key, "the value that is damaged").ok().expect("it is written");
    }
    cluster.kill(0);
    let folder = cluster.data_folder(0).to_owned();
    let mut damaged = Vec::new();
    for entry in fs::read_dir(&folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            continue;
        }
        let mut bytes = fs::read(&path).expect("a file");
        let needle = b"key 7";
        if let Some(at) = bytes.windows(needle.len()).position(|window| window == needle) {
            bytes[at] ^= 0x20;
            fs::write(&path, &bytes).expect("it is writable");
            damaged.push((path, bytes));
        }
    }
    assert_eq!(damaged.len(), 1, "the record stands in one segment");
    cluster.start_node(0).expect("a process");
    let status = cluster.daemon(0).expect("started").ended(PATIENCE).expect("it gives up");
    assert_eq!(status.code(), Some(65), "{}", cluster.log(0));
    let (path, bytes) = &damaged[0];
    assert!(fs::read(path).expect("still there") == *bytes, "the evidence is as it was");
}

#[test]
fn the_api_keeps_its_words() {
    let (cluster, leader) = three();
    let client = cluster.client(leader);
    let get = |path: &str| client.call("GET", path, None).expect("an answer");
    for n in 0..3 {
        client.put(&format!("p/{n}"), "v").ok().expect("written");
    }
    // Pages go on behind the last key.
    let (_, page) = get("/v1/kv?prefix=p/&limit=2");
    assert_eq!((page["items"][1]["key"].as_str(), &page["more"]), (Some("p/1"), &true.into()));
    let (_, page) = get("/v1/kv?prefix=p/&limit=2&after=p/1");
    assert_eq!((page["items"][0]["key"].as_str(), &page["more"]), (Some("p/2"), &false.into()));
    let (status, absent) = get("/v1/kv/none");
    assert_eq!((status, absent["code"].as_str()), (404, Some("key_not_found")));
    assert_eq!(absent["outcome"], "failed");
    assert_eq!(absent["meta"]["leader"], cluster.id(leader));
    // Binary values come as base64, and are taken so.
    let body = serde_json::json!({ "value": "/w==", "encoding": "base64" });
    let (_, written) = client.call("PUT", "/v1/kv/binary", Some(&body)).expect("an answer");
    assert_eq!((&written["version"], written["reached"].as_str()), (&1.into(), Some("quorum")));
    assert!(written["copies"].as_u64() >= Some(2), "{written}");
    let (_, item) = get("/v1/kv/binary");
    assert_eq!((item["value"].as_str(), item["encoding"].as_str()), (Some("/w=="), Some("base64")));
    // Every copy, if it is asked for; and what became of a write can be asked.
    let body = serde_json::json!({ "value": "s", "consistency": "strong" });
    let (_, written) = client.call("PUT", "/v1/kv/strong", Some(&body)).expect("an answer");
    assert_eq!(
        (&written["copies"], written["reached"].as_str()),
        (&3.into(), Some("strong")),
        "{written}"
    );
    let (term, index) = (&written["log_id"]["term"], &written["log_id"]["index"]);
    let (_, told) = get(&format!("/v1/writes/{term}-{index}?level=strong&wait_ms=500"));
    assert_eq!((told["state"].as_str(), &told["missing"][0]), (Some("committed"), &().into()));
    let (_, told) = get(&format!("/v1/writes/0-{index}"));
    assert_eq!((told["state"].as_str(), &told["reached"]), (Some("lost"), &().into()));
    assert_eq!(get("/v1/writes/x").0, 400);
    let body = serde_json::json!({ "value": "s", "consistency": "eventual" });
    assert_eq!(client.call("PUT", "/v1/kv/e", Some(&body)).expect("an answer").0, 501);
    let bad = serde_json::json!({ "value": "?", "encoding": "base64" });
    assert_eq!(client.call("PUT", "/v1/kv/binary", Some(&bad)).expect("an answer").0, 400);
    // Absent on either side of a swap is null.
    assert_eq!(client.compare_and_swap("once", None, Some("x")).ok(), Some(true));
    assert_eq!(client.compare_and_swap("once", None, Some("y")).ok(), Some(false));
    assert_eq!(client.compare_and_swap("once", Some("x"), None).ok(), Some(true));
    assert_eq!(client.get("once").ok(), Some(None));
    // Every node takes every request, unless it is told not to pass it on.
    let other = cluster.client((leader + 1) % 3);
    assert_eq!(other.get("p/0").ok().flatten().map(|item| item.value).as_deref(), Some("v"));
    let strict = other.with_header("quorate-forward", "never");
    assert_eq!(strict.put("p/0", "w").code(), Some("not_here"));
    assert_eq!(client.get("p/0").ok().flatten().map(|item| item.version), Some(1));
    // What operators and their tools read.
    let (_, info) = get("/v1/cluster");
    assert_eq!((&info["total_nodes"], &info["is_healthy"]), (&3.into(), &true.into()));
    assert_eq!((&info["quorum"]["voters"], &info["quorum"]["needed"]), (&3.into(), &2.into()));
    let (_, members) = get("/v1/members");
    let states: Vec<&str> = members["members"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|m| m["state"].as_str())
        .collect();
    assert_eq!(states.iter().filter(|state| **state == "LEADER").count(), 1, "{members}");
    assert_eq!(states.iter().filter(|state| **state == "ACTIVE").count(), 2, "{members}");
    let (_, metrics) = get("/metrics");
    let metrics = metrics.as_str().expect("text");
    assert!(metrics.contains("\nquorate_is_leader 1\n"), "{metrics}");
    let itself = format!("\nquorate_node_info{{node=\"{}\",", cluster.id(leader));
    assert!(metrics.contains(&itself), "{metrics}");
    // Prometheus refuses a whole page for one label that stands twice.
    for series in metrics.lines().filter(|line| !line.starts_with('#')) {
        let labels = series.split_once('{').map_or("", |(_, rest)| rest);
        let mut names: Vec<&str> =
            labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0)).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{series}");
    }
    assert!(client.probe("/leader") && !cluster.client((leader + 1) % 3).probe("/leader"));
}

#[test]
fn a_terminated_node_drains_and_exits_with_zero() {
    let (mut cluster, leader) = three();
    let daemon = cluster.daemon(leader).expect("it runs");
    daemon.signal("TERM").expect("it hears");
    let status = daemon.ended(PATIENCE).expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", cluster.logs());
    // It went by its own will, which the others know; and it may come back.
    let other = cluster.client((leader + 1) % 3);
    let state = |id: &str| {
        let (_, body) = other.call("GET", "/v1/members", None)?;
        let members = body["members"].as_array()?;
        let member = members.iter().find(|member| member["node_id"] == id)?;
        Some(member["state"].as_str()?.to_owned())
    };
    let id = cluster.id(leader).to_owned();
    let told = wait_until(PATIENCE, || (state(&id)? == "LEAVING").then_some(()));
    assert!(told.is_some(), "{}", cluster.logs());
    cluster.start_node(leader).expect("it starts");
    let back = wait_until(PATIENCE, || (state(&id)? != "LEAVING").then_some(()));
    assert!(back.is_some() && cluster.wait_ready(PATIENCE).is_some(), "{}", cluster.logs());
}
