//! Who counts: the members of the replicated log, and quorums over them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{DiskId, LogIndex, NodeId, VoteResult, committed_index, majority, mutant, vote_result};

/// What a member of the configuration may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Holds data, votes, may lead.
    Voter,
    /// Holds data on its way to becoming a voter.
    Learner,
    /// Holds data, is never promoted.
    Observer,
    /// Votes and remembers which entries exist, never their content; never leads.
    Witness,
}

impl Kind {
    /// Whether it counts towards quorums.
    #[must_use]
    pub const fn votes(self) -> bool {
        matches!(self, Self::Voter | Self::Witness)
    }

    /// Whether it may lead.
    #[must_use]
    pub const fn leads(self) -> bool {
        matches!(self, Self::Voter)
    }
}

/// One member of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Member {
    /// What it may do.
    pub kind: Kind,
    /// Higher stands earlier; 0 stands only to hand over. Default 100.
    pub priority: u8,
    /// Where its cluster port was when it joined, `host:port`, or empty; gossip knows better.
    pub address: String,
    /// On which disk it became what it is: nobody speaks for it from another one. A birth and a
    /// leader always name it. [`DiskId::NONE`] lets any disk speak, which a configuration that
    /// people wrote may do; then a voter that lost its disk still counts as one that kept it, and
    /// what it had acknowledged can be lost.
    pub disk: DiskId,
}

impl Member {
    /// The priority of a member that was given none.
    pub const PRIORITY_DEFAULT: u8 = 100;
}

/// The members of the log, as one of its entries says.
///
/// It counts from the moment it is appended (Ongaro 2014, section 4.1). While a change is under
/// way it is *joint*: quorums need a majority of the new and of the old voters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Configuration {
    /// The members now, or after the change.
    pub members: BTreeMap<NodeId, Member>,
    /// The members before the change; `None` when no change is under way.
    pub outgoing: Option<BTreeMap<NodeId, Member>>,
    /// Those that were removed for good, the latest at the end: they do not join again by
    /// themselves. At most [`Configuration::REMOVED_MAX`].
    pub removed: Vec<NodeId>,
}

impl Configuration {
    /// Voters of equal priority, for tests and examples.
    #[must_use]
    pub fn of_voters(ids: impl IntoIterator<Item = NodeId>) -> Self {
        let member = || Member {
            kind: Kind::Voter,
            priority: Member::PRIORITY_DEFAULT,
            address: String::new(),
            disk: DiskId::NONE,
        };
        Self::of_members(ids.into_iter().map(|id| (id, member())).collect())
    }

    /// These members, and no change under way.
    #[must_use]
    pub const fn of_members(members: BTreeMap<NodeId, Member>) -> Self {
        Self { members, outgoing: None, removed: Vec::new() }
    }

    /// Whether a change of the voters is under way.
    #[must_use]
    pub const fn is_joint(&self) -> bool {
        self.outgoing.is_some()
    }

    /// Whether no member exists yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The member `id` in either half, the new one first.
    #[must_use]
    pub fn member(&self, id: &NodeId) -> Option<&Member> {
        self.members.get(id).or_else(|| self.outgoing.as_ref()?.get(id))
    }

    /// What `id` is; `None` for a stranger.
    #[must_use]
    pub fn kind(&self, id: &NodeId) -> Option<Kind> {
        let old = self.outgoing.as_ref().and_then(|old| old.get(id));
        // In a joint configuration a voter of either half has a vote.
        match (self.members.get(id), old) {
            (Some(new), Some(old)) if old.kind.votes() && !new.kind.votes() => Some(old.kind),
            (Some(member), _) | (None, Some(member)) => Some(member.kind),
            (None, None) => None,
        }
    }

    /// Whether `id` may lead, and wants to for longer than it takes to hand over.
    #[must_use]
    pub fn is_electable(&self, id: &NodeId) -> bool {
        self.kind(id).is_some_and(Kind::leads)
            && self.member(id).is_some_and(|member| member.priority > 0)
    }

    /// Whether `id` has a vote in either half.
    #[must_use]
    pub fn votes(&self, id: &NodeId) -> bool {
        self.kind(id).is_some_and(Kind::votes)
    }

    /// Whether `id` may lead, by this configuration alone.
    #[must_use]
    pub fn may_lead(&self, id: &NodeId) -> bool {
        self.kind(id).is_some_and(|kind| kind.leads() || mutant!("observer-leads"))
    }

