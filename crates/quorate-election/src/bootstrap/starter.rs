//! The machine: pledges for others, proposes when it is its turn, and says when it is decided.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use quorate_core::{
    ClusterId, Configuration, Instant, Kind, Machine, NodeId, Outbox, Pledge, PledgeBallot,
    Proposal, Rng, mutant,
};

use super::message::BootstrapMessage as Message;
use super::pledging;
use super::proposing::Round;
use super::sight::Sight;

/// How a bootstrap goes about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootstrapConfig {
    /// How many first members there are to be. With seeds, 1 means: never found, only join.
    pub min_nodes: usize,
    /// How long the sight must stay as it is before it is acted upon, so that a node that starts
    /// a moment later is among the first. Default 200 ms.
    pub settle: Duration,
    /// How often a question without an answer is asked again. Default 500 ms.
    pub retry: Duration,
    /// How long a round may take before another one is begun. Default 3 s.
    pub round_max: Duration,
}

impl BootstrapConfig {
    /// The defaults for `min_nodes` first members.
    #[must_use]
    pub const fn new(min_nodes: usize) -> Self {
        Self {
            min_nodes,
            settle: Duration::from_millis(200),
            retry: Duration::from_millis(500),
            round_max: Duration::from_secs(3),
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootstrapInput {
    /// What the node sees changed.
    Saw(Sight),
    /// A message arrived.
    Received {
        /// Its sender, as the transport proved it.
        from: NodeId,
        /// What it said.
        message: Message,
    },
    /// This pledge, and with it every earlier one, is durable.
    Persisted(Pledge),
    /// The node has a configuration in its log: nothing is left to decide.
    Formed(ClusterId),
}

/// What to do about it, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootstrapOutput {
    /// Make the pledge durable; what follows it rests on it.
    Persist(Pledge),
    /// Send; may be lost.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// The decree is made and names this node: the log begins with this configuration.
    Founded(Proposal),
    /// Two decrees were made, which cannot be: a seed lost its disk, or the seed lists differ.
    /// This node keeps the one it has.
    Conflict {
        /// The cluster this node holds on to.
        ours: ClusterId,
        /// The other one.
        theirs: ClusterId,
    },
}

/// Where the bootstrap stands, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootstrapStatus {
    /// There is a cluster.
    Formed(ClusterId),
    /// There is a cluster, and this node is not of it yet.
    Joining(ClusterId),
    /// The seed list is empty and more than one first member is wanted: somebody must call.
    NoSeeds,
    /// This node only joins, and knows of no cluster.
    OnlyJoins,
    /// Too few addresses of the seed list answer.
    WaitingForSeeds {
        /// How many answer.
        heard: usize,
        /// How many there are.
        listed: usize,
    },
    /// Too few nodes are in sight.
    WaitingForNodes {
        /// How many are.
        seen: usize,
        /// How many it takes.
        min_nodes: usize,
    },
    /// Another node is to propose.
    WaitingFor(NodeId),
    /// This node proposes; these have not answered yet.
    Asking(BTreeSet<NodeId>),
}

impl fmt::Display for BootstrapStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Formed(cluster) => write!(f, "member of cluster {cluster}"),
            Self::Joining(cluster) => write!(f, "waiting to be added to cluster {cluster}"),
            Self::NoSeeds => {
                f.write_str("waiting to be called: no seeds are set and min_nodes is above 1")
            }
            Self::OnlyJoins => f.write_str(
                "looking for a cluster to join: with seeds, a node of min_nodes = 1 founds none",
            ),
            Self::WaitingForSeeds { heard, listed } => {
                write!(f, "waiting for seeds: {heard} of {listed} answer, it takes more than half")
            }
            Self::WaitingForNodes { seen, min_nodes } => {
                write!(f, "waiting for nodes: {seen} of {min_nodes} are here")
            }
            Self::WaitingFor(node) => write!(f, "waiting for {node} to propose the first members"),
            Self::Asking(missing) => {
                f.write_str("waiting for the word of")?;
                missing.iter().try_for_each(|id| write!(f, " {id}"))
            }
        }
    }
}

