//! What may happen to one node, and where a crash may cut it.

use std::fmt;

/// What happens to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doing {
    /// Its clock reaches the next deadline.
    Wake,
    /// Its process stalls until every deadline is past.
    Oversleep,
    /// It gives up what it leads, and its voter loses patience.
    Stand,
    /// A client proposes the command of this number.
    Propose(u8),
    /// A message comes.
    Receive(u32),
    /// The first so many of the records written are on the disk, and it is told.
    Sync(u8),
}

impl Doing {
    /// Whether its clock moves.
    pub(super) const fn leaps(self) -> bool {
        matches!(self, Self::Wake | Self::Oversleep)
    }
}

/// What happens to a node, whole or cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    /// All effects are carried out.
    Whole(Doing),
    /// The process ends after so many effects; of the records that are not synced then, the first
    /// `kept` turn out to be on the disk.
    Cut { doing: Doing, after: u8, kept: u8 },
    /// The process ends between two steps.
    Crash { kept: u8 },
}

impl Moment {
    pub(super) const fn crashes(self) -> bool {
        !matches!(self, Self::Whole(_))
    }

    /// What the node does, unless it only crashes.
    pub(super) const fn doing(self) -> Option<Doing> {
        match self {
            Self::Whole(doing) | Self::Cut { doing, .. } => Some(doing),
            Self::Crash { .. } => None,
        }
    }

    /// The same with another number for the message received.
    pub(super) fn with_packet(self, renumber: impl FnOnce(u32) -> u32) -> Self {
        match self {
            Self::Whole(Doing::Receive(number)) => Self::Whole(Doing::Receive(renumber(number))),
            Self::Cut { doing: Doing::Receive(number), after, kept } => {
                Self::Cut { doing: Doing::Receive(renumber(number)), after, kept }
            }
            other => other,
        }
    }

    /// Every crash at rest or within `doing`, whose effects write where `writes` says so; `writing`
    /// records wait for the disk when it begins.
    pub(super) fn cuts(doing: Doing, writing: u8, writes: &[bool]) -> impl Iterator<Item = Self> {
        let synced = if let Doing::Sync(records) = doing { records } else { 0 };
        // Before the first effect nothing has happened that a crash at rest does not show, and
        // after the last one the step is whole.
        (1..writes.len()).flat_map(move |after| {
            let written = writes[..after].iter().filter(|write| **write).count() as u8;
            let kept = 0..=writing - synced + written;
            kept.map(move |kept| Self::Cut { doing, after: after as u8, kept })
        })
    }
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wake => f.write_str("reaches its deadline"),
            Self::Oversleep => f.write_str("oversleeps all deadlines"),
            Self::Stand => f.write_str("stands"),
            Self::Propose(command) => write!(f, "is given command {command}"),
            Self::Receive(_) => f.write_str("receives"),
            Self::Sync(records) => write!(f, "has {records} record(s) on disk"),
        }
    }
}
