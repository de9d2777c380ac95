//! What the invariants mean, for someone who reads their ids for the first time.

/// The promise in plain words; empty for an id that has none here.
#[must_use]
pub fn meaning(invariant: &str) -> &'static str {
    WORDS.iter().find(|(id, _)| *id == invariant).map_or("", |(_, words)| words)
}

const WORDS: &[(&str, &str)] = &[
    ("E1", "At most one node leads a term."),
    ("E2", "At most one node holds a valid lease at any instant."),
    ("E3", "A voter votes once in a term, also across crashes."),
    ("E4", "Whoever leads has every entry that was committed before."),
    ("E5", "The term of a node never falls, also across restarts: others may rely on it."),
    ("E6", "Nobody leads without the votes of more than half of the members."),
    (
        "E7",
        "A node that only watches or holds copies never leads, one of priority 0 only to hand over.",
    ),
    ("E8", "Soon after faults have ended, the cluster leads, writes and reads again."),
    ("E9", "The healthiest node of the highest priority ends up leading."),
    ("E10", "A node that comes back from a fault does not depose a working leader."),
    ("E11", "A leader that is cut off from the majority steps down in time."),
    ("E12", "However nodes find one another, only one cluster is born."),
    ("R1", "Logs that hold an entry with the same name hold the same entry and the same past."),
    ("R2", "What is committed stays in the log of every later leader."),
    ("R3", "At one place of the log, all nodes have committed the same entry."),
    ("R4", "What is committed, or confirmed to a client, is on the disks of a majority."),
    ("R5", "What a node has made durable, or knows to be committed, is never taken back."),
    ("R6", "Every entry is applied once, in order, and a snapshot never goes back in time."),
    ("R7", "Nodes that saw the same updates are in the same state."),
    ("R8", "A write that knew of another is never lost to it."),
    ("R9", "After faults have ended, all nodes come to the same state."),
    ("R10", "The lag that is reported is the lag there is."),
    ("R11", "No confirmed write disappears without being reported."),
    ("K1", "Reads and writes behave as if one single copy answered them in one order."),
    ("K2", "Transactions behave as if they ran one after the other."),
    ("K3", "A session sees what it was promised to see."),
    ("K4", "A watch tells every change once, in order, without a gap."),
    ("K5", "Nodes that have applied equally much are in equal states."),
    ("L1", "Fencing tokens rise for ever."),
    ("L2", "A resource that checks tokens never sees two writers at once."),
    ("L3", "A lock has one live holder."),
    ("L4", "A lock does not expire early."),
    ("L5", "A lock is extended only as long as its session lives."),
    ("L6", "Only its owner releases a lock."),
    ("L7", "A request for a lock that was given up leaves nothing behind."),
    ("L8", "Who waits first is served first."),
    ("L9", "A circle of waiting owners is refused."),
    ("L10", "A lock that expired goes to the next one soon."),
    ("M1", "What a node is told of another is never older than what it knew."),
    ("M2", "Nobody is called dead before the time for suspicion is over."),
    ("M3", "Who was called dead comes back only as a newer incarnation."),
    ("M4", "No message of another cluster is accepted."),
    ("M5", "Every datagram fits through the network."),
    ("M6", "Every crash is noticed in time by all who live."),
    ("M7", "Nobody who lives is called dead while the network is mostly well."),
    ("M8", "After faults have ended, all see the same members."),
    ("M9", "Islands with a common seed find one another again."),
    ("S9", "Nobody counts, and nobody stands, on another disk than the members name for it."),
    ("F1", "Every request is answered once, and in time."),
    ("X1", "A write that is sent again acts once."),
    ("X4", "The time of the log never goes back."),
    ("X5", "A node counts by the newest members in its log, from the moment they stand there."),
    ("X6", "Members change one step at a time, and voters by way of a joint configuration only."),
    ("X8", "A write that is called strong is on the disk of every voter that counts there."),
    ("X9", "What a node says of a write is what became of it."),
    ("boot", "A node starts on whatever a crash has left on its disk."),
    ("panic", "The code of a node never panics, whatever happens around it."),
    ("progress", "Time passes: a node does not keep itself busy for ever."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Summary;

    #[test]
    fn every_invariant_that_is_checked_is_explained() {
        for id in Summary::invariants() {
            assert!(!meaning(id).is_empty(), "{id} has no words");
        }
        assert_eq!(meaning("Q99"), "");
    }
}
