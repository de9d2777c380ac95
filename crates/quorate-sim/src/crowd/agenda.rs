//! What happens when, and the packets under way.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;

use quorate_core::Instant;

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Act {
    /// The packet in that slot arrives.
    Deliver(u32),
    /// A node wanted to be woken; what it wanted may have changed since.
    Wake(u32),
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
    pub(super) bytes: Vec<u8>,
}

/// The packets under way, each in a slot. Slots and their buffers are used again.
#[derive(Debug, Default)]
pub(super) struct Parcels {
    slots: Vec<Parcel>,
    free: Vec<u32>,
}

impl Parcels {
    pub(super) fn put(&mut self, from: SocketAddr, to: u32, bytes: &[u8]) -> u32 {
        if let Some(slot) = self.free.pop() {
            let parcel = &mut self.slots[slot as usize];
            (parcel.from, parcel.to) = (from, to);
            parcel.bytes.clear();
            parcel.bytes.extend_from_slice(bytes);
            return slot;
        }
        self.slots.push(Parcel { from, to, bytes: bytes.to_vec() });
        (self.slots.len() - 1) as u32
    }

    pub(super) fn get(&self, slot: u32) -> &Parcel {
        &self.slots[slot as usize]
    }

    pub(super) fn done(&mut self, slot: u32) {
        self.free.push(slot);
    }
}
