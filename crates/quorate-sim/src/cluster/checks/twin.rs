//! One copy of the state that applies every committed entry as the log has it, without snapshots
//! or restarts, and looks at what each command did.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::{Applied, Entry, LogId, LogIndex, Payload};
use quorate_dist_state::{Command, Expected, Item, Limits, Op, Reply, SessionId, Store};

use crate::Violation;

/// The state after each committed entry.
#[derive(Debug)]
pub(super) struct Twin {
    store: Store,
    /// The digest of the state at each index, from 1.
    digests: Vec<u64>,
    /// What stands in logs and is not applied here yet.
    waiting: BTreeMap<LogId, Entry>,
    /// Tagged commands that acted.
    acted: BTreeSet<(SessionId, u64)>,
    /// The newest session.
    newest: Option<SessionId>,
}

impl Twin {
    pub(super) fn new(limits: Limits) -> Self {
        let store = Store::new(limits);
        // The first entry is the first configuration, which every node brings along and may have
        // compacted before its first step.
        let digests = vec![store.digest()];
        Self { store, digests, waiting: BTreeMap::new(), acted: BTreeSet::new(), newest: None }
    }

    /// The entry stands in some log.
    pub(super) fn seen(&mut self, entry: &Entry) {
        if entry.id.index > self.applied() {
            self.waiting.insert(entry.id, entry.clone());
        }
    }

    /// The last entry that is applied.
    pub(super) const fn applied(&self) -> LogIndex {
        LogIndex(self.digests.len() as u64)
    }

    /// The digest of the state at `index`, if that is known.
    pub(super) fn digest(&self, index: LogIndex) -> Option<u64> {
        let place = index.0.checked_sub(1)?;
        self.digests.get(place as usize).copied()
    }

    /// Applies the next entry, which is committed; `false` if no log has shown it.
    pub(super) fn apply(&mut self, id: LogId) -> Result<bool, Violation> {
        let Some(entry) = self.waiting.remove(&id) else { return Ok(false) };
        // The others at its index were replaced.
        self.waiting.retain(|other, _| other.index > id.index);
        if let Payload::Command(bytes) = &entry.payload
            && let Ok(command) = quorate_wire::decode::<Command>(bytes)
        {
            self.act(&entry, command)?;
        }
        self.digests.push(self.store.digest());
        Ok(true)
    }

    fn act(&mut self, entry: &Entry, command: Command) -> Result<(), Violation> {
        let at = Applied { id: entry.id, time: entry.time };
        // A clone shares all that does not change.
        let before = self.store.clone();
        let reply = self.store.apply(at, command.clone());
        let wrong = |invariant: &str, what: &str| {
            let message = format!("{} {what}: {command:?} was answered {reply:?}", entry.id);
            Err(Violation::new(invariant, message))
        };
        let changes = self.store.revision().0 - before.revision().0;
        if let Reply::Rejected(_) = reply {
            return if changes == 0 { Ok(()) } else { wrong("K1", "was refused and acted") };
        }
        if let Some(tag) = command.tag {
            let is_first = self.acted.insert((tag.session, tag.seq));
            if !is_first && changes > 0 {
                return wrong("X1", "acted twice");
            }
            if !self.lives_on(at, tag.session) {
                return wrong("K3", "used a session that does not live on for its time");
            }
            if !is_first {
                return Ok(());
            }
        }
        let done = match &command.op {
            Op::Set { key, value } => put(&before, &self.store, key, value),
            Op::Delete { key } => {
                let was = before.get(key).is_some();
                matches!(reply, Reply::Deleted { deleted, .. } if deleted == was)
                    && self.store.get(key).is_none()
                    && changes == u64::from(was)
            }
            Op::CompareAndSwap { key, expected, new } => {
                let fits = is_as_expected(before.get(key).as_ref(), expected);
                let told = matches!(reply, Reply::Swapped { swapped, .. } if swapped == fits);
                let acted = match new {
                    _ if !fits => changes == 0,
                    Some(value) => put(&before, &self.store, key, value),
                    None => self.store.get(key).is_none(),
                };
                told && acted
            }
            Op::OpenSession { .. } => {
                let Reply::Session { session, .. } = reply else {
                    return wrong("K3", "opened no session");
                };
                let is_new = self.newest.is_none_or(|newest| newest < session);
                self.newest = Some(session);
                if !is_new || !self.lives_on(at, session) {
                    return wrong("K3", "opened a session that is old or does not live");
                }
                changes == 0
            }
            Op::KeepAlive { session } => {
                if !self.lives_on(at, *session) {
                    return wrong("K3", "used a session that does not live on for its time");
                }
                changes == 0
            }
            Op::CloseSession { session } => self.store.session(*session).is_none() && changes == 0,
            Op::ExpireSessions { sessions, at: looked_at } => {
                let time = at.time.min(*looked_at);
                let open = |id: &SessionId| before.session(*id).is_some_and(|s| s.deadline > time);
                let ended = |id: &SessionId| self.store.session(*id).is_none();
                if sessions.iter().any(|id| open(id) && ended(id)) {
                    return wrong("K3", "ended a session before its time");
                }
                changes == 0
            }
            _ => true,
        };
        if done { Ok(()) } else { wrong("K1", "did not do what it says") }
    }

    /// Whether the session, used at `at`, lives for its whole time from there on.
    fn lives_on(&self, at: Applied, session: SessionId) -> bool {
        self.store.session(session).is_some_and(|session| {
            let ttl = std::time::Duration::from_millis(session.ttl_ms);
            session.deadline >= at.time + ttl
        })
    }
}

/// Whether `after` is `before` with `value` put under `key`.
fn put(before: &Store, after: &Store, key: &[u8], value: &[u8]) -> bool {
    let revision = before.revision().next();
    let (create_revision, version) = match before.get(key) {
        Some(item) => (item.create_revision, item.version + 1),
        None => (revision, 1),
    };
    after.revision() == revision
        && after.get(key).is_some_and(|item| {
            item.value == value
                && item.mod_revision == revision
                && item.create_revision == create_revision
                && item.version == version
        })
}

fn is_as_expected(item: Option<&Item>, expected: &Expected) -> bool {
    match expected {
        Expected::Absent => item.is_none(),
        Expected::Value(value) => item.is_some_and(|item| item.value == value),
        Expected::Revision(revision) => item.map_or(0, |item| item.mod_revision.0) == revision.0,
    }
}
