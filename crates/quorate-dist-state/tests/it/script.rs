//! Random commands that meet one another: few keys, few values, few sessions, few numbers.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use quorate_core::{Applied, ClusterTime, LogId};
use quorate_dist_state::{Command, Expected, Limits, Op, Revision, SessionId, Tag};

/// A command and when it is applied.
pub(crate) type Step = (Applied, Command);

/// Small enough to be met.
pub(crate) const fn limits() -> Limits {
    Limits {
        key_bytes_max: 3,
        value_bytes_max: 8,
        sessions_max: 4,
        session_ttl_ms_min: 1_000,
        session_ttl_ms_max: 3_000,
        answer_bytes_max: 12,
        page_items_max: 3,
        page_bytes_max: 10,
    }
}

pub(crate) fn key() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        12 => prop::sample::select(vec!["", "a", "ab", "abc", "b", "\u{7f}"]).prop_map(Bytes::from),
        1 => Just(Bytes::from("long")),
    ]
}

fn value() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        12 => prop::sample::select(vec!["", "x", "yyyyyyy"]).prop_map(Bytes::from),
        1 => Just(Bytes::from("oversized")),
    ]
}

fn session() -> impl Strategy<Value = SessionId> {
    prop_oneof![3 => 1..3_u64, 1 => 1..12_u64].prop_map(SessionId)
}

pub(crate) fn key_op() -> impl Strategy<Value = Op> {
    let expected = prop_oneof![
        Just(Expected::Absent),
        value().prop_map(Expected::Value),
        (0..8_u64).prop_map(|r| Expected::Revision(Revision(r))),
    ];
    prop_oneof![
        2 => (key(), value()).prop_map(|(key, value)| Op::Set { key, value }),
        1 => key().prop_map(|key| Op::Delete { key }),
        2 => (key(), expected, prop::option::weighted(0.8, value()))
            .prop_map(|(key, expected, new)| Op::CompareAndSwap { key, expected, new }),
    ]
}

fn session_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0..5_000_u64).prop_map(|ttl_ms| Op::OpenSession { ttl_ms }),
        2 => session().prop_map(|session| Op::KeepAlive { session }),
        1 => session().prop_map(|session| Op::CloseSession { session }),
        3 => (vec(session(), 0..4), 0..9_000_000_u64).prop_map(|(sessions, at)| {
            Op::ExpireSessions { sessions, at: ClusterTime(at) }
        }),
    ]
}

fn tag() -> impl Strategy<Value = Tag> {
    let seq = prop_oneof![9 => 1..5_u64, 1 => 255..260_u64, 1 => Just(0)];
    let acked = prop_oneof![6 => Just(0), 3 => 0..3_u64, 1 => Just(300)];
    (session(), seq, acked).prop_map(|(session, seq, acked)| Tag { session, seq, acked })
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        5 => (tag(), key_op()).prop_map(|(tag, op)| Command { tag: Some(tag), op }),
        2 => key_op().prop_map(|op| Command { tag: None, op }),
        3 => session_op().prop_map(|op| Command { tag: None, op }),
        1 => (tag(), session_op()).prop_map(|(tag, op)| Command { tag: Some(tag), op }),
    ]
}

/// Commands in the order of a log, two sessions opened first. Some come again, as retries do.
pub(crate) fn script() -> impl Strategy<Value = Vec<Step>> {
    let drawn = (command(), prop::option::weighted(0.3, any::<prop::sample::Index>()));
    vec((drawn, 0..700_000_u64), 0..60).prop_map(|drawn| {
        let open = Command { tag: None, op: Op::OpenSession { ttl_ms: 2_000 } };
        let mut commands = vec![(open.clone(), 0), (open, 0)];
        for ((command, again), pause) in drawn {
            let earlier = again.map(|index| commands[index.index(commands.len())].0.clone());
            commands.push((earlier.unwrap_or(command), pause));
        }
        let mut time = ClusterTime::ZERO;
        let stamped = commands.into_iter().zip(1..).map(|((command, pause), index)| {
            time = ClusterTime(time.0 + pause);
            (Applied { id: LogId::new(1, index), time }, command)
        });
        stamped.collect()
    })
}
