//! What a node remembers of its earlier lives.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use quorate_core::{BootEpoch, NodeId};
use quorate_tokio::{ReadError, StateFolder, boot_by_clock, entropy};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::StartError;

/// The peers that a node knew, with their addresses: those that answered and those that did not.
pub(super) type Peers = BTreeMap<NodeId, String>;

/// What a data folder held.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) id: NodeId,
    pub(super) boot: BootEpoch,
    pub(super) peers: Peers,
    /// The files that were damaged, and are ignored.
    pub(super) damaged: Vec<&'static str>,
    /// `None` if there is no folder.
    pub(super) folder: Option<StateFolder>,
}

#[derive(Serialize, Deserialize)]
struct NodeFile {
    version: u8,
    id: NodeId,
    boot: BootEpoch,
}

#[derive(Serialize, Deserialize)]
struct PeersFile {
    version: u8,
    peers: Peers,
}

impl Memory {
    /// Of a node without a folder.
    pub(super) fn none(id: Option<NodeId>) -> Self {
        let id = id.unwrap_or_else(made_up);
        let (peers, damaged) = (Peers::new(), Vec::new());
        Self { id, boot: boot_by_clock(), peers, damaged, folder: None }
    }

    /// Opens and locks the folder, and counts the start in it. Waits for the disk.
    pub(super) fn open(path: &Path, id: Option<NodeId>) -> Result<Self, StartError> {
        let mut folder = StateFolder::open(path)?;
        let mut damaged = Vec::new();
        let known: Option<NodeFile> = read(&mut folder, NODE, &mut damaged)?;
        let peers: Option<PeersFile> = read(&mut folder, PEERS, &mut damaged)?;
        let known = known.filter(|file| file.version == VERSION);
        let peers = peers.filter(|file| file.version == VERSION);
        let id = match (id, &known) {
            (Some(ours), Some(known)) if ours != known.id => {
                return Err(StartError::OtherNode { ours, theirs: known.id.clone() });
            }
            (Some(id), _) => id,
            (None, Some(known)) => known.id.clone(),
            (None, None) => made_up(),
        };
        // Above every earlier life: those that this folder counted, also if the clock was set back;
        // and those before there was a folder, or whose file is damaged, by the clock.
        let counted = known.map_or(BootEpoch::ZERO, |known| known.boot.next());
        let boot = counted.max(boot_by_clock());
        folder.write(NODE, &NodeFile { version: VERSION, id: id.clone(), boot })?;
        let peers = peers.map_or_else(Peers::new, |file| file.peers);
        Ok(Self { id, boot, peers, damaged, folder: Some(folder) })
    }
}

fn read<T: serde::de::DeserializeOwned>(
    folder: &mut StateFolder,
    name: &'static str,
    damaged: &mut Vec<&'static str>,
) -> Result<Option<T>, StartError> {
    match folder.read(name) {
        Ok(found) => Ok(found),
        Err(ReadError::Disk(error)) => Err(error.into()),
        Err(error) => {
            tracing::warn!(file = name, %error, "a file of the data folder is damaged and ignored");
            damaged.push(name);
            Ok(None)
        }
    }
}

/// Writes the peers down when they change, every few seconds at most, and once more at the end,
/// when the sender is gone.
pub(super) async fn keep(folder: StateFolder, mut peers: watch::Receiver<Peers>) {
    let folder = std::sync::Arc::new(Mutex::new(folder));
    let mut written = peers.borrow_and_update().clone();
    loop {
        let ended = peers.changed().await.is_err();
        let known = peers.borrow_and_update().clone();
        if known != written {
            let (to, file) = (folder.clone(), PeersFile { version: VERSION, peers: known.clone() });
            let write = move || {
                let mut folder = to.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                folder.write(PEERS, &file)
            };
            match tokio::task::spawn_blocking(write).await {
                Ok(Ok(())) => written = known,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the known peers could not be written down");
                }
                Err(error) => tracing::error!(%error, "writing the known peers failed"),
            }
        }
        if ended {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(WRITE_EVERY) => {}
            () = closed(&peers) => {}
        }
    }
}

/// Returns once the sender is gone.
async fn closed(peers: &watch::Receiver<Peers>) {
    let mut peers = peers.clone();
    while peers.changed().await.is_ok() {}
}

/// A name for a node that was given none.
fn made_up() -> NodeId {
    let text = format!("node-{:012x}", entropy() & 0xffff_ffff_ffff);
    NodeId::new(&text).expect("letters, a dash and digits are a name")
}

/// Its name and the count of its starts.
const NODE: &str = "node";
const PEERS: &str = "peers";
/// Of the files.
const VERSION: u8 = 1;
const WRITE_EVERY: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> NodeId {
        NodeId::new(name).unwrap()
    }

    #[test]
    fn each_start_has_a_higher_boot_epoch_with_a_folder_or_without() {
        let folder = tempfile::tempdir().unwrap();
        let mut last = Memory::none(None).boot;
        for turn in 0..20 {
            let memory = if turn % 3 == 0 {
                Memory::none(None)
            } else {
                Memory::open(folder.path(), None).unwrap()
            };
            assert!(memory.boot > last, "{turn}");
            last = memory.boot;
        }
        assert!(last.0 < 1 << 32, "short on the wire");
    }

    #[test]
    fn a_folder_is_that_of_one_node() {
        let folder = tempfile::tempdir().unwrap();
        let made_up = Memory::open(folder.path(), None).unwrap().id;
        assert_eq!(Memory::open(folder.path(), None).unwrap().id, made_up);
        assert_eq!(Memory::open(folder.path(), Some(made_up.clone())).unwrap().id, made_up);
        let other = Memory::open(folder.path(), Some(id("other")));
        assert!(matches!(other, Err(StartError::OtherNode { theirs, .. }) if theirs == made_up));
    }

    #[test]
    fn a_damaged_file_is_told_and_ignored_and_the_next_life_is_higher_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let first = Memory::open(folder.path(), Some(id("a"))).unwrap();
        let mut files = first.folder.unwrap();
        let peers = Peers::from([(id("b"), "b:1".to_owned())]);
        files.write(PEERS, &PeersFile { version: VERSION, peers: peers.clone() }).unwrap();
        drop(files);
        let second = Memory::open(folder.path(), None).unwrap();
        assert_eq!((second.peers, second.damaged.len()), (peers.clone(), 0));
        drop(second.folder);
        std::fs::write(folder.path().join(NODE), b"noise").unwrap();
        let third = Memory::open(folder.path(), Some(id("a"))).unwrap();
        assert_eq!((third.damaged, third.peers), (vec![NODE], peers));
        assert!(third.boot > second.boot);
        drop(third.folder);
        std::fs::write(folder.path().join(PEERS), b"").unwrap();
        let fourth = Memory::open(folder.path(), Some(id("a"))).unwrap();
        assert_eq!((fourth.damaged, fourth.peers), (vec![PEERS], Peers::new()));
    }

    #[tokio::test]
    async fn peers_are_written_when_the_node_ends() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::open(folder.path(), Some(id("a"))).unwrap();
        let (known, peers) = watch::channel(memory.peers);
        let keeper = tokio::spawn(keep(memory.folder.unwrap(), peers));
        let all: Peers = (0..5).map(|n| (id(&format!("n{n}")), format!("h{n}:1"))).collect();
        for (name, address) in &all {
            known.send_modify(|peers| drop(peers.insert(name.clone(), address.clone())));
            tokio::task::yield_now().await;
        }
        drop(known);
        keeper.await.unwrap();
        assert_eq!(Memory::open(folder.path(), None).unwrap().peers, all);
    }
}
