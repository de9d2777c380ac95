//! Stories that a person can follow.

use bytes::Bytes;
use quorate_core::{Applied, ClusterTime, LogId};
use quorate_dist_state::{
    Command, EXPIRE_MAX, Expected, Image, Limits, Op, Rejection, Reply, RestoreError, Revision,
    SessionId, Store, Tag, WINDOW,
};

/// A store with a log that counts itself.
pub(crate) struct Log {
    pub(crate) store: Store,
    index: u64,
    time: ClusterTime,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self { store: Store::new(Limits::default()), index: 0, time: ClusterTime::ZERO }
    }

    const fn wait_ms(&mut self, ms: u64) {
        self.time.0 += ms * 1_000;
    }

    fn apply(&mut self, tag: Option<Tag>, op: Op) -> Reply {
        self.index += 1;
        let at = Applied { id: LogId::new(1, self.index), time: self.time };
        self.store.apply(at, Command { tag, op })
    }

    fn open(&mut self, ttl_ms: u64) -> SessionId {
        match self.apply(None, Op::OpenSession { ttl_ms }) {
            Reply::Session { session, .. } => session,
            reply => panic!("no session: {reply:?}"),
        }
    }

    /// Ends every session whose time is up, as a leader does.
    fn expire(&mut self) -> Reply {
        let sessions = self.store.sessions_due(self.time).collect();
        self.apply(None, Op::ExpireSessions { sessions, at: self.time })
    }

    fn restart(&mut self) {
        self.store = Store::restore(self.store.image()).expect("an own image is whole");
    }

    fn version(&self, key: &str) -> u64 {
        self.store.get(key.as_bytes()).map_or(0, |item| item.version)
    }
}

fn put(key: &str, value: &str) -> Op {
    Op::Set {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
    }
}

fn cas(key: &str, expected: Expected, new: Option<&str>) -> Op {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    Op::CompareAndSwap { key: bytes(key), expected, new: new.map(bytes) }
}

const fn tag(session: SessionId, seq: u64, acked: u64) -> Option<Tag> {
    Some(Tag { session, seq, acked })
}

const fn rejected(rejection: Rejection) -> Reply {
    Reply::Rejected(rejection)
}

#[test]
pub(crate) fn a_retry_gets_the_first_answer_though_others_wrote_in_between() {
    let mut log = Log::new();
    let session = log.open(10_000);
    let first = log.apply(tag(session, 1, 0), put("k", "mine"));
    log.apply(None, put("k", "theirs"));
    assert_eq!(log.apply(tag(session, 1, 0), put("k", "mine")), first);
    assert_eq!(log.store.get(b"k").unwrap().value, "theirs");
}

#[test]
pub(crate) fn a_retry_is_known_as_one_by_a_replica_that_joined_by_an_image() {
    let mut log = Log::new();
    let session = log.open(10_000);
    let first = log.apply(tag(session, 1, 0), put("k", "v"));
    log.restart();
    assert_eq!(log.apply(tag(session, 1, 0), put("k", "v")), first);
    assert_eq!(log.version("k"), 1);
}

#[test]
pub(crate) fn revisions_go_on_where_the_image_was_taken() {
    let mut log = Log::new();
    log.apply(None, put("a", "1"));
    log.apply(None, put("b", "2"));
    log.restart();
    let reply = log.apply(None, put("c", "3"));
    assert_eq!(reply, Reply::Set { mod_revision: Revision(3), version: 1 });
}

#[test]
pub(crate) fn the_retry_of_an_expired_session_is_unknown_and_without_effect() {
    let mut log = Log::new();
    let session = log.open(1_000);
    log.apply(tag(session, 1, 0), put("k", "v"));
    log.wait_ms(2_000);
    assert_eq!(log.expire(), Reply::Expired { count: 1 });
    let reply = log.apply(tag(session, 1, 0), put("k", "v"));
    assert_eq!(reply, rejected(Rejection::SessionExpired));
    assert!(Rejection::SessionExpired.is_unknown());
    assert_eq!(log.version("k"), 1);
}

#[test]
pub(crate) fn a_swap_needs_what_was_expected() {
    let mut log = Log::new();
    let put = log.apply(None, cas("k", Expected::Absent, Some("1")));
    assert!(matches!(put, Reply::Swapped { swapped: true, revision: Revision(1), .. }));
    for wrong in [
        Expected::Absent,
        Expected::Value(Bytes::from("2")),
        Expected::Revision(Revision(7)),
        Expected::Revision(Revision::ZERO),
    ] {
        let Reply::Swapped { swapped, current, revision } =
            log.apply(None, cas("k", wrong, Some("3")))
        else {
            panic!("a swap is answered as one");
        };
        assert!(!swapped);
        assert_eq!(current, log.store.get(b"k"));
        assert_eq!((revision, log.version("k")), (Revision(1), 1));
    }
    let gone = log.apply(None, cas("k", Expected::Revision(Revision(1)), None));
    assert_eq!(gone, Reply::Swapped { swapped: true, current: None, revision: Revision(2) });
    // It is as wished already: that is a success, and no change.
    let gone = log.apply(None, cas("k", Expected::Absent, None));
    assert_eq!(gone, Reply::Swapped { swapped: true, current: None, revision: Revision(2) });
}

