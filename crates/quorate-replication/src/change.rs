//! Changing the members while the log goes on: joint consensus (Ongaro 2014, section 4.3).

use std::collections::BTreeMap;

use quorate_core::{
    Change, ChangeRefused, Configuration, DiskId, LogId, LogView as _, NodeId, Outbox, Payload,
    mutant,
};

use crate::io::{Output, ProposalId};
use crate::peer::Peer;
use crate::replicator::Replicator;

impl Replicator {
    /// Begins a change of the members.
    pub(crate) fn change(&mut self, id: ProposalId, change: &Change, out: &mut Outbox<Output>) {
        if self.leading.is_none() {
            out.push(Output::ChangeRefused { id, why: None });
            return;
        }
        match self.may_change(change) {
            Err(why) => out.push(Output::ChangeRefused { id, why: Some(why) }),
            Ok(next) if next.is_joint() => {
                self.append_configuration(next);
                if let Some(leading) = &mut self.leading {
                    leading.changing = Some(id);
                }
            }
            Ok(next) => {
                if let Some(at) = self.append_configuration(next) {
                    out.push(Output::Proposed { id, at });
                }
            }
        }
    }

    /// The configuration that `change` begins with, if it may begin now.
    ///
    /// Behind the first commit of the own term: before, an earlier leader's change may be neither
    /// here nor gone. And behind the commit of the one before: two that overlap need not share a
    /// voter. Not while the lead is handed over: the heir would lack it, and be refused.
    ///
    /// # Errors
    ///
    /// [`ChangeRefused`], with what to do.
    pub fn may_change(&self, change: &Change) -> Result<Configuration, ChangeRefused> {
        let Some(leading) = &self.leading else { return Err(ChangeRefused::NotReady) };
        let commit = self.log.commit();
        if commit < leading.first && !mutant!("change-before-own-commit") {
            return Err(ChangeRefused::NotReady);
        }
        if self.is_handing_over() && !mutant!("changes-while-handing-over") {
            return Err(ChangeRefused::NotReady);
        }
        let next = self.log.configuration().after(change)?;
        if self.log.configured_at() > commit && !mutant!("two-changes-at-once") {
            return Err(ChangeRefused::UnderWay);
        }
        match change {
            Change::Promote { ids } => ids.iter().try_for_each(|id| self.has_caught_up(id))?,
            Change::Replace { new, .. } => self.has_caught_up(new)?,
            // Who leads is what it leads on: it cannot be taken for somebody else.
            Change::Rejoin { id, .. } if *id == self.me => {
                return Err(ChangeRefused::SameDisk { id: id.clone(), disk: self.log.disk() });
            }
            Change::Add { .. } | Change::Remove { .. } | Change::Rejoin { .. } => {}
        }
        Ok(next)
    }

    /// Whether the learner `id` holds nearly all that is committed, some of it of this term.
    ///
    /// # Errors
    ///
    /// [`ChangeRefused::NotCaughtUp`].
    pub fn has_caught_up(&self, id: &NodeId) -> Result<(), ChangeRefused> {
        let commit = self.log.commit();
        let peers = self.leading.iter().flat_map(|leading| {
            let held = |peer: &Peer| peer.matched().0 * u64::from(peer.matched() >= leading.first);
            leading.peers.iter().filter(|peer| peer.id == *id).map(held)
        });
        let held = peers.last().unwrap_or(0);
        let behind = commit.0.saturating_sub(held);
        if held > 0 && behind <= self.config.caught_up_entries {
            return Ok(());
        }
        Err(ChangeRefused::NotCaughtUp { id: id.clone(), behind })
    }

    /// Leaves a joint configuration that is committed, whoever began it: from then on the new half
    /// alone decides, so this must not be appended before both halves hold the joint one.
    pub(crate) fn leave_joint(&mut self, out: &mut Outbox<Output>) {
        let Some(leading) = &self.leading else { return };
        let committed = self.log.configured_at().max(leading.first) <= self.log.commit();
        // The heir has the whole log when it is told to stand; it leaves the joint one itself.
        let waits = self.is_handing_over() && !mutant!("changes-while-handing-over");
        if !committed || waits || !self.log.configuration().is_joint() {
            return;
        }
        let settled = self.log.configuration().settled();
        let at = self.append_configuration(settled);
        let waits = self.leading.as_mut().and_then(|leading| leading.changing.take());
        if let (Some(id), Some(at)) = (waits, at) {
            out.push(Output::Proposed { id, at });
        }
    }

    /// Whether this node leads, and the configuration that is committed has no vote for it.
    pub(crate) fn is_removed(&self) -> bool {
        let configuration = self.log.configuration();
        self.leading.is_some()
            && self.log.configured_at() <= self.log.commit()
            && !configuration.is_joint()
            && !configuration.votes(&self.me)
            && !mutant!("removed-leader-stays")
    }

    /// Appends a configuration. It counts from here on, so its members are served from here on.
    fn append_configuration(&mut self, configuration: Configuration) -> Option<LogId> {
        let before = self.log.tip().index;
        let disks: BTreeMap<NodeId, DiskId> = {
            let counted = self.log.configuration();
            counted.ids().filter_map(|id| Some((id.clone(), counted.disk(id)?))).collect()
        };
        let at = self.append_own(Payload::Configuration(configuration))?;
        let leading = self.leading.as_mut()?;
        let configuration = self.log.configuration();
        let patience = self.config.resend_after;
        for id in configuration.ids().filter(|id| **id != self.me) {
            match leading.peers.binary_search_by(|peer| peer.id.cmp(id)) {
                // It comes back, perhaps with less than it had; on another disk with nothing.
                Ok(place)
                    if leading.peers[place].is_leaving()
                        || (disks.get(id).copied() != configuration.disk(id)
                            && !mutant!("wiped-keeps-matched")) =>
                {
                    let attempt = leading.peers[place].next_attempt();
                    leading.peers[place] = Peer::new(id.clone(), before, attempt, patience);
                }
                Ok(_) => {}
                Err(place) => {
                    let peer = Peer::new(id.clone(), before, leading.next_attempt, patience);
                    leading.peers.insert(place, peer);
                }
            }
        }
        for peer in &mut leading.peers {
            let leaves = configuration.member(&peer.id).is_none().then_some((at.index, self.now));
            peer.leave(leaves);
        }
        Some(at)
    }

    /// Lets go of peers that left and know it.
    pub(crate) fn dismiss_peers(&mut self) {
        let (now, config) = (self.now, &self.config);
        let Some(leading) = &mut self.leading else { return };
        let dismissed = leading.peers.iter().filter(|peer| peer.is_dismissed(now, config));
        if let Some(attempt) = dismissed.map(Peer::next_attempt).max() {
            leading.next_attempt = leading.next_attempt.max(attempt);
            leading.peers.retain(|peer| !peer.is_dismissed(now, config));
        }
    }
}
