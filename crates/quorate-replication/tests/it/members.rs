//! Changing the members while the log goes on.

use quorate_core::{
    Change, ClusterTime, Configuration, DiskId, Entry, Instant, Kind, LogId, LogIndex,
    LogView as _, Member, NodeId, Payload, Recovered, Snapshot,
};
use quorate_replication::{Config, Input, ProposalId, Replicator};

use crate::desk::{Desk, append, appended, id};

const fn learner() -> Member {
    Member { kind: Kind::Learner, priority: 100, address: String::new(), disk: DiskId::NONE }
}

fn add(name: &str) -> Change {
    Change::Add { id: id(name), member: learner() }
}

fn promote(names: &[&str]) -> Change {
    Change::Promote { ids: names.iter().map(|name| id(name)).collect() }
}

fn remove(name: &str) -> Change {
    Change::Remove { id: id(name), may_return: false }
}

fn change(desk: &mut Desk, number: u64, change: Change) -> String {
    desk.tell(Input::Change { id: ProposalId(number), change })
}

fn voters(desk: &Desk) -> Vec<NodeId> {
    desk.replicator.log().configuration().voters().cloned().collect()
}

fn configuration(desk: &Desk) -> &Configuration {
    desk.replicator.log().configuration()
}

/// `a` leads `b` and `c`, and has committed the first entry of its term.
fn leading() -> Desk {
    let mut desk = Desk::founded("a", &["a", "b", "c"], Config::default());
    desk.lead(1, &["b"]);
    desk.persisted(1, 2);
    let said = desk.receive("b", appended(1, 0, 2, 1));
    assert!(said.contains("committed 2"), "{said}");
    desk
}

/// The same, and `d` is a learner that has everything.
fn with_learner() -> Desk {
    let mut desk = leading();
    let said = change(&mut desk, 1, add("d"));
    assert!(said.contains("proposed 1 at t1-i3") || said.contains("proposed 1 at 1-3"), "{said}");
    assert!(said.contains("-> d"), "a new member is served at once: {said}");
    desk.persisted(1, 3);
    desk.receive("b", appended(1, 0, 3, 2));
    desk.receive("d", appended(1, 0, 3, 2));
    desk
}

#[test]
fn s8_voters_change_through_both_halves() {
    let mut desk = with_learner();
    let said = change(&mut desk, 2, promote(&["d"]));
    assert!(!said.contains("proposed"), "not complete before it left the joint one: {said}");
    assert!(configuration(&desk).is_joint(), "it counts from its append");
    // Three of four would do for the new half; the old one wants two of its own.
    let said = desk.receive("d", appended(1, 0, 4, 3));
    assert!(!said.contains("committed"), "{said}");
    let said = desk.persisted(1, 4);
    assert!(!said.contains("committed"), "one of the old half: {said}");
    let said = desk.receive("c", appended(1, 0, 4, 3));
    assert!(said.contains("committed 4"), "{said}");
    assert!(said.contains("proposed 2 at"), "the leader leaves it by itself: {said}");
    assert!(!configuration(&desk).is_joint());
    assert_eq!(voters(&desk), ["a", "b", "c", "d"].map(id));
    desk.persisted(1, 5);
    desk.receive("b", appended(1, 0, 5, 4));
    let said = desk.receive("d", appended(1, 0, 5, 4));
    assert!(said.contains("committed 5"), "three of four: {said}");
}

#[test]
fn one_change_at_a_time_and_not_before_the_own_first_commit() {
    let mut desk = Desk::founded("a", &["a", "b", "c"], Config::default());
    assert!(change(&mut desk, 1, add("d")).contains("does not lead"));
    desk.lead(1, &["b"]);
    let said = change(&mut desk, 1, add("d"));
    assert!(said.contains("changing hands"), "{said}");
    let mut desk = leading();
    change(&mut desk, 1, add("d"));
    let said = change(&mut desk, 2, add("e"));
    assert!(said.contains("another change"), "{said}");
}

