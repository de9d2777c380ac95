//! The bytes of version 1 of everything that travels between nodes, variant by variant. A change
//! here breaks a cluster during its upgrade: it needs a new version, never an edit.

use std::fmt::{Debug, Write};
use std::time::Duration;

use bytes::Bytes;
use quorate::{
    Answer, ConsistencyLevel, Doubt, Failure, Found, Lag, PeerMessage, PeerState, Position, Query,
    ReadLevel, Replica, Request, WriteState, WriteStatus,
};
use quorate_core::{
    BootEpoch, Change, ChangeRefused, ClusterId, ClusterTime, Configuration, DiskId, Entry, Kind,
    LogId, LogIndex, Member, Payload, PledgeBallot, Proposal, Term,
};
use quorate_dist_state::{
    Bounded, Command, Expected, Item, Op, Rejection, Reply, Revision, SessionId, Tag,
};
use quorate_election::{BootstrapMessage, Message as Vote};
use quorate_membership::{
    Accusation, Body, Broadcast, Coordinate, HealthDigest, Incarnation, Info, Packet, Protocol,
    State, Sum, Tags, Update,
};
use quorate_replication::{EpochTable, Message as Log, SnapshotHead};
use quorate_wire::{decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::desk::id;

/// Both ways: the values have these bytes, and these bytes are the values, each ended by `;`.
#[track_caller]
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(values: &[T], golden: &str) {
    let hex = |value: &T| {
        let bytes = encode(value).expect("a sample has an encoding");
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a string grows");
            text
        })
    };
    let found: Vec<String> = values.iter().map(hex).collect();
    let golden: String = golden.split_whitespace().collect();
    let golden: Vec<String> = golden.split_terminator(';').map(str::to_owned).collect();
    assert_eq!(found, golden, "the bytes are now:\n{}\n", found.join(";\n"));
    for (value, golden) in values.iter().zip(&golden) {
        let pairs = (0..golden.len()).step_by(2).map(|at| &golden[at..at + 2]);
        let bytes: Vec<u8> =
            pairs.map(|pair| u8::from_str_radix(pair, 16).expect("two hex digits")).collect();
        assert_eq!(decode::<T>(&bytes).as_ref(), Ok(value));
    }
}

const CLUSTER: ClusterId = ClusterId(0x0011_2233_4455_6677_0123_4567_89ab_cdef);
const TIP: LogId = LogId::new(3, 9);

fn configuration() -> Configuration {
    let member = |kind, priority, address: &str| Member {
        kind,
        priority,
        address: address.into(),
        disk: DiskId(9),
    };
    let members =
        [(id("a"), member(Kind::Voter, 100, "a:1")), (id("b"), member(Kind::Witness, 255, ""))];
    Configuration::of_members(members.into())
}

#[test]
fn w4_election() {
    let messages = [
        Vote::PreVote { term: Term(300), tip: TIP },
        Vote::PreVoteReply { term: Term(4), asked: Term(5), granted: true, tip: TIP },
        Vote::Vote { term: Term(4), tip: TIP },
        Vote::VoteReply { term: Term(4), granted: false, tip: TIP },
        Vote::Heartbeat { term: Term(4) },
        Vote::HeartbeatReply { term: Term(4) },
        Vote::StandNow { term: Term(4), tip: TIP },
        Vote::VoteAtOnce { term: Term(5), tip: TIP },
    ];
    check(&messages.map(PeerMessage::Election), ELECTION);
}

#[test]
fn w4_log() {
    let entry =
        |index, payload| Entry { id: LogId::new(3, index), time: ClusterTime(70_000), payload };
    let entries = vec![
        entry(10, Payload::Noop),
        entry(11, Payload::Command(Bytes::from_static(b"c"))),
        entry(12, Payload::Configuration(configuration())),
        entry(13, Payload::LeaseEnded),
    ];
    let head = SnapshotHead {
        last: TIP,
        time: ClusterTime(5),
        configuration: configuration(),
        state_bytes: 300,
    };
    let (term, attempt) = (Term(4), 6);
    let table = EpochTable { commit: LogIndex(2), ends: vec![LogId::new(1, 4), TIP] };
    let messages = [
        Log::Append { term, prev: TIP, commit: LogIndex(8), attempt, entries },
        Log::Appended { term, attempt, matched: LogIndex(9), commit: LogIndex(8) },
        Log::Diverged { term, attempt, prev: LogIndex(9), table },
        Log::Probe { term, seq: 7 },
        Log::ProbeReply { term, seq: 7 },
        Log::SnapshotChunk { term, attempt, head, offset: 2, data: Bytes::from_static(b"sn") },
        Log::SnapshotReply { term, attempt, last: TIP, received: 4 },
        Log::Stale { term },
    ];
    check(&messages.map(PeerMessage::Replication), LOG);
}

