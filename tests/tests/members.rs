//! Members of a running cluster: who comes joins, who is gone is replaced.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use quorate_tests::{Client, Cluster, ClusterOptions, wait_until};
use serde_json::json;

/// Only a broken promise reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The kind of each member, as the node of `client` has it.
fn kinds(client: &Client) -> Option<BTreeMap<String, String>> {
    let (_, body) = client.call("GET", "/v1/members", None)?;
    let members = body["members"].as_array()?.iter().filter(|it| it["state"] != "JOINING");
    let kind = |member: &serde_json::Value| {
        Some((member["node_id"].as_str()?.to_owned(), member["kind"].as_str()?.to_owned()))
    };
    Some(members.filter_map(kind).collect())
}

fn wait_for(cluster: &Cluster, node: usize, wanted: &[(&str, &str)]) {
    let wanted: BTreeMap<String, String> =
        wanted.iter().map(|(id, kind)| ((*id).to_owned(), (*kind).to_owned())).collect();
    let client = cluster.client(node);
    let reached = wait_until(PATIENCE, || {
        let kinds = kinds(&client)?;
        wanted.iter().all(|(id, kind)| kinds.get(id) == Some(kind)).then_some(())
    });
    assert!(reached.is_some(), "{:?}, not {wanted:?}\n{}", kinds(&client), cluster.logs());
}

fn three(flags: &[&str]) -> (Cluster, usize) {
    let flags = flags.iter().map(ToString::to_string).collect();
    let cluster = Cluster::start(ClusterOptions { flags, ..ClusterOptions::default() });
    let cluster = cluster.expect("processes start");
    let leader = cluster.wait_ready(PATIENCE).unwrap_or_else(|| panic!("{}", cluster.logs()));
    (cluster, leader)
}

/// Writes to `key`, as soon as a leader is found again if the last one is gone.
fn put(cluster: &Cluster, client: &Client, key: &str) {
    let written = wait_until(PATIENCE, || client.put(key, "v").ok());
    assert!(written.is_some(), "{}", cluster.logs());
}

#[test]
fn later_nodes_become_voters_and_a_standby_takes_the_place_of_a_dead_one() {
    let (mut cluster, leader) = three(&["--stabilisation", "300ms", "--replace-after", "2s"]);
    cluster.client(leader).put("k", "kept").ok().expect("a leader takes a write");
    for _ in 0..2 {
        let node = cluster.add_node().expect("a port is free");
        cluster.start_node(node).expect("it starts");
    }
    let voters = ["n1", "n2", "n3", "n4", "n5"].map(|id| (id, "voter"));
    wait_for(&cluster, leader, &voters);
    wait_for(&cluster, 4, &voters);
    let item = cluster.client(4).get("k").ok().flatten().expect("it is there");
    assert_eq!(item.value, "kept");
    // Five voters are enough: the next one learns, and stands by.
    let standby = cluster.add_node().expect("a port is free");
    cluster.start_node(standby).expect("it starts");
    wait_for(&cluster, leader, &[("n6", "learner")]);
    let dead = (leader + 1) % 3;
    cluster.kill(dead);
    let leader = cluster.wait_ready(PATIENCE).unwrap_or_else(|| panic!("{}", cluster.logs()));
    wait_for(&cluster, leader, &[("n6", "voter")]);
    let client = cluster.client(leader);
    // Six while the change is under way.
    let five = wait_until(PATIENCE, || {
        let (_, info) = client.call("GET", "/v1/cluster", None)?;
        (info["quorum"]["voters"] == 5 && info["is_healthy"] == true).then_some(())
    });
    assert!(five.is_some(), "{}", cluster.logs());
    put(&cluster, &client, "k2");
    let item = cluster.client(standby).get("k2").ok().flatten().expect("it is there");
    assert_eq!(item.value, "v");
}

