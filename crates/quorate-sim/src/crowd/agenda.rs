//! What happens when, and the packets under way.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;

use quorate_core::Instant;

use crate::crowd::gossiper::{Came, Over};

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Act {
    /// The packet in that slot arrives.
    Deliver(u32),
    /// A node wanted to be woken; what it wanted may have changed since.
    Wake(u32),
    /// The stall of a node ends; it may have been made longer since.
    GoOn(u32),
}

/// One heap for all, in the order of time and then of what was put in first.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<(Instant, u64, Act)>>,
    sequence: u64,
}

impl Agenda {
    pub(super) fn push(&mut self, at: Instant, act: Act) {
        self.sequence += 1;
        self.heap.push(Reverse((at, self.sequence, act)));
    }

    /// The next one that is due at or before `until`.
    pub(super) fn pop(&mut self, until: Instant) -> Option<(Instant, Act)> {
        if self.heap.peek()?.0.0 > until {
            return None;
        }
        self.heap.pop().map(|Reverse((at, _, act))| (at, act))
    }
}

/// A packet under way.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) from: SocketAddr,
    /// The number of the address it goes to.
    pub(super) to: u32,
    pub(super) over: Over,
    pub(super) bytes: Vec<u8>,
}

impl Parcel {
    pub(super) fn came(&self) -> Came<'_> {
        Came { from: self.from, over: self.over, bytes: &self.bytes }
    }
}

/// The packets under way, each in a slot. Slots and their buffers are used again.
#[derive(Debug, Default)]
pub(super) struct Parcels {
    slots: Vec<Parcel>,
    free: Vec<u32>,
}

impl Parcels {
    pub(super) fn put(&mut self, to: u32, came: Came<'_>) -> u32 {
        let Came { from, over, bytes } = came;
        if let Some(slot) = self.free.pop() {
            let parcel = &mut self.slots[slot as usize];
            (parcel.from, parcel.to, parcel.over) = (from, to, over);
            parcel.bytes.clear();
            parcel.bytes.extend_from_slice(bytes);
            return slot;
        }
        self.slots.push(Parcel { from, to, over, bytes: bytes.to_vec() });
        (self.slots.len() - 1) as u32
    }

    /// Takes the packet out and frees its slot; give its buffer [`back`](Self::back).
    pub(super) fn take(&mut self, slot: u32) -> Parcel {
        let parcel = &mut self.slots[slot as usize];
        let bytes = std::mem::take(&mut parcel.bytes);
        self.free.push(slot);
        Parcel { bytes, ..*parcel }
    }

    /// The buffer of a packet that is done with is used again.
    pub(super) fn back(&mut self, bytes: Vec<u8>) {
        if let Some(slot) = self.free.last() {
            self.slots[*slot as usize].bytes = bytes;
        }
    }

    pub(super) fn get(&self, slot: u32) -> &Parcel {
        &self.slots[slot as usize]
    }

    pub(super) fn done(&mut self, slot: u32) {
        self.free.push(slot);
    }
}
