//! What a node does about its own lead: it lets another have it when it is asked to, when it stops,
//! when its disk hangs, and when a better one is there.

use quorate_core::{Instant, LogIndex, LogView as _, NodeId, Outbox, Term, mutant};
use quorate_election::{self as election, Preference, Role, Standing};
use quorate_replication::{self as replication, PeerState};

use super::node::NodeMachine;
use super::pending::{Open, Origin, Stage};
use crate::{Answer, Doubt, Effect, Failure, NodeEvent, Request};

/// Why a leader hands over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandOverReason {
    /// Somebody asked for it.
    Asked,
    /// The node stops.
    Stopping,
    /// The other one has a higher priority.
    Preferred,
    /// The leader's disk hangs.
    Unwell,
}

/// A leader's view of its own time.
#[derive(Debug)]
pub(super) struct Reign {
    preference: Preference,
    /// When to look next at who should lead.
    look_at: Instant,
    /// What was committed at the last look: whoever has that keeps up.
    commit_before: LogIndex,
    why: HandOverReason,
    /// Who asked for the hand-over, by number among the requests under way.
    asked: Vec<u64>,
    /// Since when the disk owes an answer, and has given none to what was handed to it before.
    owed_since: Option<Instant>,
}

impl Reign {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            preference: Preference::default(),
            look_at: now,
            commit_before: LogIndex::ZERO,
            why: HandOverReason::Asked,
            asked: Vec::new(),
            owed_since: None,
        }
    }

    /// Until when this node keeps a lead that it could not give away, or that came back.
    pub(super) const fn keeps_until(&self) -> Instant {
        self.preference.rests_until()
    }

    /// The disk has answered.
    pub(super) const fn disk_answered(&mut self) {
        self.owed_since = None;
    }
}

impl NodeMachine {
    /// When [`Self::govern`] is next wanted.
    pub(super) fn govern_at(&self) -> Option<Instant> {
        self.replicator.is_leading().then_some(self.reign.look_at)
    }

    /// This node leads from now on.
    pub(super) fn reign_begins(&mut self, now: Instant) {
        self.reign.preference.begin(now, &self.election);
        self.reign.commit_before = LogIndex(u64::MAX);
        self.reign.look_at = now + self.election.election_min / 2;
    }

    /// Looks now and then at whether this leader should still lead.
    pub(super) fn govern(&mut self, now: Instant, out: &mut Outbox<Effect>) {
        if self.records_in_flight() == 0 {
            self.reign.owed_since = None;
        } else {
            self.reign.owed_since.get_or_insert(now);
        }
        if !self.replicator.is_leading() {
            return;
        }
        let hangs_for = self.reign.owed_since.map_or(std::time::Duration::ZERO, |at| now.since(at));
        let timeout = self.election.election_max;
        let unfit = hangs_for >= timeout && !mutant!("disk-not-watched");
        // Nobody could take over from one that is alone; as soon as somebody can, it may.
        if unfit && hangs_for >= timeout * 3 / 2 && self.successors().next().is_some() {
            self.vote(now, election::Input::Resign);
            return self.settle(now, out);
        }
        if now < self.reign.look_at {
            return;
        }
        self.reign.look_at = now + self.election.election_min / 2;
        let heir = self.heir();
        self.reign.commit_before = self.replicator.log().commit();
        if self.stopping || self.voter.handing_over().is_some() {
            return;
        }
        let own = Standing { priority: self.own_priority(), unfit };
        let best = heir.as_ref().map(|(id, priority)| (id, *priority));
        if let Some(to) = self.reign.preference.look(now, &self.election, own, best) {
            let unwell = own.unfit;
            let why = if unwell { HandOverReason::Unwell } else { HandOverReason::Preferred };
            self.hand_over(now, to, why, out);
        }
    }

    fn own_priority(&self) -> u8 {
        // As the voter has it: the cluster may have ruled that this node does not stand.
        let configuration = self.replicator.log().configuration();
        let barred = configuration.member(&self.me).is_some_and(|member| member.priority == 0);
        if barred { 0 } else { self.election.priority }
    }

    /// Those who could lead, as far as the configuration and the streams say, with their priority.
    fn successors(&self) -> impl Iterator<Item = (&NodeId, u8)> {
        let configuration = self.replicator.log().configuration();
        let others = configuration.ids().filter(|id| **id != self.me);
        others
            .filter(|id| configuration.is_electable(id) && self.reaches(id))
            .filter_map(|id| Some((id, configuration.member(id)?.priority)))
    }

    /// The best of those who could lead at once: of the highest priority, then the lowest name.
    fn heir(&self) -> Option<(NodeId, u8)> {
        let keeps_up = |id: &NodeId| {
            self.replicator.progress().any(|peer| {
                peer.id == *id
                    && peer.state == PeerState::Streaming
                    && peer.durable >= self.reign.commit_before
            })
        };
        let fit = |id: &NodeId| keeps_up(id) && self.voter.hears(id);
        let mut best: Option<(&NodeId, u8)> = None;
        for (id, priority) in self.successors().filter(|(id, _)| fit(id)) {
            if best.is_none_or(|(_, highest)| priority > highest) {
                best = Some((id, priority));
            }
        }
        best.map(|(id, priority)| (id.clone(), priority))
    }

