//! What a node does about its own lead: it lets another have it when it is asked to, when it stops,
//! when its disk hangs, and when a better one is there.

use std::time::Duration;

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
    /// What writes hold that wait for the end of a hand-over, and how much they may: in bytes.
    held_bytes: usize,
    held_bytes_max: usize,
    /// Since when the disk owes an answer, and has given none to what was handed to it before.
    owed_since: Option<Instant>,
    others: Others,
}

/// How long the others took of late to hold what the leader has, so that it does not take a disk for
/// hung that is as slow as theirs.
#[derive(Debug)]
struct Others {
    /// The longest in this period, and in the one before.
    longest: [Duration; 2],
    /// When the period began.
    since: Instant,
}

impl Reign {
    pub(super) fn new(now: Instant, held_bytes_max: usize) -> Self {
        Self {
            preference: Preference::default(),
            look_at: now,
            commit_before: LogIndex::ZERO,
            why: HandOverReason::Asked,
            asked: Vec::new(),
            held_bytes: 0,
            held_bytes_max,
            owed_since: None,
            others: Others { longest: [Duration::ZERO; 2], since: now },
        }
    }

    /// Makes room for a write that waits for the end of the hand-over, if there is any.
    pub(super) const fn has_room_for(&mut self, bytes: usize) -> bool {
        let held = self.held_bytes + bytes;
        let has_room = held <= self.held_bytes_max;
        if has_room {
            self.held_bytes = held;
        }
        has_room
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
        let hangs_for = self.reign.owed_since.map_or(Duration::ZERO, |at| now.since(at));
        let hangs = hangs_for >= self.election.election_max && !mutant!("disk-not-watched");
        let patience = if hangs { self.disk_patience(now) } else { Duration::MAX };
        let unfit = hangs_for >= patience;
        // Nobody could take over from one that is alone; as soon as somebody can, it may.
        if hangs_for >= patience.saturating_mul(3) / 2 && self.successors().next().is_some() {
            self.vote(now, election::Input::Resign);
            return self.settle(now, out);
        }
        if now < self.reign.look_at {
            return;
        }
        self.reign.look_at = now + self.election.election_min / 2;
        self.look_at_others(now, hangs);
        let heirs = self.heirs();
        self.reign.commit_before = self.replicator.log().commit();
        if self.stopping || self.voter.handing_over().is_some() {
            return;
        }
        let own = Standing { priority: self.own_priority(), unfit };
        if let Some(to) = self.reign.preference.look(now, &self.election, own, &heirs) {
            let unwell = own.unfit;
            let why = if unwell { HandOverReason::Unwell } else { HandOverReason::Preferred };
            self.hand_over(now, to, why, out);
        }
    }

    /// As the cluster has ruled, like those of the others: else two could prefer each other.
    fn own_priority(&self) -> u8 {
        let ruled = self.replicator.log().configuration().member(&self.me);
        ruled.map_or(self.election.priority, |member| member.priority)
    }

    fn look_at_others(&mut self, now: Instant, hangs: bool) {
        let wait = self.replicator.others_wait(now);
        let others = &mut self.reign.others;
        // While the own disk hangs nothing is forgotten: it may be as slow as theirs.
        if !hangs && now >= others.since + self.election.election_max * 2 {
            (others.longest, others.since) = ([Duration::ZERO, others.longest[0]], now);
        }
        others.longest[0] = others.longest[0].max(wait);
    }

    /// For how long a leader's disk may do nothing before another should lead: an election timeout, or
    /// far longer than the others take. A snapshot is a large write, and takes its time.
    #[must_use]
    pub fn disk_patience(&self, now: Instant) -> Duration {
        let [this, before] = self.reign.others.longest;
        let others = this.max(before).max(self.replicator.others_wait(now));
        let patience = self.election.election_max.max(others.saturating_mul(SLOWER_THAN_OTHERS));
        let snapshots = self.snapshot_bytes_in_flight();
        let grace = snapshots.map_or(Duration::ZERO, |bytes| {
            SNAPSHOT_GRACE + Duration::from_secs(bytes / SNAPSHOT_BYTES_PER_SECOND)
        });
        patience.saturating_add(grace)
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
        let mut best: Option<(NodeId, u8)> = None;
        for (id, priority) in self.heirs() {
            if best.as_ref().is_none_or(|(_, highest)| priority > *highest) {
                best = Some((id, priority));
            }
        }
        best
    }

    /// Those who could lead at once, in the order of their names.
    fn heirs(&self) -> Vec<(NodeId, u8)> {
        let keeps_up = |id: &NodeId| {
            self.replicator.progress().any(|peer| {
                peer.id == *id
                    && peer.state == PeerState::Streaming
                    && peer.durable >= self.reign.commit_before
            })
        };
        let fit = |id: &NodeId| keeps_up(id) && self.voter.hears(id);
        let fit = self.successors().filter(|(id, _)| fit(id));
        fit.map(|(id, priority)| (id.clone(), priority)).collect()
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
        self.reign.held_bytes = 0;
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

    pub(super) fn not_handed_over(
        &mut self,
        now: Instant,
        to: NodeId,
        told: bool,
        out: &mut Outbox<Effect>,
    ) {
        match self.reign.why {
            HandOverReason::Preferred => self.reign.preference.failed(now, &self.election),
            HandOverReason::Unwell => self.reign.preference.failed_urgently(now, &self.election),
            HandOverReason::Asked | HandOverReason::Stopping => {}
        }
        let leads = self.replicator.is_leading();
        let answer = match (leads, told) {
            (false, _) => Answer::Unknown(Doubt::Deposed { at: None }),
            (true, true) => Answer::Unknown(Doubt::HeirTold),
            (true, false) => Answer::Failed(Failure::NotHandedOver),
        };
        self.answer_asked(&answer, out);
        out.push(Effect::Event(NodeEvent::NotHandedOver { to }));
        if leads {
            self.replicate(now, replication::Input::Keep);
            self.reign.held_bytes = 0;
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

/// A disk that is so many times slower than the others' hangs; one that is a little slower does not.
const SLOWER_THAN_OTHERS: u32 = 3;
/// How long a snapshot may take beside what its bytes do, and the pace of a slow disk.
const SNAPSHOT_GRACE: Duration = Duration::from_secs(10);
const SNAPSHOT_BYTES_PER_SECOND: u64 = 4 << 20;
