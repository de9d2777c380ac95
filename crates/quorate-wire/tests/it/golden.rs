//! The bytes of version 1. A change here breaks running clusters and written journals: it needs a
//! new version, never an edit.

use std::fmt::{Debug, Write};

use bytes::Bytes;
use quorate_core::{
    Ballot, BootEpoch, ClusterId, ClusterTime, Configuration, DiskId, Entry, Identity, Kind,
    LeaseTerms, LogId, LogIndex, Member, Payload, Pledge, PledgeBallot, Proposal, Record, Snapshot,
    Term,
};
use quorate_wire::{
    FrameKind, Head, Refusal, Versions, Welcome, decode, decode_frame, encode, encode_frame,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::samples::{LEASE, hello, node};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string grows");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let text: String = text.split_whitespace().collect();
    let pairs = (0..text.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("two hex digits")).collect()
}

/// Both ways: the value has these bytes, and these bytes are the value.
#[track_caller]
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, golden: &str) {
    let golden = unhex(golden);
    assert_eq!(hex(&encode(value).expect("a sample has an encoding")), hex(&golden), "{value:?}");
    assert_eq!(decode::<T>(&golden).as_ref(), Ok(value));
}

#[track_caller]
fn check_frame<T: Serialize>(head: Head, body: &T, golden: &str) {
    let golden = unhex(golden);
    let mut bytes = Vec::new();
    head.encode(body, &mut bytes).expect("a sample has an encoding");
    assert_eq!(hex(&bytes), hex(&golden));
    let versions = Versions { min: head.version, max: head.version };
    let frame = decode_frame(&golden, CLUSTER, versions).expect("the golden frame is in order");
    assert_eq!(frame.head, head);
    assert_eq!(frame.body, encode(body).expect("a sample has an encoding"));
}

const CLUSTER: ClusterId = ClusterId(0x0011_2233_4455_6677_0123_4567_89ab_cdef);

fn member(kind: Kind, priority: u8, address: &str) -> Member {
    Member { kind, priority, address: address.to_owned(), disk: DiskId(9) }
}

fn configuration() -> Configuration {
    let members = [
        (node("a"), member(Kind::Voter, 100, "a:1")),
        (node("b"), member(Kind::Learner, 0, "")),
        (node("c"), member(Kind::Observer, 255, "")),
        (node("d"), member(Kind::Witness, 1, "")),
    ];
    let outgoing = [(node("a"), member(Kind::Voter, 100, "a:1"))];
    Configuration {
        members: members.into(),
        outgoing: Some(outgoing.into()),
        removed: vec![node("z")],
    }
}

#[test]
fn w4_frames() {
    for (kind, golden) in FrameKind::ALL.into_iter().zip(FRAMES) {
        check_frame(Head::new(kind, CLUSTER), &0x1234_u64, golden);
    }
    let mut head = Head::new(FrameKind::Message, ClusterId::NONE);
    (head.version, head.features) = (2, 0x0021);
    check_frame(head, &"hi", FEATURES);
    let mut whole = Vec::new();
    encode_frame(FrameKind::Message, CLUSTER, &0x1234_u64, &mut whole).unwrap();
    assert_eq!(hex(&whole), FRAMES[3].replace(' ', ""));
}

#[test]
fn w4_handshake() {
    check(
        &hello("a"),
        "0102 0473686f70 feefcdab89674523017766554433221100 0161 03 fb5cd1 61 fc000e2707 fb1027 \
         06613a37393436 \
         00 00",
    );
    let welcome = Welcome {
        version: 1,
        node: node("b"),
        boot: BootEpoch(300),
        disk: DiskId(0xd15c),
        instance: u64::MAX,
        cluster: CLUSTER,
        more: Bytes::from_static(b"x"),
    };
    check(
        &welcome,
        "01 0162 fb2c01 fb5cd1 fdffffffffffffffff feefcdab89674523017766554433221100 0178",
    );
}