#[test]
fn members_wait_while_the_lead_is_handed_over() {
    let mut desk = with_learner();
    change(&mut desk, 2, promote(&["d"]));
    desk.persisted(1, 4);
    desk.tell(Input::HandOver { to: id("c") });
    desk.receive("d", appended(1, 0, 4, 3));
    let said = desk.receive("c", appended(1, 0, 4, 3));
    assert!(said.contains("committed 4"), "{said}");
    assert!(
        configuration(&desk).is_joint(),
        "the heir would lack the entry that leaves it: {said}"
    );
    let said = change(&mut desk, 3, add("e"));
    assert!(said.contains("changing hands"), "{said}");
    let said = desk.tell(Input::Keep);
    assert!(said.contains("proposed 2 at"), "whoever keeps the lead goes on: {said}");
    assert!(!configuration(&desk).is_joint());
}

#[test]
fn a_learner_is_no_voter_before_it_caught_up() {
    let mut desk = leading();
    change(&mut desk, 1, add("d"));
    desk.persisted(1, 3);
    let said = desk.receive("b", appended(1, 0, 3, 2));
    assert!(said.contains("committed 3"), "{said}");
    let said = change(&mut desk, 2, promote(&["d"]));
    assert!(said.contains("lacks 3 entries"), "{said}");
    desk.receive("d", appended(1, 0, 3, 2));
    assert!(!change(&mut desk, 3, promote(&["d"])).contains("refused"));
}

#[test]
fn a_learner_that_comes_back_shows_anew_what_it_holds() {
    // Whether it was let go before it is added again, or not.
    for knows in [false, true] {
        let mut desk = with_learner();
        change(&mut desk, 2, remove("d"));
        desk.persisted(1, 4);
        desk.receive("b", appended(1, 0, 4, 3));
        if knows {
            desk.receive("d", appended(1, 0, 4, 4));
            assert_eq!(desk.replicator.progress().count(), 2, "let go");
        }
        change(&mut desk, 3, add("d"));
        desk.persisted(1, 5);
        desk.receive("b", appended(1, 0, 5, 4));
        // An answer to what it was sent before it left, on a disk that may be gone.
        desk.receive("d", appended(1, 0, 4, 3));
        let said = change(&mut desk, 4, promote(&["d"]));
        assert!(said.contains("lacks 5 entries"), "{said}");
        desk.receive("d", appended(1, 1, 5, 4));
        assert!(!change(&mut desk, 5, promote(&["d"])).contains("refused"));
    }
}

#[test]
fn a_learner_counts_for_nothing() {
    let mut desk = with_learner();
    desk.propose(9);
    desk.persisted(1, 4);
    let said = desk.receive("d", appended(1, 0, 4, 3));
    assert!(!said.contains("committed"), "{said}");
    assert!(desk.receive("c", appended(1, 0, 4, 3)).contains("committed 4"));
}

#[test]
fn s8_a_leader_without_a_vote_leads_until_that_is_committed() {
    let mut desk = leading();
    change(&mut desk, 1, remove("a"));
    desk.persisted(1, 3);
    let said = desk.receive("b", appended(1, 0, 3, 2));
    assert!(!said.contains("committed"), "its own copy does not count for the new half: {said}");
    let said = desk.receive("c", appended(1, 0, 3, 2));
    assert!(said.contains("committed 3") && said.contains("proposed 1"), "{said}");
    desk.persisted(1, 4);
    let said = desk.receive("b", appended(1, 0, 4, 3));
    assert!(!said.contains("committed"), "{said}");
    let said = desk.receive("c", appended(1, 0, 4, 3));
    assert!(said.contains("committed 4") && said.contains("removed"), "{said}");
    assert!(said.contains("commit 4"), "those who stay are told at once: {said}");
    assert!(!desk.replicator.is_leading());
}

#[test]
fn who_left_is_served_until_it_knows() {
    let mut desk = leading();
    change(&mut desk, 1, remove("c"));
    desk.persisted(1, 3);
    desk.receive("b", appended(1, 0, 3, 2));
    desk.persisted(1, 4);
    let said = desk.receive("b", appended(1, 0, 4, 3));
    assert!(said.contains("committed 4"), "{said}");
    assert!(
        desk.receive("c", appended(1, 0, 4, 3)).contains("-> c") || desk.after(5).contains("-> c")
    );
    desk.receive("c", appended(1, 0, 4, 4));
    assert_eq!(desk.replicator.progress().count(), 1, "and let go");
    let mut desk = leading();
    change(&mut desk, 1, remove("c"));
    desk.persisted(1, 3);
    desk.receive("b", appended(1, 0, 3, 2));
    desk.persisted(1, 4);
    desk.receive("b", appended(1, 0, 4, 3));
    desk.after(60_000);
    assert_eq!(desk.replicator.progress().count(), 1, "nor is it served for ever");
}

