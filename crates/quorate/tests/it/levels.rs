//! Writes that want every copy, and what became of those that did not get there.

use quorate::{
    Answer, ConsistencyLevel as Level, Doubt, Failure, LogId, NodeInput, PeerMessage, Request,
    WriteState,
};
use quorate_core::{Change, Instant, LogIndex, LogView as _, Term};
use quorate_election::Message as Vote;
use quorate_replication::{Config, Message as Log};

use crate::desk::{DISK, Desk, id, set, set_strong};
use crate::scenarios::leader_of_three;

const LATE: Instant = Instant::from_millis(60_000);

impl Desk {
    /// `peer` says that it holds the whole log.
    fn holds_all(&mut self, peer: &str) {
        let (term, matched) = (self.node.voter().term(), self.node.log().tip().index);
        let appended = Log::Appended { term, attempt: 1, matched, commit: LogIndex(1) };
        self.receive(peer, PeerMessage::Replication(appended));
        self.pass(self.now, true);
    }

    fn connect(&mut self, peer: &str) {
        self.handle(NodeInput::PeerConnected { peer: id(peer), disk: DISK });
    }

    /// The leader of three is asked for a strong write, number 1, and holds it.
    fn with_a_strong_write() -> (Self, LogId) {
        let mut node = leader_of_three(Config::default());
        node.connect("b");
        node.connect("c");
        node.holds_all("b");
        node.holds_all("c");
        node.ask(1, LATE, set_strong("k", "v"));
        node.pass(node.now, true);
        let at = node.node.log().tip();
        (node, at)
    }
}

#[test]
fn a_strong_write_is_confirmed_when_the_last_voter_has_it() {
    let (mut node, at) = Desk::with_a_strong_write();
    node.holds_all("b");
    assert_eq!(node.node.log().commit(), at.index, "it is committed");
    assert!(node.answers(1).is_empty(), "and that is not enough");
    // A write that wants less does not wait behind it.
    node.ask(2, LATE, set("k", "w"));
    node.pass(node.now, true);
    node.holds_all("b");
    assert!(matches!(node.answers(2)[..], [Answer::Written { reached: Level::Quorum, .. }]));
    assert!(node.answers(1).is_empty());
    node.holds_all("c");
    let [Answer::Written { at: there, reached: Level::Strong, acked, .. }] = node.answers(1)[..]
    else {
        panic!("{:?}", node.answers(1));
    };
    assert_eq!((*there, acked.len()), (at, 3));
}

#[test]
fn a_strong_write_that_cannot_reach_all_is_not_written() {
    let mut node = leader_of_three(Config::default());
    node.connect("b");
    node.holds_all("b");
    let tip = node.node.log().tip();
    node.ask(1, LATE, set_strong("k", "v"));
    let unavailable = Failure::Unavailable { level: Level::Strong, missing: vec![id("c")] };
    assert_eq!(node.answers(1), [&Answer::Failed(unavailable.clone())]);
    assert_eq!(node.node.log().tip(), tip);
    assert_eq!(unavailable.to_string(), "strong: c cannot be reached; nothing was written");
    // A stream on which nobody answers does not reach anybody either.
    node.connect("c");
    node.pass(node.now + std::time::Duration::from_millis(140), true);
    node.holds_all("b");
    node.pass(node.now + std::time::Duration::from_millis(60), true);
    node.ask(2, LATE, set_strong("k", "v"));
    assert_eq!(node.answers(2), [&Answer::Failed(unavailable)]);
    let eventual = match set("k", "v") {
        Request::Write { command, .. } => Request::Write { command, level: Level::Eventual },
        other => other,
    };
    node.ask(3, LATE, eventual);
    let not_offered = Failure::LevelNotOffered { level: Level::Eventual };
    assert_eq!(node.answers(3), [&Answer::Failed(not_offered)]);
}