#[test]
fn w4_forwards() {
    let (key, value) = (Bytes::from_static(b"k"), Bytes::from_static(b"v"));
    let tag = Some(Tag { session: SessionId(7), seq: 2, acked: 1 });
    let level = ConsistencyLevel::Quorum;
    let write = |tag, op| Request::Write { command: Command { tag, op }, level };
    let strong = ConsistencyLevel::Strong;
    let command = Command { tag: None, op: Op::Delete { key: Bytes::from_static(b"k") } };
    let swap = |expected, new| Op::CompareAndSwap { key: key.clone(), expected, new };
    let get = Query::Get { key: key.clone() };
    let range = |after| Query::Range { prefix: key.clone(), after, limit: 500 };
    let requests = [
        write(tag, Op::Set { key: key.clone(), value: value.clone() }),
        write(None, Op::Delete { key: key.clone() }),
        write(None, swap(Expected::Absent, None)),
        write(None, swap(Expected::Value(value.clone()), Some(value))),
        write(None, swap(Expected::Revision(Revision(9)), None)),
        write(None, Op::OpenSession { ttl_ms: 9_000 }),
        write(None, Op::KeepAlive { session: SessionId(7) }),
        write(None, Op::CloseSession { session: SessionId(7) }),
        write(None, Op::ExpireSessions { sessions: vec![SessionId(7)], at: ClusterTime(5) }),
        Request::Read { query: get.clone(), level: ReadLevel::Linearizable },
        Request::Read { query: get, level: ReadLevel::Local },
        Request::Read { query: range(None), level: ReadLevel::Local },
        Request::Read { query: range(Some(key.clone())), level: ReadLevel::Local },
        Request::Read { query: Query::Get { key: key.clone() }, level: ReadLevel::Lease },
        Request::HandOver { to: None },
        Request::HandOver { to: Some(id("b")) },
        Request::Write { command: command.clone(), level: strong },
        Request::Write { command, level: ConsistencyLevel::Eventual },
        Request::AwaitLevel { log_id: TIP, level: strong },
        Request::WriteStatus { log_id: TIP },
        Request::Replicas,
    ];
    let forward = |request| PeerMessage::Forward { id: 300, wait_ms: 1_000, request };
    check(&requests.map(forward), FORWARD);
}

fn replicas() -> Vec<Replica> {
    let at = |index| {
        let lag = Lag { entries: 2, bytes: 300, age: Duration::from_millis(1_500) };
        Position { index: LogIndex(index), lag }
    };
    let replica = |name, state, silent_for| Replica {
        id: id(name),
        state,
        silent_for,
        sent: at(9),
        received: at(8),
        durable: at(7),
        applied: at(6),
    };
    vec![
        replica("a", PeerState::Streaming, Some(Duration::ZERO)),
        replica("b", PeerState::Snapshot { received: 4, total: 300 }, None),
        replica("c", PeerState::Probing, None),
    ]
}

