//! Real processes on a disk that is full.

use std::time::Duration;

use quorate_tests::{
    Client, Cluster, ClusterOptions, Outcome, SmallDisk, free_port, run_to_end, skip, wait_until,
};

/// Only a broken promise reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Four segments of 256 KiB fit, and the fifth does not.
const SMALL: u32 = 1_200;

/// A small file system, or a loud word that there can be none here.
fn small_disk(test: &str) -> Option<SmallDisk> {
    SmallDisk::mount(SMALL)
        .inspect_err(|error| skip(test, &format!("a file system of its own is needed: {error}")))
        .ok()
}

/// A cluster whose first node keeps its journal on `disk`.
fn cluster_on(disk: &SmallDisk, nodes: usize) -> Cluster {
    let options = ClusterOptions { nodes, ..ClusterOptions::default() };
    let mut cluster = Cluster::prepare(options).expect("places");
    start_on(&mut cluster, disk);
    for node in 1..nodes {
        cluster.start_node(node).expect("it starts");
    }
    cluster
}

/// Starts the first node on `disk`.
fn start_on(cluster: &mut Cluster, disk: &SmallDisk) {
    let config = disk.path().join("q.toml");
    if !config.exists() {
        std::fs::write(&config, "[storage]\nsegment_bytes = 262144\n").expect("room for a file");
    }
    let flags = ["--data-dir", "n1", "--config", "q.toml"];
    let place = |flag: &str| match flag.strip_prefix("--") {
        Some(_) => flag.to_owned(),
        None => disk.path().join(flag).display().to_string(),
    };
    cluster.start_node_with(0, &flags.map(place)).expect("it starts");
}

/// Writes numbered values until one is not acknowledged; how many were, and what became of that one.
fn write_until_refused(client: &Client, from: usize) -> (usize, Outcome<u64>) {
    for n in from.. {
        match client.put(&key(n), &value(n)) {
            Outcome::Ok(_) => {}
            other => return (n, other),
        }
        assert!(n < 100_000, "the disk is never full");
    }
    unreachable!("the range has no end");
}

fn key(n: usize) -> String {
    format!("key {n}")
}

fn value(n: usize) -> String {
    format!("{n}").repeat(200)
}

/// All that was acknowledged is there, and what was refused for certain is not.
fn check(client: &Client, acknowledged: usize, refused: &Outcome<u64>) {
    for n in 0..acknowledged {
        let item = client.get(&key(n)).ok().flatten();
        assert_eq!(item.map(|item| item.value), Some(value(n)), "{}", key(n));
    }
    if matches!(refused, Outcome::Failed(..)) {
        assert_eq!(client.get(&key(acknowledged)).ok(), Some(None), "failed means: no effect");
    }
}

#[test]
fn a_full_disk_ends_the_node_and_loses_nothing_acknowledged() {
    let name = "a_full_disk_ends_the_node_and_loses_nothing_acknowledged";
    let Some(mut disk) = small_disk(name) else { return };
    let mut cluster = cluster_on(&disk, 1);
    cluster.wait_ready(PATIENCE).unwrap_or_else(|| panic!("{}", cluster.logs()));
    let client = cluster.client(0);
    let (acknowledged, refused) = write_until_refused(&client, 0);
    assert!(acknowledged > 100, "{acknowledged} writes, then {refused:?}");
    let status = cluster.daemon(0).expect("started").ended(PATIENCE).expect("it stops by itself");
    assert_eq!(status.code(), Some(70), "{}", cluster.logs());
    let said = "the disk is full: free space and start again; nothing acknowledged is lost";
    assert!(cluster.log(0).contains(said), "{}", cluster.logs());

    // Started again as it is, it either shows what it holds or says the same once more.
    start_on(&mut cluster, &disk);
    let stopped = wait_until(PATIENCE, || {
        let daemon = cluster.daemon(0)?;
        let status = daemon.ended(Duration::ZERO);
        (status.is_some() || client.probe("/readyz")).then_some(status)
    });
    match stopped.unwrap_or_else(|| panic!("neither\n{}", cluster.logs())) {
        Some(status) => assert_eq!(status.code(), Some(70), "{}", cluster.logs()),
        None => check(&client, acknowledged, &refused),
    }

    // With room it takes writes again.
    cluster.kill(0);
    disk.grow(8 * SMALL).expect("it grows");
    start_on(&mut cluster, &disk);
    cluster.wait_ready(PATIENCE).unwrap_or_else(|| panic!("{}", cluster.logs()));
    check(&client, acknowledged, &refused);
    for n in acknowledged..2 * acknowledged {
        client.put(&key(n), &value(n)).ok().unwrap_or_else(|| panic!("{}", cluster.logs()));
    }
    check(&client, 2 * acknowledged, &Outcome::Ok(0));
}

#[test]
fn the_others_go_on_while_one_disk_is_full_and_it_catches_up_later() {
    let name = "the_others_go_on_while_one_disk_is_full_and_it_catches_up_later";
    let Some(mut disk) = small_disk(name) else { return };
    let mut cluster = cluster_on(&disk, 3);
    cluster.wait_ready(PATIENCE).unwrap_or_else(|| panic!("{}", cluster.logs()));
    let others = [cluster.client(1), cluster.client(2)];
    let mut written = 0;
    while cluster.daemon(0).expect("started").is_running() {
        let client = &others[written % 2];
        // Where the full node led, a few calls end unknown; a retry writes the same value.
        if client.put(&key(written), &value(written)).ok().is_some() {
            written += 1;
        }
        assert!(written < 100_000, "the disk is never full");
    }
    for n in written..written + 100 {
        let done = wait_until(PATIENCE, || others[0].put(&key(n), &value(n)).ok());
        assert!(done.is_some(), "{}", cluster.logs());
    }
    cluster.kill(0);
    disk.grow(8 * SMALL).expect("it grows");
    start_on(&mut cluster, &disk);
    cluster.wait_ready(PATIENCE).unwrap_or_else(|| panic!("{}", cluster.logs()));
    check(&cluster.client(0), written + 100, &Outcome::Ok(0));
}

#[test]
fn a_disk_that_is_full_from_the_beginning_is_not_taken_for_damage() {
    let name = "a_disk_that_is_full_from_the_beginning_is_not_taken_for_damage";
    let Some(disk) = small_disk(name) else { return };
    disk.fill().expect("it can be filled");
    let said = refused_as_full(&disk);
    assert!(said.contains("the disk is full; free some space and start again"), "{said}");
    disk.fill_names().expect("it can be filled");
    std::fs::remove_dir_all(disk.path().join("n1")).expect("the folder of the first try");
    std::fs::write(disk.path().join("one more"), "").expect("the name of the folder is free");
    let said = refused_as_full(&disk);
    assert!(said.contains("No space left on device"), "{said}");
}

/// Starts a node on a disk that is full; what it said when it gave up.
fn refused_as_full(disk: &SmallDisk) -> String {
    let data = disk.path().join("n1").display().to_string();
    let (api, bind) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
    let flags = ["--data-dir", &data, "--bind", &bind, "--api-bind", &api];
    let output = run_to_end(&flags, &[]).expect("quorated gives up by itself");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(70), "{said}");
    said
}
