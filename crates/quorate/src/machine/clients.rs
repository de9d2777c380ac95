//! The client's side of a node: every request ends as ok, failed or unknown, by its deadline.

use std::time::Duration;

use quorate_core::{ChangeRefused, Entry, Instant, NodeId, Outbox, Payload, mutant};
use quorate_dist_state::{Command, Op, Rejection, Reply};
use quorate_replication::{
    self as replication, ConsistencyLevel, ProposalId, ProposeRefused, ReadId,
};

use super::forwards::Waiting;
use super::message::FORWARD_LANE;
use super::node::NodeMachine;
use super::pending::{Open, Origin, Stage};
use crate::{Answer, Doubt, Effect, Failure, PeerMessage, Query, ReadLevel, Request, RequestId};

/// How many requests a leader keeps open.
const OPEN_MAX: usize = 65_536;

/// How much earlier a leader answers who waits for copies through another node: an answer that
/// comes too late tells nobody who is missing.
const ANSWER_WITHIN: Duration = Duration::from_millis(50);

/// How often a leader looks for sessions whose time is up.
const SESSIONS_EVERY: Duration = Duration::from_secs(1);

impl NodeMachine {
    /// A client of this node asks.
    pub(super) fn requested(
        &mut self,
        now: Instant,
        client: RequestId,
        deadline: Instant,
        request: Request,
        out: &mut Outbox<Effect>,
    ) {
        let answer = |answer| Effect::Reply { id: client, answer };
        if self.stopping {
            return out.push(answer(Answer::Failed(Failure::Stopping)));
        }
        if let Request::Read { query, level: ReadLevel::Local } = &request {
            return out.push(answer(self.found(query)));
        }
        // What no leader would take is refused here, before it crosses the network.
        if let Request::Write { command, level } = &request
            && let Err(failure) = self.may_write(command, *level)
        {
            return out.push(answer(Answer::Failed(failure)));
        }
        if self.replicator.is_leading() {
            return self.serve(now, Origin::Client(client), deadline, request, out);
        }
        let waiting = Waiting { client, deadline, request };
        if self.forwards.is_full_for(&waiting.request) {
            return out.push(answer(Answer::Failed(Failure::Overloaded)));
        }
        match self.leader() {
            Some(leader) => self.forward(now, leader, waiting, out),
            None => self.forwards.park(waiting),
        }
    }

    /// A peer passes its client's request on.
    pub(super) fn forwarded(
        &mut self,
        now: Instant,
        node: NodeId,
        id: u64,
        wait_ms: u32,
        request: Request,
        out: &mut Outbox<Effect>,
    ) {
        let origin = Origin::Peer { node, id };
        if self.replicator.is_leading() && !self.stopping {
            let deadline = now + Duration::from_millis(wait_ms.into());
            self.serve(now, origin, deadline, request, out);
        } else {
            reply(origin, Answer::Failed(Failure::NotLeading), out);
        }
    }

    /// The leader serves.
    pub(super) fn serve(
        &mut self,
        now: Instant,
        origin: Origin,
        deadline: Instant,
        request: Request,
        out: &mut Outbox<Effect>,
    ) {
        if self.pending.len() >= OPEN_MAX {
            return reply(origin, Answer::Failed(Failure::Overloaded), out);
        }
        match request {
            Request::Write { command, level } => {
                // A session that may not go on while a voter is down would be lost when it is needed.
                let level =
                    if command.op.is_of_session() { ConsistencyLevel::Quorum } else { level };
                let may = self.may_write(&command, level);
                // A retry of what was written cannot be told that nothing was.
                let is_retry =
                    command.tag.is_some_and(|tag| self.applier.store().is_answered(&tag));
                let reaches = || if is_retry { Ok(()) } else { self.reaches_all(now, level) };
                if let Err(failure) = may.and_then(|()| reaches()) {
                    return reply(origin, Answer::Failed(failure), out);
                }
                let Ok(bytes) = quorate_wire::encode(&command) else {
                    return reply(origin, Answer::Failed(Failure::Overloaded), out);
                };
                if self.replicator.is_handing_over() && !mutant!("proposes-while-handing-over") {
                    // As many as may wait for their commit, and no more.
                    if !self.reign.has_room_for(bytes.len()) {
                        return reply(origin, Answer::Failed(Failure::Overloaded), out);
                    }
                    self.pending.add(origin, deadline, Stage::Held(command, level));
                    return;
                }
                let id = ProposalId(self.pending.add(origin, deadline, Stage::Offered(level)));
                self.replicate(now, replication::Input::Propose { id, command: bytes.into() });
            }
            Request::Change(change) => {
                let named = self.naming_disk(change);
                let kept = named.and_then(|change| self.keeps_quorum(&change).map(|()| change));
                let change = match kept {
                    Ok(change) => change,
                    Err(why) => return reply(origin, Answer::Failed(Failure::Change(why)), out),
                };
                let id = ProposalId(self.pending.add(origin, deadline, Stage::Changing));
                self.replicate(now, replication::Input::Change { id, change });
            }
            Request::HandOver { to } => self.hand_over_asked(now, origin, deadline, to, out),
            Request::AwaitLevel { log_id, level } => {
                self.await_level(origin, deadline, log_id, level, out);
            }
            Request::WriteStatus { log_id } => {
                reply(origin, Answer::Status(self.write_status(log_id)), out);
            }
            Request::Replicas => {
                let (leader, replicas) = (self.me.clone(), self.replicator.replicas(now));
                reply(origin, Answer::Replicas { leader, replicas }, out);
            }
            Request::Read { query, level: ReadLevel::Local } => {
                let answer = self.found(&query);
                reply(origin, answer, out);
            }
            Request::Read { query, level: ReadLevel::Lease } => {
                let id = ReadId(self.pending.add(origin, deadline, Stage::Reading(query)));
                self.replicate(now, replication::Input::LeaseRead { id });
            }
            Request::Read { query, level: ReadLevel::Linearizable } => {
                let id = ReadId(self.pending.add(origin, deadline, Stage::Reading(query)));
                self.replicate(now, replication::Input::Read { id });
            }
        }
    }