/// Decides the first members of a cluster, once.
#[derive(Debug)]
pub struct Bootstrap {
    me: NodeId,
    config: BootstrapConfig,
    rng: Rng,
    sight: Sight,
    /// The pledge ordered last. Every change is an [`BootstrapOutput::Persist`] in the same step.
    pledge: Pledge,
    /// Whether `pledge` is known to be durable.
    durable: bool,
    /// The cluster this node belongs to.
    formed: Option<ClusterId>,
    /// The decree, as soon as it is known to be made.
    chosen: Option<(PledgeBallot, Proposal)>,
    round: Option<Round>,
    round_until: Instant,
    /// The highest round that anyone is known to be in.
    seen: u64,
    /// When to look again whether to begin a round, or to ask again.
    act_at: Instant,
    /// Since when nobody else was heard to propose, and those in sight are the same.
    quiet_since: Instant,
}

impl Bootstrap {
    /// A node with what its disk says of its pledge, and of the cluster it belongs to.
    #[must_use]
    pub fn new(
        me: NodeId,
        config: BootstrapConfig,
        pledge: Pledge,
        formed: Option<ClusterId>,
        rng: Rng,
        now: Instant,
    ) -> Self {
        let seen = pledge.promised.round;
        let chosen = pledge.accepted.clone().filter(|(_, p)| Some(p.cluster) == formed);
        Self {
            me,
            config,
            rng,
            sight: Sight::default(),
            pledge,
            durable: true,
            formed,
            chosen,
            round: None,
            round_until: now,
            seen,
            act_at: now,
            quiet_since: now,
        }
    }

