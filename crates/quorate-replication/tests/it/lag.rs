//! How far each replica is behind, as its leader knows.

use std::time::Duration;

use quorate_core::{Instant, LogIndex};
use quorate_replication::{Config, Input, Position, Replica};

use crate::desk::{Desk, appended, id};

/// `a` leads `b` and `c`, and all hold and know all.
fn calm() -> Desk {
    let mut desk = Desk::founded("a", &["a", "b", "c"], Config::default());
    desk.lead(1, &["b"]);
    desk.persisted(1, 2);
    for peer in ["b", "c"] {
        desk.receive(peer, appended(1, 0, 2, 1));
        desk.receive(peer, appended(1, 0, 2, 2));
    }
    desk
}

fn of(desk: &Desk, name: &str) -> Replica {
    let replicas = desk.replicator.replicas(desk.now());
    assert!(replicas.is_sorted_by(|a, b| a.id < b.id) && replicas.len() == 3);
    replicas.into_iter().find(|replica| replica.id == id(name)).unwrap()
}

fn lag(position: Position) -> (u64, u64, u64) {
    let Position { index: LogIndex(index), lag } = position;
    (index, lag.entries, u64::try_from(lag.age.as_millis()).unwrap())
}

#[test]
fn r10_the_lag_is_what_is_missing_and_how_old_the_oldest_of_it_is() {
    let mut desk = calm();
    for name in ["a", "b", "c"] {
        let Replica { sent, received, durable, applied, .. } = of(&desk, name);
        for position in [sent, received, durable, applied] {
            assert_eq!(lag(position), (2, 0, 0), "{name}");
        }
    }
    desk.propose(1);
    desk.persisted(1, 3);
    desk.after(10);
    desk.propose(2);
    desk.after(5);
    let b = of(&desk, "b");
    assert_eq!(lag(b.sent), (4, 0, 0), "all is on its way");
    assert_eq!((lag(b.durable), b.received), ((2, 2, 15), b.durable));
    let (one, two) =
        (desk.replicator.log().entry(LogIndex(3)), desk.replicator.log().entry(LogIndex(4)));
    let bytes = one.into_iter().chain(two).map(quorate_core::Entry::size_bytes).sum::<usize>();
    assert_eq!(b.durable.lag.bytes, bytes as u64);
    assert_eq!(lag(b.applied), (2, 0, 0), "nobody applies what is not committed");
    assert_eq!(lag(of(&desk, "a").durable), (3, 1, 5), "its own disk lacks the second");
    desk.receive("b", appended(1, 0, 3, 2));
    assert_eq!(lag(of(&desk, "b").durable), (3, 1, 5));
    assert_eq!(lag(of(&desk, "b").applied), (2, 1, 15), "the leader has applied it");
    desk.receive("b", appended(1, 0, 3, 3));
    assert_eq!(lag(of(&desk, "b").applied), (3, 0, 0));
    desk.tell(Input::StepDown);
    assert!(desk.replicator.replicas(desk.now()).is_empty(), "only a leader knows");
}

#[test]
fn r10_a_replica_that_was_left_behind_by_the_log_is_as_late_as_before() {
    let config = Config { keep_log_bytes: 0, ..Config::default() };
    let mut desk = Desk::founded("a", &["a", "b", "c"], config);
    desk.lead(1, &["b"]);
    desk.persisted(1, 2);
    for peer in ["b", "c"] {
        desk.receive(peer, appended(1, 0, 2, 1));
        desk.receive(peer, appended(1, 0, 2, 2));
    }
    let mut index = 2;
    for number in 0..5 {
        desk.propose(number);
        index += 1;
        desk.persisted(1, index);
        desk.receive("b", appended(1, 0, index, index));
        desk.after(100);
    }
    let before = of(&desk, "c");
    assert_eq!(
        (before.durable.lag.entries, before.durable.lag.age),
        (5, Duration::from_millis(500))
    );
    let state = bytes::Bytes::from_static(b"a state");
    let snapshot = desk.replicator.log().snapshot_of(LogIndex(index), state).unwrap();
    desk.tell(Input::Snapshotted(snapshot));
    assert_eq!(desk.replicator.log().first_index(), LogIndex(index + 1));
    let after = of(&desk, "c");
    assert_eq!((after.durable.lag.entries, after.durable.lag.age), (5, Duration::from_millis(500)));
    assert_eq!(after.durable.lag.bytes, 7, "the snapshot is what it needs");
    assert!(desk.now() > Instant::ZERO);
}

#[test]
fn r10_nothing_is_called_sent_to_one_that_was_never_heard() {
    let mut desk = calm();
    desk.tell(Input::StepDown);
    desk.lead(2, &["b"]);
    let c = of(&desk, "c");
    assert_eq!((c.silent_for, c.sent), (None, c.durable));
}
