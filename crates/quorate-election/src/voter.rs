//! The voter: terms, roles and timers. What it answers to requests is in `answers.rs`.

use std::mem;

use quorate_core::{
    Ballot, Instant, LogView, Mandate, NodeId, Outbox, Rng, Tally, Term, TermGate, VoteCertificate,
    VoteResult, mutant,
};

use crate::campaign::{State, StrawPoll, Votes};
use crate::grant::Seen;
use crate::handover::HandOver;
use crate::patience::{Eagerness, Timer, draw, eagerness};
use crate::reign::Reign;
use crate::{Config, Event, Input, Message, Output, Role};

/// One member of an election: votes, stands, leads, steps down.
///
/// It sees the log only in the step in which it needs it, and never keeps a copy of its tip.
#[derive(Debug)]
pub struct Voter {
    pub(crate) me: NodeId,
    pub(crate) config: Config,
    pub(crate) rng: Rng,
    /// Invariant: `gate.current() == ballot.term`.
    pub(crate) gate: TermGate,
    /// The ballot ordered last. Every change is an [`Output::Persist`] in the same step.
    pub(crate) ballot: Ballot,
    /// The ballot known to be durable.
    pub(crate) durable: Ballot,
    pub(crate) state: State,
    /// Invariant: `None` right after the term rose.
    pub(crate) leader: Option<NodeId>,
    /// When `leader` was last heard. Until `election_min` later nobody else gets a vote of a
    /// higher term, so that a node that was cut off cannot depose a working leader.
    pub(crate) heard_at: Option<Instant>,
    pub(crate) timer: Timer,
    pub(crate) quorum_lost: bool,
    /// The lead that this node hands over, or gave away and does not know yet to whom.
    pub(crate) handing: Option<HandOver>,
}

impl Voter {
    /// A follower with what its disk says of its ballot. It waits a full timeout before it stands.
    ///
    /// # Panics
    ///
    /// If `config` does not [`validate`](Config::validate).
    #[must_use]
    pub fn new(me: NodeId, config: Config, ballot: Ballot, rng: Rng, now: Instant) -> Self {
        let valid = config.validate();
        assert!(valid.is_ok(), "validate a configuration before use: {valid:?}");
        Self {
            me,
            config,
            rng,
            gate: TermGate::new(ballot.term),
            durable: ballot.clone(),
            ballot,
            state: State::Follower,
            leader: None,
            heard_at: None,
            timer: Timer::undrawn(now),
            quorum_lost: false,
            handing: None,
        }
    }

    /// The highest term promised; ask it before accepting anything that carries a term.
    #[must_use]
    pub const fn gate(&self) -> &TermGate {
        &self.gate
    }

    /// The current term.
    #[must_use]
    pub const fn term(&self) -> Term {
        self.gate.current()
    }

    /// What this node is doing.
    #[must_use]
    pub const fn role(&self) -> Role {
        match self.state {
            State::Follower => Role::Follower,
            State::PreCandidate { .. } => Role::PreCandidate,
            State::Candidate { .. } => Role::Candidate,
            State::Leader(_) => Role::Leader,
        }
    }

    /// The leader of the current term, if it is known and was not silent for too long.
    #[must_use]
    pub const fn leader(&self) -> Option<&NodeId> {
        self.leader.as_ref()
    }

    /// The ballot ordered last; durable or on its way to the disk.
    #[must_use]
    pub const fn ballot(&self) -> &Ballot {
        &self.ballot
    }

