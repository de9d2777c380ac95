//! One property per invariant of the crate.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use quorate_core::{Applied, ClusterTime, LogId};
use quorate_dist_state::{
    Command, Image, Item, Op, Page, Rejection, Reply, RestoreError, Revision, SessionId, Store,
    Tag, WINDOW,
};

use crate::script::{Step, key, key_op, limits, script};
use crate::twin::Twin;

/// A store that applied `script`, with its answers.
fn run(script: &[Step]) -> (Store, Vec<Reply>) {
    let mut store = Store::new(limits());
    let replies = script.iter().map(|(at, command)| store.apply(*at, command.clone())).collect();
    (store, replies)
}

/// Every key with its item, through pages of any size.
fn all(store: &Store) -> BTreeMap<Bytes, Item> {
    let mut keys = BTreeMap::new();
    let mut after = None;
    loop {
        let page = store.range(b"", after.as_deref(), usize::MAX);
        after = page.items.last().map(|(key, _)| key.clone());
        keys.extend(page.items);
        if !page.more {
            return keys;
        }
    }
}

/// What a page must be, found by looking at everything.
fn naive_page(twin: &Twin, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Page {
    let limits = limits();
    let fitting = twin
        .keys
        .iter()
        .filter(|(key, _)| key.starts_with(prefix) && after.is_none_or(|after| &key[..] > after));
    let mut page = Page::default();
    let mut bytes = 0;
    for (key, item) in fitting {
        bytes += key.len() + item.value.len();
        let count = page.items.len();
        let fits = count < limit.min(limits.page_items_max as usize)
            && bytes <= limits.page_bytes_max as usize;
        if count > 0 && !fits {
            page.more = true;
            break;
        }
        page.items.push((key.clone(), item.clone()));
    }
    page
}

fn image_through_text(image: &Image) -> Image {
    let text = serde_json::to_string(image).expect("an image can be written");
    serde_json::from_str(&text).expect("what was written can be read")
}

const fn is_rejected(reply: &Reply) -> bool {
    matches!(reply, Reply::Rejected(_))
}

/// The time of the last step, or the beginning.
fn end(script: &[Step]) -> Applied {
    script.last().map_or(Applied { id: LogId::ZERO, time: ClusterTime::ZERO }, |(at, _)| *at)
}

const fn following(at: Applied) -> Applied {
    Applied { id: LogId { index: at.id.index.next(), ..at.id }, ..at }
}

proptest! {
    #[test]
    fn k1_answers_and_reads_are_those_of_a_plain_map(
        script in script(),
        prefix in key(),
        after in prop::option::of(key()),
        limit in 0..5_usize,
    ) {
        let mut store = Store::new(limits());
        let mut twin = Twin::new(limits());
        for (at, command) in script {
            let expected = twin.apply(at, &command);
            prop_assert_eq!(store.apply(at, command), expected);
            prop_assert_eq!(store.revision(), Revision(twin.revision));
            prop_assert_eq!(store.get(&prefix), twin.keys.get(&prefix).cloned());
            let page = naive_page(&twin, &prefix, after.as_deref(), limit);
            prop_assert_eq!(store.range(&prefix, after.as_deref(), limit), page);
        }
        prop_assert_eq!(all(&store), twin.keys);
    }

    #[test]
    fn k5_equal_commands_give_equal_digests_and_unequal_states_unequal_ones(
        script in script(),
        other in script(),
    ) {
        prop_assert_eq!(run(&script).1, run(&script).1);
        let mut digest_of = BTreeMap::new();
        let mut state_of = BTreeMap::new();
        for script in [script.clone(), other, script] {
            let mut store = Store::new(limits());
            let mut twin = Twin::new(limits());
            for (at, command) in script {
                twin.apply(at, &command);
                store.apply(at, command);
                let (state, digest) = (format!("{twin:?}"), store.digest());
                prop_assert_eq!(*digest_of.entry(state.clone()).or_insert(digest), digest);
                prop_assert_eq!(state_of.entry(digest).or_insert_with(|| state.clone()), &state);
            }
        }
    }

    #[test]
    fn x1_a_tagged_command_takes_effect_at_most_once(script in script()) {
        let mut store = Store::new(limits());
        let mut first = BTreeMap::new();
        for (at, command) in script {
            let before = all(&store);
            let reply = store.apply(at, command.clone());
            let Some(tag) = command.tag else { continue };
            let Some((op, answer)) = first.get(&(tag.session, tag.seq)) else {
                if !is_rejected(&reply) {
                    first.insert((tag.session, tag.seq), (command.op, reply));
                }
                continue;
            };
            prop_assert_eq!(all(&store), before);
            match reply {
                Reply::Rejected(Rejection::SeqReused) => prop_assert_ne!(&command.op, op),
                Reply::Rejected(rejection) => {
                    let failed = command.op != *op || tag.acked >= tag.seq;
                    prop_assert!(rejection.is_unknown() || failed);
                }
                reply => {
                    prop_assert_eq!(&command.op, op);
                    prop_assert_eq!(&reply, answer);
                }
            }
        }
    }

    #[test]
    fn x2_a_number_with_another_body_is_refused(
        script in script(),
        op in key_op(),
        other in key_op(),
    ) {
        prop_assume!(op != other && limits().check(&op).is_ok() && limits().check(&other).is_ok());
        let (mut store, _) = run(&script);
        let at = following(end(&script));
        let open = Command { tag: None, op: Op::OpenSession { ttl_ms: 0 } };
        let Reply::Session { session, .. } = store.apply(at, open) else {
            return Ok(()); // the script left no room
        };
        let tag = Some(Tag { session, seq: 1, acked: 0 });
        let at = following(at);
        let answer = store.apply(at, Command { tag, op });
        prop_assert!(!is_rejected(&answer));
        let before = all(&store);
        let answer = store.apply(following(at), Command { tag, op: other });
        prop_assert_eq!(answer, Reply::Rejected(Rejection::SeqReused));
        prop_assert_eq!(all(&store), before);
    }

    #[test]
    fn x3_a_refused_command_does_not_use_up_its_number(script in script(), op in key_op()) {
        prop_assume!(limits().check(&op).is_ok());
        let mut store = Store::new(limits());
        for (at, command) in script {
            let Some(tag) = command.tag else {
                store.apply(at, command);
                continue;
            };
            let before = all(&store);
            let reply = store.apply(at, command);
            let was_new = matches!(
                reply,
                Reply::Rejected(Rejection::TooLarge { .. } | Rejection::SeqTooFar { .. })
            );
            if is_rejected(&reply) {
                prop_assert_eq!(all(&store), before);
            }
            // A number that was refused before it ran can still carry any command.
            let Some(session) = store.session(tag.session).filter(|_| was_new) else { continue };
            let acked = session.acked.max(tag.seq.saturating_sub(WINDOW));
            if tag.seq > acked {
                let retry = Tag { acked, ..tag };
                let mut fork = store.clone();
                let reply = fork.apply(at, Command { tag: Some(retry), op: op.clone() });
                let ran_before = matches!(
                    reply,
                    Reply::Rejected(Rejection::SeqReused | Rejection::SeqForgotten)
                );
                prop_assert!(!is_rejected(&reply) || ran_before, "{reply:?}");
            }
        }
    }

    #[test]
    fn x4_a_session_lives_its_time_and_its_id_never_returns(script in script()) {
        let mut store = Store::new(limits());
        let mut highest = SessionId(0);
        // Open sessions, each with the end of the life that it was promised.
        let mut promised: BTreeMap<SessionId, ClusterTime> = BTreeMap::new();
        for (at, command) in script {
            let due: Vec<SessionId> = store.sessions_due(at.time).collect();
            prop_assert!(due.iter().all(|id| promised[id] <= at.time));
            let before = all(&store);
            let reply = store.apply(at, command.clone());
            let used = match (&reply, command.tag, &command.op) {
                (Reply::Session { session, .. }, ..) => Some(*session),
                (Reply::Closed { .. }, None, Op::CloseSession { session }) => {
                    promised.remove(session);
                    None
                }
                (Reply::Rejected(_), ..) => None,
                (_, Some(tag), _) => Some(tag.session),
                _ => None,
            };
            if let Some(id) = used {
                let known = promised.contains_key(&id);
                prop_assert!(known || id > highest, "{id} was given out before");
                highest = highest.max(id);
                let ttl_us = store.session(id).unwrap().ttl_ms * 1_000;
                promised.insert(id, ClusterTime(at.time.0 + ttl_us));
            }
            if let Some(tag) = command.tag && !promised.contains_key(&tag.session) {
                prop_assert!(is_rejected(&reply));
                prop_assert_eq!(all(&store), before);
            }
            promised.retain(|id, until| *until > at.time || store.session(*id).is_some());
            for id in promised.keys() {
                prop_assert!(store.session(*id).is_some(), "{id} ended too early");
            }
            prop_assert_eq!(store.sessions_len(), promised.len());
        }
    }

    #[test]
    fn x5_a_restored_store_equals_the_one_the_image_was_taken_of(
        script in script(),
        at in any::<prop::sample::Index>(),
    ) {
        let (past, future) = script.split_at(at.index(script.len()));
        let (mut store, _) = run(past);
        let image = store.image();
        let mut restored = Store::restore(image_through_text(&image)).unwrap();
        prop_assert_eq!(restored.digest(), store.digest());
        for (at, command) in future {
            let reply = store.apply(*at, command.clone());
            prop_assert_eq!(restored.apply(*at, command.clone()), reply);
            prop_assert_eq!(restored.digest(), store.digest());
            let due = |store: &Store| store.sessions_due(at.time).collect::<Vec<_>>();
            prop_assert_eq!(due(&restored), due(&store));
        }
        prop_assert_eq!(all(&restored), all(&store));
        prop_assert_eq!(restored.session_deadline(), store.session_deadline());
        let again = Store::restore(image.clone()).unwrap();
        prop_assert_eq!(again.digest(), image.digest());
        prop_assert_eq!(all(&again), all(&run(past).0));
    }

    #[test]
    fn x6_the_revision_counts_the_changes(script in script()) {
        let mut store = Store::new(limits());
        for (at, command) in script {
            let (before, revision) = (all(&store), store.revision());
            store.apply(at, command);
            let after = all(&store);
            let next = if after == before { revision } else { revision.next() };
            prop_assert_eq!(store.revision(), next);
            for (key, item) in after.iter().filter(|(key, item)| before.get(*key) != Some(*item)) {
                let old = before.get(key);
                prop_assert_eq!(item.mod_revision, next);
                prop_assert_eq!(item.version, old.map_or(0, |old| old.version) + 1);
                let created = old.map_or(next, |old| old.create_revision);
                prop_assert_eq!(item.create_revision, created);
            }
        }
    }

    #[test]
    fn x7_memory_for_sessions_is_bounded_and_refusals_name_the_limit(script in script()) {
        let limits = limits();
        let mut store = Store::new(limits.clone());
        let mut twin = Twin::new(limits.clone());
        for (at, command) in script {
            let before = store.digest();
            let oversized = limits.check(&command.op);
            twin.apply(at, &command);
            let reply = store.apply(at, command);
            prop_assert!(store.sessions_len() as u64 <= limits.sessions_max);
            prop_assert!(twin.kept_bytes() <= limits.answer_bytes_max);
            prop_assert_eq!(store.answers_len(), twin.kept());
            if let Err(rejection) = oversized {
                prop_assert_eq!(reply, Reply::Rejected(rejection));
                prop_assert_eq!(store.digest(), before);
            }
        }
    }

    #[test]
    fn x5_an_image_with_a_changed_digit_is_refused(
        script in script(),
        place in any::<prop::sample::Index>(),
        digit in b'0'..=b'9',
    ) {
        let (store, _) = run(&script);
        let mut text = serde_json::to_vec(&store.image()).unwrap();
        let digits: Vec<usize> = (0..text.len()).filter(|i| text[*i].is_ascii_digit()).collect();
        let place = digits[place.index(digits.len())];
        prop_assume!(text[place] != digit);
        text[place] = digit;
        if let Ok(image) = serde_json::from_slice::<Image>(&text) {
            let refused = matches!(
                Store::restore(image),
                Err(RestoreError::Damaged { .. } | RestoreError::Inconsistent { .. })
            );
            prop_assert!(refused);
        }
    }
}