#[test]
fn an_operator_adds_promotes_and_removes_and_is_told_what_is_wrong() {
    let (mut cluster, leader) = three(&["--autopilot", "false"]);
    // A leader changes members once it has committed something.
    cluster.client(leader).put("k", "kept").ok().expect("a leader takes a write");
    let node = cluster.add_node().expect("a port is free");
    cluster.start_node(node).expect("it starts");
    let (address, port) = cluster.cluster_address(node).rsplit_once(':').expect("a port");
    let port: u16 = port.parse().expect("a number");
    let body =
        |kind: &str| json!({ "node_id": "n4", "address": address, "port": port, "kind": kind });
    // Any node takes the request.
    let client = cluster.client((leader + 1) % 3).within(Duration::from_secs(20));
    let call = |method: &str, target: &str, body: &serde_json::Value| {
        client.call(method, target, Some(body)).expect("an answer")
    };
    let (status, problem) = call("POST", "/v1/members", &body("voter"));
    assert_eq!((status, problem["code"].as_str()), (400, Some("bad_request")), "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|it| it.contains("learner")), "{problem}");
    let (status, problem) = call("POST", "/v1/members/n4/promote", &json!({}));
    assert_eq!((status, problem["code"].as_str()), (404, Some("key_not_found")), "{problem}");
    let added = wait_until(PATIENCE, || {
        let (status, answer) = call("POST", "/v1/members", &body("learner"));
        // Until it is connected its disk is not known.
        assert!(status == 200 || answer["guard"] == "connected", "{answer}");
        (status == 200).then_some(answer)
    });
    let added = added.unwrap_or_else(|| panic!("{}", cluster.logs()));
    assert_eq!(added["members"].as_array().map(Vec::len), Some(4), "{added}");
    let promoted = wait_until(PATIENCE, || {
        let (status, problem) = call("POST", "/v1/members/n4/promote", &json!({}));
        // Until it has the log this is refused, and says so.
        assert!(status == 200 || problem["guard"] == "caught_up", "{problem}");
        (status == 200).then_some(())
    });
    assert!(promoted.is_some(), "{}", cluster.logs());
    wait_for(&cluster, node, &[("n4", "voter")]);
    // A leader may be asked to remove itself.
    let gone = cluster.id(leader).to_owned();
    let (status, removed) = call("DELETE", &format!("/v1/members/{gone}"), &json!({}));
    assert_eq!(status, 200, "{removed}\n{}", cluster.logs());
    put(&cluster, &client, "k2");
    let kinds = kinds(&client).expect("an answer");
    assert_eq!(kinds.get("n4").map(String::as_str), Some("voter"));
    assert!(!kinds.contains_key(&gone), "{kinds:?}");
}

/// The disk from which a member has its say, as the node of `client` has it.
fn disk(client: &Client, id: &str) -> Option<String> {
    let (_, body) = client.call("GET", "/v1/members", None)?;
    let member = body["members"].as_array()?.iter().find(|member| member["node_id"] == id)?;
    Some(member["disk"].as_str()?.to_owned())
}

#[test]
fn who_lost_its_disk_returns_by_itself_and_votes_on_the_new_one() {
    let (mut cluster, leader) = three(&["--stabilisation", "300ms"]);
    let client = cluster.client(leader);
    client.put("k", "kept").ok().expect("a leader takes a write");
    let voters = ["n1", "n2", "n3"].map(|id| (id, "voter"));
    wait_for(&cluster, leader, &voters);
    let (wiped, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let id = cluster.id(wiped).to_owned();
    let before = disk(&client, &id).expect("a birth names the disks");
    cluster.kill(wiped);
    fs::remove_dir_all(cluster.data_folder(wiped)).expect("nobody uses it");
    cluster.start_node(wiped).expect("it starts");
    let moved = wait_until(PATIENCE, || disk(&client, &id).filter(|disk| *disk != before));
    assert!(moved.is_some(), "{}", cluster.logs());
    wait_for(&cluster, leader, &voters);
    wait_for(&cluster, wiped, &voters);
    // It is shown as voter from the joint configuration on, in which the old voters decide as well:
    // the change must be complete, and committed, before one of those may go.
    let complete = wait_until(PATIENCE, || {
        let promote = format!("/v1/members/{id}/promote");
        let (_, problem) = client.call("POST", &promote, Some(&json!({})))?;
        problem["detail"].as_str()?.contains("only a learner").then_some(())
    });
    assert!(complete.is_some(), "{}", cluster.logs());
    put(&cluster, &client, "k1");
    // Its vote is needed now, and it has all that was acknowledged.
    cluster.kill(other);
    let client = cluster.client(wiped);
    put(&cluster, &client, "k2");
    let item = client.get("k").ok().flatten().expect("it is there");
    assert_eq!(item.value, "kept");
}