#[test]
fn w4_answers() {
    let key = Bytes::from_static(b"k");
    let item = Item {
        value: Bytes::from_static(b"v"),
        create_revision: Revision(1),
        mod_revision: Revision(300),
        version: 2,
    };
    let (reached, acked) = (ConsistencyLevel::Quorum, vec![id("a"), id("b")]);
    let written = |reply| Answer::Written { reply, at: TIP, reached, acked: acked.clone() };
    let status = |state, reached| {
        let (acked, missing) = (vec![id("a")], vec![id("b")]);
        Answer::Status(WriteStatus { log_id: TIP, state, reached, acked, missing })
    };
    let indeterminate = Doubt::Indeterminate {
        log_id: TIP,
        wanted: ConsistencyLevel::Strong,
        reached: Some(ConsistencyLevel::Quorum),
        acked: acked.clone(),
        missing: vec![id("c")],
    };
    let unavailable =
        Failure::Unavailable { level: ConsistencyLevel::Strong, missing: vec![id("c")] };
    let found = |found| Answer::Found { found, revision: Revision(3) };
    let too_large =
        |what| written(Reply::Rejected(Rejection::TooLarge { what, size: 9, limit: 8 }));
    let (revision, session) = (Revision(3), SessionId(7));
    let current = Some(item.clone());
    let answers = vec![
        written(Reply::Set { mod_revision: revision, version: 2 }),
        written(Reply::Deleted { deleted: true, revision }),
        written(Reply::Swapped { swapped: false, current, revision }),
        written(Reply::Session { session, ttl_ms: 9_000 }),
        written(Reply::Closed { closed: true }),
        written(Reply::Expired { count: 4 }),
        too_large(Bounded::Key),
        too_large(Bounded::Value),
        too_large(Bounded::Sessions),
        written(Reply::Rejected(Rejection::TooManySessions { limit: 8 })),
        written(Reply::Rejected(Rejection::BadTag)),
        written(Reply::Rejected(Rejection::SessionExpired)),
        written(Reply::Rejected(Rejection::SeqForgotten)),
        written(Reply::Rejected(Rejection::SeqReused)),
        written(Reply::Rejected(Rejection::SeqTooFar { acked: 5 })),
        found(Found::Item(None)),
        found(Found::Item(Some(item.clone()))),
        found(Found::Page { items: vec![(key, item)], more: true }),
        Answer::Failed(Failure::NoLeader),
        Answer::Failed(Failure::NoQuorum),
        Answer::Failed(Failure::NotLeading),
        Answer::Failed(Failure::Overloaded),
        Answer::Failed(Failure::Rejected(Rejection::BadTag)),
        Answer::Failed(Failure::Stopping),
        Answer::Failed(Failure::ForwardLost),
        Answer::Failed(Failure::NoHeir),
        Answer::Failed(Failure::HandingOver),
        Answer::Failed(Failure::NotHandedOver),
        Answer::Unknown(Doubt::Deadline),
        Answer::Unknown(Doubt::Deposed { at: None }),
        Answer::Unknown(Doubt::Deposed { at: Some(TIP) }),
        Answer::Unknown(Doubt::ForwardLost),
        Answer::Unknown(Doubt::Stopping),
        Answer::Unknown(Doubt::Session(Rejection::SessionExpired)),
        Answer::Unknown(Doubt::HeirTold),
        Answer::HandedOver { leader: id("b"), term: Term(300) },
        Answer::Failed(unavailable),
        Answer::Failed(Failure::LevelNotOffered { level: ConsistencyLevel::Eventual }),
        Answer::Unknown(indeterminate),
        status(WriteState::Pending, None),
        status(WriteState::Pending, Some(ConsistencyLevel::Eventual)),
        status(WriteState::Committed, Some(ConsistencyLevel::Strong)),
        status(WriteState::Overwritten, None),
        status(WriteState::Unknown, None),
        Answer::Replicas { leader: id("a"), replicas: replicas() },
    ];
    let answers: Vec<PeerMessage> =
        answers.into_iter().map(|answer| PeerMessage::Answer { id: 300, answer }).collect();
    check(&answers, ANSWER);
}

