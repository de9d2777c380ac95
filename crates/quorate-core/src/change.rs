//! Changing who counts: what may be asked for, and the configuration that follows.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Configuration, DiskId, Kind, Member, NodeId, is_address, mutant};

/// What is to become of the members.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Change {
    /// A node joins. It gets the log, or a snapshot, and has no vote.
    Add {
        /// Who.
        id: NodeId,
        /// As what: a learner or an observer.
        member: Member,
    },
    /// Learners become voters, all of them at once: from three voters to five in one step.
    Promote {
        /// Who.
        ids: BTreeSet<NodeId>,
    },
    /// A member leaves.
    Remove {
        /// Who.
        id: NodeId,
        /// Whether it may join again by itself, as one that was given up as dead may.
        may_return: bool,
    },
    /// A voter leaves, and a learner takes its place in the same step.
    Replace {
        /// Who leaves.
        old: NodeId,
        /// Who votes from then on.
        new: NodeId,
        /// Whether `old` may join again by itself.
        may_return: bool,
    },
    /// A member came back on another disk, and has nothing of what it had: in its place stands a
    /// learner of that name, or an observer if it was one.
    Rejoin {
        /// Who.
        id: NodeId,
        /// The disk it is on now.
        disk: DiskId,
    },
}

/// Why a change of the members was not begun. Nothing of it will happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeRefused {
    /// Another change is not complete yet.
    #[error("another change of the members is under way; wait until it is committed")]
    UnderWay,
    /// The leader has not committed an entry of its own term, or hands the lead over.
    #[error("the lead is changing hands; try again in a moment")]
    NotReady,
    /// It is no member.
    #[error("`{id}` is no member; `GET /v1/members` lists those that are")]
    UnknownNode {
        /// Who.
        id: NodeId,
    },
    /// It is a member already.
    #[error("`{id}` is a member already, as {kind:?}")]
    AlreadyMember {
        /// Who.
        id: NodeId,
        /// What it is.
        kind: Kind,
    },
    /// Only learners and observers are added.
    #[error("`{id}` cannot begin as {kind:?}: add it as learner, and promote it once it caught up")]
    BeginsAsLearner {
        /// Who.
        id: NodeId,
        /// What was asked for.
        kind: Kind,
    },
    /// Only learners are promoted.
    #[error("`{id}` is {kind:?}: only a learner becomes a voter")]
    NotLearner {
        /// Who.
        id: NodeId,
        /// What it is.
        kind: Kind,
    },
    /// Only voters are replaced.
    #[error("`{id}` is {kind:?}: only a voter is replaced; remove it instead")]
    NotVoter {
        /// Who.
        id: NodeId,
        /// What it is.
        kind: Kind,
    },
    /// A learner does not have enough of the log yet.
    #[error("`{id}` lacks {behind} entries that are committed; wait until it caught up")]
    NotCaughtUp {
        /// Who.
        id: NodeId,
        /// How many committed entries it is not known to hold.
        behind: u64,
    },
    /// Of the voters after the change too few can be reached.
    #[error(
        "only {reachable} of {voters} voters after it are reachable: the cluster would stand still; \
         bring them back or remove those that are gone first"
    )]
    WouldLoseQuorum {
        /// How many of them are reachable.
        reachable: u32,
        /// How many voters there would be.
        voters: u32,
    },
    /// Nobody could decide any more.
    #[error("`{id}` is the last voter; add and promote another one first")]
    LastVoter {
        /// Who.
        id: NodeId,
    },
    /// The members are as many as can be.
    #[error("there are {most} members, and no more can be; remove one first")]
    TooManyMembers {
        /// The most.
        most: u32,
    },
    /// It asks for nothing.
    #[error("it names nobody; say who is to be promoted")]
    Empty,
    /// Nobody could be reached there.
    #[error("`{address}` is no address: say `host:port`, IPv6 in brackets")]
    BadAddress {
        /// What was asked for, shortened.
        address: String,
    },
    /// It is on that disk already.
    #[error("`{id}` is a member on disk {disk} already")]
    SameDisk {
        /// Who.
        id: NodeId,
        /// The disk.
        disk: DiskId,
    },
    /// Nobody knows on which disk it is.
    #[error(
        "`{id}` is not connected, so it is not known on which disk it is: start it first, with the \
         seeds of this cluster"
    )]
    NotConnected {
        /// Who.
        id: NodeId,
    },
    /// It is on another disk than the change says.
    #[error("`{id}` is on disk {there}, not on {asked}: leave the disk out")]
    OtherDisk {
        /// Who.
        id: NodeId,
        /// The disk it is on.
        there: DiskId,
        /// The one that the change names.
        asked: DiskId,
    },
}

impl Configuration {
    /// The most members of a configuration.
    pub const MEMBERS_MAX: usize = 64;

    /// How many of those that were removed for good are remembered.
    pub const REMOVED_MAX: usize = 64;