    /// When [`wake`](Self::wake) is next wanted.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let handing = self.handing.as_ref().map(HandOver::due);
        let due = self.due();
        Some(handing.map_or(due, |handing| handing.min(due)))
    }

    /// When its role wants it.
    fn due(&self) -> Instant {
        match &self.state {
            State::Follower => self.timer.due(&self.config),
            State::PreCandidate { ask_at, .. } | State::Candidate { ask_at, .. } => {
                self.timer.due(&self.config).min(*ask_at)
            }
            State::Leader(reign) => reign.beat_at.min(reign.check_at),
        }
    }

    /// Applies one input.
    pub fn step(
        &mut self,
        now: Instant,
        input: Input,
        log: &dyn LogView,
        out: &mut Outbox<Output>,
    ) {
        match input {
            Input::Received { from, message } => self.received(now, from, message, log, out),
            Input::TermSeen { term, .. } => self.see(now, Seen(term), out),
            Input::LeaderHeard { leader, term } => {
                self.see(now, Seen(term), out);
                if self.gate.admits(term) {
                    self.hear_leader(now, leader, out);
                }
            }
            Input::PeerHeard { peer } => self.hear_peer(now, peer, log),
            Input::Persisted(ballot) => self.persisted(now, ballot, log, out),
            Input::Resign => self.resign(now, out),
            Input::LeaderLost { leader } => self.lost_leader(now, &leader, log),
            Input::HandOver { to } => self.hand_over(now, to, log, out),
            Input::CaughtUp { peer } => self.caught_up(now, &peer, log, out),
        }
    }

    /// Lets time pass: fires everything due at or before `now`.
    pub fn wake(&mut self, now: Instant, log: &dyn LogView, out: &mut Outbox<Output>) {
        self.wake_hand_over(now, log, out);
        if now < self.due() {
            return;
        }
        match self.state {
            State::Follower => self.wake_follower(now, log, out),
            State::PreCandidate { .. } | State::Candidate { .. } => {
                self.wake_candidate(now, log, out);
            }
            State::Leader(_) => self.wake_leader(now, log, out),
        }
    }

    // Terms.

    /// Adopts a term that somebody else has reached. A term is no vote.
    pub(crate) fn see(&mut self, now: Instant, seen: Seen, out: &mut Outbox<Output>) {
        if self.raise(now, seen, out) && !mutant!("term-not-persisted") {
            out.push(Output::Persist(self.ballot.clone()));
        }
    }

    /// As [`Self::see`], but leaves it to the caller to persist the ballot in this step.
    pub(crate) fn raise(&mut self, now: Instant, seen: Seen, out: &mut Outbox<Output>) -> bool {
        if !self.gate.raise(seen.0) {
            return false;
        }
        self.ballot = Ballot { term: seen.0, vote: None };
        // A follower's patience goes on: a term alone is no sign of a leader. Others try again
        // soon, but not before a leader of the new term could have spoken.
        let timer = match self.state {
            State::Follower => self.timer.clone(),
            _ => self.soon(now),
        };
        self.follow_nobody(timer, out);
        true
    }

    /// Whether everything said so far about the ballot would survive a crash.
    pub(crate) fn is_durable(&self) -> bool {
        self.durable == self.ballot
    }

    fn persisted(
        &mut self,
        now: Instant,
        ballot: Ballot,
        log: &dyn LogView,
        out: &mut Outbox<Output>,
    ) {
        let newer = |b: &Ballot| (b.term, b.vote.is_some());
        if newer(&ballot) >= newer(&self.durable) {
            self.durable = ballot;
        }
        // The own vote counts only now: before, a crash would forget it and the next boot could
        // give it to another.
        if self.is_durable() && self.ballot.vote.as_ref() == Some(&self.me) {
            let (voter, term, tip) = (self.me.clone(), self.term(), log.tip());
            self.count(
                now,
                VoteCertificate { candidate: voter.clone(), voter, term, tip },
                log,
                out,
            );
        }
    }

    // Following.

    fn wake_follower(&mut self, now: Instant, log: &dyn LogView, out: &mut Outbox<Output>) {
        let eagerness = self.eagerness(log);
        let (config, rng) = (&self.config, &mut self.rng);
        self.timer.draw_with(|| draw(eagerness, config, rng));
        if now >= self.timer.due(&self.config) {
            self.campaign(now, log, out);
        }
    }

    pub(crate) fn eagerness(&self, log: &dyn LogView) -> Eagerness {
        let configuration = log.configuration();
        // As the cluster has ruled, like those of the others: else two that mean to be reluctant could
        // wait for each other.
        let ruled = configuration.member(&self.me);
        let priority = ruled.map_or(self.config.priority, |member| member.priority);
        eagerness(&self.me, priority, configuration, self.leader.as_ref())
    }

    /// The leader's process is gone, as its host says. Whoever heard that does not keep it.
    fn lost_leader(&mut self, now: Instant, leader: &NodeId, log: &dyn LogView) {
        if self.role() != Role::Follower || self.leader.as_ref() != Some(leader) {
            return;
        }
        self.heard_at = None;
        let eagerness = self.eagerness(log);
        if let Eagerness::Ranked { rank, levels } = eagerness {
            // Those of a higher priority first, and all of them within a heartbeat: until then the
            // others know as well.
            let band = self.config.heartbeat / levels;
            let wait = self.rng.duration(band * rank, band * (rank + 1));
            self.timer = Timer::drawn(now, wait);
        }
    }

    /// A timer for another try: long enough for a leader of the new term to speak first, shorter
    /// than the patience with a silent leader, since nobody leads.
    fn soon(&mut self, now: Instant) -> Timer {
        Timer::drawn(now, self.rng.duration(self.config.heartbeat, self.config.election_min))
    }

    pub(crate) fn hear_leader(
        &mut self,
        now: Instant,
        leader: NodeId,
        out: &mut Outbox<Output>,
    ) -> bool {
        // A second leader of a term cannot be; a peer that claims it is not believed.
        if leader == self.me || self.leader.as_ref().is_some_and(|known| *known != leader) {
            return false;
        }
        if self.leader.is_none() {
            self.state = State::Follower;
            self.leader = Some(leader.clone());
            let term = self.term();
            out.push(Output::Event(Event::BecameFollower { leader: Some(leader), term }));
            self.regain_quorum(out);
            if let Some(leader) = self.leader.clone() {
                self.end_hand_over(&leader, out);
            }
        }
        self.heard_at = Some(now);
        self.timer = Timer::undrawn(now);
        true
    }

    /// Follows nobody, until somebody is heard or `timer` fires.
    pub(crate) fn follow_nobody(&mut self, timer: Timer, out: &mut Outbox<Output>) {
        // Whoever only asks around has said already that it follows nobody.
        let news = self.leader.is_some() || self.role() >= Role::Candidate;
        self.state = State::Follower;
        self.leader = None;
        self.heard_at = None;
        self.timer = timer;
        if news {
            let term = self.term();
            out.push(Output::Event(Event::BecameFollower { leader: None, term }));
        }
    }

    fn resign(&mut self, now: Instant, out: &mut Outbox<Output>) {
        if self.role() != Role::Follower {
            self.follow_nobody(Timer::undrawn(now + self.config.election_max), out);
        }
    }

    // Standing.

    /// The silence lasted too long.
    fn campaign(&mut self, now: Instant, log: &dyn LogView, out: &mut Outbox<Output>) {
        let eagerness = self.eagerness(log);
        self.follow_nobody(Timer::undrawn(now), out);
        // A node whose disk does not answer could not lead; and its requests would pile up behind
        // the record that does not become durable.
        if !self.may_stand(log) {
            return;
        }
        let (min, max) = (self.config.election_min, self.config.election_max);
        self.timer = Timer::drawn(now, self.rng.duration(min, max));
        let reluctant = eagerness == Eagerness::Reluctant;
        if !self.config.pre_vote && !reluctant {
            return self.stand(now, false, log, out);
        }
        let mut poll = StrawPoll::new(reluctant);
        poll.answer(self.me.clone(), true, log.tip());
        self.state = State::PreCandidate { poll, ask_at: now + self.config.heartbeat };
        self.ask(log, out);
        self.decide_poll(now, log, false, out);
    }

    pub(crate) fn may_stand(&self, log: &dyn LogView) -> bool {
        log.may_lead(&self.me) && self.is_durable() && self.term() < Term(u64::MAX)
    }

    /// Raises the term and votes for itself; `at_once` if the leader told it to.
    pub(crate) fn stand(
        &mut self,
        now: Instant,
        at_once: bool,
        log: &dyn LogView,
        out: &mut Outbox<Output>,
    ) {
        let term = self.term().next();
        self.gate.raise(term);
        self.ballot = Ballot { term, vote: Some(self.me.clone()) };
        let votes = Votes::new(Tally::new(term, self.me.clone()), at_once);
        self.state = State::Candidate { votes, ask_at: now + self.config.heartbeat };
        out.push(Output::Persist(self.ballot.clone()));
        out.push(Output::Event(Event::BecameCandidate { term }));
        self.ask(log, out);
    }

    /// Asks every voter whose yes is missing.
    fn ask(&self, log: &dyn LogView, out: &mut Outbox<Output>) {
        let (term, tip) = (self.term(), log.tip());
        let at_once = self.stands_at_once() || mutant!("always-stands-at-once");
        for to in log.configuration().voters().filter(|id| **id != self.me) {
            let message = match &self.state {
                State::PreCandidate { poll, .. } if !poll.agreed(to) => {
                    Message::PreVote { term, tip }
                }
                State::Candidate { votes, .. } if !votes.has(to) => match at_once {
                    true => Message::VoteAtOnce { term, tip },
                    false => Message::Vote { term, tip },
                },
                _ => continue,
            };
            out.push(Output::Send { to: to.clone(), message, overtakes: false });
        }
    }

    fn wake_candidate(&mut self, now: Instant, log: &dyn LogView, out: &mut Outbox<Output>) {
        if now >= self.timer.due(&self.config) {
            if self.decide_poll(now, log, true, out) {
                return;
            }
            if !self.quorum_answered(log) {
                self.lose_quorum(out);
            }
            return self.campaign(now, log, out);
        }
        let next = now + self.config.heartbeat;
        if let State::PreCandidate { ask_at, .. } | State::Candidate { ask_at, .. } =
            &mut self.state
        {
            *ask_at = next;
        }
        // Behind a record that is not durable the first requests still wait.
        if self.is_durable() {
            self.ask(log, out);
        }
    }

    fn quorum_answered(&self, log: &dyn LogView) -> bool {
        log.configuration().has_quorum(|id| {
            *id == self.me
                || match &self.state {
                    State::PreCandidate { poll, .. } => poll.has(id),
                    State::Candidate { votes, .. } => votes.has(id),
                    State::Follower | State::Leader(_) => false,
                }
        })
    }

    /// Draws the consequence of the straw poll; `true` if it was decided.
    pub(crate) fn decide_poll(
        &mut self,
        now: Instant,
        log: &dyn LogView,
        at_end: bool,
        out: &mut Outbox<Output>,
    ) -> bool {
        let State::PreCandidate { poll, .. } = &self.state else { return false };
        let result = poll.result(&self.me, log, at_end);
        if result != VoteResult::Open || self.quorum_answered(log) {
            self.regain_quorum(out);
        }
        match result {
            VoteResult::Won => {
                let (min, max) = (self.config.election_min, self.config.election_max);
                self.timer = Timer::drawn(now, self.rng.duration(min, max));
                self.stand(now, false, log, out);
            }
            // Others hear a leader, or have more of the log: a whole timeout for them.
            VoteResult::Lost => self.follow_nobody(Timer::undrawn(now), out),
            VoteResult::Open => return false,
        }
        true
    }

    /// Counts a durable vote for this node.
    pub(crate) fn count(
        &mut self,
        now: Instant,
        certificate: VoteCertificate,
        log: &dyn LogView,
        out: &mut Outbox<Output>,
    ) {
        if let State::Candidate { votes, .. } = &mut self.state {
            votes.answer(certificate.voter.clone());
            votes.tally.grant(certificate);
        }
        self.decide_election(now, log, out);
    }

    /// Draws the consequence of the votes so far. Core's tally says what is enough.
    pub(crate) fn decide_election(
        &mut self,
        now: Instant,
        log: &dyn LogView,
        out: &mut Outbox<Output>,
    ) {
        // Not before the own ballot is durable: a leader's heartbeats overtake, and rest on it.
        if !self.is_durable() {
            return;
        }
        let State::Candidate { votes, ask_at } = mem::replace(&mut self.state, State::Follower)
        else {
            return;
        };
        let Votes { tally, answered, at_once } = votes;
        match tally.finish(log) {
            Ok(mandate) => self.lead(now, mandate, log, out),
            Err(tally) => {
                let lost = tally.result(log) == VoteResult::Lost;
                let votes = Votes { tally, answered, at_once };
                self.state = State::Candidate { votes, ask_at };
                if lost {
                    let timer = self.soon(now);
                    self.follow_nobody(timer, out);
                }
            }
        }
    }

    // Leading.

    fn lead(
        &mut self,
        now: Instant,
        mandate: Mandate,
        log: &dyn LogView,
        out: &mut Outbox<Output>,
    ) {
        let term = mandate.term();
        self.leader = Some(self.me.clone());
        let check_at = if self.config.check_quorum && !mutant!("no-check-quorum") {
            now + self.config.election_max
        } else {
            Instant::FAR
        };
        self.state = State::Leader(Reign::new(now, now + self.config.heartbeat, check_at));
        out.push(Output::Elected(mandate));
        out.push(Output::Event(Event::BecameLeader { term }));
        self.regain_quorum(out);
        self.end_hand_over(&self.me.clone(), out);
        self.beat(log, out);
    }

    fn beat(&self, log: &dyn LogView, out: &mut Outbox<Output>) {
        for to in log.configuration().ids().filter(|id| **id != self.me) {
            // A leader's ballot is durable, and a heartbeat says nothing else.
            let message = Message::Heartbeat { term: self.term() };
            out.push(Output::Send { to: to.clone(), message, overtakes: true });
        }
    }

    fn wake_leader(&mut self, now: Instant, log: &dyn LogView, out: &mut Outbox<Output>) {
        let State::Leader(reign) = &mut self.state else { return };
        if now >= reign.check_at {
            let heard_at = reign.quorum_heard_at(&self.me, now, log.configuration());
            reign.check_at = heard_at + self.config.election_max;
            if now >= reign.check_at {
                self.lose_quorum(out);
                return self.follow_nobody(Timer::undrawn(now), out);
            }
        }
        if now >= reign.beat_at {
            reign.beat_at = now + self.config.heartbeat;
            self.beat(log, out);
        }
    }

    /// Whether this leader heard `peer` within the shortest election timeout before the end of its
    /// last heartbeat.
    #[must_use]
    pub fn hears(&self, peer: &NodeId) -> bool {
        match &self.state {
            State::Leader(reign) => reign.hears(peer, self.config.election_min),
            State::Follower | State::PreCandidate { .. } | State::Candidate { .. } => false,
        }
    }

    pub(crate) fn hear_peer(&mut self, now: Instant, peer: NodeId, log: &dyn LogView) {
        // Of learners too: once one is promoted it must not count as silent since the election.
        if let State::Leader(reign) = &mut self.state
            && log.configuration().member(&peer).is_some()
        {
            reign.hear(peer, now);
        }
    }

    fn lose_quorum(&mut self, out: &mut Outbox<Output>) {
        if !mem::replace(&mut self.quorum_lost, true) {
            out.push(Output::Event(Event::QuorumLost));
        }
    }

    fn regain_quorum(&mut self, out: &mut Outbox<Output>) {
        if mem::replace(&mut self.quorum_lost, false) {
            out.push(Output::Event(Event::QuorumRegained));
        }
    }
}