#[test]
fn w4_changes() {
    let learner =
        Member { kind: Kind::Learner, priority: 100, address: "d:1".to_owned(), disk: DiskId(300) };
    let changes = [
        Change::Add { id: id("d"), member: learner },
        Change::Promote { ids: [id("d"), id("e")].into() },
        Change::Remove { id: id("a"), may_return: false },
        Change::Replace { old: id("a"), new: id("d"), may_return: true },
        Change::Rejoin { id: id("a"), disk: DiskId(300) },
    ];
    let changes = changes.map(|change| PeerMessage::Forward {
        id: 300,
        wait_ms: 1_000,
        request: Request::Change(change),
    });
    let refused = [
        ChangeRefused::UnderWay,
        ChangeRefused::NotReady,
        ChangeRefused::UnknownNode { id: id("d") },
        ChangeRefused::AlreadyMember { id: id("d"), kind: Kind::Learner },
        ChangeRefused::BeginsAsLearner { id: id("d"), kind: Kind::Voter },
        ChangeRefused::NotLearner { id: id("d"), kind: Kind::Observer },
        ChangeRefused::NotVoter { id: id("d"), kind: Kind::Learner },
        ChangeRefused::NotCaughtUp { id: id("d"), behind: 300 },
        ChangeRefused::WouldLoseQuorum { reachable: 1, voters: 3 },
        ChangeRefused::LastVoter { id: id("a") },
        ChangeRefused::TooManyMembers { most: 64 },
        ChangeRefused::Empty,
        ChangeRefused::BadAddress { address: "d".to_owned() },
        ChangeRefused::SameDisk { id: id("a"), disk: DiskId(300) },
        ChangeRefused::NotConnected { id: id("d") },
        ChangeRefused::OtherDisk { id: id("d"), there: DiskId(2), asked: DiskId(300) },
    ];
    let answers = refused.map(|refused| Answer::Failed(Failure::Change(refused)));
    let changed = Answer::Changed { at: TIP, configuration: configuration() };
    let answers = answers.into_iter().chain([changed]);
    let answers = answers.map(|answer| PeerMessage::Answer { id: 300, answer });
    let messages: Vec<PeerMessage> = changes.into_iter().chain(answers).collect();
    check(&messages, CHANGES);
}

#[test]
fn w4_bootstrap() {
    let ballot = |round, name| PledgeBallot { round, priority: 100, proposer: Some(id(name)) };
    let proposal = || Proposal { cluster: CLUSTER, configuration: configuration() };
    let first = PledgeBallot::default();
    let messages = [
        BootstrapMessage::Prepare { ballot: ballot(300, "a") },
        BootstrapMessage::Promise { ballot: ballot(2, "a"), accepted: None },
        BootstrapMessage::Promise {
            ballot: ballot(2, "a"),
            accepted: Some((ballot(1, "b"), proposal())),
        },
        BootstrapMessage::Accept { ballot: ballot(2, "a"), proposal: proposal() },
        BootstrapMessage::Accepted { ballot: ballot(2, "a") },
        BootstrapMessage::Refused { ballot: first, promised: ballot(2, "a") },
        BootstrapMessage::Chosen { ballot: ballot(2, "a"), proposal: proposal() },
        BootstrapMessage::Exists { cluster: CLUSTER },
    ];
    check(&messages.map(PeerMessage::Bootstrap), BOOTSTRAP);
}

