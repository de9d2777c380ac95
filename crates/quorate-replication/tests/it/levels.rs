//! How safe a write is, and what became of it.

use bytes::Bytes;
use quorate_core::{
    Change, ClusterTime, Configuration, DiskId, Kind, LogId, LogIndex, LogView as _, Member,
    Recovered, Snapshot,
};
use quorate_replication::{
    Config, ConsistencyLevel as Level, Holder, Input, ProposalId, WriteState,
};

use crate::desk::{Desk, appended, id};

/// `a` leads `b` and `c`, its first entry is committed, and a write stands at 1-3, on its own disk.
fn with_a_write() -> Desk {
    let mut desk = Desk::founded("a", &["a", "b", "c"], Config::default());
    desk.lead(1, &["b"]);
    desk.persisted(1, 2);
    desk.receive("b", appended(1, 0, 2, 1));
    desk.receive("c", appended(1, 0, 2, 1));
    desk.propose(1);
    desk.persisted(1, 3);
    desk
}

const WRITE: LogId = LogId::new(1, 3);

fn reached(desk: &Desk) -> Option<Level> {
    desk.replicator.write_status(WRITE).reached
}

#[test]
fn x8_a_write_is_strong_when_every_data_voter_holds_it() {
    let mut desk = with_a_write();
    assert_eq!(reached(&desk), Some(Level::Eventual), "the leader alone holds it");
    desk.receive("b", appended(1, 0, 3, 2));
    let status = desk.replicator.write_status(WRITE);
    assert_eq!((status.state, status.reached), (WriteState::Committed, Some(Level::Quorum)));
    assert_eq!((status.acked, status.missing), (vec![id("a"), id("b")], vec![id("c")]));
    desk.receive("c", appended(1, 0, 3, 3));
    assert_eq!(reached(&desk), Some(Level::Strong));
}

#[test]
fn x8_who_is_removed_counts_until_that_is_committed() {
    let mut desk = with_a_write();
    desk.receive("b", appended(1, 0, 3, 2));
    let change = Change::Remove { id: id("c"), may_return: true };
    desk.tell(Input::Change { id: ProposalId(2), change });
    desk.persisted(1, 4);
    desk.receive("b", appended(1, 0, 4, 3));
    assert!(!desk.replicator.log().configuration().is_joint(), "the new one is appended");
    assert_eq!(desk.replicator.write_status(WRITE).missing, [id("c")]);
    // What it says as one that left counts for nothing: it may be on any disk.
    desk.receive("c", appended(1, 0, 3, 3));
    assert_eq!(reached(&desk), Some(Level::Quorum));
    desk.persisted(1, 5);
    desk.receive("b", appended(1, 0, 5, 4));
    assert_eq!(reached(&desk), Some(Level::Strong));
}

#[test]
fn x8_who_joins_later_does_not_count() {
    let mut desk = with_a_write();
    desk.receive("b", appended(1, 0, 3, 2));
    let (kind, priority, address) = (Kind::Learner, 100, String::new());
    let member = Member { kind, priority, address, disk: DiskId::NONE };
    desk.tell(Input::Change { id: ProposalId(2), change: Change::Add { id: id("d"), member } });
    desk.persisted(1, 4);
    desk.receive("b", appended(1, 0, 4, 3));
    desk.receive("c", appended(1, 0, 4, 4));
    assert_eq!(reached(&desk), Some(Level::Strong));
    desk.receive("d", appended(1, 0, 3, 3));
    desk.receive("d", appended(1, 0, 4, 4));
    desk.tell(Input::Change {
        id: ProposalId(3),
        change: Change::Promote { ids: [id("d")].into() },
    });
    // From the joint configuration on it counts.
    let holders = desk.replicator.strong_holders(LogIndex(5)).unwrap();
    let all = ["a", "b", "c", "d"].map(|name| Holder { id: id(name), disk: DiskId::NONE });
    assert_eq!(holders, all);
    assert_eq!(desk.replicator.strong_holders(LogIndex(4)).unwrap(), all[..3]);
}

#[test]
fn x8_another_disk_of_the_same_name_is_another_holder() {
    let desk = with_a_write();
    let on = |disk| Holder { id: id("b"), disk: DiskId(disk) };
    let mut desk = desk;
    desk.receive("b", appended(1, 0, 3, 2));
    assert!(desk.replicator.is_held_by(&on(0), WRITE.index));
    assert!(!desk.replicator.is_held_by(&on(5), WRITE.index));
    let member = |disk| Member {
        kind: Kind::Voter,
        priority: 100,
        address: String::new(),
        disk: DiskId(disk),
    };
    let moved = Configuration::of_members([(id("b"), member(5))].into());
    assert!(on(5).remains_in(&moved) && !on(0).remains_in(&moved));
}

#[test]
fn x9_index_and_term_tell_what_became_of_a_write() {
    let mut desk = with_a_write();
    let state =
        |desk: &Desk, term, index| desk.replicator.write_status(LogId::new(term, index)).state;
    assert_eq!(state(&desk, 1, 3), WriteState::Pending);
    assert_eq!(state(&desk, 1, 2), WriteState::Committed);
    // Another entry is committed there, or before it of a later term.
    assert_eq!(state(&desk, 0, 2), WriteState::Overwritten);
    assert_eq!(state(&desk, 0, 9), WriteState::Overwritten);
    // Somebody else may hold it, and lead next.
    assert_eq!(state(&desk, 2, 3), WriteState::Pending);
    assert_eq!(state(&desk, 1, 9), WriteState::Pending);
    desk.receive("b", appended(1, 0, 3, 2));
    assert_eq!(state(&desk, 1, 3), WriteState::Committed);
    assert_eq!(state(&desk, 2, 3), WriteState::Overwritten);
    assert_eq!(desk.replicator.write_status(LogId::new(2, 3)).reached, None);
}

#[test]
fn x9_a_new_leader_that_committed_nothing_calls_nothing_overwritten() {
    let mut desk = Desk::founded("a", &["a", "b", "c"], Config::default());
    desk.lead(3, &["b"]);
    desk.persisted(3, 2);
    // A write of term 2 may be on `c`, which may lead next.
    let earlier = LogId::new(2, 2);
    assert_eq!(desk.replicator.write_status(earlier).state, WriteState::Pending);
    desk.receive("b", appended(3, 0, 2, 1));
    assert_eq!(desk.replicator.write_status(earlier).state, WriteState::Overwritten);
    assert_eq!(desk.replicator.write_status(LogId::new(2, 7)).state, WriteState::Overwritten);
}

#[test]
fn x9_what_was_compacted_is_not_guessed() {
    let configuration = Configuration::of_voters(["a", "b"].map(id));
    let (time, state) = (ClusterTime::ZERO, Bytes::new());
    let last = LogId::new(2, 5);
    let snapshot = Some(Snapshot { last, time, configuration, state });
    let desk =
        Desk::recovered("a", &Recovered { snapshot, ..Default::default() }, Config::default());
    let state = |term, index| desk.replicator.write_status(LogId::new(term, index)).state;
    assert_eq!((state(2, 5), state(1, 5)), (WriteState::Committed, WriteState::Overwritten));
    assert_eq!((state(2, 3), state(1, 3)), (WriteState::Unknown, WriteState::Unknown));
    assert_eq!(state(3, 3), WriteState::Overwritten, "terms never fall along a log");
    assert_eq!(state(2, 0), WriteState::Unknown, "no entry has that index");
}
