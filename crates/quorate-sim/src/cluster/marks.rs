//! Rare situations that a campaign must reach: what is never reached is never tested.

/// Those that every campaign of some hundred short runs reaches.
pub(super) const MARKS: &[&str] = &[
    "a damaged disk was refused",
    "a leader begins with entries that may not be committed",
    "a process ended itself",
    "a process was asked to stop",
    "a request was one too many",
    "a session was lost",
    "crash after a sync",
    "crash after a write",
    "crash between effects",
    "crash between sync and the news of it",
    "crash between write and sync",
    "crash of a leader",
    "crash within the work of a disk",
    "entries that were not committed are replaced",
    "log compacted",
    "pause of a leader",
    "snapshot installed",
    "stalled disk of a leader",
    "two nodes lead, in different terms",
];
