//! One test per invariant of the crate; the simulator checks the same over whole clusters.

use quorate::{
    Answer, AutopilotConfig, Change, Doubt, Effect, Failure, NodeInput, PeerMessage, Reply, Request,
};
use quorate_core::{
    ChangeRefused, ClusterId, Configuration, DiskId, Instant, Kind, LogId, LogIndex, LogView as _,
    Member, Proposal, Recovered, Term,
};
use quorate_election::{Message, Role};
use quorate_replication::Message as Log;

use crate::desk::{DISK, Desk, id, set};

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
    let [Answer::Unknown(Doubt::Indeterminate { reached: None, acked, .. })] =
        leader.answers(2)[..]
    else {
        panic!("nobody knows: {:?}", leader.answers(2));
    };
    assert!(acked.is_empty(), "its own disk has not answered: {acked:?}");
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
    node.handle(NodeInput::PeerConnected { peer: id("b"), disk: DISK });
    let message = PeerMessage::Election(Message::Heartbeat { term: Term(1) });
    node.handle(NodeInput::Message { from: id("b"), disk: DISK, message });
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
    node.handle(NodeInput::Message { from: id("b"), disk: DISK, message });
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

/// The disk of a node that lost the one it had.
const ANOTHER: DiskId = DiskId(0xe);

/// Three voters, each of which is on [`DISK`].
fn three_on_their_disks() -> Configuration {
    let mut configuration = Configuration::of_voters(["a", "b", "c"].map(id));
    configuration.members.values_mut().for_each(|member| member.disk = DISK);
    configuration
}

impl Desk {
    /// What `b` says when it votes for the term in which this node stands.
    fn b_votes(&mut self, disk: DiskId) {
        let term = self.node.voter().term();
        let tip = LogId::new(0, 1);
        for message in [
            Message::PreVoteReply { term, asked: term, granted: true, tip },
            Message::VoteReply { term, granted: true, tip },
        ] {
            let message = PeerMessage::Election(message);
            self.handle(NodeInput::Message { from: id("b"), disk, message });
        }
        self.sync();
    }

    fn stand(&mut self, disk: DiskId) {
        for _ in 0..20 {
            let next = self.now + std::time::Duration::from_millis(100);
            self.pass(next, true);
            self.b_votes(disk);
            // Without further signs of life a leader does not last.
            if self.node.voter().role() == Role::Leader {
                return;
            }
        }
    }
}

#[test]
fn s9_what_is_said_from_another_disk_counts_as_nobodys() {
    let mut node = Desk::founding(three_on_their_disks());
    node.sync();
    node.stand(ANOTHER);
    assert_ne!(node.node.voter().role(), Role::Leader, "b voted with a disk that has no vote");
    node.stand(DISK);
    assert_eq!(node.node.voter().role(), Role::Leader);
    // A copy on another disk is none either.
    let soon = node.now + std::time::Duration::from_millis(5);
    node.pass(soon, true);
    let (term, tip) = (node.node.voter().term(), node.node.log().tip());
    let appended = |attempt| {
        let (matched, commit) = (tip.index, LogIndex(1));
        PeerMessage::Replication(Log::Appended { term, attempt, matched, commit })
    };
    for disk in [ANOTHER, DISK] {
        for attempt in 0..4 {
            let message = appended(attempt);
            node.handle(NodeInput::Message { from: id("b"), disk, message });
        }
        let soon = node.now + std::time::Duration::from_millis(5);
        node.pass(soon, true);
        let counts = node.node.log().commit() == tip.index;
        assert_eq!(counts, disk == DISK, "{disk} counts");
    }
}

#[test]
fn s9_nobody_stands_from_another_disk() {
    let mut lost = three_on_their_disks();
    lost.members.get_mut(&id("a")).unwrap().disk = ANOTHER;
    let mut node = Desk::founding(lost);
    node.sync();
    node.stand(DISK);
    assert_eq!(node.node.voter().role(), Role::Follower);
    assert_eq!(node.node.voter().term(), Term::ZERO);
    assert!(node.node.status().another_disk.contains_key(&id("a")), "and says why");
}

/// A leader alone, which looks after its members; `d` is connected from the disk `2`.
fn alone_with_a_guest() -> Desk {
    let mut three = three_on_their_disks();
    three.members.retain(|member, _| *member == id("a"));
    let mut setup = Desk::setup_unborn(1, &[]);
    setup.founders = Some(Proposal { cluster: ClusterId(7), configuration: three });
    setup.autopilot = Some(AutopilotConfig::default());
    let mut node = Desk::start(setup, &Recovered::default());
    node.later();
    assert_eq!(node.node.voter().role(), Role::Leader);
    node.handle(NodeInput::PeerConnected { peer: id("d"), disk: DiskId(2) });
    node
}

impl Desk {
    /// Lets two seconds pass, the disk being quick.
    fn later(&mut self) {
        let end = self.now + std::time::Duration::from_secs(2);
        self.pass(end, true);
    }

    fn change(&mut self, number: u64, change: Change) {
        let deadline = self.now + std::time::Duration::from_secs(1);
        self.ask(number, deadline, Request::Change(change));
        self.later();
    }

    fn disk_of_d(&self) -> Option<DiskId> {
        self.node.log().configuration().disk(&id("d"))
    }
}

#[test]
fn s9_members_are_named_on_the_disk_that_they_are_on() {
    let mut node = alone_with_a_guest();
    let learner = |disk| Change::Add {
        id: id("d"),
        member: Member { kind: Kind::Learner, priority: 100, address: "d:1".to_owned(), disk },
    };
    node.change(1, learner(DiskId(3)));
    let refused = ChangeRefused::OtherDisk { id: id("d"), there: DiskId(2), asked: DiskId(3) };
    assert_eq!(node.answers(1), [&Answer::Failed(Failure::Change(refused))]);
    node.change(2, learner(DiskId::NONE));
    assert_eq!(node.disk_of_d(), Some(DiskId(2)));
    // A stream from another disk may be a dead one; a word from there is not.
    node.handle(NodeInput::PeerConnected { peer: id("d"), disk: DiskId(3) });
    node.later();
    assert_eq!(node.disk_of_d(), Some(DiskId(2)));
    let term = node.node.voter().term();
    let (attempt, matched, commit) = (0, LogIndex::ZERO, LogIndex::ZERO);
    let message = PeerMessage::Replication(Log::Appended { term, attempt, matched, commit });
    node.handle(NodeInput::Message { from: id("d"), disk: DiskId(3), message });
    node.later();
    assert_eq!(node.disk_of_d(), Some(DiskId(3)));
    // Nor does anybody get a disk that lets all others speak.
    node.handle(NodeInput::PeerConnected { peer: id("d"), disk: DiskId(4) });
    node.change(3, Change::Rejoin { id: id("d"), disk: DiskId::NONE });
    assert_eq!(node.disk_of_d(), Some(DiskId(4)));
}
