//! The small worlds of the shipped machines, in every state.
#![cfg(feature = "cluster")]

#[cfg(mutants)]
mod mutants;

use quorate_sim::cluster::{Bounds, Post, Scope, exhaust};

fn every_promise_holds(scope: Scope, bounds: Bounds) -> u64 {
    let report = exhaust(scope, bounds, |_| ());
    println!("{report}");
    assert!(report.found.complete, "{report}");
    report.found.counts.states
}

#[test]
fn two_terms_of_an_election_keep_every_promise() {
    every_promise_holds(Scope::Election, Bounds::small(Scope::Election));
}

#[test]
fn an_election_with_one_loss_and_one_message_twice_keeps_every_promise() {
    let post = Post::Counted { losses: 1, duplicates: 1 };
    every_promise_holds(
        Scope::Election,
        Bounds { post, terms: 1, ..Bounds::small(Scope::Election) },
    );
}

#[test]
fn an_election_with_its_safeguards_on_keeps_every_promise() {
    let small = Bounds::small(Scope::Election);
    every_promise_holds(
        Scope::Election,
        Bounds { terms: 1, crashes: 0, pre_vote: true, check_quorum: true, ..small },
    );
}
