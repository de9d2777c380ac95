//! Gossip under key: who has none is not heard, and keys are changed while the cluster runs.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use quorate_tests::{Client, Cluster, ClusterOptions, free_port, run_to_end, wait_until};
use serde_json::{Value, json};

use crate::PATIENCE;

const OLD: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const NEW: &str = "101112131415161718191a1b1c1d1e1f000102030405060708090a0b0c0d0e0f";

/// A keyring file for each node.
fn write_key(file: &Path, key: &str) {
    use std::io::Write as _;
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(file).expect("a file");
    writeln!(file, "{key}").expect("it is written");
}

fn post(client: &Client, what: &str, body: &Value) -> (u16, Value) {
    let path = format!("/v1/keyring/{what}");
    client.call("POST", &path, Some(body)).expect("the API answers")
}

/// The names of a node's keys; the first seals.
fn ids(client: &Client) -> Vec<String> {
    let (_, shown) = client.call("GET", "/v1/keyring", None).expect("the API answers");
    let keys = shown["keys"].as_array().expect("a list");
    assert!(keys.iter().enumerate().all(|(n, key)| key["in_use"] == (n == 0)), "{shown}");
    keys.iter().map(|key| key["id"].as_str().expect("a name").to_owned()).collect()
}

/// Whether every node takes every node for alive.
fn all_alive(clients: &[Client]) -> Option<()> {
    let good = |client: &Client| {
        let (_, body) = client.call("GET", "/v1/members", None).unwrap_or_default();
        let members = body["members"].as_array().cloned().unwrap_or_default();
        let alive = |member: &Value| {
            member["gossip"]["state"] == "alive" && member["state"] != "UNREACHABLE"
        };
        members.len() == clients.len() && members.iter().all(alive)
    };
    clients.iter().all(good).then_some(())
}

/// How many members were ever given up by somebody.
fn deaths(clients: &[Client]) -> f64 {
    let name = "quorate_membership_changes_total";
    clients.iter().map(|client| client.metric(name, "state=\"dead\"").expect("it counts")).sum()
}