    /// The configuration to append for `change`: joint if the voters differ, else the new one.
    ///
    /// # Errors
    ///
    /// [`ChangeRefused`] if it makes no sense for these members.
    pub fn after(&self, change: &Change) -> Result<Self, ChangeRefused> {
        if self.is_joint() && !mutant!("two-changes-at-once") {
            return Err(ChangeRefused::UnderWay);
        }
        let mut next =
            Self { members: self.members.clone(), outgoing: None, removed: self.removed.clone() };
        match change {
            Change::Add { id, member } => next.add(id, member)?,
            Change::Promote { ids } => {
                if ids.is_empty() {
                    return Err(ChangeRefused::Empty);
                }
                for id in ids {
                    next.promote(id)?;
                }
            }
            Change::Rejoin { id, disk } => next.rejoin(id, *disk)?,
            Change::Remove { id, may_return } => {
                next.known(id)?;
                next.drop_member(id, *may_return);
            }
            Change::Replace { old, new, may_return } => {
                let kind = next.known(old)?;
                if !kind.votes() {
                    return Err(ChangeRefused::NotVoter { id: old.clone(), kind });
                }
                next.promote(new)?;
                next.drop_member(old, *may_return);
            }
        }
        if votes(&next.members).is_empty() {
            let (Change::Remove { id, .. } | Change::Rejoin { id, .. }) = change else {
                return Err(ChangeRefused::Empty);
            };
            return Err(ChangeRefused::LastVoter { id: id.clone() });
        }
        if votes(&next.members) != votes(&self.members) {
            next.outgoing = Some(self.members.clone());
        }
        Ok(next)
    }

    /// The configuration after a joint one: the new half alone.
    #[must_use]
    pub fn settled(&self) -> Self {
        Self { members: self.members.clone(), outgoing: None, removed: self.removed.clone() }
    }

    fn known(&self, id: &NodeId) -> Result<Kind, ChangeRefused> {
        let member = self.members.get(id);
        member
            .map(|member| member.kind)
            .ok_or_else(|| ChangeRefused::UnknownNode { id: id.clone() })
    }

    fn add(&mut self, id: &NodeId, member: &Member) -> Result<(), ChangeRefused> {
        if let Some(present) = self.members.get(id) {
            return Err(ChangeRefused::AlreadyMember { id: id.clone(), kind: present.kind });
        }
        if !matches!(member.kind, Kind::Learner | Kind::Observer) {
            return Err(ChangeRefused::BeginsAsLearner { id: id.clone(), kind: member.kind });
        }
        if !member.address.is_empty() && !is_address(&member.address) {
            let address = member.address.chars().take(ADDRESS_SHOWN).collect();
            return Err(ChangeRefused::BadAddress { address });
        }
        if self.members.len() >= Self::MEMBERS_MAX {
            return Err(ChangeRefused::TooManyMembers { most: Self::MEMBERS_MAX as u32 });
        }
        self.removed.retain(|removed| removed != id);
        self.members.insert(id.clone(), member.clone());
        Ok(())
    }

    fn promote(&mut self, id: &NodeId) -> Result<(), ChangeRefused> {
        let kind = self.known(id)?;
        if kind != Kind::Learner {
            return Err(ChangeRefused::NotLearner { id: id.clone(), kind });
        }
        if let Some(member) = self.members.get_mut(id) {
            member.kind = Kind::Voter;
        }
        Ok(())
    }

    fn rejoin(&mut self, id: &NodeId, disk: DiskId) -> Result<(), ChangeRefused> {
        let kind = self.known(id)?;
        let Some(member) = self.members.get_mut(id).filter(|member| member.disk != disk) else {
            return Err(ChangeRefused::SameDisk { id: id.clone(), disk });
        };
        member.disk = disk;
        member.kind = match kind {
            Kind::Voter | Kind::Learner => Kind::Learner,
            Kind::Observer => Kind::Observer,
            Kind::Witness => return Err(ChangeRefused::NotLearner { id: id.clone(), kind }),
        };
        Ok(())
    }

    fn drop_member(&mut self, id: &NodeId, may_return: bool) {
        self.members.remove(id);
        if !may_return {
            self.removed.push(id.clone());
            let too_many = self.removed.len().saturating_sub(Self::REMOVED_MAX);
            self.removed.drain(..too_many);
        }
    }
}

/// How much of a wrong address is repeated, in characters.
const ADDRESS_SHOWN: usize = 64;