    fn hand_over(
        &mut self,
        now: Instant,
        to: NodeId,
        why: HandOverReason,
        out: &mut Outbox<Effect>,
    ) {
        self.reign.why = why;
        self.vote(now, election::Input::HandOver { to });
        self.settle(now, out);
    }

    /// Somebody asks this leader to let another lead.
    pub(super) fn hand_over_asked(
        &mut self,
        now: Instant,
        origin: Origin,
        deadline: Instant,
        to: Option<NodeId>,
        out: &mut Outbox<Effect>,
    ) {
        let answer =
            |answer, out: &mut Outbox<Effect>| super::clients::reply(origin.clone(), answer, out);
        if to.as_ref() == Some(&self.me) {
            let (leader, term) = (self.me.clone(), self.voter.term());
            return answer(Answer::HandedOver { leader, term }, out);
        }
        let current = self.voter.handing_over().cloned();
        if let Some(heir) = &current
            && to.as_ref().is_some_and(|to| to != heir)
        {
            return answer(Answer::Failed(Failure::HandingOver), out);
        }
        let best = || self.heir().map(|(id, _)| id);
        let any = || self.successors().next().map(|(id, _)| id.clone());
        let heir = match to {
            Some(to) => Some(to).filter(|to| self.successors().any(|(id, _)| id == to)),
            None => current.clone().or_else(best).or_else(any),
        };
        let Some(heir) = heir else {
            return answer(Answer::Failed(Failure::NoHeir), out);
        };
        let number = self.pending.add(origin, deadline, Stage::HandingOver);
        self.reign.asked.push(number);
        if current.is_none() {
            self.hand_over(now, heir, HandOverReason::Asked, out);
        }
    }

    /// The election says what becomes of a hand-over.
    pub(super) fn handing_over(&mut self, now: Instant, to: NodeId, out: &mut Outbox<Effect>) {
        self.replicate(now, replication::Input::HandOver { to: to.clone() });
        let why = self.reign.why;
        out.push(Effect::Event(NodeEvent::HandingOver { to, why }));
    }

    pub(super) fn handed_over(
        &mut self,
        now: Instant,
        to: NodeId,
        term: Term,
        out: &mut Outbox<Effect>,
    ) {
        let answer = Answer::HandedOver { leader: to.clone(), term };
        self.answer_asked(&answer, out);
        out.push(Effect::Event(NodeEvent::HandedOver { to, term }));
        self.give_up(now);
    }

    pub(super) fn not_handed_over(&mut self, now: Instant, to: NodeId, out: &mut Outbox<Effect>) {
        if self.reign.why == HandOverReason::Preferred {
            self.reign.preference.failed(now, &self.election);
        }
        let leads = self.replicator.is_leading();
        let answer = if leads {
            Answer::Failed(Failure::NotHandedOver)
        } else {
            Answer::Unknown(Doubt::Deposed { at: None })
        };
        self.answer_asked(&answer, out);
        out.push(Effect::Event(NodeEvent::NotHandedOver { to }));
        if leads {
            self.replicate(now, replication::Input::Keep);
            for Open { origin, deadline, stage } in self.pending.take_held() {
                if let Stage::Held(command, level) = stage {
                    self.serve(now, origin, deadline, Request::Write { command, level }, out);
                }
            }
        }
        self.give_up(now);
    }

    fn answer_asked(&mut self, answer: &Answer, out: &mut Outbox<Effect>) {
        for number in std::mem::take(&mut self.reign.asked) {
            if let Some(open) = self.pending.remove(number) {
                super::clients::reply(open.origin, answer.clone(), out);
            }
        }
    }

    /// A node that stops leads no longer, whatever became of the hand-over.
    fn give_up(&mut self, now: Instant) {
        if self.stopping {
            self.vote(now, election::Input::Resign);
        }
    }

    /// Lets another lead, if one can, before this node stops.
    pub(super) fn leave_the_lead(&mut self, now: Instant, out: &mut Outbox<Effect>) {
        if self.replicator.is_leading() && self.voter.handing_over().is_none() {
            // One that does not keep up would make all wait longer than an election takes.
            if let Some((heir, _)) = self.heir() {
                self.hand_over(now, heir, HandOverReason::Stopping, out);
            }
        }
        if self.voter.handing_over().is_none() || self.voter.role() != Role::Leader {
            self.vote(now, election::Input::Resign);
        }
        self.settle(now, out);
    }

    /// Until when this leader does not look for a better one, because that went wrong before.
    #[must_use]
    pub const fn keeps_lead_until(&self) -> Instant {
        self.reign.keeps_until()
    }

    /// Whether this node, told to stop, still waits for another to lead.
    #[must_use]
    pub fn is_handing_over(&self) -> bool {
        self.voter.handing_over().is_some()
    }
}