    /// What this node has pledged; durable or on its way to the disk.
    #[must_use]
    pub const fn pledge(&self) -> &Pledge {
        &self.pledge
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> BootstrapStatus {
        if let Some(cluster) = self.formed {
            return BootstrapStatus::Formed(cluster);
        }
        if let Some(cluster) = self.cluster() {
            return BootstrapStatus::Joining(cluster);
        }
        if let Some(round) = &self.round {
            return BootstrapStatus::Asking(round.missing());
        }
        let (heard, listed) = (self.sight.seeds.iter().flatten().count(), self.sight.seeds.len());
        let (seen, min_nodes) = (self.sight.ranked().len(), self.config.min_nodes);
        if listed == 0 && min_nodes > 1 {
            BootstrapStatus::NoSeeds
        } else if listed > 0 && min_nodes == 1 {
            BootstrapStatus::OnlyJoins
        } else if !self.sight.hears_most_seeds() {
            BootstrapStatus::WaitingForSeeds { heard, listed }
        } else if seen < min_nodes {
            BootstrapStatus::WaitingForNodes { seen, min_nodes }
        } else {
            let best = self.sight.ranked().first().copied().cloned();
            BootstrapStatus::WaitingFor(best.unwrap_or_else(|| self.me.clone()))
        }
    }

    /// The cluster of this name, if one is known.
    fn cluster(&self) -> Option<ClusterId> {
        let chosen = self.chosen.as_ref().map(|(_, proposal)| proposal.cluster);
        self.formed.or(chosen).or_else(|| self.rumour())
    }

    /// A cluster that others speak of. Not the one this node has accepted itself: whoever made that
    /// decree may be gone for good, so those who accepted it go on until they know it is made.
    fn rumour(&self) -> Option<ClusterId> {
        let accepted = self.pledge.accepted.as_ref().map(|(_, proposal)| proposal.cluster);
        self.sight.cluster.filter(|cluster| Some(*cluster) != accepted)
    }

    fn received(
        &mut self,
        now: Instant,
        from: NodeId,
        message: Message,
        out: &mut Outbox<BootstrapOutput>,
    ) {
        if !message.is_sound() {
            return;
        }
        if let Message::Chosen { ballot, proposal } = message {
            return self.learn(ballot, proposal, out);
        }
        if let Some(cluster) = self.cluster() {
            if matches!(message, Message::Prepare { .. } | Message::Accept { .. }) {
                let message = match self.chosen.clone() {
                    Some((ballot, proposal)) => Message::Chosen { ballot, proposal },
                    None => Message::Exists { cluster },
                };
                out.push(BootstrapOutput::Send { to: from, message });
            }
            return;
        }
        if matches!(message, Message::Prepare { .. } | Message::Accept { .. }) {
            self.quiet_since = now;
        }
        match message {
            Message::Prepare { ballot } => self.prepare(from, &ballot, out),
            Message::Accept { ballot, proposal } => self.accept(from, &ballot, &proposal, out),
            Message::Promise { ballot, accepted } => {
                if self.is_mine(&ballot) {
                    self.promised(from, accepted, out);
                }
            }
            Message::Accepted { ballot } => {
                if self.is_mine(&ballot) {
                    self.accepted(from, out);
                }
            }
            Message::Refused { ballot, promised } => {
                if self.sees(&promised) && self.is_mine(&ballot) {
                    self.give_up(now);
                }
            }
            Message::Exists { cluster } => self.sight.cluster = Some(cluster),
            Message::Chosen { .. } => {}
        }
    }

    // Pledging.

    /// Notes the round of `ballot`; `false` if it is too far ahead for a correct node to be in it.
    /// A round that could not be exceeded would end all rounds; so nobody is followed there in less
    /// than 2^32 steps, each of which is a durable promise or nothing.
    fn sees(&mut self, ballot: &PledgeBallot) -> bool {
        let furthest = self.seen.saturating_add(LEAP_MAX);
        self.seen = self.seen.max(ballot.round.min(furthest));
        ballot.round <= furthest
    }

    fn prepare(&mut self, from: NodeId, ballot: &PledgeBallot, out: &mut Outbox<BootstrapOutput>) {
        if !self.sees(ballot) {
            return;
        }
        let news = *ballot != self.pledge.promised;
        if !pledging::promise(&mut self.pledge, ballot) {
            return self.refuse(from, ballot, out);
        }
        if news && !mutant!("bootstrap-pledge-not-durable") {
            self.persist(out);
        }
        let (ballot, accepted) = (ballot.clone(), self.pledge.accepted.clone());
        out.push(BootstrapOutput::Send {
            to: from,
            message: Message::Promise { ballot, accepted },
        });
    }

    fn accept(
        &mut self,
        from: NodeId,
        ballot: &PledgeBallot,
        proposal: &Proposal,
        out: &mut Outbox<BootstrapOutput>,
    ) {
        if !self.sees(ballot) || self.would_be_stillborn(proposal) {
            return;
        }
        let before = self.pledge.accepted.as_ref().map(|(ballot, _)| ballot);
        let news = before != Some(ballot);
        if !pledging::accept(&mut self.pledge, ballot, proposal) {
            return self.refuse(from, ballot, out);
        }
        if news && !mutant!("bootstrap-pledge-not-durable") {
            self.persist(out);
        }
        let message = Message::Accepted { ballot: ballot.clone() };
        out.push(BootstrapOutput::Send { to: from, message });
    }

    /// Whether `proposal` names this node on a disk that it lost meanwhile, and the others named are
    /// no quorum: from the new disk it would have no say, and nobody could give it one. It is not
    /// answered, so that those who ask can say who is missing.
    fn would_be_stillborn(&self, proposal: &Proposal) -> bool {
        let Some(me) = self.sight.candidates.get(&self.me) else { return false };
        let configuration = &proposal.configuration;
        !configuration.speaks_for(&self.me, me.disk)
            && !configuration.has_quorum(|id| *id != self.me)
    }

    fn refuse(&self, to: NodeId, ballot: &PledgeBallot, out: &mut Outbox<BootstrapOutput>) {
        let (ballot, promised) = (ballot.clone(), self.pledge.promised.clone());
        out.push(BootstrapOutput::Send { to, message: Message::Refused { ballot, promised } });
    }

    fn persist(&mut self, out: &mut Outbox<BootstrapOutput>) {
        self.durable = false;
        out.push(BootstrapOutput::Persist(self.pledge.clone()));
    }

    // Proposing.

    fn is_mine(&self, ballot: &PledgeBallot) -> bool {
        self.round.as_ref().is_some_and(|round| round.ballot == *ballot)
    }

    /// What this node would propose now, if it is its turn.
    fn turn(&self, now: Instant) -> Option<Proposal> {
        // A node that is to join, or to found alone, proposes nothing to others.
        if self.cluster().is_some() || self.config.min_nodes < 2 || !self.sight.hears_most_seeds() {
            return None;
        }
        // The best first; but it may be one that only joins, or whose disk hangs.
        let rank = self.sight.ranked().iter().position(|id| **id == self.me)?;
        let patience = self.config.round_max.saturating_mul(u32::try_from(rank).ok()? * 2);
        if now < self.quiet_since + patience {
            return None;
        }
        // What was accepted may be decided already, so it is finished also with fewer in sight.
        let carried = self.pledge.accepted.as_ref().map(|(_, proposal)| proposal.clone());
        carried.or_else(|| {
            let configuration = self.sight.best(self.config.min_nodes)?;
            Some(Proposal { cluster: ClusterId::NONE, configuration })
        })
    }

    /// A node without seeds that may found alone asks nobody, unless it has pledged itself to those
    /// who did ask.
    fn alone(&self) -> Option<Configuration> {
        let free = self.sight.seeds.is_empty()
            && self.config.min_nodes == 1
            && self.pledge == Pledge::default();
        let me = self.sight.candidates.get(&self.me).filter(|me| free && me.kind == Kind::Voter)?;
        Some(Configuration::of_members([(self.me.clone(), me.member())].into()))
    }

    fn begin(&mut self, now: Instant, mut proposal: Proposal, out: &mut Outbox<BootstrapOutput>) {
        let Some(next) = self.seen.checked_add(1) else { return };
        if proposal.cluster == ClusterId::NONE {
            proposal.cluster = self.draw_cluster();
        }
        self.seen = next;
        let priority = self.sight.candidates.get(&self.me).map_or(0, |me| me.priority);
        let ballot = PledgeBallot { round: self.seen, priority, proposer: Some(self.me.clone()) };
        // The own promise is durable before anyone hears of the round: a restart must not use the
        // ballot again for another value.
        let promised = pledging::promise(&mut self.pledge, &ballot);
        debug_assert!(promised, "the round is above all that were promised");
        self.persist(out);
        self.round = Some(Round::new(ballot, self.sight.seeds.clone(), proposal));
        self.round_until = now + self.config.round_max;
        self.ask(now, out);
    }

    fn draw_cluster(&mut self) -> ClusterId {
        let high = u128::from(self.rng.next_u64());
        ClusterId((high << 64 | u128::from(self.rng.next_u64())).max(1))
    }

    /// Asks everyone whose word is missing.
    fn ask(&mut self, now: Instant, out: &mut Outbox<BootstrapOutput>) {
        self.act_at = now + self.config.retry;
        let Some(round) = &self.round else { return };
        let (ballot, proposal) = (round.ballot.clone(), round.proposal.clone());
        let message = if round.is_accepting() {
            Message::Accept { ballot, proposal }
        } else {
            Message::Prepare { ballot }
        };
        for to in round.missing().into_iter().filter(|id| *id != self.me) {
            out.push(BootstrapOutput::Send { to, message: message.clone() });
        }
    }

    fn promised(
        &mut self,
        from: NodeId,
        accepted: Option<(PledgeBallot, Proposal)>,
        out: &mut Outbox<BootstrapOutput>,
    ) {
        let Some(round) = &mut self.round else { return };
        if round.promised(from, accepted) {
            let (ballot, proposal) = (round.ballot.clone(), round.proposal.clone());
            for to in round.asked().into_iter().filter(|id| *id != self.me) {
                let (ballot, proposal) = (ballot.clone(), proposal.clone());
                out.push(BootstrapOutput::Send {
                    to,
                    message: Message::Accept { ballot, proposal },
                });
            }
            let accepted = pledging::accept(&mut self.pledge, &ballot, &proposal);
            // A later round that this node has promised meanwhile has ended this one.
            if accepted {
                self.persist(out);
            }
        }
    }

    fn accepted(&mut self, from: NodeId, out: &mut Outbox<BootstrapOutput>) {
        let Some(round) = &mut self.round else { return };
        if !round.accepted(from) {
            return;
        }
        let (ballot, proposal, asked) =
            (round.ballot.clone(), round.proposal.clone(), round.asked());
        self.learn(ballot, proposal, out);
        self.tell(asked, out);
    }

    /// First members that are in sight and do not know it: the word of their birth was lost.
    fn uninformed(&self) -> impl Iterator<Item = &NodeId> {
        let chosen = self.chosen.iter();
        chosen.flat_map(|(_, proposal)| {
            let named =
                |id: &&NodeId| **id != self.me && proposal.configuration.member(id).is_some();
            self.sight.candidates.keys().filter(named)
        })
    }

    /// Says what was decided.
    fn tell(&self, nodes: BTreeSet<NodeId>, out: &mut Outbox<BootstrapOutput>) {
        let Some((ballot, proposal)) = &self.chosen else { return };
        for to in nodes.into_iter().filter(|id| *id != self.me) {
            let (ballot, proposal) = (ballot.clone(), proposal.clone());
            out.push(BootstrapOutput::Send { to, message: Message::Chosen { ballot, proposal } });
        }
    }

    /// The decree is made.
    fn learn(
        &mut self,
        ballot: PledgeBallot,
        proposal: Proposal,
        out: &mut Outbox<BootstrapOutput>,
    ) {
        if !self.sees(&ballot) {
            return;
        }
        let known = self.formed.or_else(|| self.chosen.as_ref().map(|(_, p)| p.cluster));
        if let Some(ours) = known {
            if ours != proposal.cluster {
                out.push(BootstrapOutput::Conflict { ours, theirs: proposal.cluster });
            }
            return;
        }
        pledging::learn(&mut self.pledge, &ballot, &proposal);
        self.persist(out);
        self.round = None;
        self.chosen = Some((ballot, proposal.clone()));
        if proposal.configuration.member(&self.me).is_some() {
            self.formed = Some(proposal.cluster);
            out.push(BootstrapOutput::Founded(proposal));
        }
    }

    /// Leaves the round to whoever is ahead, for a while.
    fn give_up(&mut self, now: Instant) {
        self.round = None;
        self.act_at = now + self.rng.duration(self.config.retry, self.config.round_max);
    }

    fn persisted(&mut self, pledge: &Pledge, out: &mut Outbox<BootstrapOutput>) {
        if *pledge != self.pledge {
            return;
        }
        self.durable = true;
        // The own word counts like everyone's: when it is durable.
        let Some(round) = &self.round else { return };
        if round.ballot != self.pledge.promised {
            return;
        }
        let ballot = round.ballot.clone();
        let accepted_now = self.pledge.accepted.as_ref().is_some_and(|(b, _)| *b == ballot);
        if round.is_accepting() && accepted_now {
            self.accepted(self.me.clone(), out);
        } else if !round.is_accepting() {
            self.promised(self.me.clone(), self.pledge.accepted.clone(), out);
        }
    }
}

impl Machine for Bootstrap {
    type Input = BootstrapInput;
    type Output = BootstrapOutput;

