//! Writes that want every copy, and what became of those that did not get there.

use std::time::Duration;

use quorate::{
    Answer, Command, ConsistencyLevel as Level, Doubt, Effect, Failure, LogId, NodeInput, Op,
    PeerMessage, Reply, Request, SessionId, WriteState,
};
use quorate_core::{Change, Configuration, DiskId, Instant, LogIndex, LogView as _, Term};
use quorate_dist_state::Tag;
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
    node.pass(node.now + Duration::from_millis(140), true);
    node.holds_all("b");
    node.pass(node.now + Duration::from_millis(60), true);
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
    let soon = node.now + Duration::from_millis(10);
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
        matches!(effect, Effect::Send { to, message, .. } if *to == id("b")
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

#[test]
fn x8_who_answers_from_another_disk_holds_nothing() {
    let mut configuration = Configuration::of_voters(["a", "b", "c"].map(id));
    for member in configuration.members.values_mut() {
        member.disk = DISK;
    }
    let mut node = Desk::founding(configuration);
    elect(&mut node, "b");
    node.connect("b");
    node.connect("c");
    node.holds_all("b");
    node.holds_all("c");
    node.ask(1, LATE, set_strong("k", "v"));
    node.pass(node.now, true);
    node.holds_all("c");
    let at = node.node.log().tip();
    // It loses its disk, and is back on an empty one.
    node.handle(NodeInput::PeerLost { peer: id("c"), refused: false });
    node.handle(NodeInput::PeerConnected { peer: id("c"), disk: DiskId(0xe) });
    node.holds_all("b");
    assert!(node.answers(1).is_empty(), "{:?}", node.answers(1));
    node.ask(2, LATE, Request::WriteStatus { log_id: at });
    let [Answer::Status(status)] = node.answers(2)[..] else { panic!("{:?}", node.answers(2)) };
    assert_eq!((status.reached, status.acked.len()), (Some(Level::Quorum), 2));
    assert_eq!(status.missing, [id("c")]);
}

/// `node` is elected by the word of `voter`.
fn elect(node: &mut Desk, voter: &str) {
    node.sync();
    let (tip, granted) = (LogId::new(0, 1), true);
    while node.node.voter().role() != quorate_election::Role::Leader {
        node.pass(node.now + Duration::from_millis(100), true);
        let term = node.node.voter().term();
        let reply = Vote::PreVoteReply { term, asked: term, granted, tip };
        node.receive(voter, PeerMessage::Election(reply));
        node.sync();
        let term = node.node.voter().term();
        node.receive(voter, PeerMessage::Election(Vote::VoteReply { term, granted, tip }));
        node.sync();
        assert!(term <= Term(9), "it is elected at once");
    }
}

#[test]
fn what_the_old_leader_sends_back_is_served_by_the_new_one_that_asked() {
    let wait = Request::AwaitLevel { log_id: LogId::new(0, 1), level: Level::Quorum };
    for request in [set("k", "v"), wait] {
        let mut node = Desk::with(&["a", "b", "c"], Config::default());
        node.sync();
        node.connect("b");
        node.connect("c");
        node.receive("b", PeerMessage::Election(Vote::Heartbeat { term: Term(1) }));
        node.sync();
        node.ask(1, LATE, request);
        let sent = node.effects.iter().find_map(|effect| match effect {
            Effect::Send { message: PeerMessage::Forward { id, .. }, .. } => Some(*id),
            _ => None,
        });
        elect(&mut node, "c");
        // It held it during the hand-over, and lets it go.
        let (id, answer) = (sent.expect("it was passed on"), Answer::Failed(Failure::NotLeading));
        node.receive("b", PeerMessage::Answer { id, answer });
        for attempt in [0, 1] {
            node.pass(node.now, true);
            let (term, matched) = (node.node.voter().term(), node.node.log().tip().index);
            let appended = Log::Appended { term, attempt, matched, commit: LogIndex(1) };
            node.receive("c", PeerMessage::Replication(appended));
        }
        node.pass(node.now, true);
        assert!(
            matches!(node.answers(1)[..], [Answer::Written { .. } | Answer::Status(_)]),
            "{:?}",
            node.answers(1)
        );
    }
}

#[test]
fn waits_for_copies_leave_room_for_writes_that_want_less() {
    let (mut node, at) = Desk::with_a_strong_write();
    node.holds_all("b");
    let wait = || Request::AwaitLevel { log_id: at, level: Level::Strong };
    for number in 0..2_000 {
        node.ask(100 + number, LATE, wait());
    }
    assert_eq!(node.answers(2_099), [&Answer::Failed(Failure::Overloaded)]);
    node.ask(2, LATE, set("k", "w"));
    node.pass(node.now, true);
    node.holds_all("b");
    assert!(matches!(node.answers(2)[..], [Answer::Written { reached: Level::Quorum, .. }]));
    // Those of a node that is gone are let go, however often it comes back.
    let before = node.node.status().open;
    for id_of_wait in 0..50 {
        let forward = PeerMessage::Forward { id: id_of_wait, wait_ms: 50_000, request: wait() };
        node.receive("b", forward);
        node.handle(NodeInput::PeerLost { peer: id("b"), refused: false });
        node.connect("b");
    }
    assert!(node.node.status().open <= before);
    // At a node that passes them on, too.
    let mut node = Desk::with(&["a", "b", "c"], Config::default());
    node.sync();
    node.connect("b");
    node.receive("b", PeerMessage::Election(Vote::Heartbeat { term: Term(1) }));
    node.sync();
    for number in 0..4_096 {
        node.ask(100 + number, LATE, set_strong("k", "v"));
    }
    assert_eq!(node.answers(4_195), [&Answer::Failed(Failure::Overloaded)]);
    node.ask(2, LATE, set("k", "w"));
    assert!(node.answers(2).is_empty(), "it is on its way");
}

/// A write of `session`, number 1.
const fn numbered(session: SessionId) -> Request {
    let tag = Some(Tag { session, seq: 1, acked: 0 });
    let op = Op::Delete { key: bytes::Bytes::from_static(b"k") };
    Request::Write { command: Command { tag, op }, level: Level::Strong }
}

#[test]
fn strong_writes_that_are_refused_leave_nothing_behind() {
    let (mut node, _) = Desk::with_a_strong_write();
    node.holds_all("b");
    for number in 0..4_200 {
        node.ask(100 + number, LATE, numbered(SessionId(999)));
        node.pass(node.now, true);
        node.holds_all("b");
    }
    // Not `Overloaded`.
    assert!(matches!(node.answers(4_299)[..], [Answer::Unknown(Doubt::Session(_))]));
}

#[test]
fn a_session_lives_on_while_a_voter_is_down_and_a_retry_is_not_called_unwritten() {
    let (mut node, _) = Desk::with_a_strong_write();
    node.holds_all("b");
    node.holds_all("c");
    node.handle(NodeInput::PeerLost { peer: id("c"), refused: false });
    let open = Command { tag: None, op: Op::OpenSession { ttl_ms: 600_000 } };
    node.ask(10, LATE, Request::Write { command: open, level: Level::Strong });
    node.pass(node.now, true);
    node.holds_all("b");
    let [Answer::Written { reply: Reply::Session { session, .. }, .. }] = node.answers(10)[..]
    else {
        panic!("{:?}", node.answers(10));
    };
    let session = *session;
    node.connect("c");
    node.holds_all("c");
    node.ask(11, node.now + Duration::from_millis(10), numbered(session));
    node.pass(node.now, true);
    node.holds_all("b");
    node.pass(node.now + Duration::from_millis(10), true);
    let late = node.answers(11);
    assert!(matches!(late[..], [Answer::Unknown(Doubt::Indeterminate { .. })]), "{late:?}");
    node.handle(NodeInput::PeerLost { peer: id("c"), refused: false });
    node.ask(12, LATE, numbered(session));
    assert!(node.answers(12).is_empty(), "{:?}", node.answers(12));
}
