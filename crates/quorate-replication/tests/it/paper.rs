//! The claims of the papers, one test each.

use quorate_core::{LogIndex, LogView};
use quorate_replication::Config;

use crate::desk::{Desk, append, appended, diverged};

/// Ongaro and Ousterhout 2014, figure 8: S1 leads term 4 and replicates its entry of term 2 to a
/// majority. Counting must not commit it, because S5 could still overwrite it with term 3.
#[test]
fn figure_8_an_entry_of_an_older_term_is_not_committed_by_counting() {
    let mut s1 = Desk::founded("s1", &["s1", "s2", "s3", "s4", "s5"], Config::default());
    s1.receive("s1-of-term-2", append(2, (0, 1), 1, &[2]));
    s1.persisted(2, 2);
    s1.lead(4, &["s2", "s3"]);
    let at_2 = |s1: &Desk| s1.replicator.log().commit() >= LogIndex(2);
    s1.receive("s2", appended(4, 0, 2, 1));
    s1.receive("s3", appended(4, 0, 2, 1));
    assert!(!at_2(&s1), "(c): on a majority, and not committed");
    s1.persisted(4, 3);
    s1.receive("s2", appended(4, 0, 3, 1));
    assert!(!at_2(&s1));
    s1.receive("s3", appended(4, 0, 3, 1));
    assert!(at_2(&s1), "(e): committed under an entry of the own term");
    assert_eq!(s1.replicator.log().commit(), LogIndex(3));
}

/// Figure 8 (d): until then the other leader may overwrite it.
#[test]
fn figure_8_the_older_entry_may_be_overwritten() {
    let mut s2 = Desk::founded("s2", &["s1", "s2", "s3", "s4", "s5"], Config::default());
    s2.receive("s1", append(4, (0, 1), 1, &[2]));
    s2.receive("s5", append(5, (0, 1), 1, &[3, 5]));
    assert_eq!(s2.terms(), [0, 3, 5]);
}

/// Figure 7: a new leader and six followers, each with another log; all become like the leader's,
/// each after one answer.
#[test]
fn figure_7_every_divergent_log_is_found_in_one_round_trip() {
    const LEADER: [u64; 10] = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    // The ends of each term in the logs (a) to (f), shifted by the founding entry at index 1, and
    // the index at which each agrees with the leader's.
    let followers: [(&[(u64, u64)], u64); 6] = [
        (&[(1, 4), (4, 6), (5, 8), (6, 10)], 10),
        (&[(1, 4), (4, 5)], 5),
        (&[(1, 4), (4, 6), (5, 8), (6, 12)], 11),
        (&[(1, 4), (4, 6), (5, 8), (6, 11), (7, 13)], 11),
        (&[(1, 4), (4, 8)], 6),
        (&[(1, 4), (2, 7), (3, 12)], 4),
    ];
    for (ends, agreed) in followers {
        let mut leader = Desk::founded("s1", &["s1", "s2", "s3"], Config::default());
        leader.receive("s2", append(7, (0, 1), 1, &LEADER));
        leader.lead(8, &["s2"]);
        let sent = leader.receive("s2", diverged(8, 0, 11, 1, ends));
        let term = if agreed == 1 { 0 } else { LEADER[agreed as usize - 2] };
        let behind = format!("behind {term}-{agreed}, commit 1");
        let appends = sent.lines().filter(|line| line.contains("append") && line.contains(&behind));
        // (a) agrees up to index 10 of 11; all others as far as they can.
        assert_eq!(appends.count(), usize::from(agreed < 11), "{ends:?}: {sent}");
        if agreed == 11 {
            assert!(sent.contains("behind 6-11") || !sent.contains("append"), "{sent}");
        }
    }
}

/// Ongaro 2014, section 6.4: a new leader may not know the latest commit, so its reads wait for
/// the first commit of its own term and then for a round of probes.
#[test]
fn a_read_waits_for_the_own_terms_commit_and_a_quorum() {
    let mut a = Desk::founded("a", &["a", "b", "c"], Config::default());
    a.lead(1, &["b"]);
    a.persisted(1, 2);
    assert_eq!(a.read(1), "", "nothing of the own term is committed");
    let probes = a.receive("b", appended(1, 0, 2, 1));
    assert!(probes.contains("committed 2\n-> b (urgent) t1 probe 1\n-> c (urgent) t1 probe 1"));
    let reply = quorate_replication::Message::ProbeReply { term: quorate_core::Term(1), seq: 1 };
    assert!(a.receive("c", reply).ends_with("read 1 at 2\n"));
}

/// Ongaro 2014, section 10.2.1: the leader writes to its disk in parallel with its followers, and
/// may even commit an entry before it is on its own disk.
#[test]
fn the_leaders_disk_is_one_among_equals() {
    let mut a = Desk::founded("a", &["a", "b", "c"], Config::default());
    a.lead(1, &["b"]);
    a.receive("b", appended(1, 0, 2, 1));
    assert_eq!(a.replicator.log().commit(), LogIndex(1), "one disk of three");
    a.receive("c", appended(1, 0, 2, 1));
    assert_eq!(a.replicator.log().commit(), LogIndex(2), "two disks, neither its own");
    assert_eq!(a.replicator.log().durable().index, LogIndex(1));
}
