//! With `--cfg mutants`: every seeded bug is found by the cluster of this folder.

use quorate_core::{choose_mutant, mutant_reached};

use crate::invariants::stormy;

#[test]
fn every_seeded_bug_is_found() {
    for name in [
        "vote-without-freshness",
        "vote-not-durable",
        "vote-twice",
        "seen-counted-as-granted",
        "no-check-quorum",
        "term-not-persisted",
        "stale-term-accepted",
    ] {
        choose_mutant(Some(name));
        let found = (0..2_000).find_map(|seed| stormy(seed).err());
        let reached = mutant_reached();
        choose_mutant(None);
        println!("{name}: {found:?}");
        assert!(found.is_some() && reached > 0, "{name} was not found, reached {reached} times");
    }
}
