//! Each seeded bug of the crate makes a scenario fail.

use std::panic::catch_unwind;

use quorate_core::{choose_mutant, mutant_reached};

use crate::scenarios;

#[test]
fn every_seeded_bug_is_caught_by_a_scenario() {
    let retried = scenarios::a_retry_gets_the_first_answer_though_others_wrote_in_between;
    let bugs: [(&str, fn()); 5] = [
        ("dedup-ignored", retried),
        (
            "dedup-not-in-image",
            scenarios::a_retry_is_known_as_one_by_a_replica_that_joined_by_an_image,
        ),
        ("revision-not-restored", scenarios::revisions_go_on_where_the_image_was_taken),
        (
            "session-expired-runs-again",
            scenarios::the_retry_of_an_expired_session_is_unknown_and_without_effect,
        ),
        ("cas-always-swaps", scenarios::a_swap_needs_what_was_expected),
    ];
    for (name, scenario) in bugs {
        choose_mutant(None);
        scenario();
        choose_mutant(Some(name));
        assert!(catch_unwind(scenario).is_err(), "{name} was not caught");
        assert!(mutant_reached() > 0, "{name} was not reached");
    }
    choose_mutant(None);
}
