//! One replicator on a desk: told things by hand, its answers printed a line each.

use std::fmt::Write as _;
use std::time::Duration;

use quorate_core::{
    Configuration, Entry, Instant, Lane, LogId, LogIndex, LogView, NodeId, Outbox, Payload, Record,
    Recovered, Tally, Term, TermGate, VoteCertificate,
};
use quorate_replication::{
    Config, EpochTable, Input, Message, Output, ProposalId, ReadId, Replicator,
};

#[derive(Debug)]
pub(crate) struct Desk {
    me: NodeId,
    pub(crate) replicator: Replicator,
    gate: TermGate,
    now: Instant,
}

impl Desk {
    /// The node `me` of a cluster of `members`, founded, the first entry durable.
    pub(crate) fn founded(me: &str, members: &[&str], config: Config) -> Self {
        let mut desk = Self::recovered(me, &Recovered::default(), config);
        let configuration = Configuration::of_voters(members.iter().map(|name| id(name)));
        let mut out = Outbox::new();
        assert!(desk.replicator.found(desk.now, configuration, &mut out));
        desk.persisted(0, 1);
        desk.after(60_000);
        desk
    }

    /// The node `me` with what its disk has.
    pub(crate) fn recovered(me: &str, recovered: &Recovered, config: Config) -> Self {
        config.validate().unwrap();
        let now = Instant::from_millis(1_000);
        let replicator = Replicator::new(id(me), config, recovered, now);
        Self { me: id(me), replicator, gate: TermGate::default(), now }
    }

    /// One input, and the wake that follows it if one is wanted at once.
    pub(crate) fn tell(&mut self, input: Input) -> String {
        let mut out = Outbox::new();
        self.replicator.step(self.now, input, &self.gate, &mut out);
        self.flush(&mut out);
        print(&mut out)
    }

    /// Several inputs of one turn.
    pub(crate) fn tell_all(&mut self, inputs: impl IntoIterator<Item = Input>) -> String {
        let mut out = Outbox::new();
        for input in inputs {
            self.replicator.step(self.now, input, &self.gate, &mut out);
        }
        self.flush(&mut out);
        print(&mut out)
    }

    fn flush(&mut self, out: &mut Outbox<Output>) {
        if self.replicator.deadline().is_some_and(|due| due <= self.now) {
            self.replicator.wake(self.now, &self.gate, out);
        }
    }

    /// Lets `millis` pass.
    pub(crate) fn after(&mut self, millis: u64) -> String {
        let end = self.now + Duration::from_millis(millis);
        let mut text = String::new();
        while let Some(due) = self.replicator.deadline().filter(|due| *due <= end) {
            let mut out = Outbox::new();
            self.now = self.now.max(due);
            self.replicator.wake(self.now, &self.gate, &mut out);
            for line in print(&mut out).lines() {
                writeln!(text, "{} {line}", self.now).unwrap();
            }
        }
        self.now = end;
        text
    }

    /// Elected in `term` by itself and `voters`, whose logs are empty.
    pub(crate) fn lead(&mut self, term: u64, voters: &[&str]) -> String {
        let term = Term(term);
        self.gate.raise(term);
        let mut tally = Tally::new(term, self.me.clone());
        for voter in voters.iter().map(|name| id(name)).chain([self.me.clone()]) {
            let (candidate, tip) = (self.me.clone(), LogId::ZERO);
            tally.grant(VoteCertificate { voter, term, candidate, tip });
        }
        let mandate = tally.finish(self.replicator.log()).unwrap();
        self.tell(Input::Lead(mandate))
    }

    /// The voter promises `term`.
    pub(crate) fn promise(&mut self, term: u64) {
        self.gate.raise(Term(term));
    }

    pub(crate) fn receive(&mut self, from: &str, message: Message) -> String {
        self.gate.raise(message.term());
        self.tell(Input::Received { from: id(from), message })
    }

    pub(crate) fn persisted(&mut self, term: u64, index: u64) -> String {
        self.tell(Input::Persisted { tip: LogId::new(term, index) })
    }

    pub(crate) fn propose(&mut self, number: u64) -> String {
        self.tell(proposal(number))
    }

    pub(crate) fn read(&mut self, number: u64) -> String {
        self.tell(Input::Read { id: ReadId(number) })
    }

    pub(crate) const fn now(&self) -> Instant {
        self.now
    }

    /// The terms of the log, from the first index on.
    pub(crate) fn terms(&self) -> Vec<u64> {
        let log = self.replicator.log();
        log.entries(log.first_index()..=log.tip().index).map(|entry| entry.id.term.0).collect()
    }
}