    /// Whether the log would take the write at all.
    fn may_write(&self, command: &Command, level: ConsistencyLevel) -> Result<(), Failure> {
        if level == ConsistencyLevel::Eventual {
            return Err(Failure::LevelNotOffered { level });
        }
        self.limits.check(&command.op).map_err(Failure::Rejected)
    }

    fn found(&self, query: &Query) -> Answer {
        let revision = self.applier.store().revision();
        Answer::Found { found: self.applier.query(query), revision }
    }

    fn forward(&mut self, now: Instant, to: NodeId, waiting: Waiting, out: &mut Outbox<Effect>) {
        let wait = waiting.deadline.since(now);
        // Who waits for copies is to hear how far it got, so the leader answers a little earlier.
        let back = match &waiting.request {
            Request::Write { level: ConsistencyLevel::Strong, .. } | Request::AwaitLevel { .. } => {
                ANSWER_WITHIN.min(wait / 4)
            }
            _ => Duration::ZERO,
        };
        let wait_ms = u32::try_from((wait - back).as_millis()).unwrap_or(u32::MAX);
        let request = waiting.request.clone();
        let id = self.forwards.sent(to.clone(), waiting);
        let message = PeerMessage::Forward { id, wait_ms, request };
        out.push(Effect::Send { to, lane: FORWARD_LANE, message });
    }

