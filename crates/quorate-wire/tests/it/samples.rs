//! Values the tests share: fixed ones and generated ones.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use quorate_core::{
    Ballot, BootEpoch, ClusterId, ClusterTime, Configuration, DiskId, Entry, Identity, Kind,
    LeaseTerms, LogId, LogIndex, Member, NodeId, Payload, Pledge, PledgeBallot, Proposal, Record,
    Snapshot, Term,
};
use quorate_wire::{Hello, Versions};
use serde::{Deserialize, Serialize};

pub(crate) fn node(name: &str) -> NodeId {
    NodeId::new(name).expect("letters, digits and . _ - make an id")
}

pub(crate) const LEASE: LeaseTerms = LeaseTerms { nanos: 120_000_000, drift_millionths: 10_000 };

pub(crate) fn hello(name: &str) -> Hello {
    Hello {
        versions: Versions { min: 1, max: 2 },
        cluster_name: "shop".to_owned(),
        cluster: ClusterId(0x0011_2233_4455_6677_0123_4567_89ab_cdef),
        node: node(name),
        boot: BootEpoch(3),
        disk: DiskId(0xd15c),
        instance: u64::from(name.as_bytes()[0]),
        lease: LEASE,
        advertised: format!("{name}:7946"),
        client: false,
        more: Bytes::new(),
    }
}

/// A type with every shape that serde knows and the format has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Zoo {
    pub(crate) flag: bool,
    pub(crate) signed: (i8, i16, i32, i64, i128),
    pub(crate) unsigned: (u8, u16, u32, u64, u128),
    pub(crate) real: (f32, f64),
    pub(crate) letter: char,
    pub(crate) text: String,
    pub(crate) blob: Bytes,
    pub(crate) list: Vec<Option<u64>>,
    pub(crate) map: BTreeMap<String, Cage>,
    pub(crate) array: [u16; 3],
    pub(crate) nothing: (),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Cage {
    Empty,
    One(Term),
    Two(u8, String),
    Named { left: Option<Box<Self>>, right: Vec<u8> },
}

fn cage() -> impl Strategy<Value = Cage> {
    let leaf = prop_oneof![
        Just(Cage::Empty),
        any::<u64>().prop_map(|n| Cage::One(Term(n))),
        (any::<u8>(), ".{0,4}").prop_map(|(n, text)| Cage::Two(n, text)),
    ];
    leaf.prop_recursive(3, 6, 1, |inner| {
        (prop::option::of(inner), prop::collection::vec(any::<u8>(), 0..4))
            .prop_map(|(left, right)| Cage::Named { left: left.map(Box::new), right })
    })
}

pub(crate) fn zoo() -> impl Strategy<Value = Zoo> {
    let numbers = (
        any::<(i8, i16, i32, i64, i128)>(),
        any::<(u8, u16, u32, u64, u128)>(),
        (-1e9..1e9_f32, -1e9..1e9_f64),
    );
    let parts = (
        any::<(bool, char)>(),
        ".{0,9}",
        bytes(),
        prop::collection::vec(any::<Option<u64>>(), 0..5),
        prop::collection::btree_map(".{0,3}", cage(), 0..4),
        any::<[u16; 3]>(),
    );
    (numbers, parts).prop_map(
        |((signed, unsigned, real), ((flag, letter), text, blob, list, map, array))| Zoo {
            flag,
            signed,
            unsigned,
            real,
            letter,
            text,
            blob,
            list,
            map,
            array,
            nothing: (),
        },
    )
}

pub(crate) fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn id() -> impl Strategy<Value = NodeId> {
    "[a-c][0-9._-]{0,3}".prop_map(|name| node(&name))
}

fn log_id() -> impl Strategy<Value = LogId> {
    any::<(u64, u64)>().prop_map(|(term, index)| LogId::new(term, index))
}

fn members() -> impl Strategy<Value = BTreeMap<NodeId, Member>> {
    let kind =
        prop::sample::select(vec![Kind::Voter, Kind::Learner, Kind::Observer, Kind::Witness]);
    let member =
        (kind, any::<u8>(), ".{0,9}", any::<u64>()).prop_map(|(kind, priority, address, disk)| {
            Member { kind, priority, address, disk: DiskId(disk) }
        });
    prop::collection::btree_map(id(), member, 0..4)
}

fn configuration() -> impl Strategy<Value = Configuration> {
    (members(), prop::option::of(members()), prop::collection::vec(id(), 0..3))
        .prop_map(|(members, outgoing, removed)| Configuration { members, outgoing, removed })
}

fn entry() -> impl Strategy<Value = Entry> {
    let payload = prop_oneof![
        Just(Payload::Noop),
        bytes().prop_map(Payload::Command),
        configuration().prop_map(Payload::Configuration),
    ];
    (log_id(), any::<u64>(), payload).prop_map(|(id, time, payload)| Entry {
        id,
        time: ClusterTime(time),
        payload,
    })
}

fn pledge_ballot() -> impl Strategy<Value = PledgeBallot> {
    (any::<u64>(), any::<u8>(), prop::option::of(id()))
        .prop_map(|(round, priority, proposer)| PledgeBallot { round, priority, proposer })
}

pub(crate) fn record() -> impl Strategy<Value = Record> {
    let proposal = (any::<u128>(), configuration()).prop_map(|(cluster, configuration)| Proposal {
        cluster: ClusterId(cluster),
        configuration,
    });
    let accepted = prop::option::of((pledge_ballot(), proposal));
    prop_oneof![
        (id(), any::<u128>(), any::<u64>(), any::<u64>(), any::<(u64, u32)>()).prop_map(
            |(node, cluster, boot, disk, (nanos, drift_millionths))| {
                Record::Identity(Identity {
                    node,
                    cluster: ClusterId(cluster),
                    boot: BootEpoch(boot),
                    disk: DiskId(disk),
                    lease: LeaseTerms { nanos, drift_millionths },
                })
            }
        ),
        (any::<u64>(), prop::option::of(id()))
            .prop_map(|(term, vote)| Record::Ballot(Ballot { term: Term(term), vote })),
        (pledge_ballot(), accepted)
            .prop_map(|(promised, accepted)| Record::Pledge(Pledge { promised, accepted })),
        prop::collection::vec(entry(), 1..4).prop_map(Record::Entries),
        any::<u64>().prop_map(|index| Record::Commit(LogIndex(index))),
        (log_id(), any::<u64>(), configuration(), bytes()).prop_map(
            |(last, time, configuration, state)| {
                let time = ClusterTime(time);
                Record::Snapshot(Snapshot { last, time, configuration, state })
            }
        ),
    ]
}