#[test]
fn w4_refusals() {
    let (one, two) = (Versions { min: 1, max: 1 }, Versions { min: 2, max: 3 });
    check(&Refusal::DuplicateId { node: node("a"), address: "h:1".to_owned() }, "00 0161 03683a31");
    check(&Refusal::Itself, "01");
    check(
        &Refusal::ForeignCluster { ours: CLUSTER, theirs: ClusterId(1) },
        "02 feefcdab89674523017766554433221100 01",
    );
    check(
        &Refusal::ForeignName { ours: "x".to_owned(), theirs: "yz".to_owned() },
        "03 0178 02797a",
    );
    check(&Refusal::NoCommonVersion { ours: two, theirs: one }, "04 0203 0101");
    check(&Refusal::Overloaded { connections: 512 }, "05 fb0002");
    check(&Refusal::Other { text: "why".to_owned() }, "06 03776879");
    check(
        &Refusal::ForeignLease { ours: LEASE, theirs: LeaseTerms::NONE },
        "07 fc000e2707 fb1027 00 00",
    );
}

#[test]
fn w4_records() {
    check(
        &Record::Identity(Identity {
            node: node("a"),
            cluster: CLUSTER,
            boot: BootEpoch(2),
            disk: DiskId(0xd15c),
            lease: LEASE,
        }),
        "00 0161 feefcdab89674523017766554433221100 02 fb5cd1 fc000e2707 fb1027",
    );
    check(&Record::Ballot(Ballot { term: Term(251), vote: Some(node("b")) }), "01 fbfb00 010162");
    check(&Record::Ballot(Ballot::default()), "01 00 00");
    let ballot = |round| PledgeBallot { round, priority: 100, proposer: Some(node("c")) };
    let proposal = Proposal { cluster: ClusterId(9), configuration: configuration() };
    check(
        &Record::Pledge(Pledge { promised: ballot(70_000), accepted: Some((ballot(3), proposal)) }),
        "02 fc70110100 64 010163 01 03 64 010163 09 \
         040161006403613a3109016201000009016302ff0009 0164030100 09 01010161006403613a3109 01017a",
    );
    check(&Record::Pledge(Pledge::default()), "02 00 00 00 00");
    let entry =
        |index, payload| Entry { id: LogId::new(5, index), time: ClusterTime(1 << 40), payload };
    let entries = vec![
        entry(1, Payload::Noop),
        entry(2, Payload::Command(Bytes::from_static(b"set"))),
        entry(3, Payload::Configuration(configuration())),
    ];
    check(
        &Record::Entries(entries),
        "03 03 0501 fd0000000000010000 00 0502 fd0000000000010000 01 03736574 0503 \
         fd0000000000010000 02 040161006403613a3109016201000009016302ff0009 0164030100 09 \
         01010161006403613a3109 01017a",
    );
    check(&Record::Commit(LogIndex(65_536)), "04 fc00000100");
    let snapshot = Snapshot {
        last: LogId::new(5, 3),
        time: ClusterTime(7),
        configuration: configuration(),
        state: Bytes::from_static(b"\x00\xff"),
    };
    check(
        &Record::Snapshot(snapshot),
        "05 0503 07 040161006403613a3109016201000009016302ff0009 0164030100 09 \
         01010161006403613a3109 01017a 0200ff",
    );
}

/// One of each kind, in the order of [`FrameKind::ALL`].
const FRAMES: [&str; 7] = [
    "71727465 0001 0000 98abfecd54673201 03000000 50f51933 fb3412",
    "71727465 0002 0000 98abfecd54673201 03000000 2df3a222 fb3412",
    "71727465 0003 0000 98abfecd54673201 03000000 06f1cb2d fb3412",
    "71727465 0104 0000 98abfecd54673201 03000000 30b3efb8 fb3412",
    "71727465 0105 0000 98abfecd54673201 03000000 1bb186b7 fb3412",
    "71727465 0106 0000 98abfecd54673201 03000000 66b73da6 fb3412",
    "71727465 0107 0000 98abfecd54673201 03000000 4db554a9 fb3412",
];

/// Version 2, features, no cluster.
const FEATURES: &str = "71727465 0204 2100 0000000000000000 03000000 ee1e7ea6 026869";
