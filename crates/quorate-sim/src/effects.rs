//! What a program wants done after a step.

use quorate_core::Lane;

use crate::Seat;

/// What a program wants done.
#[derive(Debug)]
pub(crate) enum Effect<A> {
    Persist,
    Send { to: Seat, lane: Lane, copies: Copies, bytes: Vec<u8> },
    Datagram { to: Seat, bytes: Vec<u8> },
    Reply { id: u64, answer: A },
    Hang { from: Seat },
}

/// How often a message may reach its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copies {
    /// Also several times, and late: the fault `N4` may repeat it.
    Any,
    /// Once or not at all, by the promise of a stream that is never replayed.
    AtMostOnce,
}

/// Where a program puts what it wants done: carried out in order, after the step, unless the
/// process ends in between. Buffers are reused.
#[derive(Debug)]
pub struct Effects<A> {
    pub(crate) items: Vec<Effect<A>>,
    pub(crate) spare: Vec<Vec<u8>>,
}

impl<A> Effects<A> {
    pub(crate) const fn new() -> Self {
        Self { items: Vec::new(), spare: Vec::new() }
    }

    /// There are records for the disk: [`crate::Program::write`] is wanted.
    pub fn persist(&mut self) {
        self.items.push(Effect::Persist);
    }

    /// Send a message, which `encode` writes into an empty buffer.
    pub fn send(
        &mut self,
        to: Seat,
        lane: Lane,
        copies: Copies,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        let mut bytes = self.spare.pop().unwrap_or_default();
        encode(&mut bytes);
        self.items.push(Effect::Send { to, lane, copies, bytes });
    }

    /// Send a datagram, which `encode` writes into an empty buffer: it needs no stream, may arrive
    /// in any order, twice or never, and may be sent to oneself.
    pub fn datagram(&mut self, to: Seat, encode: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.spare.pop().unwrap_or_default();
        encode(&mut bytes);
        self.items.push(Effect::Datagram { to, bytes });
    }

    /// Answer the client's request `id`.
    pub fn reply(&mut self, id: u64, answer: A) {
        self.items.push(Effect::Reply { id, answer });
    }

    /// Let go of the stream on which `from` sends: what came on it makes no sense.
    pub fn hang_up(&mut self, from: Seat) {
        self.items.push(Effect::Hang { from });
    }

    pub(crate) fn give_back(&mut self, mut bytes: Vec<u8>) {
        // A few large buffers must not live for ever.
        if self.spare.len() < 256 && bytes.capacity() <= 1 << 16 {
            bytes.clear();
            self.spare.push(bytes);
        }
    }
}
