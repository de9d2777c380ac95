//! Why a node did not start, why it stopped, and why a call did not succeed.

use std::io;

use quorate_core::InvalidNodeId;
use quorate_storage::{FolderError, OpenError};
use quorate_tokio::BindError;

use super::KeyringError;
use crate::{Doubt, Failure, NodeError};

/// Why a node did not start. Nothing of it runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Nothing is enabled.
    #[error("nothing is enabled: set `state.enabled` or `cluster.enabled`")]
    NothingEnabled,
    /// There is no folder to keep the journal in.
    #[error("`node.data_dir` is not set: name a folder that belongs to this node alone")]
    NoDataDir,
    /// A seed is a name of DNS SRV, and the build cannot ask for those.
    #[error("seed `{seed}` is a name of DNS SRV: build with feature `srv`, or write host:port")]
    NoSrv {
        /// The seed.
        seed: String,
    },
    /// The keyring cannot be had.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The data folder cannot be used, or another process uses it.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The journal cannot be read.
    #[error("the journal cannot be opened")]
    Journal(#[from] OpenError),
    /// The journal cannot be written.
    #[error("the journal cannot be written")]
    Write(#[from] quorate_storage::WriteError),
    /// A port cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// What the disk holds does not fit this node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The host's name makes no node id.
    #[error("no node id is set and none can be made")]
    Id(#[from] InvalidNodeId),
    /// The storage thread could not be started.
    #[error("the storage thread could not be started")]
    Thread(#[source] io::Error),
}

/// Why a running node stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StopReason {
    /// It was asked to.
    #[error("asked to stop")]
    Asked,
    /// The disk failed: nothing more can be promised.
    #[error("the journal failed: {0}")]
    Storage(String),
    /// A snapshot of the leader cannot be read by this version.
    #[error("a snapshot cannot be restored: {0}")]
    Snapshot(String),
    /// The disk is full: nothing more can be promised.
    #[error("the disk is full: free space and start again; nothing acknowledged is lost")]
    DiskFull,
    /// Another node of this name is in the cluster.
    #[error("{0}")]
    DuplicateId(String),
}

/// Why a write did not succeed, and what that says about the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// It had and will have no effect.
    #[error(transparent)]
    Failed(Failure),
    /// It may have had an effect, or may yet. With a session, retry with the same number.
    #[error(transparent)]
    Unknown(Doubt),
    /// The shared state is off.
    #[error("the shared state is off: set `state.enabled`")]
    Disabled,
}

/// Why the lead was not handed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandOverError {
    /// The leader leads on, or there is none.
    #[error(transparent)]
    Failed(Failure),
    /// The lead may have gone to the heir, or to another: see who leads.
    #[error(transparent)]
    Unknown(Doubt),
}

/// Why a read did not succeed; a read never has an effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// What stood in its way.
    #[error(transparent)]
    Failed(Failure),
    /// The shared state is off.
    #[error("the shared state is off: set `state.enabled`")]
    Disabled,
}
