//! The shape of every protocol.

use crate::Instant;

/// A protocol without input and output of its own: it is told what happened and when, and answers
/// with plain data that a driver carries out.
///
/// # Laws
///
/// 1. **Time.** `now` never decreases from call to call (the driver's duty).
/// 2. **Determinism.** Equal seeds and equal calls give equal outputs, byte for byte.
/// 3. **Patience.** [`wake`](Self::wake) before [`deadline`](Self::deadline) changes nothing.
/// 4. **Progress.** After `wake(now)`, `deadline()` is `None` or later than `now`.
/// 5. **Order.** Outputs are carried out in order. What follows a record to persist leaves the
///    node only when that record is durable, unless its type says that it may overtake; the
///    machine keeps running meanwhile.
/// 6. **Totality.** No input from a peer can make a machine panic.
///
/// [`check_laws`](crate::check_laws) checks 2 to 4 over a script.
pub trait Machine {
    /// What happened.
    type Input;
    /// What to do about it.
    type Output;

    /// Applies one input.
    fn handle(&mut self, now: Instant, input: Self::Input, out: &mut Outbox<Self::Output>);

    /// Lets time pass: fires everything due at or before `now`.
    fn wake(&mut self, now: Instant, out: &mut Outbox<Self::Output>);

    /// When `wake` is next wanted; `None` until the next input. May be in the past: then `wake` is
    /// wanted at once.
    fn deadline(&self) -> Option<Instant>;
}

/// Where a machine puts its outputs: a buffer of the caller, reused from call to call.
#[derive(Debug)]
pub struct Outbox<O> {
    items: Vec<O>,
}

impl<O> Outbox<O> {
    /// An empty buffer.
    #[must_use]
    pub const fn new() -> Self {
        Self { items: Vec::new() }
    }

    /// Adds an output behind the others.
    pub fn push(&mut self, output: O) {
        self.items.push(output);
    }

    /// Takes all outputs in their order; the buffer keeps its room.
    pub fn drain(&mut self) -> std::vec::Drain<'_, O> {
        self.items.drain(..)
    }

    /// The outputs so far.
    #[must_use]
    pub fn as_slice(&self) -> &[O] {
        &self.items
    }

    /// Whether there is no output.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many outputs there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.items.len()
    }
}

impl<O> Default for Outbox<O> {
    fn default() -> Self {
        Self::new()
    }
}

/// How urgent a message to a peer is; a transport sends the lower lane first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Votes, heartbeats, probes: small, and late is lost.
    Urgent,
    /// Acknowledgements.
    Ack,
    /// New entries.
    Live,
    /// Old entries for a replica that is behind, and forwarded requests.
    CatchUp,
    /// Pieces of a snapshot.
    Snapshot,
}

impl Lane {
    /// All lanes, the most urgent first.
    pub const ALL: [Self; 5] = [Self::Urgent, Self::Ack, Self::Live, Self::CatchUp, Self::Snapshot];
}
