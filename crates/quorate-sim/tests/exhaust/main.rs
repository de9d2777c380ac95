//! The small worlds of the shipped machines, in every state.
#![cfg(feature = "cluster")]
#![allow(clippy::print_stdout, reason = "how many states there are is worth reading")]

#[cfg(mutants)]
mod mutants;

use quorate_sim::cluster::{Bounds, Post, Scope, exhaust};

/// In every state; and there are so many at least, or the world does nothing any more.
fn every_promise_holds(scope: Scope, bounds: Bounds, least: u64) {
    let report = exhaust(scope, bounds, |_| ());
    println!("{report}");
    assert!(report.found.complete, "{report}");
    assert!(report.found.counts.states >= least, "{report}");
}

#[test]
fn two_terms_of_an_election_keep_every_promise() {
    every_promise_holds(Scope::Election, Bounds::small(Scope::Election), 100_000);
}

#[test]
fn an_election_with_one_loss_and_one_message_twice_keeps_every_promise() {
    let post = Post::Counted { losses: 1, duplicates: 1 };
    let bounds = Bounds { post, terms: 1, ..Bounds::small(Scope::Election) };
    every_promise_holds(Scope::Election, bounds, 30_000);
}

#[test]
fn an_election_with_its_safeguards_keeps_every_promise() {
    let small = Bounds::small(Scope::Election);
    let bounds = Bounds { terms: 1, crashes: 0, pre_vote: true, check_quorum: true, ..small };
    every_promise_holds(Scope::Election, bounds, 90_000);
}

#[test]
fn two_terms_of_a_log_keep_every_promise() {
    every_promise_holds(Scope::Replication, Bounds::small(Scope::Replication), 400_000);
}

#[test]
fn three_terms_of_a_log_keep_every_promise() {
    let post = Post::Counted { losses: 0, duplicates: 0 };
    let small = Bounds::small(Scope::Replication);
    let bounds = Bounds { post, terms: 3, attempts: 0, crashes: 0, ..small };
    every_promise_holds(Scope::Replication, bounds, 400_000);
}

#[test]
fn a_command_in_one_term_keeps_every_promise_whenever_a_clock_leaps() {
    let small = Bounds::small(Scope::Replication);
    let bounds = Bounds { terms: 1, proposals: 1, leaps: 1, attempts: 0, ..small };
    every_promise_holds(Scope::Replication, bounds, 150_000);
}

#[test]
fn a_command_and_a_loss_in_two_terms_keep_every_promise() {
    let post = Post::Counted { losses: 1, duplicates: 0 };
    let small = Bounds::small(Scope::Replication);
    let bounds = Bounds { post, proposals: 1, attempts: 0, crashes: 0, ..small };
    every_promise_holds(Scope::Replication, bounds, 900_000);
}

#[test]
#[should_panic(expected = "too large to be small: 6 nodes")]
fn a_world_that_is_not_small_is_refused() {
    let _ = exhaust(Scope::Election, Bounds { nodes: 6, ..Bounds::small(Scope::Election) }, |_| ());
}
