//! Membership of real processes over a bad network: nobody is buried alive, islands find each other
//! again, and a node that moved is found. One test binary, because its longest test, a minute in
//! which nothing may happen, leaves room for all others.

mod keyring;
mod network;
mod twins;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quorate_tests::{Client, Cluster, ClusterOptions, Weather, free_port, now, wait_until, watch};
use serde_json::Value;

/// Only a broken promise reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

const NODES: usize = 7;

/// Seven nodes behind a network, all of which see each other.
fn seven(seed: u64) -> Cluster {
    let options = ClusterOptions {
        nodes: NODES,
        flags: ["--max-voters", "7"].map(str::to_owned).to_vec(),
        network: Some(seed),
        ..ClusterOptions::default()
    };
    let cluster = Cluster::start(options).expect("processes start");
    cluster.wait_ready(PATIENCE).unwrap_or_else(|| panic!("{}", cluster.logs()));
    let all: Vec<usize> = (0..NODES).collect();
    wait_until(PATIENCE, || sees_all(&cluster, &all))
        .unwrap_or_else(|| panic!("{}", views(&cluster)));
    cluster
}

/// What a node's gossip thinks of each node, by its API.
fn view(client: &Client) -> Option<BTreeMap<String, Value>> {
    let (_, body) = client.call("GET", "/v1/members", None)?;
    let members = body["members"].as_array()?;
    let member = |member: &Value| Some((member["node_id"].as_str()?.to_owned(), member.clone()));
    members.iter().map(member).collect()
}

/// Whether each of `nodes` takes each of them for alive.
fn sees_all(cluster: &Cluster, nodes: &[usize]) -> Option<()> {
    each_sees_each(cluster, nodes, is_well)
}

fn each_sees_each(
    cluster: &Cluster,
    nodes: &[usize],
    is_well: impl Fn(&Value) -> bool,
) -> Option<()> {
    let all = nodes.iter().all(|node| {
        let view = view(&cluster.client(*node)).unwrap_or_default();
        let alive = |id: &str| view.get(id).is_some_and(&is_well);
        nodes.iter().all(|other| alive(cluster.id(*other)))
    });
    all.then_some(())
}

fn is_well(member: &Value) -> bool {
    member["gossip"]["state"] == "alive" && member["state"] != "UNREACHABLE"
}

/// What every node thinks of every other, for the report of a failed test.
fn views(cluster: &Cluster) -> String {
    let mut text = String::new();
    for node in cluster.running() {
        let view = view(&cluster.client(node)).unwrap_or_default();
        text.push_str(&format!("{}:", cluster.id(node)));
        for (id, member) in view {
            text.push_str(&format!(" {id}={}/{}", member["state"], member["gossip"]["state"]));
        }
        text.push('\n');
    }
    text
}

/// How many members were ever given up by somebody.
fn deaths(cluster: &Cluster) -> f64 {
    let count = |node| {
        let name = "quorate_membership_changes_total";
        cluster.client(node).metric(name, "state=\"dead\"").expect("it counts")
    };
    cluster.running().into_iter().map(count).sum()
}

#[test]
fn a_minute_of_loss_and_jitter_buries_nobody() {
    let cluster = seven(1);
    cluster.network().set_weather(Weather::bad(30, Duration::from_millis(200)));
    let (mut looks, mut suspects, mut dead) = (0_u64, 0_u64, BTreeSet::new());
    watch(Duration::from_secs(60), || {
        for node in 0..NODES {
            let seen = view(&cluster.client(node)).expect("the API answers");
            looks += 1;
            for (id, member) in seen {
                suspects += u64::from(member["gossip"]["state"] == "suspect");
                if member["gossip"]["state"] == "dead" || member["state"] == "UNREACHABLE" {
                    dead.insert(format!("{id} at {}", cluster.id(node)));
                }
            }
        }
    });
    let traffic = cluster.network().traffic();
    println!("{looks} looks, {suspects} suspicions seen, {traffic:?}");
    let lost = traffic.lost * 100 / (traffic.lost + traffic.carried);
    assert!((20..40).contains(&lost) && traffic.lost > 1_000, "the network was bad: {traffic:?}");
    assert!(dead.is_empty() && deaths(&cluster) < 1.0, "{dead:?}\n{}", views(&cluster));
}