#[test]
fn s8_any_leader_leaves_a_joint_configuration() {
    let mut desk = Desk::founded("a", &["a", "b", "c"], Config::default());
    let joint = configuration(&desk).after(&remove("c")).unwrap();
    let mut entries = append(1, (0, 1), 1, &[1, 1]);
    if let quorate_replication::Message::Append { entries, .. } = &mut entries {
        entries[1].payload = Payload::Configuration(joint);
    }
    desk.receive("b", entries);
    desk.persisted(1, 3);
    assert!(configuration(&desk).is_joint());
    desk.lead(2, &["b"]);
    desk.persisted(2, 4);
    let said = desk.receive("b", appended(2, 0, 4, 3));
    assert!(said.contains("committed 4"), "{said}");
    assert!(!configuration(&desk).is_joint(), "{said}");
    assert_eq!(voters(&desk), ["a", "b"].map(id));
}

#[test]
fn s8_a_configuration_that_is_dropped_no_longer_counts() {
    let mut desk = Desk::founded("a", &["a", "b", "c"], Config::default());
    let four = configuration(&desk).after(&add("d")).unwrap();
    let mut entries = append(1, (0, 1), 1, &[1, 1]);
    if let quorate_replication::Message::Append { entries, .. } = &mut entries {
        entries[1].payload = Payload::Configuration(four);
    }
    desk.receive("b", entries);
    assert!(configuration(&desk).member(&id("d")).is_some());
    desk.receive("c", append(2, (1, 2), 2, &[2]));
    assert!(configuration(&desk).member(&id("d")).is_none());
    assert_eq!(desk.replicator.log().configured_at(), LogIndex(1));
}

#[test]
fn s8_a_snapshot_carries_the_members() {
    let mut desk = with_learner();
    desk.after(1_000);
    let log = desk.replicator.log();
    let snapshot: Snapshot = log.snapshot_of(log.commit(), "state".into()).unwrap();
    assert!(snapshot.configuration.member(&id("d")).is_some());
    let recovered = Recovered { snapshot: Some(snapshot), ..Default::default() };
    let desk = Desk::recovered("b", &recovered, Config::default());
    assert!(configuration(&desk).member(&id("d")).is_some());
}

/// `b` moves from one disk to another, and `a` and `c` hold no more than the joint configuration of
/// it. What the new disk received beyond makes it a learner there: the vote that the joint one gives
/// is the old disk's, which may come back and stand by it in the same term.
#[test]
fn s9_the_vote_of_a_lost_disk_is_not_the_new_ones() {
    let member = |disk| Member { kind: Kind::Voter, disk: DiskId(disk), ..learner() };
    let members = ["a", "b", "c"].map(|name| (id(name), member(1)));
    let born = Configuration::of_members(members.into());
    let joint = born.after(&Change::Rejoin { id: id("b"), disk: DiskId(2) }).unwrap();
    let configurations = [born, joint.clone(), joint.settled()];
    let entries = configurations.into_iter().enumerate().map(|(index, configuration)| Entry {
        id: LogId::new(u64::from(index > 0), index as u64 + 1),
        time: ClusterTime::ZERO,
        payload: Payload::Configuration(configuration),
    });
    let entries: Vec<Entry> = entries.collect();
    let may_lead = |held: usize, commit: u64, disk: u64| {
        let recovered = Recovered {
            entries: entries[..held].to_vec(),
            commit: LogIndex(commit),
            ..Recovered::default()
        };
        let now = Instant::from_millis(1);
        let replica = Replicator::new(id("b"), Config::default(), &recovered, now);
        replica.on_disk(DiskId(disk)).log().may_lead(&id("b"))
    };
    assert!(may_lead(2, 1, 1), "the old disk has its vote until that is over");
    assert!(!may_lead(3, 2, 2), "the new one has none");
    assert!(!may_lead(2, 1, 2) && !may_lead(3, 2, 1), "nor has either against its latest");
}
