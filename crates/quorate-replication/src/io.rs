//! What a replicator is told, and what it asks to be done.

use bytes::Bytes;
use quorate_core::{
    Change, ChangeRefused, Lane, LogId, LogIndex, Mandate, NodeId, Record, Snapshot, Term,
};

use crate::message::Message;

/// Names a proposal in the answer to it; chosen by the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ProposalId(pub u64);

/// Names a read in the answer to it; chosen by the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ReadId(pub u64);

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// This node was elected: it appends an entry of its own and replicates its log.
    Lead(Mandate),
    /// It leads no longer: a later term was promised, or the voter resigned.
    StepDown,
    /// A message arrived, and its term has been shown to the voter.
    Received {
        /// Who sent it.
        from: NodeId,
        /// What it says.
        message: Message,
    },
    /// The record of the entry (or snapshot) `tip`, and all before it, are on the own disk.
    Persisted {
        /// The last entry of [`Record::Entries`], or the last of [`Record::Snapshot`].
        tip: LogId,
    },
    /// A command for the log.
    Propose {
        /// Names it in the answer.
        id: ProposalId,
        /// The command, encoded.
        command: Bytes,
    },
    /// A change of the members.
    Change {
        /// Names it in the answer.
        id: ProposalId,
        /// The change.
        change: Change,
    },
    /// A linearizable read wants to know how far it must have applied.
    Read {
        /// Names it in the answer.
        id: ReadId,
    },
    /// A read that this leader may answer by its lease, if it holds one; else as [`Read`](Self::Read).
    LeaseRead {
        /// Names it in the answer.
        id: ReadId,
    },
    /// The own state machine's state at an applied index; made by [`crate::Log::snapshot_of`].
    Snapshotted(Snapshot),
    /// The lead is being handed over: nothing is proposed until [`Keep`](Self::Keep), and
    /// [`Output::CaughtUp`] says when the heir may stand.
    HandOver {
        /// Who is to lead.
        to: NodeId,
    },
    /// The hand-over failed: this node leads on.
    Keep,
    /// A connection to the node stands (again): it is asked at once for what it has.
    PeerConnected(NodeId),
    /// The connection to the node is gone, and with it what was under way.
    PeerLost(NodeId),
}

/// What to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Write to the journal.
    Persist(Record),
    /// Send to a peer.
    Send {
        /// To whom.
        to: NodeId,
        /// How urgent it is. Messages of one lane keep their order.
        lane: Lane,
        /// What.
        message: Message,
        /// Whether it may leave before the records pushed ahead of it are durable.
        ///
        /// True for a leader's appends and snapshot pieces: they claim nothing about its own disk,
        /// it counts itself only once its entries are there, and its term was durable at a quorum
        /// before it led. True for probes and their replies: a reply says that no later term had
        /// been promised *when the probe came*; a later leader needs a promise this node makes
        /// afterwards, and an earlier one cannot commit past the quorum that elected the prober.
        /// Never true for what a follower says about its log.
        overtakes: bool,
    },
    /// The command is in the log, not yet committed. If it is still at this place when that index
    /// commits, it took effect. Of a change of the members this is the entry with which it is
    /// complete: if it is joint, the one behind the joint configuration.
    Proposed {
        /// Which proposal.
        id: ProposalId,
        /// Its entry.
        at: LogId,
    },
    /// The command is not in the log: it had and will have no effect.
    Refused {
        /// Which proposal.
        id: ProposalId,
        /// Why.
        why: ProposeRefused,
    },
    /// The change of the members is not in the log: it had and will have no effect.
    ChangeRefused {
        /// Which proposal.
        id: ProposalId,
        /// Why; `None` if this node does not lead.
        why: Option<ChangeRefused>,
    },
    /// The configuration that is committed has no vote for this node, which led until now: the
    /// voter must resign. What it appended for others is on its way to them.
    Removed,
    /// The read may be answered as soon as everything up to `index` is applied.
    ReadAt {
        /// Which read.
        id: ReadId,
        /// The least applied index.
        index: LogIndex,
    },
    /// The read failed: this node does not lead (any more), or too many reads wait.
    ReadRefused {
        /// Which read.
        id: ReadId,
    },
    /// The committed index rose to this. The owner applies the entries up to it, each once. It
    /// rests on a quorum, not on the own disk.
    Committed(LogIndex),
    /// Replace the state machine by this; applying goes on behind [`Snapshot::last`].
    Install(Snapshot),
    /// The leader of the term is at work.
    LeaderHeard {
        /// Who.
        leader: NodeId,
        /// Of which term.
        term: Term,
    },
    /// A follower answered this leader in its term.
    PeerHeard {
        /// Who.
        peer: NodeId,
    },
    /// The one that the lead is being handed over to has this log durably, and all of it is
    /// committed: whoever proposed is answered before the lead changes.
    CaughtUp {
        /// Who is to lead.
        peer: NodeId,
    },
    /// This node stopped leading. Open proposals are in the log: whether they take effect is
    /// unknown until their index commits.
    Deposed,
    /// The log is beyond its limits: give an [`Input::Snapshotted`] soon.
    SnapshotWanted,
    /// A peer said what no correct peer of this cluster can say. It changed nothing here; count
    /// it and raise an alarm.
    Distrusted {
        /// Who.
        peer: NodeId,
        /// What it did.
        why: Distrust,
    },
}

/// Why a proposal was not taken. In every case it had and will have no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProposeRefused {
    /// Another node leads, or none.
    #[error("this node does not lead; ask the leader")]
    NotLeading,
    /// The lead is being handed over. Ask again when that is over.
    #[error("the lead is being handed over; try again in a moment")]
    HandingOver,
    /// Too much waits for its commit, or for the own disk. Try again when some of it is there.
    #[error("too many uncommitted entries; try again later")]
    Overloaded,
    /// The command is above the limit.
    #[error("the command is larger than `command_bytes`; split it")]
    TooLarge,
}

/// What a peer did that no correct peer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Distrust {
    /// It holds another entry at an index that is committed here, and wanted it replaced.
    #[error("a committed entry at {at} was contradicted; compare the logs of both nodes")]
    CommittedDiffers {
        /// Where.
        at: LogIndex,
    },
    /// It leads the term in which this node leads.
    #[error("two leaders in term {term}")]
    SecondLeader {
        /// Which term.
        term: Term,
    },
    /// Its entries are not consecutive, or go back in term or time.
    #[error("malformed entries")]
    Malformed,
    /// Its snapshot is above the limit.
    #[error("the leader's snapshot is larger than `snapshot_bytes`; raise it on this node")]
    SnapshotTooLarge,
}
