//! Whom a node knew in its earlier lives: so it finds its way back when all seeds are gone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use quorate_core::NodeId;
use quorate_membership::Membership;
use quorate_tokio::StateFolder;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Nodes and where they were last, `host:port`.
pub(super) type Known = BTreeMap<NodeId, String>;

#[derive(Debug, Serialize, Deserialize)]
struct KnownFile {
    version: u8,
    known: Known,
}

/// Follows what a node learns, and has it written down.
#[derive(Debug)]
pub(super) struct Memory {
    known: watch::Sender<Known>,
    /// Of the machine, when it was last looked at.
    version: u64,
}

impl Memory {
    /// Opens the memory in the folder of a node: what it holds, and what writes it from now on
    /// until the memory is dropped. Waits for the disk.
    ///
    /// Nothing rests on it: one that cannot be had is a warning, and the node starts from its seeds.
    pub(super) fn open(data: Option<&Path>) -> (Known, Option<(Self, Keeper)>) {
        let Some(data) = data else { return (Known::new(), None) };
        let mut folder = match StateFolder::open(data.join(FOLDER)) {
            Ok(folder) => folder,
            Err(error) => {
                tracing::warn!(%error, "the nodes that are met will not be remembered");
                return (Known::new(), None);
            }
        };
        let read: Result<Option<KnownFile>, _> = folder.read(FILE);
        let known = match read {
            Ok(file) => file.filter(|file| file.version == VERSION).map(|file| file.known),
            Err(error) => {
                tracing::warn!(%error, "the nodes that were met are forgotten");
                None
            }
        };
        let known = known.unwrap_or_default();
        let (sender, receiver) = watch::channel(known.clone());
        let keeper = Keeper { folder: Arc::new(Mutex::new(folder)), known: receiver };
        (known, Some((Self { known: sender, version: 0 }, keeper)))
    }

    /// Takes over what is new.
    pub(super) fn look_at(&mut self, membership: &Membership) {
        let version = membership.acquaintances_version();
        if version == self.version {
            return;
        }
        self.version = version;
        let known = membership.acquaintances();
        let known = known.map(|(id, address)| (id.clone(), address.to_owned()));
        self.known.send_replace(known.collect());
    }
}

/// Writes down what is new.
pub(super) struct Keeper {
    folder: Arc<Mutex<StateFolder>>,
    known: watch::Receiver<Known>,
}

impl Keeper {
    /// Every few seconds at most, and once more when the memory is dropped.
    pub(super) async fn keep(mut self) {
        let mut written = self.known.borrow_and_update().clone();
        loop {
            let ended = self.known.changed().await.is_err();
            let known = self.known.borrow_and_update().clone();
            // A node that knows nobody has not begun; or it has left all, which is no reason to
            // forget the way back.
            if known != written && !known.is_empty() {
                let folder = Arc::clone(&self.folder);
                let file = KnownFile { version: VERSION, known: known.clone() };
                let write = move || folder.lock().write(FILE, &file);
                match tokio::task::spawn_blocking(write).await {
                    Ok(Ok(())) => written = known,
                    Ok(Err(error)) => tracing::warn!(%error, "the nodes met are not written down"),
                    Err(error) => tracing::error!(%error, "writing down the nodes met failed"),
                }
            }
            if ended {
                return;
            }
            let mut next = self.known.clone();
            let gone = async { while next.changed().await.is_ok() {} };
            tokio::select! {
                () = tokio::time::sleep(WRITE_EVERY) => {}
                () = gone => {}
            }
        }
    }
}

/// In the data folder.
const FOLDER: &str = "met";
const FILE: &str = "nodes";
/// Of the file.
const VERSION: u8 = 1;
const WRITE_EVERY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_known_at_the_end_is_known_in_the_next_life_and_damage_is_no_end() {
        let folder = tempfile::tempdir().unwrap();
        let (known, memory) = Memory::open(Some(folder.path()));
        assert!(known.is_empty());
        let (memory, keeper) = memory.unwrap();
        let keeper = tokio::spawn(keeper.keep());
        let mut all = Known::new();
        for n in 0..5 {
            all.insert(NodeId::new(&format!("n{n}")).unwrap(), format!("h{n}:1"));
            memory.known.send_replace(all.clone());
            tokio::task::yield_now().await;
        }
        // That all are gone is the least reason to forget them.
        memory.known.send_replace(all.clone());
        drop(memory);
        keeper.await.unwrap();
        let (known, memory) = Memory::open(Some(folder.path()));
        assert_eq!(known, all);
        drop(memory);
        std::fs::write(folder.path().join(FOLDER).join(FILE), b"noise").unwrap();
        let (known, memory) = Memory::open(Some(folder.path()));
        assert!(known.is_empty() && memory.is_some());
        assert!(Memory::open(None).1.is_none());
    }
}
