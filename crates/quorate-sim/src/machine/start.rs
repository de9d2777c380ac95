//! What a machine is started with, and what happens to it.

use quorate_core::{Entry, Instant, Payload, Recovered};

use crate::Seat;

/// What a machine is started with, in each of its lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Its place.
    pub me: Seat,
    /// How many nodes there are.
    pub nodes: u8,
    /// How many lives came before on this node.
    pub life: u32,
    /// Feeds its randomness.
    pub seed: u64,
    /// What its clock shows.
    pub now: Instant,
    /// What its journal holds: see [`super::Wants::persist`].
    pub recovered: Recovered,
}

impl Start {
    /// What an earlier life saved last, with [`super::Wants::save`].
    #[must_use]
    pub fn saved(&self) -> Option<&[u8]> {
        let kept = self.recovered.snapshot.as_ref().map(|snapshot| &*snapshot.state);
        match self.recovered.entries.last() {
            Some(Entry { payload: Payload::Command(bytes), .. }) => Some(bytes),
            _ => kept,
        }
    }

    /// All other places.
    pub fn peers(&self) -> impl Iterator<Item = Seat> + use<> {
        let me = self.me;
        (0..self.nodes).map(Seat).filter(move |seat| *seat != me)
    }
}

/// What happens to a machine, beside the time that passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened<'a> {
    /// A message of a peer arrived, as that peer sent it: perhaps late, twice, out of order.
    Message {
        /// Who sent it.
        from: Seat,
        /// What it says.
        bytes: &'a [u8],
    },
    /// The own stream to a peer is up: only now can something be sent on it.
    Connected(Seat),
    /// The own stream to a peer is down.
    Lost(Seat),
    /// So much of what this life wanted to persist or save, one by one, is durable.
    Persisted {
        /// How many.
        records: u64,
    },
    /// The process is asked to stop, and ends a moment later.
    Stopping,
    /// A client asks.
    Asked {
        /// Comes back with the answer.
        id: u64,
        /// What it asks: what numbers stand for is the machine's business.
        number: u32,
    },
}
