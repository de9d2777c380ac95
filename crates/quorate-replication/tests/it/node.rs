//! One node of the test cluster: a replicator with a disk that is late and a state machine.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use quorate_core::{
    Entry, Hold, Instant, LogId, LogIndex, LogView, NodeId, Payload, Record, Recovered, Term,
    TermGate, Token,
};
use quorate_replication::{Config, Message, ReadId, Replicator};

/// What a client asked of this node and has no answer to.
#[derive(Debug, Default)]
pub(crate) struct Open {
    /// The place of each command.
    pub(crate) writes: BTreeMap<LogIndex, (LogId, u64)>,
    /// The least index each read must see.
    pub(crate) reads: BTreeMap<ReadId, LogIndex>,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) up: bool,
    pub(crate) replicator: Replicator,
    /// The ballot is durable at once.
    pub(crate) gate: TermGate,
    pub(crate) journal: Vec<Record>,
    pub(crate) writing: VecDeque<(Token, Record)>,
    pub(crate) token: Token,
    pub(crate) hold: Hold<(NodeId, Message)>,
    /// Tells events of an earlier life apart.
    pub(crate) boot: u64,
    pub(crate) applied: LogIndex,
    pub(crate) commands: Vec<u64>,
    pub(crate) open: Open,
    /// When the next wake comes, and the deadline it is for.
    pub(crate) wake_at: Option<(Instant, Instant)>,
    /// The log was checked up to here.
    pub(crate) checked: LogId,
}

impl Node {
    pub(crate) fn new(id: NodeId, config: &Config, now: Instant) -> Self {
        Self {
            replicator: Replicator::new(id.clone(), config.clone(), &Recovered::default(), now),
            id,
            up: true,
            gate: TermGate::default(),
            journal: Vec::new(),
            writing: VecDeque::new(),
            token: Token(0),
            hold: Hold::new(Token(0)),
            boot: 0,
            applied: LogIndex::ZERO,
            commands: Vec::new(),
            open: Open::default(),
            wake_at: None,
            checked: LogId::ZERO,
        }
    }

    pub(crate) fn tip(&self) -> LogId {
        self.replicator.log().tip()
    }

    /// Records up to `token` are durable; the tips to report, in order.
    pub(crate) fn written(&mut self, token: Token) -> Vec<LogId> {
        let mut tips = Vec::new();
        while self.writing.front().is_some_and(|(of, _)| *of <= token) {
            let (_, record) = self.writing.pop_front().unwrap();
            tips.extend(match &record {
                Record::Entries(entries) => entries.last().map(|entry| entry.id),
                Record::Snapshot(snapshot) => Some(snapshot.last),
                _ => None,
            });
            self.journal.push(record);
        }
        tips
    }

    /// Loses all but the first `kept` records under way, and its memory.
    pub(crate) fn crash(&mut self, kept: usize) {
        let kept = self.writing.drain(..).take(kept).map(|(_, record)| record);
        self.journal.extend(kept);
        self.up = false;
        self.boot += 1;
        self.open = Open::default();
        self.hold = Hold::new(self.token);
        self.wake_at = None;
        self.checked = LogId::ZERO;
    }

    /// Comes back with what its disk has.
    pub(crate) fn restart(&mut self, config: &Config, now: Instant) {
        let recovered = replay(&self.journal);
        let (snapshot, mark) = (recovered.snapshot.clone(), recovered.commit);
        self.replicator = Replicator::new(self.id.clone(), config.clone(), &recovered, now);
        let commit = self.replicator.log().commit();
        assert!(commit >= mark, "R5: {} came back at {commit}, below its mark {mark}", self.id);
        self.up = true;
        self.applied = snapshot.as_ref().map_or(LogIndex::ZERO, |snapshot| snapshot.last.index);
        self.commands = snapshot.map_or_else(Vec::new, |snapshot| decode(&snapshot.state));
    }

    pub(crate) fn apply(&mut self, entry: &Entry) {
        assert_eq!(entry.id.index, self.applied.next(), "R6: applied once and in order");
        self.applied = entry.id.index;
        if let Payload::Command(command) = &entry.payload {
            self.commands.extend(decode(command));
        }
    }

    pub(crate) fn raise(&mut self, term: Term) -> bool {
        self.gate.raise(term)
    }
}

/// What the records amount to; the meaning of [`Record`], spelled out.
pub(crate) fn replay(journal: &[Record]) -> Recovered {
    let mut recovered = Recovered::default();
    for record in journal {
        match record {
            Record::Entries(entries) => {
                let first = entries[0].id.index;
                recovered.entries.retain(|entry| entry.id.index < first);
                recovered.entries.extend(entries.iter().cloned());
            }
            Record::Commit(index) => {
                assert!(*index >= recovered.commit, "R5: the mark fell to {index}");
                recovered.commit = *index;
            }
            Record::Snapshot(snapshot) => {
                let holds = recovered.entries.iter().any(|entry| entry.id == snapshot.last);
                recovered.entries.retain(|entry| holds && entry.id.index > snapshot.last.index);
                recovered.snapshot = Some(snapshot.clone());
            }
            Record::Identity(_) | Record::Ballot(_) | Record::Pledge(_) => {}
        }
    }
    recovered
}

pub(crate) fn encode(commands: &[u64]) -> Bytes {
    commands.iter().flat_map(|command| command.to_le_bytes()).collect()
}

pub(crate) fn decode(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks(8).map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap())).collect()
}
