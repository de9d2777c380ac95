//! Exit codes of `quorated`: what an init system may conclude from the end of the process.

use std::io::ErrorKind;
use std::process::ExitCode;

use quorate::{FolderError, NodeError, OpenError, StartError, StopReason};

/// How the process ended, when not well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Wrong flags or configuration; starting again cannot help.
    Usage = 64,
    /// The storage is damaged and cannot be repaired from here.
    Damaged = 65,
    /// Another process uses the data folder.
    Locked = 66,
    /// Another node bears this id.
    DuplicateId = 67,
    /// The data folder belongs to another node.
    Foreign = 68,
    /// Anything else: the disk is full or failed, a bug.
    Internal = 70,
}

impl Exit {
    pub(crate) fn of_start(error: &StartError) -> Self {
        match error {
            StartError::NothingEnabled
            | StartError::NoDataDir
            | StartError::NoSrv { .. }
            | StartError::Keyring(_)
            | StartError::Bind(_)
            | StartError::Id(_) => Self::Usage,
            StartError::Folder(error) => Self::of_folder(error),
            // Nothing is damaged there: with some room, or a working disk, it starts.
            StartError::Journal(OpenError::Full { .. } | OpenError::Disk { .. }) => Self::Internal,
            StartError::Journal(_) | StartError::Node(NodeError::Snapshot(_)) => Self::Damaged,
            StartError::Node(NodeError::OtherNode { .. }) => Self::Foreign,
            _ => Self::Internal,
        }
    }

    fn of_folder(error: &FolderError) -> Self {
        match error {
            FolderError::Locked { .. } => Self::Locked,
            FolderError::Unusable { source, .. } if source.kind() == ErrorKind::StorageFull => {
                Self::Internal
            }
            _ => Self::Usage,
        }
    }

    pub(crate) const fn of_stop(reason: &StopReason) -> Self {
        match reason {
            StopReason::DuplicateId(_) => Self::DuplicateId,
            _ => Self::Internal,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
