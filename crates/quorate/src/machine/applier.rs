//! Applies committed entries to the shared state, each once, in order.

use bytes::Bytes;
use quorate_core::{
    Applied, ClusterTime, Configuration, Entry, LogId, LogIndex, Payload, RestoreError, Snapshot,
    mutant,
};
use quorate_dist_state::{Command, Image, Limits, Reply, Store};
use quorate_wire::Limit;

use crate::{Found, Query};

/// The shared state and how far the log is applied to it.
#[derive(Debug)]
pub(crate) struct Applier {
    store: Store,
    /// Invariant: the last entry whose effect `store` holds; never falls.
    applied: LogId,
    time: ClusterTime,
    /// The configuration in force at `applied`.
    configuration: Configuration,
}

impl Applier {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            store: Store::new(limits),
            applied: LogId::ZERO,
            time: ClusterTime::ZERO,
            configuration: Configuration::default(),
        }
    }

    pub(crate) const fn applied(&self) -> LogId {
        self.applied
    }

    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    /// Applies the entry behind the last one; the state machine's answer, if it held a command
    /// that can be read.
    ///
    /// # Panics
    ///
    /// If an entry is skipped or applied twice: the copies would part in silence.
    pub(crate) fn apply(&mut self, entry: &Entry) -> Option<Reply> {
        assert_eq!(
            entry.id.index,
            self.applied.index.next(),
            "entries are applied one by one, each once"
        );
        self.applied = entry.id;
        self.time = entry.time;
        match &entry.payload {
            Payload::Noop | Payload::LeaseEnded => None,
            Payload::Configuration(configuration) => {
                self.configuration = configuration.clone();
                None
            }
            // A command that cannot be read changes nothing, on every copy alike.
            Payload::Command(bytes) => {
                let command: Command = quorate_wire::decode(bytes).ok()?;
                let at = Applied { id: entry.id, time: entry.time };
                Some(self.store.apply(at, command))
            }
        }
    }

    /// The state as it is now, to be kept in place of the log up to here.
    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        let state = Limit::Record.encode(&self.store.image()).ok()?;
        Some(Snapshot {
            last: self.applied,
            time: self.time,
            configuration: self.configuration.clone(),
            state: Bytes::from(state),
        })
    }

    /// Replaces the state by `snapshot`, unless the state is already further.
    pub(crate) fn install(&mut self, snapshot: &Snapshot) -> Result<bool, RestoreError> {
        if snapshot.last.index <= self.applied.index && !mutant!("snapshot-goes-back") {
            return Ok(false);
        }
        let image: Image = Limit::Record
            .decode(&snapshot.state)
            .map_err(|error| RestoreError(error.to_string()))?;
        self.store = Store::restore(image).map_err(|error| RestoreError(error.to_string()))?;
        self.applied = snapshot.last;
        self.time = snapshot.time;
        self.configuration = snapshot.configuration.clone();
        Ok(true)
    }

    pub(crate) fn query(&self, query: &Query) -> Found {
        match query {
            Query::Get { key } => Found::Item(self.store.get(key)),
            Query::Range { prefix, after, limit } => {
                let page = self.store.range(prefix, after.as_deref(), *limit as usize);
                Found::Page { items: page.items, more: page.more }
            }
        }
    }

    /// Whether the state includes everything up to `index`.
    pub(crate) fn reaches(&self, index: LogIndex) -> bool {
        self.applied.index >= index
    }
}