    /// The leader answered what was passed on to it.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        from: &NodeId,
        id: u64,
        answer: Answer,
        out: &mut Outbox<Effect>,
    ) {
        let Some(waiting) = self.forwards.answered(from, id) else { return };
        if answer == Answer::Failed(Failure::NotLeading) {
            // Nothing happened there: ask whoever leads now. If that is still `from` in our eyes,
            // wait for news rather than ask again at once.
            match self.leader().filter(|leader| leader != from) {
                Some(leader) if leader != self.me => self.forward(now, leader, waiting, out),
                // This node leads now: no news will come of anybody else.
                Some(_) => {
                    let Waiting { client, deadline, request } = waiting;
                    self.serve(now, Origin::Client(client), deadline, request, out);
                }
                None => self.forwards.park(waiting),
            }
        } else {
            out.push(Effect::Reply { id: waiting.client, answer });
        }
    }

    /// A leader may be known now: sends on what waited for one.
    pub(super) fn unpark(&mut self, now: Instant, out: &mut Outbox<Effect>) {
        let Some(leader) = self.leader() else { return };
        for waiting in self.forwards.unpark() {
            if leader == self.me {
                let Waiting { client, deadline, request } = waiting;
                self.serve(now, Origin::Client(client), deadline, request, out);
            } else {
                self.forward(now, leader.clone(), waiting, out);
            }
        }
    }

    /// The stream to `peer` broke: what was sent to it may or may not have happened.
    pub(super) fn forwards_lost(&mut self, now: Instant, peer: &NodeId, out: &mut Outbox<Effect>) {
        for waiting in self.forwards.lost(peer) {
            if waiting.request.mutates() && !mutant!("forward-retried-blindly") {
                let answer = Answer::Unknown(Doubt::ForwardLost);
                out.push(Effect::Reply { id: waiting.client, answer });
            } else {
                self.forwards.park(waiting);
            }
        }
        self.unpark(now, out);
    }

    /// The log took no notice of the proposal: it had and will have no effect.
    pub(super) fn refused(
        &mut self,
        now: Instant,
        number: u64,
        why: &ProposeRefused,
        out: &mut Outbox<Effect>,
    ) {
        let Some(open) = self.pending.remove(number) else { return };
        let failure = match why {
            ProposeRefused::NotLeading | ProposeRefused::HandingOver => Failure::NotLeading,
            _ => Failure::Overloaded,
        };
        self.fail_or_retry(now, open, failure, out);
    }

    /// The log took no notice of the change; `why` is `None` if this node does not lead.
    pub(super) fn change_refused(
        &mut self,
        now: Instant,
        number: u64,
        why: Option<ChangeRefused>,
        out: &mut Outbox<Effect>,
    ) {
        let Some(open) = self.pending.remove(number) else { return };
        let failure = why.map_or(Failure::NotLeading, Failure::Change);
        self.fail_or_retry(now, open, failure, out);
    }

    pub(super) fn read_refused(&mut self, now: Instant, number: u64, out: &mut Outbox<Effect>) {
        if let Some(open) = self.pending.remove(number) {
            // A leader refuses a read only because too many wait.
            let leads = self.replicator.is_leading();
            let failure = if leads { Failure::Overloaded } else { Failure::NotLeading };
            self.fail_or_retry(now, open, failure, out);
        }
    }

    /// A read that this leader could not serve waits for the next one; the rest is told why.
    fn fail_or_retry(
        &mut self,
        _now: Instant,
        open: Open,
        failure: Failure,
        out: &mut Outbox<Effect>,
    ) {
        match open {
            Open { origin: Origin::Client(client), deadline, stage: Stage::Reading(query) }
                if failure == Failure::NotLeading && !self.forwards.is_full() =>
            {
                let request = Request::Read { query, level: ReadLevel::Linearizable };
                self.forwards.park(Waiting { client, deadline, request });
            }
            Open { origin, .. } => reply(origin, Answer::Failed(failure), out),
        }
    }

    /// The entry is applied: answers who proposed what stands there.
    pub(super) fn committed(
        &mut self,
        _now: Instant,
        entry: &Entry,
        applied: Option<Reply>,
        out: &mut Outbox<Effect>,
    ) {
        let id = entry.id;
        if let Payload::Configuration(configuration) = &entry.payload {
            self.levels.members_changed(id.index, configuration);
        }
        let Some((placed, number, open)) = self.pending.take_placed(id.index) else { return };
        let waits_on = placed == id && !matches!(applied, None | Some(Reply::Rejected(_)));
        if !waits_on {
            self.levels.wants_no_more(placed.index, number);
        }
        let answer = match applied {
            // Another entry stands there now, so the proposed one never will.
            _ if placed != id => Answer::Failed(Failure::NotLeading),
            Some(Reply::Rejected(rejection)) => rejected(rejection),
            Some(reply) => {
                let Stage::Proposed { wants: Some(ConsistencyLevel::Strong), .. } = open.stage
                else {
                    let acked = self.known_holders(id.index);
                    let reached = ConsistencyLevel::Quorum;
                    let answer = Answer::Written { reply, at: id, reached, acked };
                    return self::reply(open.origin, answer, out);
                };
                let stage = Stage::Applied { at: id, reply };
                return self.pending.put_back(number, Open { stage, ..open });
            }
            None => match &entry.payload {
                Payload::Configuration(configuration) => {
                    Answer::Changed { at: id, configuration: configuration.clone() }
                }
                Payload::Noop | Payload::LeaseEnded | Payload::Command(_) => {
                    Answer::Failed(Failure::Overloaded)
                }
            },
        };
        reply(open.origin, answer, out);
    }

    pub(super) fn serve_reads(&mut self, out: &mut Outbox<Effect>) {
        let applied = self.applier.applied().index;
        while let Some(open) = self.pending.take_readable(applied) {
            if let Stage::Reading(query) = &open.stage {
                let answer = self.found(query);
                reply(open.origin, answer, out);
            }
        }
    }

    /// This node leads no longer: what it had placed may yet commit under the next leader.
    pub(super) fn deposed(&mut self, now: Instant, out: &mut Outbox<Effect>) {
        self.levels.clear();
        for open in self.pending.take_all() {
            let answer = match open.stage {
                Stage::Held(command, level) => {
                    let request = Request::Write { command, level };
                    self.held_no_longer(open.origin, open.deadline, request, out);
                    continue;
                }
                Stage::Awaiting { at: log_id, level } => {
                    let request = Request::AwaitLevel { log_id, level };
                    self.held_no_longer(open.origin, open.deadline, request, out);
                    continue;
                }
                Stage::Proposed { .. } if mutant!("deposed-called-failed") => {
                    Answer::Failed(Failure::NotLeading)
                }
                // A joint configuration is in the log: the next leader may complete it.
                Stage::Changing => Answer::Unknown(Doubt::Deposed { at: None }),
                Stage::Proposed { at, .. } | Stage::Applied { at, .. } => {
                    Answer::Unknown(Doubt::Deposed { at: Some(at) })
                }
                Stage::Offered(_) | Stage::Reading(_) | Stage::HandingOver => {
                    Answer::Failed(Failure::NotLeading)
                }
            };
            reply(open.origin, answer, out);
        }
        // Its successor may be known already, and then nothing else would send them on.
        self.unpark(now, out);
    }

    /// A request that nobody has acted on yet goes to whoever leads next.
    fn held_no_longer(
        &mut self,
        origin: Origin,
        deadline: Instant,
        request: Request,
        out: &mut Outbox<Effect>,
    ) {
        let failure = match origin {
            Origin::Client(_) if self.stopping => Failure::Stopping,
            Origin::Client(_) if self.forwards.is_full() => Failure::Overloaded,
            Origin::Client(client) => {
                return self.forwards.park(Waiting { client, deadline, request });
            }
            Origin::Peer { .. } => Failure::NotLeading,
        };
        reply(origin, Answer::Failed(failure), out);
    }

    /// Answers every request whose deadline has passed.
    pub(super) fn expire(&mut self, now: Instant, out: &mut Outbox<Effect>) {
        while let Some((number, open)) = self.pending.take_expired(now) {
            let answer = match open.stage {
                Stage::Reading(_) => Answer::Failed(Failure::NoQuorum),
                Stage::Offered(_) | Stage::Proposed { .. } if mutant!("deadline-called-failed") => {
                    Answer::Failed(Failure::NoQuorum)
                }
                Stage::Proposed { at, wants: Some(wants) } => {
                    self.indeterminate(number, at, wants, false)
                }
                Stage::Applied { at, .. } => {
                    self.indeterminate(number, at, ConsistencyLevel::Strong, true)
                }
                Stage::Awaiting { at, level } => self.indeterminate(number, at, level, false),
                Stage::Offered(_)
                | Stage::Changing
                | Stage::Proposed { wants: None, .. }
                | Stage::HandingOver => Answer::Unknown(Doubt::Deadline),
                Stage::Held(..) => Answer::Failed(Failure::NoLeader),
            };
            reply(open.origin, answer, out);
        }
        for (waiting, sent) in self.forwards.expired(now) {
            let answer = if sent && waiting.request.mutates() && !mutant!("sent-called-failed") {
                Answer::Unknown(Doubt::Deadline)
            } else {
                Answer::Failed(Failure::NoLeader)
            };
            out.push(Effect::Reply { id: waiting.client, answer });
        }
    }

    /// A leader proposes the end of sessions whose time is up.
    pub(super) fn expire_sessions(&mut self, now: Instant) {
        if self.expire_sessions_at.is_none_or(|due| due > now) {
            return;
        }
        self.expire_sessions_at = Some(now + SESSIONS_EVERY);
        if !self.replicator.is_leading() {
            return;
        }
        let at = self.replicator.cluster_time(now);
        let sessions: Vec<_> = self.applier.store().sessions_due(at).take(1_024).collect();
        if sessions.is_empty() {
            return;
        }
        let command = Command { tag: None, op: Op::ExpireSessions { sessions, at } };
        if let Ok(bytes) = quorate_wire::encode(&command) {
            // Nobody waits for it: a number that no open request bears.
            let id = ProposalId(0);
            self.replicate(now, replication::Input::Propose { id, command: bytes.into() });
        }
    }

    /// Gives up the lead, answers what is open and says goodbye to the neighbours.
    pub(super) fn stop(&mut self, now: Instant, out: &mut Outbox<Effect>) {
        self.stopping = true;
        self.gossip(now, quorate_membership::Input::Leave);
        self.leave_the_lead(now, out);
        for (waiting, sent) in self.forwards.take_all() {
            let answer = if sent && waiting.request.mutates() {
                Answer::Unknown(Doubt::Stopping)
            } else {
                Answer::Failed(Failure::Stopping)
            };
            out.push(Effect::Reply { id: waiting.client, answer });
        }
    }
}

/// What a refusal by the state machine means to the caller: a session that is gone can no longer
/// say whether an earlier try ran.
const fn rejected(rejection: Rejection) -> Answer {
    if rejection.is_unknown() {
        Answer::Unknown(Doubt::Session(rejection))
    } else {
        Answer::Failed(Failure::Rejected(rejection))
    }
}

pub(super) fn reply(origin: Origin, answer: Answer, out: &mut Outbox<Effect>) {
    match origin {
        Origin::Client(id) => out.push(Effect::Reply { id, answer }),
        Origin::Peer { node, id } => {
            let message = PeerMessage::Answer { id, answer };
            out.push(Effect::Send { to: node, lane: FORWARD_LANE, message });
        }
    }
}
