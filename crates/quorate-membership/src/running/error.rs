//! Why a membership does not run.

use std::io;
use std::net::SocketAddr;

use quorate_core::NodeId;
use quorate_tokio::{BindError, FolderError};

use crate::{ConfigError, TagsError};

/// Why a membership was not started. Nothing runs then, and nothing is bound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The values do not fit together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What the node would say of itself is too long.
    #[error(transparent)]
    Tags(#[from] TagsError),
    /// It would listen to everybody.
    #[error(
        "whoever reaches {bind} could forge members: set a keyring, or call insecure(true) if the \
         network itself keeps strangers out"
    )]
    NoKeyring {
        /// Where it would listen.
        bind: SocketAddr,
    },
    /// It would listen on all interfaces, and others would not know which to dial.
    #[error(
        "{bind} is no address that others can dial: say which with advertise, as in 10.0.0.5:0"
    )]
    NoAdvertise {
        /// Where it would listen.
        bind: SocketAddr,
    },
    /// A seed is a name of DNS SRV, and the build cannot ask for those.
    #[error("seed `{seed}` is a name of DNS SRV: build with feature `srv`, or write host:port")]
    NoSrv {
        /// The seed.
        seed: String,
    },
    /// The port cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The data folder cannot be used: another process has it, most likely.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The data folder cannot be read or written.
    #[error("the data folder failed: check its disk and permissions")]
    Disk(#[from] io::Error),
    /// The data folder is that of another node.
    #[error("the data folder is that of node {theirs}, not {ours}: give each node its own")]
    OtherNode {
        /// The name asked for.
        ours: NodeId,
        /// The name in the folder.
        theirs: NodeId,
    },
}

/// Why a running membership did not take an order; nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// What the node would say of itself is too long.
    #[error(transparent)]
    Tags(#[from] TagsError),
    /// What is to be told to all is too long.
    #[error("{bytes} bytes are too many to be told to all: tell where to fetch them, in 512")]
    TooLong {
        /// How many bytes.
        bytes: usize,
    },
    /// It has ended.
    #[error("the membership has ended: start it again")]
    Ended,
}

/// A node went without all others knowing it. It has ended all the same; to those who do not know it
/// is a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeaveError {
    /// Some did not acknowledge it in time.
    #[error("not everybody heard in time that this node leaves")]
    NotSpread,
    /// It had ended before.
    #[error("the membership had ended already")]
    Ended,
}

/// Why a membership ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// It left, or its last handle was dropped.
    Asked,
    /// Another process runs under its name: one that was started later, or one that still answers at
    /// the address that the others know. It ends only if members alone can say so: with keys, or on
    /// loopback. Else anybody could end it, and it is an event and no more.
    DuplicateId,
}
