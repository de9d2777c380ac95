//! Who becomes a member, a voter, or is given up, without anybody asking: only a leader looks, one
//! change at a time, and never at the price of a quorum.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_core::{
    Change, ChangeRefused, ClusterId, Configuration, DiskId, Instant, Kind, LogView as _, Member,
    NodeId,
};
use quorate_membership::State;
use quorate_replication::{self as replication, ProposalId};

use super::node::NodeMachine;

/// How members change by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutopilotConfig {
    /// Learners are promoted up to so many voters; odd.
    pub max_voters: usize,
    /// How long a learner must have been well and caught up before it becomes a voter. Longer: a
    /// node that comes and goes is trusted later.
    pub stabilisation: Duration,
    /// How long a member must have been gone before a learner takes its place. Longer than a
    /// restart or an upgrade takes: each replacement sends a copy of the state.
    pub replace_after: Duration,
}

impl Default for AutopilotConfig {
    fn default() -> Self {
        Self {
            max_voters: 5,
            stabilisation: Duration::from_secs(5),
            replace_after: Duration::from_secs(60),
        }
    }
}

/// What a leader has noticed of the members.
#[derive(Debug)]
pub(super) struct Autopilot {
    config: Option<AutopilotConfig>,
    /// When to look again; `None` while another node leads.
    pub(super) look_at: Option<Instant>,
    /// Since when each learner is well.
    well: BTreeMap<NodeId, Instant>,
    /// Since when each member is gone.
    gone: BTreeMap<NodeId, Instant>,
    /// On which other disk than its own each member was heard in this reign. A stream that is up may
    /// be the dead one of an earlier disk, so it alone proves nothing.
    moved: BTreeMap<NodeId, DiskId>,
}

impl Autopilot {
    pub(super) const fn new(config: Option<AutopilotConfig>) -> Self {
        Self {
            config,
            look_at: None,
            well: BTreeMap::new(),
            gone: BTreeMap::new(),
            moved: BTreeMap::new(),
        }
    }

    /// This node leads from now on, or leads no longer. What an earlier leader noticed is not
    /// known here, so everybody is given their time anew.
    pub(super) fn led(&mut self, now: Option<Instant>) {
        self.look_at = now.filter(|_| self.config.is_some()).map(|now| now + LOOK_EVERY);
        self.well.clear();
        self.gone.clear();
        self.moved.clear();
    }

    /// The member `id` was heard from another disk than its own.
    pub(super) fn heard_elsewhere(&mut self, id: NodeId, disk: DiskId) {
        if self.look_at.is_some() {
            self.moved.insert(id, disk);
        }
    }
}

impl NodeMachine {
    /// Looks after the members, if it is time to.
    pub(super) fn look_after_members(&mut self, now: Instant) {
        if self.autopilot.look_at.is_none_or(|due| due > now) {
            return;
        }
        self.autopilot.look_at = Some(now + LOOK_EVERY);
        let Some(config) = self.autopilot.config.clone() else { return };
        self.notice(now);
        // One at a time: while one is under way nothing is refused, nothing is said.
        let due = |since: &BTreeMap<NodeId, Instant>, id: &NodeId, patience: Duration| {
            since.get(id).is_some_and(|since| now >= *since + patience)
        };
        let configuration = self.replicator.log().configuration().clone();
        let stable = |id: &NodeId| due(&self.autopilot.well, id, config.stabilisation);
        let lost = |id: &NodeId| due(&self.autopilot.gone, id, config.replace_after);
        // What is refused must not hide what comes after it. Newcomers last: there may be more of
        // them than can be.
        let mut changes = self
            .returned(&configuration)
            .chain(replacement(&configuration, stable, lost))
            .chain(promotion(&configuration, stable, config.max_voters))
            .chain(departures(&configuration, lost))
            .chain(self.newcomers(&configuration));
        let possible = changes.find(|change| self.keeps_quorum(change).is_ok());
        drop(changes);
        if let Some(change) = possible {
            // Nobody waits for it: a number that no open request bears.
            self.replicate(now, replication::Input::Change { id: ProposalId(0), change });
        }
    }