#[test]
fn a_strong_write_that_is_late_says_how_far_it_got_and_can_be_waited_for() {
    let (mut node, at) = Desk::with_a_strong_write();
    let soon = node.now + std::time::Duration::from_millis(10);
    node.ask(2, soon, set_strong("k", "w"));
    node.pass(node.now, true);
    let second = node.node.log().tip();
    node.holds_all("b");
    node.pass(soon, true);
    let late = Doubt::Indeterminate {
        log_id: second,
        wanted: Level::Strong,
        reached: Some(Level::Quorum),
        acked: vec![id("a"), id("b")],
        missing: vec![id("c")],
    };
    assert_eq!(node.answers(2), [&Answer::Unknown(late)]);
    // What was given up does not hold up what is not.
    node.ask(3, LATE, Request::AwaitLevel { log_id: second, level: Level::Strong });
    node.ask(4, LATE, Request::AwaitLevel { log_id: second, level: Level::Quorum });
    node.ask(5, LATE, Request::WriteStatus { log_id: second });
    let quorum = |answers: &[&Answer]| {
        matches!(answers, [Answer::Status(status)]
        if status.reached == Some(Level::Quorum) && status.missing == [id("c")])
    };
    assert!(quorum(&node.answers(4)) && quorum(&node.answers(5)), "{:?}", node.answers(4));
    assert!(node.answers(3).is_empty() && node.answers(1).is_empty());
    node.holds_all("c");
    assert!(matches!(node.answers(1)[..], [Answer::Written { at: there, .. }] if *there == at));
    let strong = |answers: &[&Answer]| {
        matches!(answers, [Answer::Status(status)]
        if status.reached == Some(Level::Strong) && status.missing.is_empty())
    };
    assert!(strong(&node.answers(3)), "{:?}", node.answers(3));
    // Of another term at the same place nothing was written.
    let other = LogId { term: Term(0), ..second };
    node.ask(6, LATE, Request::AwaitLevel { log_id: other, level: Level::Quorum });
    let [Answer::Status(status)] = node.answers(6)[..] else { panic!("{:?}", node.answers(6)) };
    assert_eq!((status.state, status.reached), (WriteState::Overwritten, None));
}

#[test]
fn a_wait_for_a_write_goes_on_at_the_next_leader() {
    let (mut node, at) = Desk::with_a_strong_write();
    node.holds_all("b");
    let later = LogId { index: at.index.next(), ..at };
    node.ask(2, LATE, Request::AwaitLevel { log_id: later, level: Level::Quorum });
    let term = Term(node.node.voter().term().0 + 1);
    node.receive("b", PeerMessage::Election(Vote::Heartbeat { term }));
    node.sync();
    let deposed = Answer::Unknown(Doubt::Deposed { at: Some(at) });
    assert_eq!(node.answers(1), [&deposed]);
    assert!(node.answers(2).is_empty());
    let passed_on = node.effects.iter().any(|effect| {
        matches!(effect, quorate::Effect::Send { to, message, .. } if *to == id("b")
            && matches!(message, PeerMessage::Forward { request: Request::AwaitLevel { .. }, .. }))
    });
    assert!(passed_on, "b is asked now");
}

#[test]
fn nobody_waits_for_a_voter_whose_removal_is_committed() {
    let (mut node, _) = Desk::with_a_strong_write();
    node.holds_all("b");
    let change = Change::Remove { id: id("c"), may_return: true };
    node.ask(2, LATE, Request::Change(change));
    node.pass(node.now, true);
    node.holds_all("b");
    assert!(!node.node.log().configuration().is_joint());
    assert!(node.answers(1).is_empty(), "the new members are not committed");
    node.holds_all("b");
    assert!(matches!(node.answers(2)[..], [Answer::Changed { .. }]), "{:?}", node.answers(2));
    assert!(matches!(node.answers(1)[..], [Answer::Written { reached: Level::Strong, .. }]));
}
