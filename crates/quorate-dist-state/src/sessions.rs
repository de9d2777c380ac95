//! The sessions of clients: who may retry, and until when.

use std::time::Duration;

use imbl::{OrdMap, OrdSet};
use quorate_core::{ClusterTime, mutant};
use serde::{Deserialize, Serialize};

use crate::answers::{Answers, KeptMap};
use crate::digest::Digest;
use crate::{EXPIRE_MAX, Limits, Rejection, Reply, SessionId, Tag, WINDOW};

/// An open session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// How long it lives at least after its last use, in cluster time.
    pub ttl_ms: u64,
    /// It may be ended from then on.
    ///
    /// Invariant: at least `ttl_ms` behind the last use, and at most a sixteenth of it later.
    pub deadline: ClusterTime,
    /// The client acknowledged the answers up to this number.
    pub acked: u64,
}

impl Session {
    /// Used at `now`.
    fn touch(&mut self, now: ClusterTime) {
        // The deadline moves in steps, with the step granted on top: most uses of a busy session
        // then leave it, and with it the index of deadlines, as it is.
        let ttl = Duration::from_millis(self.ttl_ms);
        if now + ttl > self.deadline {
            self.deadline = now + ttl + ttl / 16;
        }
    }
}

/// All open sessions and what they remember.
#[derive(Clone, Default)]
pub(crate) struct Sessions {
    map: OrdMap<SessionId, Session>,
    /// Invariant: every id that was ever given out is at most this one.
    last: SessionId,
    answers: Answers,
    /// Invariant: the deadlines of all in `map`, in order of time. Not in the image: it follows.
    due: OrdSet<(ClusterTime, SessionId)>,
    /// Invariant: the sum of the digests of all in `map`.
    sum: u64,
}

impl Sessions {
    /// The sessions in `map`. O(sessions + answers).
    pub(crate) fn restore(
        map: OrdMap<SessionId, Session>,
        last: SessionId,
        answers: KeptMap,
    ) -> Self {
        let due = map.iter().map(|(id, session)| (session.deadline, *id)).collect();
        let sum = map.iter().fold(0, |sum: u64, (id, s)| sum.wrapping_add(weight(*id, s)));
        Self { map, last, answers: Answers::restore(answers), due, sum }
    }

    pub(crate) const fn map(&self) -> &OrdMap<SessionId, Session> {
        &self.map
    }

    pub(crate) const fn last(&self) -> SessionId {
        self.last
    }

    pub(crate) const fn answers(&self) -> &Answers {
        &self.answers
    }

    pub(crate) const fn digest(&self, digest: Digest) -> Digest {
        digest.word(self.last.0).word(self.sum).word(self.answers.sum())
    }

    /// Opens a session at the entry with `index`.
    pub(crate) fn open(
        &mut self,
        index: u64,
        ttl_ms: u64,
        now: ClusterTime,
        limits: &Limits,
    ) -> Result<SessionId, Rejection> {
        if self.map.len() as u64 >= limits.sessions_max {
            return Err(Rejection::TooManySessions { limit: limits.sessions_max });
        }
        // The place in the log, but unique even if one entry opens two, or the log begins anew
        // under a restored state.
        let id = SessionId(index.max(self.last.0.saturating_add(1)));
        self.last = id;
        let mut session = Session { ttl_ms, deadline: ClusterTime::ZERO, acked: 0 };
        session.touch(now);
        self.insert(id, session);
        Ok(id)
    }

    /// Uses the session; it is open afterwards, or was not.
    pub(crate) fn touch(&mut self, id: SessionId, now: ClusterTime) -> Option<Session> {
        self.update(id, |session| session.touch(now))
    }

    /// Ends the session; whether it was open.
    pub(crate) fn close(&mut self, id: SessionId) -> bool {
        let Some(session) = self.remove(id) else { return false };
        self.answers.forget(id, session.acked.saturating_add(1), u64::MAX);
        true
    }

    /// Ends those of `ids` whose deadline is at or before `now`; how many.
    pub(crate) fn expire(&mut self, ids: &[SessionId], now: ClusterTime) -> u64 {
        let mut count = 0;
        for id in ids {
            if self.map.get(id).is_some_and(|session| session.deadline <= now)
                || mutant!("session-ended-early")
            {
                count += u64::from(self.close(*id));
            }
        }
        count
    }

    /// The first sessions whose deadline is at or before `now`. O(log sessions + due).
    pub(crate) fn due(&self, now: ClusterTime) -> impl Iterator<Item = SessionId> {
        let until = (now, SessionId(u64::MAX));
        self.due.range(..=until).take(EXPIRE_MAX).map(|(_, id)| *id)
    }

    /// The earliest deadline.
    pub(crate) fn deadline(&self) -> Option<ClusterTime> {
        self.due.get_min().map(|(deadline, _)| *deadline)
    }

    /// A tagged command arrives: the answer it once got; `None` if it is new and may run.
    pub(crate) fn ask(
        &mut self,
        tag: Tag,
        fingerprint: u64,
        now: ClusterTime,
    ) -> Result<Option<Reply>, Rejection> {
        let before = self.map.get(&tag.session).ok_or(Rejection::SessionExpired)?.acked;
        let acked = before.max(tag.acked);
        self.update(tag.session, |session| {
            session.touch(now);
            session.acked = acked;
        });
        if acked > before {
            self.answers.forget(tag.session, before.saturating_add(1), acked);
        }
        if tag.seq <= acked {
            return Err(Rejection::SeqForgotten);
        }
        if tag.seq - acked > WINDOW {
            return Err(Rejection::SeqTooFar { acked });
        }
        self.answers.find(tag, fingerprint)
    }

    /// The command of `tag` ran and was answered.
    pub(crate) fn keep(&mut self, tag: Tag, fingerprint: u64, reply: &Reply, limits: &Limits) {
        self.answers.keep(tag, fingerprint, reply, limits.answer_bytes_max);
    }

    fn update(&mut self, id: SessionId, change: impl FnOnce(&mut Session)) -> Option<Session> {
        let session = self.map.get_mut(&id)?;
        let old = *session;
        change(session);
        let new = *session;
        if new != old {
            self.sum = self.sum.wrapping_sub(weight(id, &old)).wrapping_add(weight(id, &new));
        }
        if new.deadline != old.deadline {
            self.due.remove(&(old.deadline, id));
            self.due.insert((new.deadline, id));
        }
        Some(new)
    }

    fn insert(&mut self, id: SessionId, session: Session) {
        self.sum = self.sum.wrapping_add(weight(id, &session));
        self.due.insert((session.deadline, id));
        self.map.insert(id, session);
    }

    fn remove(&mut self, id: SessionId) -> Option<Session> {
        let session = self.map.remove(&id)?;
        self.sum = self.sum.wrapping_sub(weight(id, &session));
        self.due.remove(&(session.deadline, id));
        Some(session)
    }
}

/// What a session adds to the digest of the store.
fn weight(id: SessionId, session: &Session) -> u64 {
    let Session { ttl_ms, deadline, acked } = session;
    Digest::new("session").word(id.0).word(*ttl_ms).word(deadline.0).word(*acked).finish()
}
