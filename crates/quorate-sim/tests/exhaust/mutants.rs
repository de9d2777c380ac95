//! With `--cfg mutants`: which seeded bugs show somewhere in a small world, and how soon.

use quorate_core::{choose_mutant, mutant_reached};
use quorate_sim::cluster::{Bounds, Scope, exhaust};

/// The bug shows, and the shortest way to it breaks `invariant` after so many actions.
fn shows(name: &str, (scope, bounds): (Scope, Bounds), invariant: &str, actions: usize) {
    choose_mutant(Some(name));
    let report = exhaust(scope, bounds, |_| ());
    let reached = mutant_reached();
    choose_mutant(None);
    println!("{name}: {report}");
    let broken = report.found.broken.expect("the bug shows");
    assert!(reached > 0, "{name} was not reached");
    assert_eq!(
        (&*broken.violation.invariant, broken.actions.len()),
        (invariant, actions),
        "{name}"
    );
}

#[test]
fn bugs_of_the_election_show() {
    for (name, invariant, actions) in [
        ("vote-twice", "E3", 5),
        ("vote-not-durable", "E6", 4),
        ("term-not-persisted", "E5", 7),
        ("stale-term-accepted", "E6", 7),
        ("quorum-off-by-one", "E6", 2),
        ("seen-counted-as-granted", "E6", 6),
        ("send-before-durable", "E5", 1),
        ("term-spoken-early", "E5", 7),
    ] {
        let small = (Scope::Election, Bounds::small(Scope::Election));
        shows(name, small, invariant, actions);
    }
}

#[test]
fn bugs_of_the_replication_show() {
    for (name, invariant, actions) in [
        ("vote-twice", "E1", 2),
        ("vote-without-freshness", "R2", 5),
        ("quorum-off-by-one", "E1", 2),
        ("commit-at-minority", "R4", 2),
        ("leader-counts-undurable-self", "R4", 4),
        ("follower-acks-before-persist", "E5", 3),
        ("stale-leader-append-accepted", "R4", 6),
        ("truncate-below-commit", "R4", 10),
        ("no-truncate-on-conflict", "R4", 5),
        ("mark-ahead-of-commit", "R5", 6),
    ] {
        let small = (Scope::Replication, Bounds::small(Scope::Replication));
        shows(name, small, invariant, actions);
    }
}

#[test]
fn a_follower_that_ignores_what_comes_before_shows_once_there_is_a_command() {
    let small = Bounds::small(Scope::Replication);
    let bounds = Bounds { proposals: 1, attempts: 0, ..small };
    shows("append-ignores-prev", (Scope::Replication, bounds), "R1", 4);
}

/// Ongaro and Ousterhout 2014, figure 8, with three nodes: an entry of an earlier term is on a
/// majority, is taken for committed, and is replaced by a leader who never had it.
#[test]
fn a_leader_that_counts_entries_of_earlier_terms_shows_in_four_terms() {
    let small = Bounds::small(Scope::Replication);
    let bounds = Bounds { terms: 4, crashes: 0, ..small };
    shows("commit-older-term-by-counting", (Scope::Replication, bounds), "R2", 10);
}