/// Those of `members` that vote.
fn votes(members: &BTreeMap<NodeId, Member>) -> BTreeSet<&NodeId> {
    members.iter().filter(|(_, member)| member.kind.votes()).map(|(id, _)| id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> NodeId {
        NodeId::new(name).unwrap()
    }

    fn learner() -> Member {
        Member { kind: Kind::Learner, priority: 100, address: "h:1".to_owned(), disk: DiskId(4) }
    }

    fn abc() -> Configuration {
        Configuration::of_voters(["a", "b", "c"].map(id))
    }

    #[test]
    fn only_a_change_of_voters_is_joint() {
        let four = abc().after(&Change::Add { id: id("d"), member: learner() }).unwrap();
        assert!(!four.is_joint());
        assert!(!four.votes(&id("d")));
        let joint = four.after(&Change::Promote { ids: [id("d")].into() }).unwrap();
        assert_eq!(joint.outgoing.as_ref(), Some(&four.members));
        assert!(joint.votes(&id("d")));
        let five = joint.settled();
        assert!(!five.is_joint());
        let gone = Change::Remove { id: id("a"), may_return: false };
        assert_eq!(joint.after(&gone), Err(ChangeRefused::UnderWay));
        let joint = five.after(&gone).unwrap();
        assert!(joint.votes(&id("a")), "it votes until the change is complete");
        assert_eq!(joint.settled().removed, [id("a")]);
        let back = joint.settled().after(&Change::Add { id: id("a"), member: learner() });
        assert!(back.unwrap().removed.is_empty(), "who is added again is welcome");
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_to_do() {
        let (unknown, voter) = (id("x"), id("a"));
        let add = |kind| Change::Add { id: id("d"), member: Member { kind, ..learner() } };
        let at = |address: &str| {
            let member = Member { address: address.to_owned(), ..learner() };
            Change::Add { id: id("d"), member }
        };
        for (change, why) in [
            (add(Kind::Voter), "add it as learner"),
            (Change::Add { id: voter.clone(), member: learner() }, "already"),
            (at("h"), "say `host:port`"),
            (at(&"h".repeat(1_000)), "say `host:port`"),
            (Change::Promote { ids: [unknown.clone()].into() }, "no member"),
            (Change::Promote { ids: [voter.clone()].into() }, "only a learner"),
            (Change::Promote { ids: BTreeSet::new() }, "nobody"),
            (Change::Remove { id: unknown.clone(), may_return: true }, "no member"),
            (Change::Replace { old: voter, new: unknown, may_return: true }, "no member"),
        ] {
            let refused = abc().after(&change).unwrap_err().to_string();
            assert!(refused.contains(why), "{change:?}: {refused}");
        }
        let alone = Configuration::of_voters([id("a")]);
        let gone = Change::Remove { id: id("a"), may_return: false };
        assert!(matches!(alone.after(&gone), Err(ChangeRefused::LastVoter { .. })));
    }

    #[test]
    fn who_lost_its_disk_begins_as_learner_and_the_lost_one_keeps_its_vote_meanwhile() {
        let mut three = abc();
        three.members.values_mut().for_each(|member| member.disk = DiskId(1));
        let rejoin = |disk| Change::Rejoin { id: id("b"), disk: DiskId(disk) };
        let joint = three.after(&rejoin(2)).unwrap();
        assert!(joint.is_joint() && joint.votes(&id("b")));
        assert!(joint.speaks_for(&id("b"), DiskId(1)) && !joint.speaks_for(&id("b"), DiskId(2)));
        let settled = joint.settled();
        assert_eq!(settled.kind(&id("b")), Some(Kind::Learner));
        assert!(
            !settled.speaks_for(&id("b"), DiskId(1)) && settled.speaks_for(&id("b"), DiskId(2))
        );
        // A learner has no vote to lose.
        assert!(!settled.after(&rejoin(3)).unwrap().is_joint());
        let same = Err(ChangeRefused::SameDisk { id: id("b"), disk: DiskId(2) });
        assert_eq!(settled.after(&rejoin(2)), same);
        assert!(settled.speaks_for(&id("x"), DiskId(9)), "a stranger has no word that counts");
        let alone = Configuration::of_voters([id("b")]);
        assert_eq!(alone.after(&rejoin(2)), Err(ChangeRefused::LastVoter { id: id("b") }));
    }

    #[test]
    fn members_of_both_halves_come_once_and_in_order() {
        for gone in ["a", "b", "c"] {
            let joint = abc().after(&Change::Remove { id: id(gone), may_return: true }).unwrap();
            assert_eq!(joint.ids().cloned().collect::<Vec<_>>(), ["a", "b", "c"].map(id));
        }
    }

    #[test]
    fn those_removed_are_remembered_up_to_a_bound() {
        let mut configuration = abc();
        for n in 0..Configuration::REMOVED_MAX + 3 {
            let add = Change::Add { id: id(&format!("n{n}")), member: learner() };
            let gone = Change::Remove { id: id(&format!("n{n}")), may_return: false };
            configuration = configuration.after(&add).unwrap().after(&gone).unwrap();
        }
        assert_eq!(configuration.removed.len(), Configuration::REMOVED_MAX);
        assert_eq!(configuration.removed.last(), Some(&id("n66")));
    }
}
