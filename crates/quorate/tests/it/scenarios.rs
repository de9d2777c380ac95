//! Situations in which a node once went wrong.

use quorate::{Answer, Failure, NodeInput, PeerMessage};
use quorate_core::{Instant, LogId, Term};
use quorate_election::Message as Vote;
use quorate_replication::Config;

use crate::desk::{Desk, get, set};

#[test]
fn a_write_beside_a_snapshot_is_acknowledged_when_both_are_durable() {
    let mut node = Desk::with(&["a"], Config { compact_log_entries: 3, ..Config::default() });
    node.sync();
    node.pass(Instant::from_millis(2_000), true);
    let deadline = Instant::from_millis(9_000);
    node.ask(1, deadline, set("k", "v"));
    node.pass(Instant::from_millis(2_001), false);
    let first = node.written;
    node.ask(2, deadline, set("k", "w"));
    node.pass(Instant::from_millis(2_002), false);
    let second = node.written;
    // The first write commits, and the log is compacted up to it.
    node.handle(NodeInput::Persisted(first));
    node.pass(Instant::from_millis(2_003), false);
    assert!(node.written > second, "a snapshot is on its way behind the second write");
    // One sync makes both durable.
    node.sync();
    node.pass(Instant::from_millis(2_004), false);
    assert!(matches!(node.answers(2)[..], [Answer::Written { .. }]), "{:?}", node.answers(2));
}

/// The node `a` leads `a`, `b` and `c`; its first entry is not committed yet.
fn leader_of_three(replication: Config) -> Desk {
    let mut node = Desk::with(&["a", "b", "c"], replication);
    node.sync();
    let mut end = 100;
    while node.node.voter().role() != quorate_election::Role::Leader {
        node.pass(Instant::from_millis(end), true);
        let term = node.node.voter().term();
        let (tip, granted) = (LogId::new(0, 1), true);
        let reply = Vote::PreVoteReply { term, asked: term, granted, tip };
        node.receive("b", PeerMessage::Election(reply));
        node.sync();
        let term = node.node.voter().term();
        let reply = Vote::VoteReply { term, granted, tip };
        node.receive("b", PeerMessage::Election(reply));
        end += 100;
        assert!(end < 10_000 && node.node.voter().term() <= Term(1), "it is elected at once");
    }
    node
}

#[test]
fn a_leader_with_too_many_reads_says_so_at_once() {
    let mut node = leader_of_three(Config { waiting_reads: 2, ..Config::default() });
    let deadline = Instant::from_millis(60_000);
    for number in 1..=3 {
        node.ask(number, deadline, get("k"));
    }
    assert_eq!(node.answers(3), [&Answer::Failed(Failure::Overloaded)]);
    assert!(node.answers(1).is_empty());
}
