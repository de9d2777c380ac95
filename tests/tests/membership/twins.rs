//! Two processes of one name: a copied data folder, and a node that was restored elsewhere.

use std::fs;
use std::path::Path;
use std::time::Duration;

use quorate_tests::{Client, Cluster, ClusterOptions, now, wait_until};
use serde_json::Value;

use crate::PATIENCE;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a file has a name");
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).expect("it is copied");
        }
    }
}

/// What the member `id` is to a node.
fn member(client: &Client, id: &str) -> Option<Value> {
    let (_, body) = client.call("GET", "/v1/members", None)?;
    body["members"].as_array()?.iter().find(|member| member["node_id"] == id).cloned()
}

fn boot(client: &Client) -> Option<u64> {
    client.call("GET", "/v1/status", None)?.1["boot_epoch"].as_u64()
}

/// Whether every node of `among` takes `id` for alive at `address`, in its life `boot`.
fn is_there(among: &[Client], id: &str, address: &str, boot: u64) -> Option<()> {
    let port = address.rsplit_once(':').map(|(_, port)| port.to_owned());
    let good = |client: &Client| {
        let member = member(client, id).unwrap_or_default();
        let (state, gossip) = (&member["state"], &member["gossip"]);
        (*state == "ACTIVE" || *state == "LEADER")
            && gossip["state"] == "alive"
            && gossip["boot_epoch"] == boot
            && Some(member["port"].to_string()) == port
    };
    among.iter().all(good).then_some(())
}

#[test]
fn a_copied_folder_is_refused_while_its_original_runs_and_takes_its_place_when_it_is_gone() {
    let mut cluster = Cluster::start(ClusterOptions::default()).expect("processes start");
    let leader = cluster.wait_ready(PATIENCE).unwrap_or_else(|| panic!("{}", cluster.logs()));
    let node = (leader + 1) % 3;
    let id = cluster.id(node).to_owned();
    let original = cluster.client(node);
    let others: Vec<Client> =
        (0..3).filter(|other| *other != node).map(|other| cluster.client(other)).collect();
    let first = boot(&original).expect("it says so");
    let here = cluster.cluster_address(node).to_owned();
    let seen = wait_until(PATIENCE, || is_there(&others, &id, &here, first));
    assert!(seen.is_some(), "{}", cluster.logs());

    let mut twin = Cluster::prepare(ClusterOptions::default()).expect("places");
    copy(cluster.data_folder(node), twin.data_folder(node));
    let seeds = [0, 1, 2].map(|node| cluster.cluster_address(node)).join(",");
    let flags = ["--seeds".to_owned(), seeds];
    for _ in 0..2 {
        twin.start_node_with(node, &flags).expect("it starts");
        let status = twin.daemon(node).expect("it was started").ended(PATIENCE);
        let status = status.unwrap_or_else(|| panic!("it runs on\n{}", twin.log(node)));
        assert_eq!(status.code(), Some(67), "{}", twin.log(node));
        // The original has not noticed more than a line in its log.
        assert!(cluster.daemon(node).expect("it runs").is_running(), "{}", cluster.log(node));
        assert!(original.probe("/readyz"), "{}", cluster.log(node));
        assert!(original.put("k", "v").ok().is_some(), "{}", cluster.log(node));
        let seen = wait_until(PATIENCE, || is_there(&others, &id, &here, first));
        assert!(seen.is_some(), "{}", cluster.logs());
    }

    // Now it is what a backup is for.
    cluster.kill(node);
    twin.start_node_with(node, &flags).expect("it starts");
    let copied = twin.client(node);
    let second = wait_until(PATIENCE, || boot(&copied)).expect("it starts");
    let up = now();
    assert!(second > first + 1, "it was started more often");
    let there = twin.cluster_address(node).to_owned();
    let seen = wait_until(PATIENCE, || is_there(&others, &id, &there, second));
    assert!(seen.is_some(), "{}\n{}", cluster.logs(), twin.log(node));
    let took = now() - up;
    println!("accepted {took:?} after its start");
    assert!(took < ACCEPTED_MAX, "{took:?}");
    assert!(wait_until(PATIENCE, || copied.put("k", "w").ok()).is_some(), "{}", twin.log(node));

    // And the original is the one too many.
    cluster.start_node(node).expect("it starts");
    let status = cluster.daemon(node).expect("it was started").ended(PATIENCE);
    let status = status.unwrap_or_else(|| panic!("it runs on\n{}", cluster.log(node)));
    assert_eq!(status.code(), Some(67), "{}", cluster.log(node));
    assert!(copied.probe("/readyz"), "{}", twin.log(node));
}

/// It was refused by a host that runs: an announce, an answer, a round or two of gossip.
const ACCEPTED_MAX: Duration = Duration::from_secs(2);
