//! How often things happened.

/// How often things happened since the start; each only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Packets received, good and bad.
    pub received: u64,
    /// Packets sent.
    pub sent: u64,
    /// Bytes of the packets sent, without frames and headers.
    pub sent_bytes: u64,
    /// Refused: another version.
    pub other_version: u64,
    /// Refused: the name of another cluster.
    pub foreign_name: u64,
    /// Packets and claims refused: another cluster of our name.
    pub foreign_cluster: u64,
    /// Refused: too large, or out of bounds; no honest node sends such.
    pub malformed: u64,
    /// Packets and claims that another process made under our id.
    pub twins: u64,
    /// Claims that were newer than what was known.
    pub learned: u64,
    /// Members not taken up because the view is full.
    pub no_room: u64,
    /// Probes begun.
    pub probes: u64,
    /// Probes that nobody answered.
    pub probes_failed: u64,
    /// Pings made for others.
    pub relayed: u64,
    /// Members that this node itself found silent and said so.
    pub accusations: u64,
    /// Members that this node itself declared dead.
    pub deaths: u64,
    /// Claims about this node that it had to contradict.
    pub refutations: u64,
    /// Comparisons of whole views begun.
    pub syncs: u64,
    /// Pages of the view sent.
    pub pages: u64,
    /// Times this node found that it had been stalled.
    pub stalls: u64,
}