#[test]
fn keys_are_changed_while_the_cluster_runs_and_who_has_none_is_not_heard() {
    let keys = tempfile::tempdir().expect("a folder");
    let mut cluster = Cluster::prepare(ClusterOptions::default()).expect("places");
    let file = |node: usize| keys.path().join(format!("{node}.keys"));
    let flags = |node: usize| {
        let file = file(node).display().to_string();
        ["--keyring-file".to_owned(), file]
    };
    for node in 0..3 {
        write_key(&file(node), OLD);
        cluster.start_node_with(node, &flags(node)).expect("it starts");
    }
    let leader = cluster.wait_ready(PATIENCE).unwrap_or_else(|| panic!("{}", cluster.logs()));
    let clients: Vec<Client> = (0..3).map(|node| cluster.client(node)).collect();
    wait_until(PATIENCE, || all_alive(&clients)).unwrap_or_else(|| panic!("{}", cluster.logs()));

    // One of another name and no key finds nobody, and nobody hears of it.
    let mut stranger = Cluster::prepare(ClusterOptions::default()).expect("places");
    let seeds = ["--seeds".to_owned(), cluster.cluster_address(0).to_owned()];
    let name = ["--node-id".to_owned(), "stranger".to_owned()];
    stranger.start_node_with(0, &[seeds, name].concat()).expect("it starts");
    let refused = wait_until(PATIENCE, || {
        let (_, status) = clients[0].call("GET", "/v1/status", None)?;
        (status["rejected_frames"]["plain"].as_u64()? > 2).then_some(())
    });
    assert!(refused.is_some(), "{:?}", clients[0].call("GET", "/v1/status", None));
    let told = cluster.log(0).matches("the keyring does not open").count();
    assert_eq!(told, 1, "once a minute, {}", cluster.log(0));
    wait_until(PATIENCE, || all_alive(&clients)).unwrap_or_else(|| panic!("{}", cluster.logs()));
    stranger.kill(0);

    // Step by step, and at each step all hear all.
    let old = ids(&clients[0])[0].clone();
    for client in &clients {
        let (status, _) = post(client, "install", &json!({ "key": NEW }));
        assert_eq!(status, 200);
    }
    let new = ids(&clients[0])[1].clone();
    for (step, id) in [("use", &new), ("remove", &old)] {
        for client in &clients {
            let (status, said) = post(client, step, &json!({ "id": id }));
            assert_eq!((status, &said["kept"]), (200, &json!(true)), "{said}");
        }
    }
    assert!(clients.iter().all(|client| ids(client) == [new.clone()]));
    assert!(clients[leader].put("k", "v").ok().is_some(), "{}", cluster.logs());
    assert!(deaths(&clients) < 1.0, "{}", cluster.logs());

    // What was changed outlives the process.
    let node = (leader + 1) % 3;
    cluster.kill(node);
    cluster.start_node_with(node, &flags(node)).expect("it starts");
    wait_until(PATIENCE, || all_alive(&clients)).unwrap_or_else(|| panic!("{}", cluster.logs()));
    assert_eq!(ids(&clients[node]), std::slice::from_ref(&new));

    // What is asked wrongly changes nothing, and says why.
    let client = &clients[0];
    for (what, body, status, code) in [
        ("use", json!({ "id": old }), 404, "key_not_found"),
        ("remove", json!({ "id": new }), 412, "guard_refused"),
        ("install", json!({ "key": NEW }), 409, "conflict"),
        ("install", json!({ "key": "not a key" }), 400, "bad_request"),
        ("install", json!({ "kye": OLD }), 400, "bad_request"),
        ("use", json!({ "key": OLD }), 400, "unknown_field"),
    ] {
        let (got, problem) = post(client, what, &body);
        assert_eq!((got, problem["code"].as_str()), (status, Some(code)), "{problem}");
        assert_eq!(problem["outcome"], "failed");
        assert!(!problem.to_string().contains(OLD) && !problem.to_string().contains(NEW));
    }
    // And nothing shows a key.
    let shown: String = ["/v1/keyring", "/v1/config", "/v1/status", "/v1/members", "/metrics"]
        .iter()
        .map(|path| client.call("GET", path, None).expect("the API answers").1.to_string())
        .collect();
    let said = cluster.logs() + &shown;
    assert!(!said.contains(OLD) && !said.contains(NEW), "a key is shown");
}

#[test]
fn a_public_port_and_a_wrong_keyring_are_refused_with_the_way_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |flags: &[&str], environment: &[(&str, &str)]| {
        let api = format!("127.0.0.1:{}", free_port());
        let data = folder.path().join("data").display().to_string();
        let common = ["--node-id", "a", "--api-bind", &api, "--data-dir", &data];
        let output = run_to_end(&[&common, flags].concat(), environment).expect("it gives up");
        assert_eq!(output.status.code(), Some(64), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let file = folder.path().join("keys");
    write_key(&file, OLD);
    let file = file.display().to_string();
    // With keys too: they seal gossip alone.
    for flags in
        [&["--bind", "0.0.0.0:7946"][..], &["--bind", "0.0.0.0:7946", "--keyring-file", &file]]
    {
        let said = refused(flags, &[]);
        let ways = ["keyring", "TLS", "--insecure-cluster", "CLUSTER_INSECURE=true"];
        assert!(ways.iter().all(|way| said.contains(way)), "{said}");
    }
    let said = refused(&["--bind", "127.0.0.1:0", "--keyring-file", "nowhere"], &[]);
    assert!(said.contains("nowhere"), "{said}");
    let short = &OLD[..60];
    let said = refused(&["--bind", "127.0.0.1:0"], &[("QUORATE__CLUSTER__KEYRING", short)]);
    assert!(said.contains("32 bytes") && !said.contains(short), "{said}");
    let open = folder.path().join("open").display().to_string();
    fs::write(&open, OLD).expect("a file");
    let said = refused(&["--bind", "127.0.0.1:0", "--keyring-file", &open], &[]);
    assert!(said.contains("chmod 600"), "{said}");
}