    /// The disk whose word counts as `id`'s; `None` for a stranger. While a voter's place is
    /// taken from one disk and given to another, that of the half in which it votes.
    #[must_use]
    pub fn disk(&self, id: &NodeId) -> Option<DiskId> {
        let old = self.outgoing.as_ref().and_then(|old| old.get(id));
        match (self.members.get(id), old) {
            (Some(new), Some(old)) if old.kind.votes() && !new.kind.votes() => Some(old.disk),
            (Some(member), _) | (None, Some(member)) => Some(member.disk),
            (None, None) => None,
        }
    }

    /// Whether what `id` says from `disk` may count as its word. A stranger has none that counts,
    /// so anybody may speak for one.
    #[must_use]
    pub fn speaks_for(&self, id: &NodeId, disk: DiskId) -> bool {
        self.disk(id).is_none_or(|named| named == DiskId::NONE || named == disk)
    }

    /// Every member of either half, each once, in order.
    pub fn ids(&self) -> impl Iterator<Item = &NodeId> {
        let mut new = self.members.keys().peekable();
        let mut old = self.outgoing.iter().flat_map(BTreeMap::keys).peekable();
        // Merged rather than chained: whoever keeps something for each looks it up by order.
        std::iter::from_fn(move || match (new.peek(), old.peek()) {
            (Some(a), Some(b)) if a > b => old.next(),
            (Some(a), Some(b)) => {
                if a == b {
                    old.next();
                }
                new.next()
            }
            (Some(_), None) => new.next(),
            (None, _) => old.next(),
        })
    }

    /// Every voter and witness of either half, each once.
    pub fn voters(&self) -> impl Iterator<Item = &NodeId> {
        self.ids().filter(|id| self.votes(id))
    }

    /// The voters of the new half and, while joint, of the old one.
    fn halves(&self) -> impl Iterator<Item = &BTreeMap<NodeId, Member>> {
        std::iter::once(&self.members).chain(self.outgoing.as_ref())
    }

    /// What the votes amount to: `vote` answers `Some(true)` for a grant, `Some(false)` for a
    /// refusal, `None` for silence. Won only if every half is won.
    pub fn vote_result(&self, vote: impl Fn(&NodeId) -> Option<bool>) -> VoteResult {
        let mut overall = VoteResult::Won;
        for (place, half) in self.halves().enumerate() {
            if place == 0 && self.is_joint() && mutant!("vote-by-old-half") {
                continue;
            }
            let (mut voters, mut granted, mut refused) = (0, 0, 0);
            for id in voters_of(half) {
                voters += 1;
                match vote(id) {
                    Some(true) => granted += 1,
                    Some(false) => refused += 1,
                    None => {}
                }
            }
            if mutant!("quorum-off-by-one") && granted + 1 >= majority(voters) {
                continue;
            }
            match vote_result(voters, granted, refused) {
                VoteResult::Won => {}
                VoteResult::Lost => return VoteResult::Lost,
                VoteResult::Open => overall = VoteResult::Open,
            }
        }
        overall
    }

    /// Whether the nodes for which `holds` is true include a quorum.
    pub fn has_quorum(&self, holds: impl Fn(&NodeId) -> bool) -> bool {
        self.vote_result(|id| holds(id).then_some(true)) == VoteResult::Won
    }

    /// The highest index that a quorum of every half has reached; zero if none.
    pub fn committed(&self, reached: impl Fn(&NodeId) -> LogIndex) -> LogIndex {
        let half = |half: &BTreeMap<NodeId, Member>| {
            let mut marks: Vec<u64> = voters_of(half).map(|id| reached(id).0).collect();
            if mutant!("observer-counted") {
                marks = half.keys().map(|id| reached(id).0).collect();
            }
            if mutant!("commit-at-minority") {
                return marks.iter().copied().max().unwrap_or(0);
            }
            committed_index(&mut marks)
        };
        if mutant!("commit-by-new-half") {
            return LogIndex(half(&self.members));
        }
        LogIndex(self.halves().map(half).min().unwrap_or(0))
    }
}

fn voters_of(half: &BTreeMap<NodeId, Member>) -> impl Iterator<Item = &NodeId> {
    let counts = |kind: Kind| kind.votes() || (mutant!("learner-votes") && kind == Kind::Learner);
    half.iter().filter(move |(_, member)| counts(member.kind)).map(|(id, _)| id)
}
