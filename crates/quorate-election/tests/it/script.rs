//! One voter under a script, and what it answered, as text.

use std::fmt::Write;

use quorate_core::{
    Ballot, Configuration, Instant, LogId, LogIndex, LogView, NodeId, Outbox, Rng, Term,
};
use quorate_election::{Config, Event, Input, Message, Output, Voter};

pub(crate) fn id(name: &str) -> NodeId {
    NodeId::new(name).expect("the test made it so")
}

pub(crate) fn ballot(term: u64, vote: Option<&str>) -> Ballot {
    Ballot { term: Term(term), vote: vote.map(id) }
}

#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) tip: LogId,
    pub(crate) configuration: Configuration,
}

impl LogView for Log {
    fn tip(&self) -> LogId {
        self.tip
    }

    fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    fn commit(&self) -> LogIndex {
        LogIndex::ZERO
    }
}

/// The voter `a`, its log, and a transcript. A ballot is durable only when the script says so.
pub(crate) struct Script {
    pub(crate) voter: Voter,
    pub(crate) log: Log,
    now: Instant,
    out: Outbox<Output>,
    text: String,
}

impl Script {
    pub(crate) fn new(voters: &[&str], term: u64, config: Config) -> Self {
        let configuration = Configuration::of_voters(voters.iter().map(|name| id(name)));
        let log = Log { tip: LogId::ZERO, configuration };
        let ballot = ballot(term, None);
        let voter = Voter::new(id("a"), config, ballot, Rng::seeded(1), Instant::ZERO);
        Self { voter, log, now: Instant::ZERO, out: Outbox::new(), text: String::new() }
    }

    pub(crate) fn three(term: u64) -> Self {
        Self::new(&["a", "b", "c"], term, Config::lan())
    }

    pub(crate) fn input(&mut self, input: Input) -> &mut Self {
        writeln!(self.text, "{}ms {}", millis(self.now), render_input(&input))
            .expect("text takes any line");
        self.voter.step(self.now, input, &self.log, &mut self.out);
        self.render();
        self
    }

    pub(crate) fn receive(&mut self, from: &str, message: Message) -> &mut Self {
        self.input(Input::Received { from: id(from), message })
    }

    pub(crate) fn heartbeat(&mut self, from: &str, term: u64) -> &mut Self {
        self.receive(from, Message::Heartbeat { term: Term(term) })
    }

    pub(crate) fn granted(&mut self, from: &str, term: u64) -> &mut Self {
        let term = Term(term);
        self.receive(from, Message::VoteReply { term, granted: true, tip: LogId::ZERO })
    }

    pub(crate) fn would_grant(&mut self, from: &str, term: u64) -> &mut Self {
        let (term, asked, tip) = (Term(term), Term(term), LogId::ZERO);
        self.receive(from, Message::PreVoteReply { term, asked, granted: true, tip })
    }

    /// The ballot ordered last is durable.
    pub(crate) fn persisted(&mut self) -> &mut Self {
        let ballot = self.voter.ballot().clone();
        self.input(Input::Persisted(ballot))
    }

    /// Lets time pass, waking at every deadline on the way.
    pub(crate) fn until(&mut self, at: u64) -> &mut Self {
        let end = Instant::from_millis(at);
        while let Some(due) = self.voter.deadline().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.voter.wake(self.now, &self.log, &mut self.out);
            if !self.out.is_empty() {
                writeln!(self.text, "{}ms wake", millis(self.now)).expect("text takes any line");
            }
            self.render();
        }
        self.now = end;
        self
    }

    /// The transcript since it was last taken.
    pub(crate) fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    fn render(&mut self) {
        for output in self.out.drain() {
            let line = match output {
                Output::Persist(ballot) => format!("persist {}", render_ballot(&ballot)),
                Output::Send { to, message, overtakes } => {
                    let overtakes = if overtakes { " (overtakes)" } else { "" };
                    format!("-> {to} {}{overtakes}", render_message(&message))
                }
                Output::Elected(mandate) => format!("elected {:?}", mandate.term()),
                Output::Event(event) => render_event(&event),
            };
            writeln!(self.text, "  {line}").expect("text takes any line");
        }
    }
}

const fn millis(at: Instant) -> u64 {
    at.as_nanos() / 1_000_000
}

fn render_ballot(ballot: &Ballot) -> String {
    let vote = ballot.vote.as_ref().map_or("nobody", NodeId::as_str);
    format!("{:?} for {vote}", ballot.term)
}

fn render_input(input: &Input) -> String {
    match input {
        Input::Received { from, message } => format!("<- {from} {}", render_message(message)),
        Input::TermSeen { term, from } => format!("term {term} seen at {from}"),
        Input::LeaderHeard { leader, term } => format!("append of {leader} {term:?}"),
        Input::PeerHeard { peer } => format!("ack of {peer}"),
        Input::Persisted(ballot) => format!("durable {}", render_ballot(ballot)),
        Input::Resign => "resign".to_owned(),
        Input::LeaderLost { leader } => format!("{leader} is gone"),
        Input::HandOver { to } => format!("hand over to {to}"),
        Input::CaughtUp { peer } => format!("{peer} has all"),
    }
}

fn render_event(event: &Event) -> String {
    match event {
        Event::BecameLeader { term } => format!("leads {term:?}"),
        Event::BecameFollower { leader, term } => {
            format!("follows {} {term:?}", leader.as_ref().map_or("nobody", NodeId::as_str))
        }
        Event::BecameCandidate { term } => format!("stands {term:?}"),
        Event::QuorumLost => "quorum lost".to_owned(),
        Event::QuorumRegained => "quorum regained".to_owned(),
        Event::HandingOver { to } => format!("hands over to {to}"),
        Event::HandedOver { to, term } => format!("{to} took over {term:?}"),
        Event::NotHandedOver { to, .. } => format!("{to} did not take over"),
    }
}

fn render_message(message: &Message) -> String {
    let word = |granted: &bool| if *granted { "yes" } else { "no" };
    match message {
        Message::PreVote { term, tip } => format!("pre-vote {term:?} tip {tip}"),
        Message::PreVoteReply { term, asked, granted, tip } => {
            format!("pre-vote {}, {term:?} asked {asked:?} tip {tip}", word(granted))
        }
        Message::Vote { term, tip } => format!("vote {term:?} tip {tip}"),
        Message::VoteReply { term, granted, tip } => {
            format!("vote {}, {term:?} tip {tip}", word(granted))
        }
        Message::Heartbeat { term } => format!("heartbeat {term:?}"),
        Message::HeartbeatReply { term } => format!("heard {term:?}"),
        Message::StandNow { term, tip } => format!("stand now {term:?} tip {tip}"),
        Message::VoteAtOnce { term, tip } => format!("vote at once {term:?} tip {tip}"),
    }
}
