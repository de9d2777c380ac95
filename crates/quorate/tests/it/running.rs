//! A node with sockets, a disk and a clock around it.

use std::time::Duration;

use quorate::{Config, Node, StopReason, Timing, WriteError};
use quorate_core::Clock as _;
use quorate_tokio::BootClock;

/// Only a broken promise reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_while_the_node_stops_is_answered_all_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    for round in 0..20 {
        let config = Config::builder()
            .node_id("a")
            .data_dir(folder.path())
            .bind("127.0.0.1:0".parse().expect("an address"))
            .enable_state()
            .build()
            .expect("a whole configuration");
        let node = Node::builder(config).start().await.expect("it starts");
        node.state().set("k", "v").await.expect("a cluster of one takes a write");
        let asking: Vec<_> = (0..64)
            .map(|_| {
                let state = node.state();
                tokio::spawn(async move {
                    // On and on, into the stop and beyond it.
                    loop {
                        match state.set("k", "v").await {
                            Ok(_) => tokio::task::yield_now().await,
                            Err(error) => return error,
                        }
                    }
                })
            })
            .collect();
        node.stop();
        for asked in asking {
            let error = tokio::time::timeout(PATIENCE, asked)
                .await
                .unwrap_or_else(|_| panic!("round {round}: a request was never answered"))
                .expect("no panic");
            assert!(matches!(error, WriteError::Failed(_) | WriteError::Unknown(_)), "{error}");
        }
        let stopped = tokio::time::timeout(PATIENCE, node.stopped()).await;
        assert_eq!(stopped.expect("it stops"), StopReason::Asked);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_is_shown_where_it_is_now() {
    let folder = tempfile::tempdir().expect("a folder");
    // Each life at an address of its own: the log names the first.
    for ip in ["127.0.0.1:0", "127.0.0.2:0"] {
        let config = Config::builder()
            .node_id("a")
            .data_dir(folder.path())
            .bind(ip.parse().expect("an address"))
            .enable_state()
            .build()
            .expect("a whole configuration");
        let node = Node::builder(config).start().await.expect("it starts");
        node.state().set("k", "v").await.expect("a cluster of one takes a write");
        let leader = node.cluster().leader_node().expect("it leads itself");
        assert_eq!(leader.address, node.address().to_string());
        node.stop();
        tokio::time::timeout(PATIENCE, node.stopped()).await.expect("it stops");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e2_a_node_that_starts_with_other_leases_waits_for_the_old_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let life = |lease| {
        Config::builder()
            .node_id("a")
            .data_dir(folder.path())
            .bind("127.0.0.1:0".parse().expect("an address"))
            .timing(Timing::Wan)
            .flag("election.lease", lease)
            .enable_state()
            .build()
            .expect("a whole configuration")
    };
    let lasted = Duration::from_millis(1_200);
    for (lease, at_least) in [("1200ms", Duration::ZERO), ("0s", lasted)] {
        let from = BootClock::new().now();
        let node = Node::builder(life(lease)).start().await.expect("it starts");
        assert!(
            BootClock::new().now().since(from) >= at_least,
            "it takes part while a lease may be held"
        );
        node.stop();
        node.stopped().await;
    }
}