    /// Notes who is well and who is gone, and since when.
    fn notice(&mut self, now: Instant) {
        let configuration = self.replicator.log().configuration();
        let (mut well, mut gone) = (BTreeMap::new(), BTreeMap::new());
        for id in configuration.ids().filter(|id| **id != self.me) {
            let state = self.neighbours.membership.member(id).map(|member| member.state);
            let is_reached = self.reaches(id);
            if !self.connected.contains_key(id) && !state.is_some_and(State::is_live) {
                let since = self.autopilot.gone.get(id).copied().unwrap_or(now);
                gone.insert(id.clone(), since);
            } else if is_reached
                && state == Some(State::Alive)
                && self.replicator.has_caught_up(id).is_ok()
            {
                let since = self.autopilot.well.get(id).copied().unwrap_or(now);
                well.insert(id.clone(), since);
            }
        }
        self.autopilot.well = well;
        self.autopilot.gone = gone;
    }

    /// Members that came back on another disk: learners from now on, and voters again when they
    /// caught up.
    fn returned(&self, configuration: &Configuration) -> impl Iterator<Item = Change> {
        let there = self.connected.iter().filter(|(id, disk)| {
            let is_heard = self.autopilot.moved.get(*id) == Some(*disk);
            is_heard && **disk != DiskId::NONE && !configuration.speaks_for(id, **disk)
        });
        there.map(|(id, disk)| Change::Rejoin { id: id.clone(), disk: *disk })
    }

    /// Nodes that are there, and no members: they join as what they are meant to be. Not those that
    /// were removed for good, nor those of another cluster.
    fn newcomers(&self, configuration: &Configuration) -> impl Iterator<Item = Change> {
        self.neighbours.membership.members().filter_map(|(id, neighbour)| {
            let tags = &neighbour.info.tags;
            let ours = tags.cluster == ClusterId::NONE || Some(tags.cluster) == self.cluster;
            let disk = self.connected.get(id).copied().filter(|disk| *disk != DiskId::NONE)?;
            let is_new = ours
                && *id != self.me
                && neighbour.state == State::Alive
                && configuration.member(id).is_none()
                && !configuration.removed.contains(id);
            let kind = match tags.kind {
                Kind::Voter | Kind::Learner => Kind::Learner,
                Kind::Observer => Kind::Observer,
                Kind::Witness => return None,
            };
            let (priority, address) = (tags.priority, neighbour.info.address.clone());
            let member = Member { kind, priority, address, disk };
            is_new.then(|| Change::Add { id: id.clone(), member })
        })
    }

    /// `change`, and if somebody joins by it, on the disk that it is on: whoever asks for it need not
    /// know, and whoever takes it for another one is mistaken.
    ///
    /// # Errors
    ///
    /// [`ChangeRefused::NotConnected`] if nobody here knows either, [`ChangeRefused::OtherDisk`] if
    /// it is another one; and why the log does not take it, whatever the disk.
    pub(super) fn naming_disk(&self, mut change: Change) -> Result<Change, ChangeRefused> {
        let (id, asked) = match &change {
            Change::Add { id, member } => (id, member.disk),
            Change::Rejoin { id, disk } => (id, *disk),
            Change::Promote { .. } | Change::Remove { .. } | Change::Replace { .. } => {
                return Ok(change);
            }
        };
        self.replicator.may_change(&change)?;
        let there = self.connected.get(id).copied().filter(|there| *there != DiskId::NONE);
        let there = there.ok_or_else(|| ChangeRefused::NotConnected { id: id.clone() })?;
        if asked != DiskId::NONE && asked != there {
            return Err(ChangeRefused::OtherDisk { id: id.clone(), there, asked });
        }
        if let Change::Add { member: Member { disk, .. }, .. } | Change::Rejoin { disk, .. } =
            &mut change
        {
            *disk = there;
        }
        Ok(change)
    }

    /// Whether after `change` enough voters are reachable from here, as enough are now.
    ///
    /// # Errors
    ///
    /// Why not, or why the log does not take it.
    pub(super) fn keeps_quorum(&self, change: &Change) -> Result<(), ChangeRefused> {
        let next = self.replicator.may_change(change)?;
        // One on another disk than the configuration names is there, and has no say.
        let is_reached = |id: &NodeId| {
            let disk = self.connected.get(id);
            *id == self.me || disk.is_some_and(|disk| next.speaks_for(id, *disk))
        };
        if next.has_quorum(is_reached) {
            return Ok(());
        }
        let (after, count) = (next.settled(), |n: usize| u32::try_from(n).unwrap_or(u32::MAX));
        let reachable = count(after.voters().filter(|id| is_reached(id)).count());
        let voters = count(after.voters().count());
        Err(ChangeRefused::WouldLoseQuorum { reachable, voters })
    }
}