#[test]
fn a_key_that_comes_back_is_a_new_one() {
    let mut log = Log::new();
    let delete = || Op::Delete { key: Bytes::from("k") };
    log.apply(None, put("k", "1"));
    log.apply(None, put("k", "2"));
    assert_eq!(log.apply(None, delete()), Reply::Deleted { deleted: true, revision: Revision(3) });
    assert_eq!(log.apply(None, delete()), Reply::Deleted { deleted: false, revision: Revision(3) });
    log.apply(None, put("k", "3"));
    let item = log.store.get(b"k").unwrap();
    assert_eq!(
        (item.create_revision, item.mod_revision, item.version),
        (Revision(4), Revision(4), 1)
    );
}

#[test]
fn numbers_may_come_in_any_order_within_the_window() {
    let mut log = Log::new();
    let session = log.open(10_000);
    for seq in (1..=WINDOW).rev() {
        assert!(matches!(log.apply(tag(session, seq, 0), put("k", "v")), Reply::Set { .. }));
    }
    assert_eq!(log.version("k"), WINDOW);
    let far = log.apply(tag(session, WINDOW + 1, 0), put("k", "v"));
    assert_eq!(far, rejected(Rejection::SeqTooFar { acked: 0 }));
    assert!(matches!(log.apply(tag(session, WINDOW + 1, 1), put("k", "v")), Reply::Set { .. }));
    assert_eq!(log.store.answers_len() as u64, WINDOW);
    let old = log.apply(tag(session, 1, 0), put("k", "v"));
    assert_eq!(old, rejected(Rejection::SeqForgotten));
    assert!(Rejection::SeqForgotten.is_unknown());
    assert_eq!(log.version("k"), WINDOW + 1);
}

#[test]
fn use_keeps_a_session_and_an_expiry_that_comes_late_spares_it() {
    let mut log = Log::new();
    let session = log.open(1_000);
    log.wait_ms(2_000);
    let found: Vec<SessionId> = log.store.sessions_due(log.time).collect();
    assert_eq!(found, [session]);
    // Between the leader's look and the entry that ends the session, the client comes back.
    let looked_at = log.time;
    log.apply(tag(session, 1, 0), put("k", "v"));
    let late = Op::ExpireSessions { sessions: found, at: looked_at };
    assert_eq!(log.apply(None, late), Reply::Expired { count: 0 });
    // Nor can a leader end it by claiming a time that the log has not reached.
    let hasty = Op::ExpireSessions { sessions: vec![session], at: ClusterTime(u64::MAX) };
    assert_eq!(log.apply(None, hasty), Reply::Expired { count: 0 });
    log.wait_ms(500);
    log.apply(None, Op::KeepAlive { session });
    log.wait_ms(999);
    assert_eq!(log.expire(), Reply::Expired { count: 0 });
    log.wait_ms(100);
    assert_eq!(log.expire(), Reply::Expired { count: 1 });
    let gone = log.apply(None, Op::KeepAlive { session });
    assert_eq!(gone, rejected(Rejection::SessionExpired));
    assert_eq!(log.store.session_deadline(), None);
}

#[test]
fn a_closed_session_leaves_nothing_and_its_id_is_not_given_out_again() {
    let mut log = Log::new();
    let session = log.open(10_000);
    log.apply(tag(session, 1, 0), put("k", "v"));
    let close = || Op::CloseSession { session };
    assert_eq!(log.apply(None, close()), Reply::Closed { closed: true });
    assert_eq!(log.apply(None, close()), Reply::Closed { closed: false });
    assert_eq!((log.store.answers_len(), log.store.sessions_len()), (0, 0));
    // A log that begins anew under a restored state counts from one again.
    log.restart();
    log.index = 0;
    assert!(log.open(10_000) > session);
}

#[test]
fn what_is_too_large_is_refused_with_the_limit() {
    let mut log = Log::new();
    let limits = Limits::default();
    let key = "k".repeat(limits.key_bytes_max as usize + 1);
    let value = "v".repeat(limits.value_bytes_max as usize + 1);
    let mut refusal = |op: Op| {
        let refused = limits.check(&op).unwrap_err();
        assert_eq!(log.apply(None, op), rejected(refused));
        refused.to_string()
    };
    let text = "the key (bytes) is too large: 4097, the limit is 4096";
    assert_eq!(refusal(put(&key, "v")), text);
    assert_eq!(refusal(Op::Delete { key: Bytes::from(key.clone()) }), text);
    assert_eq!(refusal(cas(&key, Expected::Absent, None)), text);
    let text = "the value (bytes) is too large: 1048577, the limit is 1048576";
    assert_eq!(refusal(put("k", &value)), text);
    assert_eq!(refusal(cas("k", Expected::Absent, Some(&value))), text);
    let expected = Expected::Value(Bytes::from(value.clone()));
    assert_eq!(refusal(cas("k", expected, None)), text);
    let sessions = vec![SessionId(1); EXPIRE_MAX + 1];
    let text = "the list of sessions is too large: 1025, the limit is 1024";
    assert_eq!(refusal(Op::ExpireSessions { sessions, at: ClusterTime::ZERO }), text);
    assert!(log.store.is_empty());
}

