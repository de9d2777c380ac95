//! With `--cfg mutants`: which seeded bugs show somewhere in a small world, and how soon.

use quorate_core::{choose_mutant, mutant_reached};
use quorate_sim::cluster::{Bounds, Scope, exhaust};

/// The shortest way to the bug in the first of `worlds` that shows it.
fn hunt(name: &str, worlds: &[(Scope, Bounds)]) {
    let found = worlds.iter().find_map(|(scope, bounds)| {
        choose_mutant(Some(name));
        let report = exhaust(*scope, *bounds, |_| ());
        let reached = mutant_reached();
        choose_mutant(None);
        assert!(reached > 0, "{name} was never reached");
        println!("{name}: {report}");
        report.found.broken
    });
    assert!(found.is_some(), "{name} was not found");
}

#[test]
fn bugs_of_the_election_show() {
    let small = Bounds::small(Scope::Election);
    for name in [
        "vote-twice",
        "vote-not-durable",
        "term-not-persisted",
        "stale-term-accepted",
        "quorum-off-by-one",
        "seen-counted-as-granted",
        "send-before-durable",
        "term-spoken-early",
    ] {
        hunt(name, &[(Scope::Election, small)]);
    }
}
