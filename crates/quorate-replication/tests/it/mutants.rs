//! Every seeded bug is found by the random worlds; built only with `--cfg mutants`.

use std::panic::catch_unwind;

use quorate_core::choose_mutant;

use crate::cluster::{Cluster, World};

const MUTANTS: [&str; 12] = [
    "append-ignores-prev",
    "apply-uncommitted",
    "commit-at-minority",
    "commit-older-term-by-counting",
    "follower-acks-before-persist",
    "leader-counts-undurable-self",
    "no-truncate-on-conflict",
    "read-before-own-commit",
    "read-without-probe",
    "snapshot-keeps-conflicting-tail",
    "stale-leader-append-accepted",
    "truncate-below-commit",
];

#[test]
fn every_seeded_bug_is_found() {
    let found = |name: &&str| {
        (0..2_000).any(|seed| {
            choose_mutant(Some(name));
            let run = catch_unwind(|| {
                let mut cluster = Cluster::founded(seed, World::mixed(seed));
                cluster.run(3_000);
                cluster.settle();
            });
            choose_mutant(None);
            run.is_err()
        })
    };
    let missed: Vec<&str> = MUTANTS.into_iter().filter(|name| !found(name)).collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}