#[test]
fn an_answer_too_large_to_keep_is_an_explicit_unknown() {
    let limits = Limits { answer_bytes_max: 3, ..Limits::default() };
    let mut log = Log { store: Store::new(limits), ..Log::new() };
    let session = log.open(10_000);
    let swap = |to| cas("k", Expected::Absent, Some(to));
    let swapped = log.apply(tag(session, 1, 0), swap("four"));
    assert!(matches!(swapped, Reply::Swapped { swapped: true, .. }));
    let again = log.apply(tag(session, 1, 0), swap("four"));
    assert_eq!(again, rejected(Rejection::SeqForgotten));
    assert_eq!(log.apply(tag(session, 1, 0), swap("five")), rejected(Rejection::SeqReused));
    assert_eq!(log.version("k"), 1);
}

#[test]
fn a_tag_that_makes_no_sense_is_refused() {
    let mut log = Log::new();
    let session = log.open(10_000);
    for bad in [tag(session, 0, 0), tag(session, 1, 1), tag(session, 1, u64::MAX)] {
        assert_eq!(log.apply(bad, put("k", "v")), rejected(Rejection::BadTag));
    }
    let close = log.apply(tag(session, 1, 0), Op::CloseSession { session });
    assert_eq!(close, rejected(Rejection::BadTag));
    let edge = log.apply(tag(session, u64::MAX, u64::MAX - 1), put("k", "v"));
    assert!(matches!(edge, Reply::Set { .. }));
    assert!(Store::restore(log.store.image()).is_ok());
}

#[test]
fn the_digest_of_a_history_is_fixed_for_ever() {
    let mut log = Log::new();
    let session = log.open(10_000);
    log.apply(tag(session, 1, 0), put("a", "1"));
    log.apply(tag(session, 2, 0), cas("a", Expected::Absent, Some("2")));
    log.apply(tag(session, 4, 1), Op::Delete { key: Bytes::from("a") });
    log.apply(None, put("b", "some longer value"));
    // Replicas of two releases compare digests: a new one that computes them otherwise would
    // cry wolf at every rolling upgrade.
    assert_eq!(log.store.digest(), 0xf192_3620_d2fe_2246);
}

#[test]
fn an_image_that_no_store_gave_is_refused() {
    let mut log = Log::new();
    let session = log.open(10_000);
    log.apply(tag(session, 1, 0), put("a", "1"));
    log.apply(None, put("b", "2"));
    let text = serde_json::to_string(&log.store.image()).unwrap();
    let restore = |from: &str, to: &str| {
        assert!(text.contains(from), "{text}");
        serde_json::from_str::<Image>(&text.replacen(from, to, 1)).map(Store::restore)
    };
    let inconsistent = |(from, to): (&str, &str)| {
        matches!(restore(from, to), Ok(Err(RestoreError::Inconsistent { .. })))
    };
    assert!(inconsistent((r#""revision":2"#, r#""revision":18446744073709551615"#)));
    assert!(inconsistent((r#""revision":2"#, r#""revision":1"#)));
    assert!(inconsistent((r#""version":1"#, r#""version":9"#)));
    assert!(inconsistent((r#""session_last":1"#, r#""session_last":0"#)));
    assert!(inconsistent((r#""acked":0"#, r#""acked":1"#)));
    assert!(matches!(restore("[49]", "[50]"), Ok(Err(RestoreError::Damaged { .. }))));
    assert!(restore("[[[97]", "[[[99]").is_err(), "the keys do not rise");
}

#[test]
fn a_snapshot_stays_as_it_was_while_the_store_goes_on() {
    let mut log = Log::new();
    for n in 0..1_000 {
        log.apply(None, put(&format!("key-{n}"), "old"));
    }
    let (image, reader) = (log.store.image(), log.store.clone());
    for n in 0..1_000 {
        log.apply(None, put(&format!("key-{n}"), "new"));
    }
    assert_eq!(reader.get(b"key-7").unwrap().value, "old");
    assert_eq!(Store::restore(image).unwrap().get(b"key-999").unwrap().value, "old");
    assert_eq!(log.store.get(b"key-7").unwrap().value, "new");
    assert_eq!(log.store.len(), 1_000);
}