fn learners(configuration: &Configuration) -> impl Iterator<Item = &NodeId> {
    let learners = configuration.members.iter().filter(|(_, it)| it.kind == Kind::Learner);
    learners.map(|(id, _)| id)
}

/// A voter that is lost, and a learner that can take its place.
fn replacement(
    configuration: &Configuration,
    stable: impl Fn(&NodeId) -> bool,
    lost: impl Fn(&NodeId) -> bool,
) -> Option<Change> {
    let old = configuration.voters().find(|id| lost(id))?.clone();
    let new = learners(configuration).find(|id| stable(id))?.clone();
    Some(Change::Replace { old, new, may_return: true })
}

/// Learners that are to vote: as many as keep the voters odd, and not above `max_voters`.
fn promotion(
    configuration: &Configuration,
    stable: impl Fn(&NodeId) -> bool,
    max_voters: usize,
) -> Option<Change> {
    let voters = configuration.voters().count();
    let room = max_voters.saturating_sub(voters);
    let ready: Vec<&NodeId> = learners(configuration).filter(|id| stable(id)).take(room).collect();
    let odd =
        ready.len() - usize::from((voters + ready.len()).is_multiple_of(2) && !ready.is_empty());
    let ids = ready.into_iter().take(odd).cloned().collect();
    (odd > 0).then_some(Change::Promote { ids })
}

/// Learners and observers that are lost: they join again when they come back.
fn departures(
    configuration: &Configuration,
    lost: impl Fn(&NodeId) -> bool,
) -> impl Iterator<Item = Change> {
    let members = configuration.members.iter().filter(|(_, member)| !member.kind.votes());
    let lost = members.filter(move |(id, _)| lost(id));
    lost.map(|(id, _)| Change::Remove { id: id.clone(), may_return: true })
}

/// How often a leader looks. Joins wait for it; it costs little.
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> NodeId {
        NodeId::new(&format!("n{n}")).unwrap()
    }

    fn configuration(voters: usize, learners: usize) -> Configuration {
        let mut configuration = Configuration::of_voters((0..voters).map(id));
        for n in voters..voters + learners {
            let member = Member {
                kind: Kind::Learner,
                priority: 100,
                address: String::new(),
                disk: DiskId::NONE,
            };
            configuration.members.insert(id(n), member);
        }
        configuration
    }

    #[test]
    fn voters_stay_odd_up_to_the_most() {
        for (voters, learners, most, promoted) in [
            (3, 1, 5, 0),
            (3, 2, 5, 2),
            (3, 3, 5, 2),
            (3, 9, 7, 4),
            (3, 2, 3, 0),
            (2, 1, 5, 1),
            (2, 2, 5, 1),
            (1, 1, 5, 0),
            (1, 2, 5, 2),
            (4, 1, 5, 1),
            (3, 0, 5, 0),
        ] {
            let change = promotion(&configuration(voters, learners), |_| true, most);
            let count = match change {
                Some(Change::Promote { ids }) => ids.len(),
                _ => 0,
            };
            assert_eq!(count, promoted, "{voters} voters and {learners} learners, {most} at most");
        }
    }

    #[test]
    fn who_is_lost_is_replaced_only_by_a_stable_learner() {
        let members = configuration(3, 1);
        let replace = |stable: bool, lost: usize| {
            replacement(&members, move |_| stable, move |node| *node == id(lost))
        };
        let change = Change::Replace { old: id(1), new: id(3), may_return: true };
        assert_eq!(replace(true, 1), Some(change));
        assert_eq!(replace(false, 1), None);
        assert_eq!(replace(true, 9), None);
        let gone = Change::Remove { id: id(3), may_return: true };
        assert!(departures(&members, |node| *node == id(3)).eq([gone]));
        let voter = departures(&members, |node| *node == id(1)).next();
        assert_eq!(voter, None, "a voter only by replacement");
    }
}