#[test]
fn two_islands_are_one_cluster_again_within_seconds() {
    let cluster = seven(2);
    let ids: Vec<&str> = (0..NODES).map(|node| cluster.id(node)).collect();
    cluster.network().split(&[&ids[..3], &ids[3..]]);
    let apart = || {
        let parted = |node: usize| {
            let view = view(&cluster.client(node)).unwrap_or_default();
            let far = if node < 3 { 3..NODES } else { 0..3 };
            far.into_iter().all(|other| {
                let member = &view[ids[other]];
                member["gossip"]["state"] == "dead" && member["state"] == "UNREACHABLE"
            })
        };
        (0..NODES).all(parted).then_some(())
    };
    let cut = now();
    wait_until(PATIENCE, apart).unwrap_or_else(|| panic!("{}", views(&cluster)));
    println!("apart after {:?}", now() - cut);
    // The longer it lasts, the rarer they look for each other.
    watch(Duration::from_secs(20), || {});
    cluster.network().heal();
    let healed = now();
    let all: Vec<usize> = (0..NODES).collect();
    let gossip = |member: &Value| member["gossip"]["state"] == "alive";
    wait_until(PATIENCE, || each_sees_each(&cluster, &all, gossip))
        .unwrap_or_else(|| panic!("{}", views(&cluster)));
    let by_gossip = now() - healed;
    // A stream is there, too.
    wait_until(PATIENCE, || sees_all(&cluster, &all))
        .unwrap_or_else(|| panic!("{}", views(&cluster)));
    let took = now() - healed;
    println!("healed within {took:?}, gossip within {by_gossip:?}");
    assert!(took < HEALED_MAX, "{took:?}");
}

#[test]
fn a_killed_node_that_starts_at_another_port_is_found_there_at_once() {
    let mut cluster = seven(3);
    for (node, closes) in [(2, true), (4, false)] {
        cluster.kill(node);
        let old = cluster.move_node(node).expect("a port is free");
        if closes {
            // As of a machine that runs on.
            cluster.network().close(old.parse().expect("an address"));
        }
        cluster.start_node(node).expect("it starts");
        let started = now();
        let there = cluster.cluster_address(node).to_owned();
        let client = cluster.client(node);
        wait_until(PATIENCE, || client.probe("/livez").then_some(())).expect("it starts");
        let up = now();
        let found = |other: usize| {
            let view = view(&cluster.client(other)).unwrap_or_default();
            let member = &view[cluster.id(node)];
            let port = there.rsplit_once(':').map(|(_, port)| port.to_owned());
            is_well(member) && Some(member["port"].to_string()) == port
        };
        let all = || (0..NODES).filter(|other| *other != node).all(found).then_some(());
        wait_until(PATIENCE, all).unwrap_or_else(|| panic!("{}", views(&cluster)));
        let took = now() - up;
        println!("up after {:?}, found by all after {took:?}", up - started);
        assert!(took < FOUND_MAX, "{took:?}");
    }
}

/// As in networks that let no UDP through.
#[test]
fn where_no_datagram_arrives_streams_carry_the_gossip() {
    let options = ClusterOptions { network: Some(4), ..ClusterOptions::default() };
    let mut cluster = Cluster::prepare(options).expect("places");
    cluster.network().set_weather(Weather { loss_millionths: 1_000_000, ..Weather::default() });
    for node in 0..3 {
        cluster.start_node(node).expect("it starts");
    }
    cluster.wait_ready(PATIENCE).unwrap_or_else(|| panic!("{}", cluster.logs()));
    let all = wait_until(PATIENCE, || sees_all(&cluster, &[0, 1, 2]));
    all.unwrap_or_else(|| panic!("{}", views(&cluster)));
    assert_eq!(cluster.network().traffic().carried, 0);
    // It is watched, too.
    cluster.kill(2);
    let gone = |node: usize| {
        let view = view(&cluster.client(node)).unwrap_or_default();
        view.get(cluster.id(2)).is_some_and(|member| member["gossip"]["state"] == "dead")
    };
    let seen = wait_until(PATIENCE, || (gone(0) && gone(1)).then_some(()));
    seen.unwrap_or_else(|| panic!("{}", views(&cluster)));
    sees_all(&cluster, &[0, 1]).unwrap_or_else(|| panic!("{}", views(&cluster)));
}

#[test]
fn a_node_finds_its_way_back_when_all_seeds_are_gone() {
    let mut cluster = Cluster::start(ClusterOptions::default()).expect("processes start");
    let ready = |cluster: &Cluster| {
        cluster.wait_ready(PATIENCE).unwrap_or_else(|| panic!("{}", cluster.logs()));
        let all = || sees_all(cluster, &[0, 1, 2]);
        wait_until(PATIENCE, all).unwrap_or_else(|| panic!("{}", views(cluster)));
    };
    ready(&cluster);
    // Where the others are is now in no seed list, nor in the log.
    for node in [0, 1] {
        cluster.kill(node);
        cluster.move_node(node).expect("a port is free");
        cluster.start_node(node).expect("it starts");
        ready(&cluster);
    }
    let daemon = cluster.daemon(2).expect("it runs");
    daemon.signal("TERM").expect("it hears");
    assert!(daemon.ended(PATIENCE).is_some(), "{}", cluster.log(2));
    let nobody = format!("127.0.0.1:{}", free_port());
    cluster.start_node_with(2, &["--seeds".into(), nobody]).expect("it starts");
    ready(&cluster);
}

/// The promise.
const HEALED_MAX: Duration = Duration::from_secs(5);

/// Three pings over half a second, an announce, and some rounds of gossip.
const FOUND_MAX: Duration = Duration::from_secs(2);