#[test]
fn w4_gossip() {
    let incarnation = Incarnation { boot: BootEpoch(2), counter: 300 };
    let protocol = Protocol::SUPPORTED;
    let packet = |body, updates| Packet {
        version: Packet::VERSION,
        name: 0x0123_4567,
        cluster: 0x89ab_cdef,
        from: id("a"),
        incarnation,
        view: u64::MAX,
        body,
        updates,
    };
    let update = |state, kind, cluster, extra: &[(&str, &str)]| {
        let extra = extra.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let (api_address, zone) = ("b:8080".into(), "z".into());
        let health = HealthDigest::Degraded;
        let tags =
            Tags { kind, priority: 100, api_address, zone, cluster, health, extra, version: 3 };
        let info = Info { incarnation, address: "b:7946".into(), tags, protocol };
        let accusation = Accusation { by: 7, corroborated: true };
        let accusation = (state == State::Suspect).then_some(accusation);
        Update { id: id("b"), state, gone_secs: 60, accusation, info: info.into() }
    };
    let (target, seq) = (id("b"), 70_000);
    let (from, boot, payload) = (id("b"), BootEpoch(2), b"hi".to_vec());
    let broadcasts = vec![Broadcast { from, boot, number: 4, payload }];
    let updates = vec![
        update(State::Alive, Kind::Voter, CLUSTER, &[("x", "y")]),
        update(State::Suspect, Kind::Learner, ClusterId::NONE, &[]),
        update(State::Dead, Kind::Observer, ClusterId::NONE, &[]),
        update(State::Left, Kind::Witness, ClusterId::NONE, &[]),
    ];
    let packets = [
        packet(Body::Announce { seq, seeds: 9, instance: 7, cluster: CLUSTER }, vec![]),
        packet(Body::Welcome { seq, seeds: 0, cluster: ClusterId::NONE }, vec![]),
        packet(Body::ping(seq, &target), vec![]),
        packet(Body::Ack { seq }, vec![]),
        packet(Body::AckAt { seq, coordinate: Coordinate::default() }, vec![]),
        packet(Body::PingReq { seq, target: target.clone() }, vec![]),
        packet(Body::Observe { seq, target }, vec![]),
        packet(Body::Nack { seq }, vec![]),
        packet(Body::Gossip { broadcasts }, updates),
        packet(Body::Digest { parts: vec![Sum(1), Sum(300), Sum(u64::MAX)] }, vec![]),
        packet(Body::Pull { parts: 5 }, vec![]),
        packet(Body::Foreign { name: "shop".into(), protocol }, vec![]),
        packet(Body::Page { left: 6 }, vec![]),
        packet(Body::Refused { seq, holder: "b:7946".into() }, vec![]),
    ];
    check(&packets, GOSSIP);
}

const ELECTION: &str = "
    0000fb2c010309;
    00010405010309;
    0002040309;
    000304000309;
    000404;
    000504;
    0006040309;
    0007050309;
";

const LOG: &str = "
    0100040309080604030afc7011010000030bfc70110100010163030cfc701101000202016100640361
      3a3109016203ff00090000030dfc7011010003;
    010104060908;
    0102040609020201040309;
    01030407;
    01040407;
    01050406030905020161006403613a3109016203ff00090000fb2c010202736e;
    01060406030904;
    010704;
";

const FORWARD: &str = "
    02fb2c01fbe803000107020100016b017601;
    02fb2c01fbe803000001016b01;
    02fb2c01fbe803000002016b000001;
    02fb2c01fbe803000002016b01017601017601;
    02fb2c01fbe803000002016b02090001;
    02fb2c01fbe803000003fb282301;
    02fb2c01fbe8030000040701;
    02fb2c01fbe8030000050701;
    02fb2c01fbe80300000601070501;
    02fb2c01fbe8030100016b00;
    02fb2c01fbe8030100016b01;
    02fb2c01fbe8030101016b00fbf40101;
    02fb2c01fbe8030101016b01016bfbf40101;
    02fb2c01fbe8030100016b02;
    02fb2c01fbe8030300;
    02fb2c01fbe80303010162;
    02fb2c01fbe803000001016b02;
    02fb2c01fbe803000001016b00;
    02fb2c01fbe80304030902;
    02fb2c01fbe803050309;
    02fb2c01fbe80306;
";

const ANSWER: &str = "
    03fb2c01000003020309010201610162;
    03fb2c01000101030309010201610162;
    03fb2c0100020001017601fb2c0102030309010201610162;
    03fb2c01000307fb28230309010201610162;
    03fb2c010004010309010201610162;
    03fb2c010005040309010201610162;
    03fb2c010006000009080309010201610162;
    03fb2c010006000109080309010201610162;
    03fb2c010006000209080309010201610162;
    03fb2c01000601080309010201610162;
    03fb2c010006020309010201610162;
    03fb2c010006030309010201610162;
    03fb2c010006040309010201610162;
    03fb2c010006050309010201610162;
    03fb2c01000606050309010201610162;
    03fb2c0101000003;
    03fb2c01010001017601fb2c010203;
    03fb2c01010101016b017601fb2c01020103;
    03fb2c010200;
    03fb2c010201;
    03fb2c010202;
    03fb2c010203;
    03fb2c01020402;
    03fb2c010205;
    03fb2c010206;
    03fb2c010208;
    03fb2c010209;
    03fb2c01020a;
    03fb2c010300;
    03fb2c01030100;
    03fb2c010301010309;
    03fb2c010302;
    03fb2c010303;
    03fb2c01030403;
    03fb2c010306;
    03fb2c01050162fb2c01;
    03fb2c01020b02010163;
    03fb2c01020c00;
    03fb2c01030503090201010201610162010163;
    03fb2c010603090000010161010162;
    03fb2c01060309000100010161010162;
    03fb2c01060309010102010161010162;
    03fb2c010603090200010161010162;
    03fb2c010603090300010161010162;
    03fb2c01070161030161010100000902fb2c0101fc0065cd1d0802fb2c0101fc0065cd1d0702fb2c01
      01fc0065cd1d0602fb2c0101fc0065cd1d01620204fb2c01000902fb2c0101fc0065cd1d0802fb2c01
      01fc0065cd1d0702fb2c0101fc0065cd1d0602fb2c0101fc0065cd1d016300000902fb2c0101fc0065
      cd1d0802fb2c0101fc0065cd1d0702fb2c0101fc0065cd1d0602fb2c0101fc0065cd1d;
