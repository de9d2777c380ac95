//! With `--cfg mutants`: every seeded bug is found by the properties of this folder.

use quorate_core::{choose_mutant, mutant_reached};

use crate::broadcasts::told_once;
use crate::invariants::{cut_off, leaving, of_two_names, stormy, without_seeds, wordy};
use crate::lossy::rumours;
use crate::newcomers::copied;

#[test]
fn every_seeded_bug_is_found() {
    type Property = fn(u64) -> Result<(), String>;
    let storm: Property = |seed| stormy(seed).map(|_| ());
    for (name, property) in [
        ("membership-resurrects", storm),
        ("refutation-forgotten", storm),
        ("suspect-dies-at-once", storm),
        ("death-believed-at-once", storm),
        ("packet-overfilled", wordy),
        ("views-not-compared", storm),
        ("deaf-node-accuses", cut_off),
        ("foreign-name-accepted", of_two_names),
        ("lost-peers-forgotten", without_seeds),
        ("leave-becomes-dead", leaving),
        ("lone-accusation", rumours),
        ("newcomer-not-vetted", copied),
        ("broadcast-told-twice", told_once),
    ] {
        choose_mutant(Some(name));
        let found = (0..300).find_map(|seed| property(seed).err());
        let reached = mutant_reached();
        choose_mutant(None);
        let line = found.as_ref().and_then(|what| what.lines().next());
        println!("{name}: {line:?}, reached {reached} times");
        assert!(found.is_some() && reached > 0, "{name} was not found, reached {reached} times");
    }
}
