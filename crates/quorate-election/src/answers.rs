//! How a voter answers other voters.

use quorate_core::{Instant, LogId, LogView, NodeId, Outbox, Term, VoteCertificate, mutant};

use crate::campaign::State;
use crate::grant::{Request, Seen, decide, is_fresh};
use crate::patience::Timer;
use crate::{Message, Output, Voter};

impl Voter {
    pub(crate) fn received(
        &mut self,
        now: Instant,
        from: NodeId,
        message: Message,
        log: &dyn LogView,
        out: &mut Outbox<Output>,
    ) {
        if from == self.me {
            return;
        }
        match message {
            // Requests first: they may be refused without a look at their term.
            Message::PreVote { term, tip } => self.answer_pre_vote(now, from, term, tip, log, out),
            Message::Vote { term, tip } => {
                self.answer_vote(now, from, (term, tip), false, log, out);
            }
            Message::VoteAtOnce { term, tip } => {
                self.answer_vote(now, from, (term, tip), true, log, out);
            }
            Message::PreVoteReply { .. }
            | Message::VoteReply { .. }
            | Message::Heartbeat { .. }
            | Message::HeartbeatReply { .. }
            | Message::StandNow { .. } => self.hear(now, from, message, log, out),
        }
    }

    fn hear(
        &mut self,
        now: Instant,
        from: NodeId,
        message: Message,
        log: &dyn LogView,
        out: &mut Outbox<Output>,
    ) {
        let term = message.term();
        self.see(now, Seen(term), out);
        if !self.gate.admits(term) && !mutant!("stale-term-accepted") {
            // A node that reached a higher term in vain could accept nothing of a leader below
            // it, for ever: the leader must learn of that term, and win a higher one.
            if matches!(message, Message::Heartbeat { .. }) {
                self.answer_heartbeat(from.clone(), out);
            }
            // An answer of a voter whose term is lower is still an answer, but only to the
            // question it was asked.
            if !matches!(message, Message::PreVoteReply { .. }) {
                return;
            }
        }
        match message {
            Message::PreVoteReply { asked, granted, tip, .. } => {
                self.hear_opinion(now, from, (asked, granted, tip), log, out);
            }
            Message::VoteReply { granted, tip, .. } => {
                self.hear_vote(now, from, granted, tip, log, out);
            }
            Message::Heartbeat { .. } => {
                if self.hear_leader(now, from.clone(), out) {
                    self.answer_heartbeat(from, out);
                }
            }
            Message::HeartbeatReply { .. } => self.hear_peer(now, from, log),
            Message::StandNow { tip, .. } => self.told_to_stand(now, from, tip, log, out),
            Message::PreVote { .. } | Message::Vote { .. } | Message::VoteAtOnce { .. } => {}
        }
    }

    /// Would it vote? Promises nothing and raises no term.
    fn answer_pre_vote(
        &self,
        now: Instant,
        from: NodeId,
        term: Term,
        tip: LogId,
        log: &dyn LogView,
        out: &mut Outbox<Output>,
    ) {
        let mine = voting_tip(log);
        // `from` would stand in the term after `term`, which is above the own one.
        let granted =
            term >= self.term() && is_fresh(mine, tip) && !self.keeps_leader(now, &from, log);
        let message = Message::PreVoteReply { term: self.term(), asked: term, granted, tip: mine };
        out.push(Output::Send { to: from, message, overtakes: false });
    }

    fn answer_vote(
        &mut self,
        now: Instant,
        from: NodeId,
        (term, tip): (Term, LogId),
        at_once: bool,
        log: &dyn LogView,
        out: &mut Outbox<Output>,
    ) {
        // The leader wants it so, unless this voter has more of the log than the leader knew of.
        let excused = at_once && is_fresh(log.tip(), tip);
        // A higher term of a node that does not hear the leader: to adopt it would depose a
        // leader that works (Ongaro 2014, section 4.2.3). Silence is safe, like a lost message;
        // if the candidate is stuck above the leader's term, the next heartbeat finds out.
        if term > self.term() && !excused && self.keeps_leader(now, &from, log) {
            return;
        }
        let (before, mine) = (self.ballot.clone(), voting_tip(log));
        self.raise(now, Seen(term), out);
        let request = Request { candidate: &from, term, tip };
        // In a term that has a leader every other vote is in vain.
        let led = self.leader.as_ref().is_some_and(|leader| *leader != from);
        let grant = if led { None } else { decide(&self.ballot, mine, request) };
        let granted = grant.is_some();
        if let Some(grant) = grant {
            let ballot = grant.into_ballot();
            if ballot != self.ballot {
                // Whoever may win is given time to.
                self.timer = Timer::undrawn(now);
            }
            self.ballot = ballot;
        }
        if self.ballot != before && !(granted && mutant!("vote-not-durable")) {
            out.push(Output::Persist(self.ballot.clone()));
        }
        let message = Message::VoteReply { term: self.term(), granted, tip: mine };
        out.push(Output::Send { to: from, message, overtakes: false });
    }

    /// Whether there is a leader at work that `asker` must not replace. The leader itself may:
    /// it asks only when it no longer leads.
    fn keeps_leader(&self, now: Instant, asker: &NodeId, log: &dyn LogView) -> bool {
        if !self.config.check_quorum
            || self.leader.as_ref() == Some(asker)
            || mutant!("leader-not-kept")
        {
            return false;
        }
        let heard_at = match &self.state {
            State::Leader(reign) => Some(reign.quorum_heard_at(&self.me, now, log.configuration())),
            State::Follower if self.leader.is_some() => self.heard_at,
            State::Follower | State::PreCandidate { .. } | State::Candidate { .. } => None,
        };
        heard_at.is_some_and(|at| now < at + self.config.election_min)
    }

    fn hear_opinion(
        &mut self,
        now: Instant,
        from: NodeId,
        (asked, granted, tip): (Term, bool, LogId),
        log: &dyn LogView,
        out: &mut Outbox<Output>,
    ) {
        let current = asked == self.term();
        if let State::PreCandidate { poll, .. } = &mut self.state
            && current
            && log.configuration().votes(&from)
        {
            poll.answer(from, granted, tip);
            self.decide_poll(now, log, false, out);
        }
    }

    fn hear_vote(
        &mut self,
        now: Instant,
        from: NodeId,
        granted: bool,
        tip: LogId,
        log: &dyn LogView,
        out: &mut Outbox<Output>,
    ) {
        let term = self.term();
        let State::Candidate { votes, .. } = &mut self.state else { return };
        if !log.configuration().votes(&from) {
            return;
        }
        if granted || mutant!("seen-counted-as-granted") {
            let candidate = self.me.clone();
            self.count(now, VoteCertificate { voter: from, term, candidate, tip }, log, out);
        } else {
            votes.answer(from.clone());
            votes.tally.refuse(from);
            self.decide_election(now, log, out);
        }
    }

    fn answer_heartbeat(&self, to: NodeId, out: &mut Outbox<Output>) {
        // It claims the term and nothing else, so a durable ballot is all that it rests on.
        let message = Message::HeartbeatReply { term: self.term() };
        out.push(Output::Send {
            to,
            message,
            overtakes: self.is_durable() || mutant!("term-spoken-early"),
        });
    }
}

/// The tip that a candidate's is compared with, read from the log in the step of the vote.
fn voting_tip(log: &dyn LogView) -> LogId {
    if mutant!("vote-without-freshness") { LogId::ZERO } else { log.tip() }
}
