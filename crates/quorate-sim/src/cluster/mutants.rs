//! The seeded bugs: wrong lines all over the tree that the simulator must find.
//!
//! They are compiled with `--cfg mutants` only, and chosen by name at run time.

/// A seeded bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mutant {
    /// Its name in the code, as `vote-twice`.
    pub name: &'static str,
    /// What is wrong then.
    pub what: &'static str,
    /// The invariant it breaks; the one that notices first may be another.
    pub breaks: &'static str,
}

macro_rules! mutants {
    ($($name:literal $breaks:literal $what:literal,)*) => {
        /// All seeded bugs, in the order of their names.
        pub const MUTANTS: &[Mutant] =
            &[$(Mutant { name: $name, what: $what, breaks: $breaks }),*];
    };
}

mutants! {
    "ack-ahead-of-ballot" "E5" "an answer of the log leaves before the ballot of its term is durable",
    "ack-before-fsync" "R5" "the journal reports a sync that it did not do",
    "acked-overstated" "R4" "an answer names the leader among those that hold the write before it does",
    "another-disk-acks" "S9" "what a member on another disk holds counts as what it lost",
    "another-disk-stands" "S9" "a member on another disk stands with the vote that it lost",
    "another-disk-votes" "E6" "a member on another disk votes once more in a term",
    "append-ignores-prev" "R1" "a follower appends without holding the entry before",
    "apply-uncommitted" "R4" "entries are applied and acknowledged before they are committed",
    "ballot-lost-on-segment-switch" "E5" "a new segment of the journal begins without the ballot",
    "bootstrap-forgets-accepted" "E12" "a later proposer drops what an earlier one may have decided",
    "bootstrap-half-of-the-seeds" "E12" "half of the seeds decide, so the other half can too",
    "bootstrap-pledge-not-durable" "E12" "a word of the birth leaves before it is durable",
    "bootstrap-promises-backwards" "E12" "a node that promised a later round accepts an earlier one",
    "bootstrap-seeds-not-asked" "E12" "those named decide alone, whatever the seeds say",
    "cas-always-swaps" "K1" "a compare-and-swap does not compare",
    "change-before-own-commit" "X6" "a new leader changes the members before it committed anything",
    "commit-at-minority" "R4" "one copy less than a majority counts as committed",
    "commit-by-new-half" "R4" "a joint configuration commits what the new voters alone hold",
    "commit-older-term-by-counting" "R2" "a leader commits entries of earlier terms by counting",
    "configuration-lost-in-snapshot" "X5" "an installed snapshot leaves the members as they were",
    "configuration-once-committed" "X5" "a configuration counts only once it is committed",
    "crc-ignored" "R5" "the journal believes frames whose checksum is wrong",
    "deadline-called-failed" "K1" "a write under way at its deadline counts as failed",
    "death-believed-at-once" "M2" "a member dies because somebody says so, without its time to refute",
    "dedup-ignored" "X1" "a retried command acts again",
    "dedup-not-in-image" "K5" "a snapshot forgets the answers to commands",
    "delete-always-deletes" "K1" "a delete of nothing says that it deleted",
    "deposed-called-failed" "K1" "what a deposed leader had proposed counts as failed",
    "durable-not-truncated" "R4" "what replaces dropped entries counts as durable at once",
    "follower-acks-before-persist" "R4" "a follower acknowledges entries before they are durable",
    "forward-numbers-restart" "F1" "a restarted node takes an old answer for a new one",
    "forward-retried-blindly" "K1" "a write is passed on again after its outcome became unknown",
    "hold-released-early" "E3" "the first durable record lets everything leave that waits for later ones",
    "journal-recycles-too-early" "R5" "the journal recycles segments that are still needed",
    "leader-counts-undurable-self" "R4" "a leader counts its own copy before it is durable",
    "leader-not-kept" "E10" "a voter that hears its leader votes for another node",
    "learner-votes" "E6" "learners count as voters",
    "mark-ahead-of-commit" "R5" "the commit mark on the disk is ahead of the commit",
    "membership-resurrects" "M3" "a dead incarnation comes back by old gossip",
    "no-check-quorum" "E11" "a leader that hears nobody leads on",
    "no-truncate-on-conflict" "E8" "a follower keeps entries that the leader does not have",
    "observer-counted" "R4" "a commit counts the copies of observers",
    "observer-leads" "E7" "an observer stands and may win",
    "old-snapshot-removed-early" "R5" "the old snapshot goes before the mark of the new one is durable",
    "page-claims-all" "K1" "a page that was cut says that nothing follows",
    "parked-for-ever" "F1" "a request that waits for a leader forgets its deadline",
    "quorum-off-by-one" "E6" "one vote less than a majority elects",
    "read-before-own-commit" "K1" "a new leader reads before it knows what is committed",
    "read-joins-round" "K1" "a read joins a round of questions that was begun before it",
    "read-without-probe" "K1" "a leader reads without asking whether it still leads",
    "refutation-forgotten" "M7" "a suspected member does not say that it lives",
    "removed-leader-stays" "E7" "a leader whose removal is committed leads on",
    "removed-never-stands" "E8" "who is to leave does not stand, also where nobody else can win",
    "revision-not-restored" "K5" "a snapshot forgets the revision",
    "seen-counted-as-granted" "E6" "a refused vote counts as granted",
    "segment-left-unsynced" "R5" "a segment of the journal is left before it is synced",
    "segment-name-not-durable" "R5" "a segment of the journal is written before its name is durable",
    "send-before-durable" "R4" "what rests on a record leaves before the record is durable",
    "sent-called-failed" "K1" "a write that was passed on counts as failed at its deadline",
    "session-ended-early" "K3" "a session that was used since the leader looked is ended all the same",
    "session-expired-runs-again" "X1" "a command of an expired session acts",
    "snapshot-goes-back" "R6" "an old snapshot replaces a newer state",
    "snapshot-keeps-conflicting-tail" "R1" "entries behind a snapshot stay, whatever they follow",
    "snapshot-mark-before-file" "R5" "the journal relies on a snapshot whose file is not durable",
    "snapshot-time-forgotten" "X4" "entries behind a snapshot are dated as if there were none",
    "stale-leader-append-accepted" "R1" "a follower takes entries from a leader of an old term",
    "stale-term-accepted" "E6" "a voter counts answers of an old term",
    "step-down-ignored" "E11" "the log leads on after the voter stepped down",
    "suspect-dies-at-once" "M2" "a suspected member is dead at the next look",
    "term-not-persisted" "E5" "a term that was seen is not written down",
    "term-spoken-early" "E5" "a reply to a heartbeat leaves before its term is durable",
    "time-begins-anew" "X4" "a new leader's entries are dated from the birth of the cluster",
    "truncate-below-commit" "R5" "a follower drops committed entries",
    "two-changes-at-once" "X6" "a change begins before the one before is complete",
    "version-stands-still" "K3" "a key that is put again keeps its version",
    "views-not-compared" "M8" "views that differ are not compared",
    "vote-by-old-half" "E6" "a joint configuration elects whom the old voters alone elect",
    "vote-not-durable" "E3" "a vote leaves before it is durable",
    "vote-twice" "E3" "a voter votes for two candidates of one term",
    "vote-without-freshness" "E4" "a voter votes for a candidate whose log is behind",
    "wiped-keeps-matched" "S9" "a member on another disk is taken to hold what it had",
}
