//! The numbered invariants over random worlds.
//!
//! The cluster asserts all of them at every event; each test here runs the worlds that strain its
//! invariant most, and demands that the strain was real.

use std::ops::Range;
use std::time::Duration;

use quorate_core::{LogIndex, LogView as _, Rng};
use quorate_replication::Config;

use crate::cluster::{Cluster, Marks, World};
use crate::desk::{Desk, append, appended};

fn run(seeds: Range<u64>, world: impl Fn(u64) -> World) -> Marks {
    seeds.map(|seed| run_one(seed, world(seed))).fold(Marks::default(), Marks::plus)
}

fn run_one(seed: u64, world: World) -> Marks {
    eprintln!("seed {seed} in {world:?}");
    let mut cluster = Cluster::founded(seed, world);
    cluster.run(3_000);
    cluster.settle();
    cluster.marks
}

/// Two leaders on clocks of any two rates within the bound, and everything late by as much as it
/// likes: the first must be silent when the second commits.
#[test]
fn e2_no_lease_is_held_once_a_later_leader_has_committed() {
    let mut rng = Rng::seeded(2);
    let lease = Duration::from_millis(100);
    let config = Config { lease, drift_millionths: 106_000, ..Config::default() };
    for _ in 0..300 {
        let rates = [0; 2].map(|_| 950_000 + rng.below(100_001));
        let mut old = Desk::founded("a", &["a", "b", "c"], config.clone());
        old.lead(1, &["b"]);
        old.persisted(1, 2);
        old.receive("b", appended(1, 0, 2, 1));
        let until = old.replicator.lease_until().expect("it is committed");
        let lasts = until.since(old.now());
        let late = rng.below(50_000);
        let mut new = Desk::founded("b", &["a", "b", "c"], config.clone());
        new.receive("a", append(1, (0, 1), 1, &[1]));
        new.persisted(1, 2);
        new.lead(2, &["c"]);
        new.persisted(2, 3);
        new.receive("c", appended(2, 0, 3, 1));
        let began = new.now();
        while new.replicator.log().commit() < LogIndex(3) {
            new.after(1);
        }
        let waited = new.now().since(began);
        // In real time, from the append on: the last moment of the lease, and the commit.
        let lease_ends = lasts.as_micros() * 1_000_000 / u128::from(rates[0]);
        let commits = u128::from(late) + waited.as_micros() * 1_000_000 / u128::from(rates[1]);
        // The clock of the desk moves by whole milliseconds.
        assert!(commits + 1_100 >= lease_ends, "{rates:?}: {commits} {lease_ends}");
    }
}

#[test]
fn r1_logs_that_share_an_entry_share_all_before_it() {
    let marks = run(0..40, World::parted);
    assert!(marks.truncations > 100 && marks.installs > 20, "{marks:?}");
}

#[test]
fn r2_a_leader_holds_every_committed_entry() {
    let marks = run(100..140, World::restless);
    assert!(marks.leaders > 1_000, "{marks:?}");
}

#[test]
fn r3_no_two_nodes_commit_different_entries_at_one_index() {
    let marks = run(200..260, World::mixed);
    assert!(marks.leaders > 300 && marks.truncations > 100, "{marks:?}");
}

#[test]
fn r4_no_acknowledged_write_is_lost() {
    let marks = run(300..360, World::drawn);
    assert!(marks.acked > 10_000 && marks.crashes > 100, "{marks:?}");
}

#[test]
fn r5_the_commit_never_falls_and_nothing_below_it_goes() {
    let marks = run(400..440, |seed| World { crash: 200_000, ..World::mixed(seed) });
    assert!(marks.crashes > 500 && marks.truncations > 50, "{marks:?}");
}

#[test]
fn r6_each_entry_is_applied_once_and_in_order() {
    let marks = run(500..560, World::mixed);
    assert!(marks.installs > 20 && marks.compactions > 1_000, "{marks:?}");
}

#[test]
fn reads_see_every_write_acknowledged_before_them() {
    let marks = run(600..640, |seed| World { partition: 300_000, ..World::mixed(seed) });
    assert!(marks.reads > 1_000, "{marks:?}");
}

#[test]
fn equal_seeds_give_equal_runs() {
    for seed in 700..710 {
        assert_eq!(run_one(seed, World::mixed(seed)), run_one(seed, World::mixed(seed)));
    }
}

#[test]
fn a_calm_cluster_needs_few_messages_for_a_write() {
    let world = |seed| World { voters: 3, learners: 0, ..World::calm(seed) };
    let marks = run(800..805, world);
    // Per write at most: two appends, two answers, and the same again to tell of the commit.
    assert!(marks.acked > 500 && marks.messages <= marks.asked * 9, "{marks:?}");
}