pub(crate) fn id(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

pub(crate) fn proposal(number: u64) -> Input {
    Input::Propose { id: ProposalId(number), command: number.to_string().into() }
}

/// Entries without content from `first` on, one per term of `terms`.
pub(crate) fn entries(first: u64, terms: &[u64]) -> Vec<Entry> {
    let entry = |(at, term): (u64, &u64)| Entry {
        id: LogId::new(*term, first + at),
        time: quorate_core::ClusterTime(first + at),
        payload: Payload::Noop,
    };
    (0..).zip(terms).map(entry).collect()
}

/// An append of `term`, with entries of `terms` behind `prev`.
pub(crate) fn append(term: u64, prev: (u64, u64), commit: u64, terms: &[u64]) -> Message {
    Message::Append {
        term: Term(term),
        prev: LogId::new(prev.0, prev.1),
        commit: LogIndex(commit),
        attempt: 0,
        entries: entries(prev.1.wrapping_add(1), terms),
    }
}

pub(crate) const fn appended(term: u64, attempt: u64, matched: u64, commit: u64) -> Message {
    let (matched, commit) = (LogIndex(matched), LogIndex(commit));
    Message::Appended { term: Term(term), attempt, matched, commit }
}

/// The hello of a follower that has `ends` above its `commit`.
pub(crate) fn diverged(
    term: u64,
    attempt: u64,
    prev: u64,
    commit: u64,
    ends: &[(u64, u64)],
) -> Message {
    let ends = ends.iter().map(|(term, index)| LogId::new(*term, *index)).collect();
    let table = EpochTable { commit: LogIndex(commit), ends };
    Message::Diverged { term: Term(term), attempt, prev: LogIndex(prev), table }
}

fn print(out: &mut Outbox<Output>) -> String {
    out.drain().map(|output| line(&output) + "\n").collect()
}

fn line(output: &Output) -> String {
    match output {
        Output::Persist(Record::Entries(entries)) => format!("persist {}", list(entries)),
        Output::Persist(Record::Commit(index)) => format!("persist commit {index}"),
        Output::Persist(Record::Snapshot(snapshot)) => {
            format!("persist snapshot {}", snapshot.last)
        }
        Output::Persist(record) => format!("persist {record:?}"),
        Output::Send { to, lane, message, overtakes } => {
            let lane = match lane {
                Lane::Urgent => "urgent",
                Lane::Ack => "ack",
                Lane::Live => "live",
                Lane::CatchUp => "catch-up",
                Lane::Snapshot => "snapshot",
            };
            let held = if *overtakes { "" } else { ", held" };
            format!("-> {to} ({lane}{held}) {}", said(message))
        }
        Output::Proposed { id, at } => format!("proposed {} at {at}", id.0),
        Output::Refused { id, why } => format!("refused {}: {why}", id.0),
        Output::ChangeRefused { id, why: Some(why) } => format!("refused {}: {why}", id.0),
        Output::ChangeRefused { id, why: None } => format!("refused {}: does not lead", id.0),
        Output::Removed => "removed".to_owned(),
        Output::ReadAt { id, index } => format!("read {} at {index}", id.0),
        Output::ReadRefused { id } => format!("read {} refused", id.0),
        Output::Committed(index) => format!("committed {index}"),
        Output::Install(snapshot) => {
            format!("install {} {:?}", snapshot.last, snapshot.state)
        }
        Output::LeaderHeard { leader, .. } => format!("leader {leader} heard"),
        Output::PeerHeard { peer } => format!("{peer} heard"),
        Output::CaughtUp { peer } => format!("{peer} has all"),
        Output::Deposed => "deposed".to_owned(),
        Output::SnapshotWanted => "snapshot wanted".to_owned(),
        Output::Distrusted { peer, why } => format!("distrusts {peer}: {why}"),
    }
}

fn said(message: &Message) -> String {
    let term = message.term();
    match message {
        Message::Append { prev, commit, attempt, entries, .. } => {
            format!("{term:?} append #{attempt} {} behind {prev}, commit {commit}", list(entries))
        }
        Message::Appended { attempt, matched, commit, .. } => {
            format!("{term:?} appended #{attempt} up to {matched}, commit {commit}")
        }
        Message::Diverged { attempt, prev, table, .. } => {
            let EpochTable { commit, ends } = table;
            format!("{term:?} diverged #{attempt} at {prev}: commit {commit}, ends {ends:?}")
        }
        Message::Probe { seq, .. } => format!("{term:?} probe {seq}"),
        Message::ProbeReply { seq, .. } => format!("{term:?} probed {seq}"),
        Message::SnapshotChunk { attempt, head, offset, data, .. } => {
            let (last, total) = (head.last, head.state_bytes);
            format!("{term:?} chunk #{attempt} of {last}: {data:?} at {offset} of {total}")
        }
        Message::SnapshotReply { attempt, last, received, .. } => {
            format!("{term:?} has #{attempt} of {last}: {received}")
        }
        Message::Stale { .. } => format!("{term:?} is current"),
    }
}

fn list(entries: &[Entry]) -> String {
    format!("{:?}", entries.iter().map(|entry| entry.id).collect::<Vec<_>>())
}
