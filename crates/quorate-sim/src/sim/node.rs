//! A simulated node: its process, disk and clock.

use std::collections::VecDeque;

use quorate_core::Instant;
use quorate_storage::{DiskImage, SimDisk};

use crate::agenda::Event;
use crate::clock::LocalClock;
use crate::{CutPoint, DiskLoss};

/// A node of the run.
#[derive(Debug)]
pub(super) struct Node<P> {
    /// The process; `None` while it is down.
    pub(super) program: Option<P>,
    /// How many lives began.
    pub(super) life: u32,
    pub(super) disk: SimDisk,
    pub(super) stage: DiskStage,
    /// Whether records wait for the disk.
    pub(super) disk_wanted: bool,
    pub(super) stalled_until: u64,
    pub(super) clock: LocalClock,
    /// The moment of the earliest wake on the agenda that counts; `u64::MAX` if there is none.
    pub(super) wake_at: u64,
    /// The deadline that wake is for, on the node's clock.
    pub(super) wake_for: Instant,
    /// What the program said last of when it wants to be woken.
    pub(super) due: Option<Instant>,
    /// Zero, or when the pause ends.
    pub(super) paused_until: u64,
    /// What happened while it was paused, or in the kernel's buffers.
    pub(super) backlog: VecDeque<Event>,
    pub(super) cut: Option<Cut>,
    /// How long it takes for each thing it does, beyond what that takes on the network and disk.
    pub(super) cost: u64,
    /// What it does not get to handle.
    pub(super) starved_of: Option<Starved>,
    /// Whether the first read of its next start fails.
    pub(super) fails_reading: bool,
    /// The disk as the process that runs found it, if a fault may want it back.
    pub(super) image: Option<DiskImage>,
    /// Down for good: the calm phase left it out.
    pub(super) is_gone: bool,
}

/// A crash that waits for its point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub(super) point: CutPoint,
    pub(super) disk: DiskLoss,
    pub(super) down: u64,
}

/// What a process does not get to handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Starved {
    /// Its timers.
    Timers,
    /// Everything but them.
    Messages,
}

/// What the disk does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DiskStage {
    Idle,
    Write,
    Sync,
    Tell,
}

impl<P> Node<P> {
    pub(super) fn new() -> Self {
        Self {
            program: None,
            life: 0,
            disk: SimDisk::new(),
            stage: DiskStage::Idle,
            disk_wanted: false,
            stalled_until: 0,
            clock: LocalClock::new(),
            wake_at: u64::MAX,
            wake_for: Instant::FAR,
            due: None,
            paused_until: 0,
            backlog: VecDeque::new(),
            cut: None,
            cost: 0,
            starved_of: None,
            fails_reading: false,
            image: None,
            is_gone: false,
        }
    }

    pub(super) const fn is_paused(&self) -> bool {
        self.paused_until > 0
    }
}
