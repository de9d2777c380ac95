//! The state machine.

use std::fmt;

use bytes::Bytes;
use quorate_core::{Applied, ClusterTime, mutant};

use crate::answers::KeptMap;
use crate::digest::Digest;
use crate::keys::Keys;
use crate::sessions::Sessions;
use crate::{
    Command, Expected, Image, Item, Limits, Op, Page, Rejection, Reply, RestoreError, Revision,
    Session, SessionId,
};

/// A key-value store that is computed alike on every replica. Cloning is O(1): clones share their
/// structure until they part.
#[derive(Clone)]
pub struct Store {
    limits: Limits,
    keys: Keys,
    sessions: Sessions,
}

impl Store {
    /// An empty store. `limits` must be equal on all replicas, for ever: see [`Limits`].
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, keys: Keys::default(), sessions: Sessions::default() }
    }

    /// Applies the command of the log's next entry and answers its caller. O(log keys).
    ///
    /// `at.time` must not go back from entry to entry; nothing else of `at` need be in order.
    pub fn apply(&mut self, at: Applied, command: Command) -> Reply {
        self.run(at, command).unwrap_or_else(Reply::Rejected)
    }

    fn run(&mut self, at: Applied, Command { tag, op }: Command) -> Result<Reply, Rejection> {
        self.limits.check(&op)?;
        let Some(tag) = tag else { return self.execute(at, op) };
        tag.check(&op)?;
        let fingerprint = op.fingerprint();
        match self.sessions.ask(tag, fingerprint, at.time) {
            Ok(Some(first)) => Ok(first),
            Ok(None) => {
                let reply = self.execute(at, op)?;
                self.sessions.keep(tag, fingerprint, &reply, &self.limits);
                Ok(reply)
            }
            Err(Rejection::SessionExpired) if mutant!("session-expired-runs-again") => {
                self.execute(at, op)
            }
            Err(rejection) => Err(rejection),
        }
    }

    fn execute(&mut self, at: Applied, op: Op) -> Result<Reply, Rejection> {
        Ok(match op {
            Op::Set { key, value } => {
                let (mod_revision, version) = self.keys.put(key, value);
                Reply::Set { mod_revision, version }
            }
            Op::Delete { key } => {
                let deleted = self.keys.delete(&key) || mutant!("delete-always-deletes");
                Reply::Deleted { deleted, revision: self.revision() }
            }
            Op::CompareAndSwap { key, expected, new } => self.compare_and_swap(key, &expected, new),
            Op::OpenSession { ttl_ms } => {
                let ttl_ms = self.limits.granted_ttl_ms(ttl_ms);
                let session = self.sessions.open(at.id.index.0, ttl_ms, at.time, &self.limits)?;
                Reply::Session { session, ttl_ms }
            }
            Op::KeepAlive { session } => {
                let open = self.sessions.touch(session, at.time);
                let Session { ttl_ms, .. } = open.ok_or(Rejection::SessionExpired)?;
                Reply::Session { session, ttl_ms }
            }
            Op::CloseSession { session } => Reply::Closed { closed: self.sessions.close(session) },
            Op::ExpireSessions { sessions, at: looked_at } => {
                // The entry's time can only be later than the leader's look; should a leader
                // claim otherwise, the log is believed.
                let count = self.sessions.expire(&sessions, looked_at.min(at.time));
                Reply::Expired { count }
            }
        })
    }

    fn compare_and_swap(&mut self, key: Bytes, expected: &Expected, new: Option<Bytes>) -> Reply {
        let swapped = self.keys.is(&key, expected) || mutant!("cas-always-swaps");
        if swapped {
            match new {
                Some(value) => _ = self.keys.put(key.clone(), value),
                None => _ = self.keys.delete(&key),
            }
        }
        Reply::Swapped { swapped, current: self.get(&key), revision: self.revision() }
    }

    /// What stands under `key`. O(log keys).
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Item> {
        self.keys.map().get(key).cloned()
    }

    /// The first keys that begin with `prefix`, in the order of their bytes, behind `after` if it
    /// is given: at most `limit` (at least one), and no more than the limits of a page allow.
    /// O(log keys + page).
    #[must_use]
    pub fn range(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Page {
        let items_max = usize::try_from(self.limits.page_items_max).unwrap_or(usize::MAX);
        self.keys.page(prefix, after, limit.min(items_max), self.limits.page_bytes_max)
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.map().len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.map().is_empty()
    }

    /// The number of changes of keys so far.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.keys.revision()
    }

    /// The limits that count in this store.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A digest of the whole state, sessions and limits included: equal on all replicas that
    /// applied the same entries. O(1).
    #[must_use]
    pub fn digest(&self) -> u64 {
        let digest = self.limits.digest(Digest::new("store"));
        let digest = digest.word(self.revision().0).word(self.keys.sum());
        self.sessions.digest(digest).finish()
    }

    /// An open session.
    #[must_use]
    pub fn session(&self, id: SessionId) -> Option<Session> {
        self.sessions.map().get(&id).copied()
    }

    /// How many sessions are open.
    #[must_use]
    pub fn sessions_len(&self) -> usize {
        self.sessions.map().len()
    }

    /// Whether an answer is kept for a retry of the command `tag`.
    #[must_use]
    pub fn is_answered(&self, tag: &crate::Tag) -> bool {
        self.sessions.answers().map().contains_key(&(tag.session, tag.seq))
    }

    /// How many answers are kept for retries.
    #[must_use]
    pub fn answers_len(&self) -> usize {
        self.sessions.answers().map().len()
    }

    /// Sessions whose time is up at `now`, the longest overdue first, at most
    /// [`EXPIRE_MAX`](crate::EXPIRE_MAX): a leader proposes their end, [`Op::ExpireSessions`].
    /// O(log sessions + due).
    pub fn sessions_due(&self, now: ClusterTime) -> impl Iterator<Item = SessionId> {
        self.sessions.due(now)
    }

    /// When the next session's time is up; any command may move it.
    #[must_use]
    pub fn session_deadline(&self) -> Option<ClusterTime> {
        self.sessions.deadline()
    }

    /// The whole state as it is now. O(1); encoding it is O(state).
    #[must_use]
    pub fn image(&self) -> Image {
        Image {
            limits: self.limits.clone(),
            revision: self.revision(),
            items: self.keys.map().clone(),
            session_last: self.sessions.last(),
            sessions: self.sessions.map().clone(),
            answers: self.sessions.answers().map().clone(),
            digest: self.digest(),
        }
    }

    /// The store that `image` was taken of. O(state).
    ///
    /// # Errors
    ///
    /// [`RestoreError`] if the image was damaged on its way, or was never taken of a store.
    pub fn restore(image: Image) -> Result<Self, RestoreError> {
        image.check()?;
        let expected = image.digest;
        let mut store = Self::from_parts(image);
        let found = store.digest();
        if found != expected {
            return Err(RestoreError::Damaged { expected, found });
        }
        if mutant!("dedup-not-in-image") {
            store = Self::from_parts(Image { answers: KeptMap::new(), ..store.image() });
        }
        if mutant!("revision-not-restored") {
            store = Self::from_parts(Image { revision: Revision::ZERO, ..store.image() });
        }
        Ok(store)
    }

    fn from_parts(image: Image) -> Self {
        Self {
            limits: image.limits,
            keys: Keys::restore(image.items, image.revision),
            sessions: Sessions::restore(image.sessions, image.session_last, image.answers),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("revision", &self.revision())
            .field("keys", &self.len())
            .field("sessions", &self.sessions_len())
            .field("digest", &format_args!("{:016x}", self.digest()))
            .finish()
    }
}
