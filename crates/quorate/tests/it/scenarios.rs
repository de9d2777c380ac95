//! Situations in which a node once went wrong.

use std::time::Duration;

use quorate::{Answer, Doubt, Effect, Failure, NodeInput, PeerMessage, Request};
use quorate_core::{DiskId, Instant, LogId, LogView as _, Term};
use quorate_election::{Message as Vote, Role};
use quorate_replication::{Config, Message as Log};

use crate::desk::{Desk, get, id, set};

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
pub(crate) fn leader_of_three(replication: Config) -> Desk {
    let mut node = Desk::with(&["a", "b", "c"], replication);
    node.sync();
    let mut end = 100;
    while node.node.voter().role() != Role::Leader {
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

/// The leader of three hands over to `b`, which has all of its log.
fn handing_over(node: &mut Desk) {
    node.handle(NodeInput::PeerConnected { peer: id("b"), disk: DiskId::NONE });
    let (term, matched) = (node.node.voter().term(), node.node.log().tip().index);
    let appended = Log::Appended { term, attempt: 1, matched, commit: matched };
    node.receive("b", PeerMessage::Replication(appended));
    let end = node.now;
    node.pass(end, true);
    assert_eq!(node.node.log().commit(), node.node.log().tip().index);
    node.ask(1, Instant::from_millis(60_000), Request::HandOver { to: None });
    node.pass(end, true);
    let told = |effect: &Effect| {
        let stand = PeerMessage::Election(Vote::StandNow { term, tip: node.node.log().tip() });
        matches!(effect, Effect::Send { to, message, .. } if *to == id("b") && *message == stand)
    };
    assert!(node.effects.iter().any(told), "b is told to stand");
}

#[test]
fn a_write_that_comes_during_a_hand_over_goes_to_the_heir() {
    let mut node = leader_of_three(Config::default());
    handing_over(&mut node);
    let (term, tip) = (node.node.voter().term().next(), node.node.log().tip());
    node.ask(2, Instant::from_millis(60_000), set("k", "v"));
    node.receive("b", PeerMessage::Election(Vote::VoteAtOnce { term, tip }));
    node.sync();
    assert_eq!(node.node.log().tip(), tip, "nothing was appended");
    node.receive("b", PeerMessage::Election(Vote::Heartbeat { term }));
    assert_eq!(node.answers(1), [&Answer::HandedOver { leader: id("b"), term }]);
    assert!(node.answers(2).is_empty(), "{:?}", node.answers(2));
    let passed_on = |effect: &Effect| matches!(effect, Effect::Send { to, message: PeerMessage::Forward { .. }, .. } if *to == id("b"));
    assert_eq!(node.effects.iter().filter(|effect| passed_on(effect)).count(), 1);
}

#[test]
fn a_write_that_comes_during_a_hand_over_that_fails_is_served_after_it() {
    let mut node = leader_of_three(Config::default());
    handing_over(&mut node);
    let tip = node.node.log().tip();
    node.ask(2, Instant::from_millis(60_000), set("k", "v"));
    let term = node.node.voter().term();
    for _ in 0..20 {
        // The heir hears, and does not stand.
        node.receive("b", PeerMessage::Election(Vote::HeartbeatReply { term }));
        let end = node.now + Duration::from_millis(20);
        node.pass(end, true);
    }
    // It was told to, and may do so yet.
    assert_eq!(node.answers(1), [&Answer::Unknown(Doubt::HeirTold)]);
    assert_eq!(node.node.voter().term(), term);
    assert_eq!(node.node.log().tip().index, tip.index.next());
}

#[test]
fn a_leader_that_is_told_to_stop_hands_over_first() {
    let mut node = leader_of_three(Config::default());
    handing_over(&mut node);
    let (term, tip) = (node.node.voter().term().next(), node.node.log().tip());
    node.handle(NodeInput::Stop);
    assert!(node.node.is_handing_over());
    node.receive("b", PeerMessage::Election(Vote::VoteAtOnce { term, tip }));
    node.sync();
    node.receive("b", PeerMessage::Election(Vote::Heartbeat { term }));
    assert!(!node.node.is_handing_over());
    assert_eq!(node.node.voter().leader(), Some(&id("b")));
}

#[test]
fn a_held_write_goes_to_an_heir_that_is_heard_first_by_its_heartbeat() {
    let mut node = leader_of_three(Config::default());
    handing_over(&mut node);
    node.ask(2, Instant::from_millis(60_000), set("k", "v"));
    let term = node.node.voter().term().next();
    // Its request for a vote was lost.
    node.receive("b", PeerMessage::Election(Vote::Heartbeat { term }));
    node.sync();
    let is_forward = |effect: &&Effect| matches!(effect, Effect::Send { to, message: PeerMessage::Forward { .. }, .. } if *to == id("b"));
    assert_eq!(node.effects.iter().filter(is_forward).count(), 1);
}

#[test]
fn writes_that_wait_for_the_end_of_a_hand_over_are_bounded_by_bytes() {
    let config = Config { uncommitted_bytes: 1_000, command_bytes: 1_000, ..Config::default() };
    let mut node = leader_of_three(config);
    handing_over(&mut node);
    for number in 2..100 {
        node.ask(
            number,
            Instant::from_millis(60_000),
            set("k", "a value of thirty bytes or so .."),
        );
    }
    let refused =
        (2..100).filter(|number| node.answers(*number) == [&Answer::Failed(Failure::Overloaded)]);
    assert!((60..98).contains(&refused.count()));
}

#[test]
fn a_node_that_stops_does_not_take_over() {
    let mut node = Desk::with(&["a", "b", "c"], Config::default());
    node.sync();
    node.handle(NodeInput::PeerConnected { peer: id("b"), disk: DiskId::NONE });
    let (term, tip) = (Term(1), LogId::new(0, 1));
    node.receive("b", PeerMessage::Election(Vote::Heartbeat { term }));
    node.sync();
    node.handle(NodeInput::Stop);
    node.receive("b", PeerMessage::Election(Vote::StandNow { term, tip }));
    node.sync();
    let (term, granted) = (Term(2), true);
    node.receive("b", PeerMessage::Election(Vote::VoteReply { term, granted, tip }));
    assert_ne!(node.node.voter().role(), Role::Leader);
}
