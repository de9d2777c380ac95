//! Reads by lease, step by step. All moments are on one node's own clock.

use std::time::Duration;

use quorate_core::{LogId, LogIndex, LogView as _, Payload, Term};
use quorate_replication::{Config, Input, Message, ReadId};

use crate::desk::{Desk, append, appended, id};

/// A lease of 100 ms among clocks that drift apart by a tenth.
fn config() -> Config {
    let lease = Duration::from_millis(100);
    Config { lease, drift_millionths: 100_000, ..Config::default() }
}

fn read(desk: &mut Desk, number: u64) -> String {
    desk.tell(Input::LeaseRead { id: ReadId(number) })
}

/// The leader of term 1 whose first entry, 1-2, is committed as soon as it is appended.
fn leader() -> Desk {
    let mut a = Desk::founded("a", &["a", "b", "c"], config());
    a.lead(1, &["b"]);
    a.persisted(1, 2);
    a.receive("b", appended(1, 0, 2, 1));
    a
}

#[test]
fn a_lease_lasts_from_the_append_not_from_the_commit() {
    let mut a = Desk::founded("a", &["a", "b", "c"], config());
    a.lead(1, &["b"]);
    assert_eq!(a.replicator.lease_until(), None, "nothing of its own is committed");
    a.after(90);
    a.persisted(1, 2);
    a.receive("b", appended(1, 0, 2, 1));
    a.after(9);
    assert!(read(&mut a, 1).starts_with("read 1 at 2"));
    a.after(1);
    assert!(!read(&mut a, 2).starts_with("read 2 at"), "a hundred milliseconds are over");
}

#[test]
fn a_lease_is_renewed_only_while_somebody_reads_by_it() {
    let mut a = leader();
    a.after(1_000);
    assert_eq!(a.replicator.log().tip().index, LogIndex(2), "an idle leader's log is silent");
    read(&mut a, 1);
    assert_eq!(a.replicator.log().tip().index, LogIndex(3));
    a.persisted(1, 3);
    a.receive("b", appended(1, 0, 3, 2));
    assert!(read(&mut a, 2).contains("read 2 at 3"));
    read(&mut a, 3);
    assert_eq!(a.replicator.log().tip().index, LogIndex(3), "it was renewed a moment ago");
}

#[test]
fn a_new_leader_commits_nothing_before_the_lease_of_an_earlier_one_is_over() {
    let mut a = Desk::founded("a", &["a", "b", "c"], config());
    a.receive("b", append(1, (0, 1), 1, &[1]));
    a.persisted(1, 2);
    a.lead(2, &["c"]);
    a.persisted(2, 3);
    a.receive("c", appended(2, 0, 3, 1));
    a.after(110);
    assert_eq!(a.replicator.log().commit(), LogIndex(1), "a tenth longer than the lease");
    a.after(1);
    assert_eq!(a.replicator.log().commit(), LogIndex(3));
}

#[test]
fn a_hand_over_ends_the_lease_so_that_the_heir_need_not_wait() {
    let mut a = leader();
    a.tell(Input::HandOver { to: id("b") });
    assert_eq!(a.replicator.lease_until(), None);
    let log = a.replicator.log();
    let last = log.entry(log.tip().index).expect("it was appended just now");
    assert_eq!(last.payload, Payload::LeaseEnded);
    // The heir, whose log ends so.
    let mut b = Desk::founded("b", &["a", "b", "c"], config());
    let message = Message::Append {
        term: Term(1),
        prev: LogId::new(0, 1),
        commit: LogIndex(3),
        attempt: 0,
        entries: log.entries(LogIndex(2)..=LogIndex(3)).cloned().collect(),
    };
    b.receive("a", message);
    b.persisted(1, 3);
    b.lead(2, &["c"]);
    b.persisted(2, 4);
    b.receive("c", appended(2, 0, 4, 3));
    assert_eq!(b.replicator.log().commit(), LogIndex(4));
}

#[test]
fn after_a_hand_over_that_failed_only_a_later_entry_begins_a_lease() {
    let mut a = leader();
    a.tell(Input::HandOver { to: id("b") });
    a.tell(Input::Keep);
    assert_eq!(a.replicator.lease_until(), None, "its end may be on the way to a new leader");
    a.persisted(1, 3);
    a.receive("b", appended(1, 0, 3, 2));
    assert_eq!(a.replicator.lease_until(), None, "the end of a lease begins none");
    a.propose(1);
    a.persisted(1, 4);
    a.receive("b", appended(1, 0, 4, 3));
    assert!(a.replicator.lease_until().is_some());
}

#[test]
fn who_has_committed_nothing_of_its_own_ends_no_lease() {
    let mut a = Desk::founded("a", &["a", "b", "c"], config());
    a.receive("b", append(1, (0, 1), 1, &[1]));
    a.lead(2, &["c"]);
    a.tell(Input::HandOver { to: id("c") });
    // An earlier leader may hold a lease: whoever leads next must wait for its end.
    assert_eq!(a.replicator.log().tip().index, LogIndex(3));
}
