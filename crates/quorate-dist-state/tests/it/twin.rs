//! The store as one would write it without a thought for speed: what the real one must equal.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorate_core::{Applied, ClusterTime};
use quorate_dist_state::{
    Command, Expected, Item, Limits, Op, Rejection, Reply, Revision, SessionId, WINDOW,
};

/// An open session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TwinSession {
    ttl_ms: u64,
    deadline: ClusterTime,
    acked: u64,
    /// Whole commands with whole answers.
    ran: BTreeMap<u64, (Op, Option<Reply>)>,
}

impl TwinSession {
    const fn touch(&mut self, now: ClusterTime) {
        if now.0 + self.ttl_ms * 1_000 > self.deadline.0 {
            self.deadline = ClusterTime(now.0 + self.ttl_ms * 1_000 + self.ttl_ms * 1_000 / 16);
        }
    }
}

/// The naive store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Twin {
    limits: Limits,
    pub(crate) keys: BTreeMap<Bytes, Item>,
    pub(crate) revision: u64,
    pub(crate) sessions: BTreeMap<SessionId, TwinSession>,
    last: u64,
}

impl Twin {
    pub(crate) const fn new(limits: Limits) -> Self {
        Self { limits, keys: BTreeMap::new(), revision: 0, sessions: BTreeMap::new(), last: 0 }
    }

    pub(crate) fn apply(&mut self, at: Applied, command: &Command) -> Reply {
        self.run(at, command).unwrap_or_else(Reply::Rejected)
    }

    fn run(&mut self, at: Applied, Command { tag, op }: &Command) -> Result<Reply, Rejection> {
        self.limits.check(op)?;
        let Some(tag) = tag else { return self.execute(at, op) };
        let on_a_key = matches!(op, Op::Set { .. } | Op::Delete { .. } | Op::CompareAndSwap { .. });
        if tag.seq == 0 || tag.acked >= tag.seq || !on_a_key {
            return Err(Rejection::BadTag);
        }
        let session = self.sessions.get_mut(&tag.session).ok_or(Rejection::SessionExpired)?;
        session.touch(at.time);
        session.acked = session.acked.max(tag.acked);
        session.ran = session.ran.split_off(&(session.acked + 1));
        if tag.seq <= session.acked {
            return Err(Rejection::SeqForgotten);
        }
        if tag.seq > session.acked + WINDOW {
            return Err(Rejection::SeqTooFar { acked: session.acked });
        }
        match session.ran.get(&tag.seq) {
            Some((first, _)) if first != op => return Err(Rejection::SeqReused),
            Some((_, None)) => return Err(Rejection::SeqForgotten),
            Some((_, Some(reply))) => return Ok(reply.clone()),
            None => {}
        }
        let reply = self.execute(at, op)?;
        let fits = self.kept_bytes() + value_bytes(&reply) <= self.limits.answer_bytes_max;
        let kept = (op.clone(), fits.then(|| reply.clone()));
        let session = self.sessions.get_mut(&tag.session).expect("it was there before");
        session.ran.insert(tag.seq, kept);
        Ok(reply)
    }

    fn execute(&mut self, at: Applied, op: &Op) -> Result<Reply, Rejection> {
        Ok(match op {
            Op::Set { key, value } => {
                let item = self.put(key, value);
                Reply::Set { mod_revision: item.mod_revision, version: item.version }
            }
            Op::Delete { key } => {
                let deleted = self.keys.remove(key).is_some();
                self.revision += u64::from(deleted);
                Reply::Deleted { deleted, revision: Revision(self.revision) }
            }
            Op::CompareAndSwap { key, expected, new } => {
                let current = self.keys.get(key);
                let swapped = match expected {
                    Expected::Absent | Expected::Revision(Revision::ZERO) => current.is_none(),
                    Expected::Value(value) => current.map(|item| &item.value) == Some(value),
                    Expected::Revision(r) => current.map(|item| item.mod_revision) == Some(*r),
                };
                match new {
                    Some(value) if swapped => _ = self.put(key, value),
                    None if swapped => self.revision += u64::from(self.keys.remove(key).is_some()),
                    _ => {}
                }
                let current = self.keys.get(key).cloned();
                Reply::Swapped { swapped, current, revision: Revision(self.revision) }
            }
            Op::OpenSession { ttl_ms } => {
                if self.sessions.len() as u64 == self.limits.sessions_max {
                    return Err(Rejection::TooManySessions { limit: self.limits.sessions_max });
                }
                let ttl_ms =
                    (*ttl_ms).clamp(self.limits.session_ttl_ms_min, self.limits.session_ttl_ms_max);
                self.last = at.id.index.0.max(self.last + 1);
                let mut session = TwinSession {
                    ttl_ms,
                    deadline: ClusterTime::ZERO,
                    acked: 0,
                    ran: BTreeMap::new(),
                };
                session.touch(at.time);
                self.sessions.insert(SessionId(self.last), session);
                Reply::Session { session: SessionId(self.last), ttl_ms }
            }
            Op::KeepAlive { session } => {
                let open = self.sessions.get_mut(session).ok_or(Rejection::SessionExpired)?;
                open.touch(at.time);
                Reply::Session { session: *session, ttl_ms: open.ttl_ms }
            }
            Op::CloseSession { session } => {
                Reply::Closed { closed: self.sessions.remove(session).is_some() }
            }
            Op::ExpireSessions { sessions, at: looked_at } => {
                let before = self.sessions.len();
                let now = at.time.min(*looked_at);
                self.sessions.retain(|id, open| !sessions.contains(id) || open.deadline > now);
                Reply::Expired { count: (before - self.sessions.len()) as u64 }
            }
            _ => unreachable!("the twin knows every operation"),
        })
    }

    fn put(&mut self, key: &Bytes, value: &Bytes) -> Item {
        self.revision += 1;
        let now = Revision(self.revision);
        let old = self.keys.get(key);
        let item = Item {
            value: value.clone(),
            create_revision: old.map_or(now, |old| old.create_revision),
            mod_revision: now,
            version: old.map_or(0, |old| old.version) + 1,
        };
        self.keys.insert(key.clone(), item.clone());
        item
    }

    /// Bytes of values in the answers that are kept.
    pub(crate) fn kept_bytes(&self) -> u64 {
        let answers = self.sessions.values().flat_map(|session| session.ran.values());
        answers.filter_map(|(_, reply)| reply.as_ref()).map(value_bytes).sum()
    }

    /// How many answers are kept.
    pub(crate) fn kept(&self) -> usize {
        self.sessions.values().map(|session| session.ran.len()).sum()
    }
}

const fn value_bytes(reply: &Reply) -> u64 {
    match reply {
        Reply::Swapped { current: Some(item), .. } => item.value.len() as u64,
        _ => 0,
    }
}
