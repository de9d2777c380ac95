//! One test per invariant of the crate; the simulator checks the same over whole clusters.

use quorate::{Answer, Doubt, Effect, Failure, NodeInput, PeerMessage, Reply};
use quorate_core::{Instant, LogId, Term};
use quorate_election::Message;

use crate::desk::{Desk, id, set};

#[test]
fn f1_every_request_ends_by_its_deadline() {
    // Without a leader nothing was proposed: failed.
    let mut alone = Desk::new(&["a", "b", "c"]);
    let deadline = Instant::from_millis(700);
    alone.ask(1, deadline, set("k", "v"));
    alone.pass(Instant::from_millis(699), true);
    assert!(alone.answers(1).is_empty());
    alone.pass(deadline, true);
    assert_eq!(alone.answers(1), [&Answer::Failed(Failure::NoLeader)]);
    // With a leader whose disk hangs it is proposed and not committed: unknown.
    let mut leader = Desk::new(&["a"]);
    leader.sync();
    leader.pass(Instant::from_millis(2_000), true);
    let deadline = Instant::from_millis(2_500);
    leader.ask(2, deadline, set("k", "v"));
    leader.pass(deadline, false);
    assert_eq!(leader.answers(2), [&Answer::Unknown(Doubt::Deadline)]);
}

#[test]
fn f2_what_failed_has_no_effect_later() {
    let mut node = Desk::new(&["a", "b", "c"]);
    node.sync();
    let deadline = Instant::from_millis(100);
    node.ask(1, deadline, set("k", "v"));
    node.pass(deadline, true);
    assert_eq!(node.answers(1), [&Answer::Failed(Failure::NoLeader)]);
    // A leader appears: the failed write must not be sent to it.
    node.handle(NodeInput::PeerConnected(id("b")));
    let message = PeerMessage::Election(Message::Heartbeat { term: Term(1) });
    node.handle(NodeInput::Message { from: id("b"), message });
    node.sync();
    node.pass(Instant::from_millis(150), true);
    let forwarded = |effect: &Effect| {
        matches!(effect, Effect::Send { message: PeerMessage::Forward { .. }, .. })
    };
    assert!(!node.effects.iter().any(forwarded));
    // One that is asked now is sent on: the test would see it.
    node.ask(2, Instant::from_millis(9_000), set("k", "w"));
    assert!(node.effects.iter().any(forwarded));
}

#[test]
fn f3_a_vote_leaves_only_when_it_is_durable() {
    let mut node = Desk::new(&["a", "b", "c"]);
    node.sync();
    let before = node.sends();
    // The first configuration stands at index 1 on both.
    let message = Message::Vote { term: Term(1), tip: LogId::new(0, 1) };
    let message = PeerMessage::Election(message);
    node.handle(NodeInput::Message { from: id("b"), message });
    assert_eq!(node.sends(), before, "nothing leaves before the disk has it");
    node.sync();
    assert_eq!(node.sends(), before + 1);
}

#[test]
fn f4_an_entry_is_applied_once_however_often_the_disk_says_so() {
    let mut node = Desk::new(&["a"]);
    node.sync();
    node.pass(Instant::from_millis(2_000), true);
    node.ask(1, Instant::from_millis(9_000), set("k", "v"));
    node.pass(Instant::from_millis(2_001), true);
    for _ in 0..3 {
        node.sync();
    }
    node.pass(Instant::from_millis(3_000), true);
    let answers = node.answers(1);
    let [Answer::Written { reply: Reply::Set { version, .. }, .. }] = answers[..] else {
        panic!("one answer is due, not {answers:?}");
    };
    assert_eq!(*version, 1);
    assert_eq!(node.node.store().revision().0, 1);
}
