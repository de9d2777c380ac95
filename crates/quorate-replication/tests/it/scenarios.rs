//! Scripts and what the replicator answers to them.

use bytes::Bytes;
use expect_test::{Expect, expect};
use quorate_core::{
    ClusterTime, Configuration, LogId, LogIndex, LogView, Payload, Recovered, Snapshot, Term,
};
use quorate_replication::{Config, Input, Message, SnapshotHead};

use crate::desk::{Desk, append, appended, diverged, entries, id, proposal};

fn check(actual: &str, expected: &Expect) {
    expected.assert_eq(actual);
}

/// A leader of term 1 among three, whose first entry everyone has.
fn leader_of_three(config: Config) -> Desk {
    let mut a = Desk::founded("a", &["a", "b", "c"], config);
    a.lead(1, &["b"]);
    a.persisted(1, 2);
    a.receive("b", appended(1, 0, 2, 1));
    a.receive("c", appended(1, 0, 2, 1));
    a.after(1);
    a.receive("b", appended(1, 0, 2, 2));
    a.receive("c", appended(1, 0, 2, 2));
    a
}

#[test]
fn a_lone_voter_commits_with_its_disk_and_reads_at_once() {
    let mut a = Desk::founded("a", &["a"], Config::default());
    let text = [a.read(1), a.lead(1, &[]), a.persisted(1, 2), a.propose(1), a.persisted(1, 3)];
    check(
        &(text.concat() + &a.read(2)),
        &expect![[r#"
        read 1 refused
        persist [1-2]
        committed 2
        proposed 1 at 1-3
        persist commit 2
        persist [1-3]
        committed 3
        read 2 at 3
    "#]],
    );
}

#[test]
fn the_commands_of_a_turn_share_a_record_and_a_message_per_peer() {
    let mut a = leader_of_three(Config::default());
    let text = a.tell_all((1..=3).map(proposal));
    check(
        &(text + &a.receive("b", appended(1, 0, 5, 2)) + &a.persisted(1, 5)),
        &expect![[r#"
        proposed 1 at 1-3
        proposed 2 at 1-4
        proposed 3 at 1-5
        persist commit 2
        persist [1-3, 1-4, 1-5]
        -> b (live) t1 append #0 [1-3, 1-4, 1-5] behind 1-2, commit 2
        -> c (live) t1 append #0 [1-3, 1-4, 1-5] behind 1-2, commit 2
        b heard
        committed 5
    "#]],
    );
}

#[test]
fn a_commit_that_nothing_else_tells_of_is_told_once() {
    let mut a = leader_of_three(Config::default());
    a.propose(1);
    a.persisted(1, 3);
    a.receive("b", appended(1, 0, 3, 2));
    let text = a.after(1) + &a.receive("c", appended(1, 0, 3, 2)) + &a.after(2);
    a.receive("b", appended(1, 0, 3, 3));
    a.receive("c", appended(1, 0, 3, 3));
    check(
        &(text + &a.after(10_000)),
        &expect![[r#"
        61.002000s -> b (live) t1 append #0 [] behind 1-3, commit 3
        c heard
        61.003000s -> c (live) t1 append #0 [] behind 1-3, commit 3
        61.501000s persist commit 3
    "#]],
    );
}

#[test]
fn appends_do_not_wait_for_answers_within_the_window() {
    let mut a = leader_of_three(Config { inflight_messages: 2, ..Config::default() });
    let text: String = (1..=3).map(|number| a.propose(number)).collect();
    check(
        &(text + &a.receive("b", appended(1, 0, 3, 2))),
        &expect![[r#"
        proposed 1 at 1-3
        persist commit 2
        persist [1-3]
        -> b (live) t1 append #0 [1-3] behind 1-2, commit 2
        -> c (live) t1 append #0 [1-3] behind 1-2, commit 2
        proposed 2 at 1-4
        persist [1-4]
        -> b (live) t1 append #0 [1-4] behind 1-3, commit 2
        -> c (live) t1 append #0 [1-4] behind 1-3, commit 2
        proposed 3 at 1-5
        persist [1-5]
        b heard
        -> b (live) t1 append #0 [1-5] behind 1-4, commit 2
    "#]],
    );
}

#[test]
fn a_silent_peer_costs_a_small_message_now_and_then() {
    let mut a = leader_of_three(Config::default());
    a.propose(1);
    a.persisted(1, 3);
    a.receive("b", appended(1, 0, 3, 2));
    a.after(1);
    a.receive("b", appended(1, 0, 3, 3));
    check(
        &a.after(5_000),
        &expect![[r#"
        61.201000s -> c (live) t1 append #1 [] behind 1-3, commit 3
        61.501000s persist commit 3
        61.601000s -> c (live) t1 append #1 [] behind 1-3, commit 3
        62.401000s -> c (live) t1 append #1 [] behind 1-3, commit 3
        64.001000s -> c (live) t1 append #1 [] behind 1-3, commit 3
        65.601000s -> c (live) t1 append #1 [] behind 1-3, commit 3
    "#]],
    );
}

#[test]
fn a_lost_append_is_sent_again_after_one_answer() {
    let mut a = leader_of_three(Config::default());
    a.propose(1);
    let text = a.propose(2) + &a.receive("b", diverged(1, 0, 3, 2, &[]));
    // The refusal of a later append of that attempt is no news.
    check(
        &(text + &a.receive("b", diverged(1, 0, 4, 2, &[]))),
        &expect![[r#"
        proposed 2 at 1-4
        persist [1-4]
        -> b (live) t1 append #0 [1-4] behind 1-3, commit 2
        -> c (live) t1 append #0 [1-4] behind 1-3, commit 2
        b heard
        -> b (live) t1 append #1 [1-3, 1-4] behind 1-2, commit 2
        b heard
    "#]],
    );
}

#[test]
fn a_peer_that_comes_back_is_asked_at_once() {
    let mut a = leader_of_three(Config::default());
    let mut text = a.tell(Input::PeerLost(id("b")));
    text += &a.propose(1);
    text += &a.tell(Input::PeerConnected(id("b")));
    text += &a.receive("b", diverged(1, 2, 3, 2, &[]));
    check(
        &text,
        &expect![[r#"
        proposed 1 at 1-3
        persist commit 2
        persist [1-3]
        -> c (live) t1 append #0 [1-3] behind 1-2, commit 2
        -> b (live) t1 append #2 [] behind 1-3, commit 2
        b heard
        -> b (live) t1 append #3 [1-3] behind 1-2, commit 2
    "#]],
    );
}

#[test]
fn a_follower_says_what_it_has_and_drops_what_conflicts() {
    let mut b = Desk::founded("b", &["a", "b", "c"], Config::default());
    let mut text = b.receive("a", append(1, (0, 1), 1, &[1, 1, 1]));
    text += &b.receive("c", append(3, (2, 4), 2, &[3]));
    text += &b.receive("c", append(3, (1, 2), 2, &[2, 2, 3]));
    text += &b.receive("c", append(3, (3, 5), 5, &[]));
    check(
        &text,
        &expect![[r#"
        leader a heard
        persist [1-2, 1-3, 1-4]
        -> a (ack, held) t1 appended #0 up to 4, commit 1
        leader c heard
        -> c (ack, held) t3 diverged #0 at 4: commit 1, ends [1-4]
        leader c heard
        persist [2-3, 2-4, 3-5]
        committed 2
        -> c (ack, held) t3 appended #0 up to 5, commit 2
        leader c heard
        committed 5
        -> c (ack, held) t3 appended #0 up to 5, commit 5
    "#]],
    );
    assert_eq!(b.terms(), [0, 1, 2, 2, 3]);
}

#[test]
fn an_append_says_nothing_of_the_tail_behind_it() {
    let mut b = Desk::founded("b", &["a", "b", "c"], Config::default());
    b.receive("a", append(1, (0, 1), 1, &[1, 1, 1]));
    // The new leader has committed four entries, but showed only that two are the same.
    check(
        &b.receive("c", append(2, (1, 2), 4, &[])),
        &expect![[r#"
        leader c heard
        committed 2
        -> c (ack, held) t2 appended #0 up to 2, commit 2
    "#]],
    );
}

#[test]
fn an_old_append_changes_nothing() {
    let mut b = Desk::founded("b", &["a", "b", "c"], Config::default());
    b.receive("a", append(1, (0, 1), 1, &[1, 1, 1]));
    check(
        &b.receive("a", append(1, (0, 1), 1, &[1])),
        &expect![[r#"
        leader a heard
        -> a (ack, held) t1 appended #0 up to 2, commit 1
    "#]],
    );
    assert_eq!(b.terms(), [0, 1, 1, 1]);
}

#[test]
fn a_leader_whose_term_is_over_is_told_so() {
    let mut b = Desk::founded("b", &["a", "b", "c"], Config::default());
    b.promise(5);
    let text = b.receive("a", append(4, (0, 1), 1, &[4]));
    check(
        &(text + &b.receive("a", Message::Probe { term: Term(4), seq: 1 })),
        &expect![[r#"
        -> a (ack, held) t5 is current
        -> a (ack, held) t5 is current
    "#]],
    );
}

#[test]
fn a_deposed_leader_writes_what_it_took_and_refuses_what_it_cannot_answer() {
    let mut a = leader_of_three(Config::default());
    a.read(1);
    let read = Input::Read { id: quorate_replication::ReadId(2) };
    let text = a.tell_all([proposal(1), read, Input::StepDown]);
    check(
        &(text + &a.propose(2) + &a.read(3)),
        &expect![[r#"
        proposed 1 at 1-3
        persist commit 2
        persist [1-3]
        read 1 refused
        read 2 refused
        deposed
        refused 2: this node does not lead; ask the leader
        read 3 refused
    "#]],
    );
}

#[test]
fn a_term_that_is_over_revokes_before_anything_else() {
    let mut a = leader_of_three(Config::default());
    a.read(1);
    a.promise(2);
    check(
        &a.propose(1),
        &expect![[r#"
        read 1 refused
        deposed
        refused 1: this node does not lead; ask the leader
    "#]],
    );
}

#[test]
fn the_commit_mark_goes_ahead_of_entries_or_waits_for_an_idle_moment() {
    let mut b = Desk::founded("b", &["a", "b", "c"], Config::default());
    let mut text = b.receive("a", append(1, (0, 1), 1, &[1]));
    text += &b.receive("a", append(1, (1, 2), 2, &[]));
    text += &b.receive("a", append(1, (1, 2), 2, &[1]));
    text += &b.receive("a", append(1, (1, 3), 3, &[]));
    check(
        &(text + &b.after(10_000)),
        &expect![[r#"
        leader a heard
        persist [1-2]
        -> a (ack, held) t1 appended #0 up to 2, commit 1
        leader a heard
        committed 2
        -> a (ack, held) t1 appended #0 up to 2, commit 2
        leader a heard
        persist commit 2
        persist [1-3]
        -> a (ack, held) t1 appended #0 up to 3, commit 2
        leader a heard
        committed 3
        -> a (ack, held) t1 appended #0 up to 3, commit 3
        61.500000s persist commit 3
    "#]],
    );
}

#[test]
fn a_follower_behind_the_log_gets_a_snapshot_in_pieces() {
    let config = Config {
        keep_log_bytes: 0,
        compact_log_entries: 4,
        snapshot_chunk_bytes: 4,
        snapshot_chunks: 2,
        ..Config::default()
    };
    let mut a = leader_of_three(config.clone());
    let mut text = a.tell_all((1..=3).map(proposal)) + &a.persisted(1, 5);
    text += &a.receive("b", appended(1, 0, 5, 2));
    let snapshot = a.replicator.log().snapshot_of(LogIndex(5), Bytes::from_static(b"the state"));
    text += &a.tell(Input::Snapshotted(snapshot.unwrap()));
    // c lost what was sent.
    text += &a.receive("c", diverged(1, 0, 5, 2, &[]));
    let has = |received| Message::SnapshotReply {
        term: Term(1),
        attempt: 2,
        last: LogId::new(1, 5),
        received,
    };
    text += &a.receive("c", has(4));
    text += &a.receive("c", has(8));
    text += &a.receive("c", appended(1, 2, 5, 5));
    check(
        &text,
        &expect![[r#"
        proposed 1 at 1-3
        proposed 2 at 1-4
        proposed 3 at 1-5
        persist commit 2
        persist [1-3, 1-4, 1-5]
        -> b (live) t1 append #0 [1-3, 1-4, 1-5] behind 1-2, commit 2
        -> c (live) t1 append #0 [1-3, 1-4, 1-5] behind 1-2, commit 2
        b heard
        committed 5
        snapshot wanted
        persist snapshot 1-5
        c heard
        -> c (snapshot) t1 chunk #2 of 1-5: b"the " at 0 of 9
        -> c (snapshot) t1 chunk #2 of 1-5: b"stat" at 4 of 9
        c heard
        -> c (snapshot) t1 chunk #2 of 1-5: b"e" at 8 of 9
        c heard
        c heard
    "#]],
    );
}

#[test]
fn a_large_snapshot_waits_until_the_log_has_grown_by_its_size() {
    let config = Config { compact_log_bytes: 200, ..Config::default() };
    let mut a = Desk::founded("a", &["a"], config);
    a.lead(1, &[]);
    a.persisted(1, 2);
    let mut wanted = Vec::new();
    for n in 3..40 {
        let text = a.propose(n) + &a.persisted(1, n);
        if text.contains("snapshot wanted") {
            wanted.push(n);
            let state = Bytes::from(vec![0; 500]);
            let snapshot = a.replicator.log().snapshot_of(LogIndex(n), state);
            a.tell(Input::Snapshotted(snapshot.unwrap()));
        }
    }
    // An entry takes 33 bytes or more: the first snapshot at 200 of them, the others at 500.
    expect!["[5, 20, 35]"].assert_eq(&format!("{wanted:?}"));
}

fn chunk(offset: u64, data: &'static [u8], total: u64) -> Message {
    let head = SnapshotHead {
        last: LogId::new(1, 9),
        time: ClusterTime(9),
        configuration: Configuration::of_voters([id("a"), id("b")]),
        state_bytes: total,
    };
    Message::SnapshotChunk {
        term: Term(2),
        attempt: 3,
        head,
        offset,
        data: Bytes::from_static(data),
    }
}

#[test]
fn a_follower_takes_pieces_in_order_and_replaces_its_log() {
    let mut b = Desk::founded("b", &["a", "b", "c"], Config::default());
    b.receive("a", append(1, (0, 1), 1, &[1, 1]));
    let mut text = b.receive("c", chunk(0, b"the ", 9));
    text += &b.receive("c", chunk(8, b"e", 9));
    text += &b.receive("c", chunk(4, b"stat", 9));
    text += &b.receive("c", chunk(8, b"e", 9));
    // One that is late finds the work done.
    text += &b.receive("c", chunk(0, b"the ", 9));
    check(
        &text,
        &expect![[r#"
        leader c heard
        -> c (ack, held) t2 has #3 of 1-9: 4
        leader c heard
        -> c (ack, held) t2 has #3 of 1-9: 4
        leader c heard
        -> c (ack, held) t2 has #3 of 1-9: 8
        leader c heard
        persist snapshot 1-9
        install 1-9 b"the state"
        -> c (ack, held) t2 appended #3 up to 9, commit 9
        leader c heard
        -> c (ack, held) t2 appended #3 up to 9, commit 9
    "#]],
    );
    assert_eq!(b.replicator.log().tip(), LogId::new(1, 9));
    assert!(b.replicator.log().configuration().kind(&id("c")).is_none());
}

#[test]
fn what_is_committed_is_never_replaced() {
    let mut b = Desk::founded("b", &["a", "b", "c"], Config::default());
    b.receive("a", append(1, (0, 1), 3, &[1, 1]));
    let mut text = b.receive("c", append(2, (0, 1), 1, &[2]));
    text += &b.receive("c", append(2, (2, 3), 1, &[2]));
    check(
        &text,
        &expect![[r#"
        leader c heard
        distrusts c: a committed entry at 2 was contradicted; compare the logs of both nodes
        leader c heard
        distrusts c: a committed entry at 3 was contradicted; compare the logs of both nodes
    "#]],
    );
    assert_eq!(b.terms(), [0, 1, 1]);
}

#[test]
fn time_goes_on_across_leaders_and_stands_still_without_one() {
    let mut a = Desk::founded("a", &["a"], Config::default());
    a.lead(1, &[]);
    a.after(1_500);
    a.propose(1);
    let time = |at| a.replicator.log().entry(LogIndex(at)).unwrap().time;
    assert_eq!(time(3).0 - time(2).0, 1_500_000);
    let log = a.replicator.log();
    let entries = log.entries(LogIndex(1)..=LogIndex(3)).cloned().collect();
    let recovered = Recovered { entries, ..Recovered::default() };
    // A restart: the clock starts anywhere, and what passed while off does not count.
    let mut a = Desk::recovered("a", &recovered, Config::default());
    let before = a.replicator.log().entry(LogIndex(3)).unwrap().time;
    a.after(250);
    a.lead(2, &[]);
    assert_eq!(a.replicator.log().entry(LogIndex(4)).unwrap().time.0 - before.0, 250_000);
}

#[test]
fn a_restart_keeps_the_mark_and_drops_a_tail_that_a_snapshot_replaced() {
    let snapshot = Snapshot {
        last: LogId::new(3, 4),
        time: ClusterTime(4),
        configuration: Configuration::of_voters([id("a")]),
        state: Bytes::new(),
    };
    let recover = |entries, commit| {
        let snapshot = Some(snapshot.clone());
        let commit = LogIndex(commit);
        let recovered = Recovered { snapshot, entries, commit, ..Recovered::default() };
        let a = Desk::recovered("a", &recovered, Config::default());
        (a.replicator.log().tip(), a.replicator.log().commit().0)
    };
    assert_eq!(recover(entries(3, &[3, 3, 3, 5]), 5), (LogId::new(5, 6), 5));
    assert_eq!(recover(entries(5, &[3, 5]), 0), (LogId::new(5, 6), 4));
    assert_eq!(recover(entries(3, &[2, 2, 2, 2]), 0), (LogId::new(3, 4), 4), "another entry 4");
    assert_eq!(recover(entries(3, &[2, 2, 5]), 0), (LogId::new(3, 4), 4), "and what follows it");
    assert_eq!(recover(entries(5, &[2, 2]), 0), (LogId::new(3, 4), 4), "terms never fall");
    assert_eq!(recover(entries(7, &[5]), 0), (LogId::new(3, 4), 4), "a gap");
}

#[test]
fn founding_happens_once() {
    let mut a = Desk::founded("a", &["a", "b"], Config::default());
    let other = Configuration::of_voters([id("x")]);
    assert!(!a.replicator.found(
        quorate_core::Instant::ZERO,
        other,
        &mut quorate_core::Outbox::new()
    ));
    let first = a.replicator.log().entry(LogIndex(1)).unwrap();
    assert_eq!(first.id, LogId::new(0, 1));
    assert!(matches!(&first.payload, Payload::Configuration(it) if it.members.len() == 2));
}
