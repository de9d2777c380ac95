//! How often things happened.

use crate::packet::Class;

/// How often things happened since the start; each only grows. What grows when all is well comes
/// first, in one line of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Packets received, good and bad.
    pub received: u64,
    /// Packets sent.
    pub sent: u64,
    /// Bytes of the packets sent, without frames and headers.
    pub sent_bytes: u64,
    /// The same for pings, answers, and help with them.
    pub probe_bytes: u64,
    /// Probes begun.
    pub probes: u64,
    /// Packets whose sender sees the same members as this node.
    pub views_equal: u64,
    /// The same for news of members and messages of users.
    pub gossip_bytes: u64,
    /// The same for comparing views.
    pub sync_bytes: u64,
    /// The same for looking for others, and answering those who do.
    pub join_bytes: u64,
    /// Packets sent over streams.
    pub by_stream: u64,
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
    /// Newcomers looked into, because another process has their id.
    pub vetted: u64,
    /// Newcomers refused, because that other process answers.
    pub refused: u64,
    /// Claims that were newer than what was known.
    pub learned: u64,
    /// Members not taken up because the view is full.
    pub no_room: u64,
    /// Accusations and requests not followed, because their author made too many.
    pub over_limit: u64,
    /// Probes that nobody answered.
    pub probes_failed: u64,
    /// Pings made for others.
    pub relayed: u64,
    /// Times others were asked whether they reach a silent member.
    pub inquiries: u64,
    /// Of these, those in which somebody did.
    pub inquiries_cleared: u64,
    /// Members that this node itself found silent and said so.
    pub accusations: u64,
    /// Members that this node itself declared dead.
    pub deaths: u64,
    /// Claims about this node that it had to contradict.
    pub refutations: u64,
    /// Packets whose sender does not.
    pub views_differ: u64,
    /// Comparisons of whole views begun.
    pub syncs: u64,
    /// Pages of the view sent.
    pub pages: u64,
    /// Messages of users told for the first time here.
    pub broadcasts: u64,
    /// Messages of users that were dropped: for want of room, or as none may be told.
    pub broadcasts_dropped: u64,
    /// Times this node found that it had been stalled.
    pub stalls: u64,
}

impl Counters {
    pub(crate) const fn sends(&mut self, class: Class, bytes: u64) {
        self.sent += 1;
        self.sent_bytes += bytes;
        *match class {
            Class::Probe => &mut self.probe_bytes,
            Class::Gossip => &mut self.gossip_bytes,
            Class::Sync => &mut self.sync_bytes,
            Class::Join => &mut self.join_bytes,
        } += bytes;
    }
}