";

const CHANGES: &str = "
    02fb2c01fbe80302000164016403643a31fb2c01;
    02fb2c01fbe80302010201640165;
    02fb2c01fbe8030202016100;
    02fb2c01fbe80302030161016401;
    02fb2c01fbe80302040161fb2c01;
    03fb2c01020700;
    03fb2c01020701;
    03fb2c010207020164;
    03fb2c01020703016401;
    03fb2c01020704016400;
    03fb2c01020705016402;
    03fb2c01020706016401;
    03fb2c010207070164fb2c01;
    03fb2c010207080103;
    03fb2c010207090161;
    03fb2c0102070a40;
    03fb2c0102070b;
    03fb2c0102070c0164;
    03fb2c0102070d0161fb2c01;
    03fb2c0102070e0164;
    03fb2c0102070f016402fb2c01;
    03fb2c01040309020161006403613a3109016203ff00090000;
";

const BOOTSTRAP: &str = "
    0400fb2c0164010161;
    0401026401016100;
    04010264010161010164010162feefcdab89674523017766554433221100020161006403613a310901
      6203ff00090000;
    04020264010161feefcdab89674523017766554433221100020161006403613a3109016203ff000900
      00;
    04030264010161;
    04040000000264010161;
    04050264010161feefcdab89674523017766554433221100020161006403613a3109016203ff000900
      00;
    0406feefcdab89674523017766554433221100;
";

const GOSSIP: &str = "
    0167452301efcdab89016102fb2c01ffffffffffffffff007011010007000000000000000900000000
      000000feefcdab8967452301776655443322110000;
    0167452301efcdab89016102fb2c01ffffffffffffffff017011010000000000000000000000;
    0167452301efcdab89016102fb2c01ffffffffffffffff02701101007ea4f65600;
    0167452301efcdab89016102fb2c01ffffffffffffffff037011010000;
    0167452301efcdab89016102fb2c01ffffffffffffffff04701101000000000afbe80300;
    0167452301efcdab89016102fb2c01ffffffffffffffff0570110100016200;
    0167452301efcdab89016102fb2c01ffffffffffffffff0670110100016200;
    0167452301efcdab89016102fb2c01ffffffffffffffff077011010000;
    0167452301efcdab89016102fb2c01ffffffffffffffff080101620204026869040162003c0002fb2c
      0106623a37393436006406623a38303830017afeefcdab896745230177665544332211000201017801
      79030101000162013c01070000000102fb2c0106623a37393436016406623a38303830017a00020003
      0101000162023c0002fb2c0106623a37393436026406623a38303830017a000200030101000162033c
      0002fb2c0106623a37393436036406623a38303830017a00020003010100;
    0167452301efcdab89016102fb2c01ffffffffffffffff090301000000000000002c01000000000000
      ffffffffffffffff00;
    0167452301efcdab89016102fb2c01ffffffffffffffff0a050000000000000000;
    0167452301efcdab89016102fb2c01ffffffffffffffff0c0473686f7001010000;
    0167452301efcdab89016102fb2c01ffffffffffffffff0b060000000000000000;
    0167452301efcdab89016102fb2c01ffffffffffffffff0d7011010006623a3739343600;
";
