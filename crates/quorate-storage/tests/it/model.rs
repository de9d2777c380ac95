//! The naive twin of a journal: the list of what was written.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorate_core::{
    Ballot, BootEpoch, ClusterId, ClusterTime, Configuration, Entry, Identity, LogId, LogIndex,
    NodeId, Payload, Pledge, PledgeBallot, Proposal, Record, Recovered, Rng, Snapshot, Term,
};

/// What `records` amount to.
pub(crate) fn amount(records: &[Record]) -> Recovered {
    let mut sum = Recovered::default();
    let mut log: BTreeMap<LogIndex, Entry> = BTreeMap::new();
    for record in records {
        match record.clone() {
            Record::Identity(identity) => sum.identity = Some(identity),
            Record::Ballot(ballot) => sum.ballot = ballot,
            Record::Pledge(pledge) => sum.pledge = pledge,
            Record::Commit(index) => sum.commit = sum.commit.max(index),
            Record::Entries(entries) => {
                log.retain(|index, _| *index < entries[0].id.index);
                log.extend(entries.into_iter().map(|entry| (entry.id.index, entry)));
            }
            Record::Snapshot(snapshot) => {
                let last = snapshot.last;
                let kept = log.get(&last.index).is_some_and(|entry| entry.id == last);
                log.retain(|index, _| kept && *index > last.index);
                sum.commit = sum.commit.max(last.index);
                sum.snapshot = Some(snapshot);
            }
        }
    }
    sum.entries = log.into_values().collect();
    sum
}

/// Draws records as a node might write them, after those so far.
pub(crate) fn draw(rng: &mut Rng, sum: &Recovered, serial: u64) -> Record {
    let base = sum.snapshot.as_ref().map_or(LogId::ZERO, |snapshot| snapshot.last);
    let tip = sum.entries.last().map_or(base, |entry| entry.id);
    match rng.below(10) {
        0 => ballot(serial),
        1 => Record::Identity(Identity {
            node: node("n1"),
            cluster: ClusterId(7),
            boot: BootEpoch(serial),
            disk: quorate_core::DiskId(1),
            lease: quorate_core::LeaseTerms::NONE,
        }),
        2 => Record::Pledge(Pledge {
            promised: PledgeBallot { round: serial, priority: 1, proposer: Some(node("n2")) },
            accepted: rng.chance(500_000).then(|| {
                let cluster = ClusterId(u128::from(serial));
                let configuration = Configuration::of_voters(["n1", "n2", "n3"].map(node));
                (PledgeBallot::default(), Proposal { cluster, configuration })
            }),
        }),
        3 => Record::Commit(LogIndex(rng.between(sum.commit.0.min(tip.index.0), tip.index.0))),
        4 => {
            // Of the log, or ahead of it, or of another history.
            let known = rng.pick(&sum.entries).map(|entry| entry.id);
            let ahead = LogId::new(serial, base.index.0 + 1 + rng.below(6));
            let last = known.filter(|_| rng.chance(800_000)).unwrap_or(ahead);
            snapshot(last, rng.below(700) as usize, serial)
        }
        _ => {
            let lowest = base.index.max(sum.commit.min(tip.index)).next();
            let first = match rng.chance(200_000) {
                true => rng.between(lowest.0, tip.index.0 + 1),
                false => tip.index.0 + 1,
            };
            let count = 1 + rng.below(4);
            let room = if rng.chance(50_000) { 5_000 } else { 60 };
            let entries = (first..first + count)
                .map(|index| command(serial, index, rng.below(room) as usize))
                .collect();
            Record::Entries(entries)
        }
    }
}

pub(crate) fn node(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

pub(crate) fn ballot(term: u64) -> Record {
    Record::Ballot(Ballot { term: Term(term), vote: Some(node("n2")) })
}

pub(crate) fn command(term: u64, index: u64, size: usize) -> Entry {
    Entry {
        id: LogId::new(term, index),
        time: ClusterTime(index),
        payload: Payload::Command(Bytes::from(vec![term as u8; size])),
    }
}

/// A record of entries `first..=last`.
pub(crate) fn entries(term: u64, first: u64, last: u64, size: usize) -> Record {
    Record::Entries((first..=last).map(|index| command(term, index, size)).collect())
}

pub(crate) fn snapshot(last: LogId, size: usize, fill: u64) -> Record {
    Record::Snapshot(Snapshot {
        last,
        time: ClusterTime(last.index.0),
        configuration: Configuration::of_voters([node("n1")]),
        state: Bytes::from(vec![fill as u8; size]),
    })
}