    fn handle(&mut self, now: Instant, input: BootstrapInput, out: &mut Outbox<BootstrapOutput>) {
        match input {
            BootstrapInput::Saw(sight) => {
                // What a peer said about a cluster stays known.
                let cluster = sight.cluster.or(self.sight.cluster);
                let sight = Sight { cluster, ..sight };
                if sight != self.sight {
                    if sight.ranked() != self.sight.ranked() {
                        self.quiet_since = now;
                    }
                    self.sight = sight;
                    if self.round.is_none() {
                        self.act_at = self.act_at.max(now + self.config.settle);
                    }
                }
            }
            BootstrapInput::Received { from, message } => self.received(now, from, message, out),
            BootstrapInput::Persisted(pledge) => self.persisted(&pledge, out),
            BootstrapInput::Formed(cluster) => {
                self.formed = Some(cluster);
                self.round = None;
            }
        }
        if self.cluster().is_some() {
            self.round = None;
        }
    }

    fn wake(&mut self, now: Instant, out: &mut Outbox<BootstrapOutput>) {
        if self.deadline().is_none_or(|due| now < due) {
            return;
        }
        let uninformed: BTreeSet<NodeId> = self.uninformed().cloned().collect();
        if !uninformed.is_empty() {
            self.act_at = now + self.config.retry;
            return self.tell(uninformed, out);
        }
        if self.round.is_some() {
            if now < self.round_until {
                return self.ask(now, out);
            }
            self.give_up(now);
            return;
        }
        self.act_at = now + self.config.retry;
        if let Some(configuration) = self.alone() {
            let proposal = Proposal { cluster: self.draw_cluster(), configuration };
            let ballot = PledgeBallot { round: 1, ..PledgeBallot::default() };
            self.learn(ballot, proposal, out);
        } else if let Some(proposal) = self.turn(now) {
            self.begin(now, proposal, out);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        // Without a pledge on its way to the disk, without a cluster: look again and again.
        if self.uninformed().next().is_some() {
            return Some(self.act_at);
        }
        let waits = self.cluster().is_none() && !self.sight.candidates.is_empty();
        (waits && (self.durable || self.round.is_some())).then_some(self.act_at)
    }
}

/// No correct node is so many rounds ahead of another.
const LEAP_MAX: u64 = 1 << 32;
