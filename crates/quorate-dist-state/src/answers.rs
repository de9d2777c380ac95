//! The answers that are kept for retries.

use imbl::OrdMap;
use quorate_core::mutant;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::{Rejection, Reply, SessionId, Tag};

/// How many numbers of a session may be in use above the highest acknowledged one.
pub const WINDOW: u64 = 256;

/// An answer that was given.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Of the command that it answered.
    fingerprint: u64,
    /// `None`: too large to keep. That the number was used must be known all the same.
    reply: Option<Reply>,
}

/// The kept answers, by session and number.
pub(crate) type KeptMap = OrdMap<(SessionId, u64), Kept>;

/// The answers of all sessions. One map for all, so that a snapshot shares it as it is.
#[derive(Clone, Default)]
pub(crate) struct Answers {
    map: KeptMap,
    /// Invariant: the bytes of values in `map`.
    value_bytes: u64,
    /// Invariant: the sum of the digests of all entries of `map`.
    sum: u64,
}

impl Answers {
    /// The answers in `map`. O(answers).
    pub(crate) fn restore(map: KeptMap) -> Self {
        let mut answers = Self::default();
        for (key, kept) in &map {
            answers.count(*key, kept);
        }
        Self { map, ..answers }
    }

    pub(crate) const fn map(&self) -> &KeptMap {
        &self.map
    }

    pub(crate) const fn sum(&self) -> u64 {
        self.sum
    }

    /// The answer that the command of `tag` got; `None` if there was no such command.
    pub(crate) fn find(&self, tag: Tag, fingerprint: u64) -> Result<Option<Reply>, Rejection> {
        match self.map.get(&(tag.session, tag.seq)) {
            None => Ok(None),
            Some(_) if mutant!("dedup-ignored") => Ok(None),
            Some(kept) if kept.fingerprint != fingerprint => Err(Rejection::SeqReused),
            Some(Kept { reply: None, .. }) => Err(Rejection::SeqForgotten),
            Some(Kept { reply, .. }) => Ok(reply.clone()),
        }
    }

    /// Keeps the answer to the command of `tag`, within `bytes_max` over all.
    pub(crate) fn keep(&mut self, tag: Tag, fingerprint: u64, reply: &Reply, bytes_max: u64) {
        let fits = self.value_bytes.saturating_add(reply.value_bytes()) <= bytes_max;
        let kept = Kept { fingerprint, reply: fits.then(|| reply.clone()) };
        let key = (tag.session, tag.seq);
        self.count(key, &kept);
        if let Some(old) = self.map.insert(key, kept) {
            self.discount(key, &old);
        }
    }

    /// Forgets the answers of `session` to numbers in `first..=last`. O(forgotten x log answers).
    pub(crate) fn forget(&mut self, session: SessionId, first: u64, last: u64) {
        while let Some(key) = self.map.get_next(&(session, first)).map(|(key, _)| *key)
            && key <= (session, last)
            && let Some(kept) = self.map.remove(&key)
        {
            self.discount(key, &kept);
        }
    }

    fn count(&mut self, key: (SessionId, u64), kept: &Kept) {
        self.value_bytes = self.value_bytes.saturating_add(value_bytes(kept));
        self.sum = self.sum.wrapping_add(weight(key, kept));
    }

    fn discount(&mut self, key: (SessionId, u64), kept: &Kept) {
        self.value_bytes = self.value_bytes.saturating_sub(value_bytes(kept));
        self.sum = self.sum.wrapping_sub(weight(key, kept));
    }
}

fn value_bytes(kept: &Kept) -> u64 {
    kept.reply.as_ref().map_or(0, Reply::value_bytes)
}

/// What a kept answer adds to the digest of the store.
fn weight((session, seq): (SessionId, u64), kept: &Kept) -> u64 {
    let digest = Digest::new("answer").word(session.0).word(seq).word(kept.fingerprint);
    match &kept.reply {
        None => digest.word(0),
        Some(reply) => reply.digest(digest),
    }
    .finish()
}
