//! How far each replica is behind, as its leader knows.

use std::time::Duration;

use quorate_core::{ClusterTime, Instant, LogIndex, LogView as _, NodeId, mutant};
use serde::{Deserialize, Serialize};

use crate::log::Log;
use crate::peer::{Peer, PeerState};
use crate::replicator::Replicator;

/// What is not there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lag {
    /// How many entries.
    pub entries: u64,
    /// Their size in memory, in bytes. Where the log is compacted beyond them: that of the snapshot
    /// that is sent instead, and of what follows it.
    pub bytes: u64,
    /// How old the oldest of them is, by the leader's clock; zero if none is missing.
    pub age: Duration,
}

/// How far something is, and what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The last entry that is there.
    pub index: LogIndex,
    /// What is not.
    pub lag: Lag,
}

/// One replica, as the leader knows it. Every position is one that the replica has reached: it may be
/// further, and has not said so yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// Who.
    pub id: NodeId,
    /// What is being done with it.
    pub state: PeerState,
    /// How long ago it was last heard in this term; `None` if it was not: then its positions are
    /// unknown, and the lag is what it is at most.
    pub silent_for: Option<Duration>,
    /// What was sent to it, whether it arrived or not.
    pub sent: Position,
    /// What it is known to have received. It says so when it is on its disk, so this is never behind
    /// `durable`, and not ahead of it.
    pub received: Position,
    /// What is on its disk.
    pub durable: Position,
    /// What it has applied, of what the leader has: nobody applies what is not committed.
    pub applied: Position,
}

/// When the entry behind a position was appended, noted before the log is compacted beyond it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Notes(pub(crate) [Option<(LogIndex, ClusterTime)>; 3]);

impl Notes {
    /// Notes what `log` still shows of the entries behind `positions`.
    pub(crate) fn renew(&mut self, log: &Log, positions: [LogIndex; 3]) {
        for (note, index) in self.0.iter_mut().zip(positions) {
            if let Some(entry) = log.entry(index.next()) {
                *note = Some((index, entry.time));
            }
        }
    }

    fn time_behind(&self, index: LogIndex) -> Option<ClusterTime> {
        self.0.iter().flatten().find(|(noted, _)| *noted == index).map(|(_, time)| *time)
    }
}

impl Replicator {
    /// How far each replica is, this leader included, in order of their ids; nothing while
    /// following. `O(entries that are missing)`.
    #[must_use]
    pub fn replicas(&self, now: Instant) -> Vec<Replica> {
        let Some(leading) = &self.leading else { return Vec::new() };
        let (tip, commit) = (self.log.tip().index, self.log.commit());
        let none = Notes::default();
        let itself = Replica {
            id: self.me.clone(),
            state: PeerState::Streaming,
            silent_for: Some(Duration::ZERO),
            sent: self.position(now, tip, tip, &none),
            received: self.position(now, tip, tip, &none),
            durable: self.position(now, self.log.durable().index, tip, &none),
            applied: self.position(now, commit, commit, &none),
        };
        let of = |peer: &Peer| {
            let progress = peer.progress();
            let at = |index, target| self.position(now, index, target, peer.notes());
            let counted = if mutant!("lag-counts-sent") { progress.sent } else { progress.durable };
            let durable = at(counted, tip);
            // Before it was heard, where to send from is a guess.
            let sent = progress.last_heard.map_or(progress.durable, |_| progress.sent);
            Replica {
                sent: at(sent.max(progress.durable), tip),
                received: durable,
                durable,
                applied: at(progress.commit, commit),
                state: progress.state,
                silent_for: progress.last_heard.map(|heard| now.since(heard)),
                id: progress.id,
            }
        };
        let mut replicas: Vec<Replica> = leading.peers.iter().map(of).collect();
        let place = replicas.partition_point(|replica| replica.id < itself.id);
        replicas.insert(place, itself);
        replicas
    }

    /// What is missing at `index` of all up to `target`.
    fn position(&self, now: Instant, index: LogIndex, target: LogIndex, notes: &Notes) -> Position {
        let (log, index) = (&self.log, index.min(target));
        let entries = target.0 - index.0;
        if entries == 0 {
            return Position { index, lag: Lag::default() };
        }
        let is_here = index >= log.base().index;
        let snapshot = log.snapshot().filter(|_| !is_here);
        let from = snapshot.map_or(index, |snapshot| snapshot.last.index);
        let state = snapshot.map_or(0, |snapshot| snapshot.state.len());
        let oldest = if mutant!("lag-age-of-newest") { target } else { index.next() };
        let appended = if is_here { log.time_at(oldest) } else { notes.time_behind(index) };
        // Where nobody knows any more, it is at least as old as what was compacted last.
        let appended = appended.or_else(|| log.time_at(log.base().index)).unwrap_or_default();
        let age = self.cluster_time(now).0.saturating_sub(appended.0);
        let lag = Lag {
            entries,
            bytes: (state + log.sizes(from, target)) as u64,
            age: Duration::from_micros(age),
        };
        Position { index, lag }
    }
}
