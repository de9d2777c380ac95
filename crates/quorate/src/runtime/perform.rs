//! Carries out what the node wants done.

use std::sync::Arc;

use bytes::Bytes;
use quorate_core::{Configuration, Instant};
use quorate_tokio::{Perform, StorageEnded, StorageError, StorageThread};

use super::StopReason;
use super::node::Inner;
use crate::{Effect, NodeMachine};

pub(super) struct Performer {
    pub(super) inner: Arc<Inner>,
    pub(super) storage: StorageThread,
    /// The members whose addresses the transport knows.
    pub(super) known: Configuration,
}

impl Perform<NodeMachine> for Performer {
    type Error = StopReason;

    fn perform(&mut self, _now: Instant, effect: Effect) -> Result<(), StopReason> {
        match effect {
            Effect::Persist { token, record } => {
                // The thread has said why it ended, on its own way.
                let ended = |error: StorageEnded| StopReason::Storage(error.to_string());
                self.storage.submit(token, record).map_err(ended)?;
            }
            Effect::Send { to, lane, message } => match quorate_wire::encode(&message) {
                // A message that cannot be queued is lost, as the network may lose any; the
                // transport counts it.
                Ok(bytes) => drop(self.inner.transport.send(&to, lane, Bytes::from(bytes))),
                Err(error) => tracing::error!(%error, %to, "a message could not be encoded"),
            },
            Effect::Reply { id, answer } => {
                let waiting = self.inner.replies.lock().remove(&id);
                if let Some(waiting) = waiting {
                    // An error means that the caller has gone.
                    let _ = waiting.send(answer);
                }
            }
            Effect::Event(event) => {
                tracing::debug!(?event);
                // An error means that nobody listens.
                let _ = self.inner.events.send(event);
            }
        }
        Ok(())
    }

    fn turned(&mut self, _now: Instant, machine: &NodeMachine) -> Result<(), StopReason> {
        if let Some(error) = machine.failure() {
            return Err(StopReason::Snapshot(error.to_string()));
        }
        let status = machine.status();
        if status.configuration != self.known {
            self.meet(&status.configuration);
        }
        *self.inner.status.write() = Arc::new(status);
        Ok(())
    }
}

impl Performer {
    /// Dials the members that are new, and lets go of those that left.
    fn meet(&mut self, configuration: &Configuration) {
        let transport = &self.inner.transport;
        for id in self.known.ids().filter(|id| configuration.member(id).is_none()) {
            transport.remove_peer(id);
        }
        for id in configuration.ids().filter(|id| **id != self.inner.me) {
            if let Some(member) = configuration.member(id) {
                transport.set_peer(id.clone(), member.address.clone());
            }
        }
        self.known = configuration.clone();
    }
}

/// What a failed write of the journal means to the node.
pub(super) fn storage_failed(error: &StorageError) -> StopReason {
    match error {
        StorageError::DiskFull { .. } => StopReason::DiskFull,
        StorageError::Failed { source } => StopReason::Storage(source.to_string()),
        _ => StopReason::Storage(error.to_string()),
    }
}
