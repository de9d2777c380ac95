//! What a machine's outputs want.

use bytes::Bytes;
use quorate_core::Record;

use crate::{Copies, Seat};

/// Where the outputs of a machine become effects.
#[derive(Debug, Default)]
pub struct Wants {
    pub(super) items: Vec<Want>,
}

/// An effect, before what it rests on is durable.
#[derive(Debug)]
pub(super) enum Want {
    Send { to: To, copies: Copies, bytes: Bytes },
    Overtake { to: Seat, bytes: Bytes },
    Datagram { to: Seat, bytes: Bytes },
    Persist(Box<Record>),
    Save(Bytes),
    Reply { id: u64, answer: Bytes },
}

/// To whom.
#[derive(Debug, Clone, Copy)]
pub(super) enum To {
    One(Seat),
    All,
}

impl Wants {
    /// Send a message on the stream to a peer, if that is up. It may arrive several times.
    pub fn send(&mut self, to: Seat, bytes: impl AsRef<[u8]>) {
        let (to, copies, bytes) = (To::One(to), Copies::Any, copy(bytes));
        self.items.push(Want::Send { to, copies, bytes });
    }

    /// Send a message to all others.
    pub fn send_all(&mut self, bytes: impl AsRef<[u8]>) {
        self.items.push(Want::Send { to: To::All, copies: Copies::Any, bytes: copy(bytes) });
    }

    /// As [`Self::send`], but it arrives once or not at all: the faults repeat it never.
    pub fn send_once(&mut self, to: Seat, bytes: impl AsRef<[u8]>) {
        let (to, copies, bytes) = (To::One(to), Copies::AtMostOnce, copy(bytes));
        self.items.push(Want::Send { to, copies, bytes });
    }

    /// As [`Self::send`], but at once: it does not wait until what stands before it is durable.
    pub fn send_now(&mut self, to: Seat, bytes: impl AsRef<[u8]>) {
        self.items.push(Want::Overtake { to, bytes: copy(bytes) });
    }

    /// Send a datagram: it needs no stream, and may be lost at any time.
    pub fn datagram(&mut self, to: Seat, bytes: impl AsRef<[u8]>) {
        self.items.push(Want::Datagram { to, bytes: copy(bytes) });
    }

    /// Make `bytes` durable in place of what was saved before; the next life finds them in
    /// [`super::Start::saved`]. Not to be mixed with [`Self::persist`].
    pub fn save(&mut self, bytes: impl AsRef<[u8]>) {
        self.items.push(Want::Save(copy(bytes)));
    }

    /// Append a record to the journal; the next life finds it in [`super::Start::recovered`].
    pub fn persist(&mut self, record: Record) {
        self.items.push(Want::Persist(Box::new(record)));
    }

    /// Answer the client that asked `id`.
    pub fn reply(&mut self, id: u64, answer: impl AsRef<[u8]>) {
        self.items.push(Want::Reply { id, answer: copy(answer) });
    }
}

fn copy(bytes: impl AsRef<[u8]>) -> Bytes {
    Bytes::copy_from_slice(bytes.as_ref())
}
