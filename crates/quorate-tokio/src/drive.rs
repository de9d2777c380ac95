//! The loop that turns a machine.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quorate_core::{Clock, Instant, Machine, Outbox};
use tokio::sync::mpsc;

use crate::clock::Alarm;

/// Carries out what a machine puts out. Must never wait: what takes time is handed to a thread or
/// a task, and its end comes back as an input.
///
/// A closure `FnMut(Instant, M::Output) -> Result<(), E>` is one.
pub trait Perform<M: Machine> {
    /// Why the node must stop.
    type Error;

    /// Carries out one output. They come in their order.
    ///
    /// # Errors
    ///
    /// What must end the loop; the outputs behind this one are dropped.
    fn perform(&mut self, now: Instant, output: M::Output) -> Result<(), Self::Error>;

    /// After each turn, all its outputs carried out: the place to publish a view of the machine.
    ///
    /// # Errors
    ///
    /// What must end the loop.
    fn turned(&mut self, now: Instant, machine: &M) -> Result<(), Self::Error> {
        let _ = (now, machine);
        Ok(())
    }
}

impl<M, F, E> Perform<M> for F
where
    M: Machine,
    F: FnMut(Instant, M::Output) -> Result<(), E>,
{
    type Error = E;

    fn perform(&mut self, now: Instant, output: M::Output) -> Result<(), E> {
        self(now, output)
    }
}

/// Why [`drive`] returned without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriveEnd {
    /// The shutdown signal came.
    Shutdown,
    /// Every sender of inputs is gone.
    InputsClosed,
}

/// When a loop last turned: what `/livez` asks. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// A pulse that has not beaten yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// When the loop last began or ended a turn; [`Instant::ZERO`] before the first.
    ///
    /// An idle loop turns at least once in [`IDLE_MAX`].
    #[must_use]
    pub fn last_turned(&self) -> Instant {
        Instant::from_nanos(self.0.load(Ordering::Relaxed))
    }

    fn beat(&self, now: Instant) {
        self.0.store(now.as_nanos(), Ordering::Relaxed);
    }
}

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pulse").field(&self.last_turned()).finish()
    }
}

/// The longest a loop without inputs and deadlines stands still, so that its [`Pulse`] goes on.
pub const IDLE_MAX: Duration = Duration::from_secs(1);

/// Adds the inputs that wait to `batch`, up to [`BATCH`] in all.
fn take_waiting<I>(inputs: &mut mpsc::Receiver<I>, batch: &mut Vec<I>) {
    while batch.len() < BATCH
        && let Ok(input) = inputs.try_recv()
    {
        batch.push(input);
    }
}

/// How many inputs one turn takes at most. Their outputs form one batch for the disk; more would
/// only delay the first of them.
const BATCH: usize = 512;

/// Turns `machine` until `shutdown` is ready, the inputs end or an output cannot be carried out.
///
/// A turn takes the inputs that wait (up to a bound), lets time pass, applies them, and lets time
/// pass again if the machine asks for it (machines flush what they batched there). Then the
/// outputs are carried out in order. `shutdown` ends the loop between two turns; a machine that
/// has to say goodbye is told by an input first.
///
/// # Errors
///
/// The first error of `perform`.
///
/// # Cancel safety
///
/// Not safe while inputs are received: a batch that was taken may be lost with the future. Use
/// `shutdown`.
pub async fn drive<M: Machine, P: Perform<M>>(
    machine: &mut M,
    clock: &impl Clock,
    inputs: &mut mpsc::Receiver<M::Input>,
    perform: &mut P,
    pulse: &Pulse,
    shutdown: impl Future<Output = ()>,
) -> Result<DriveEnd, P::Error> {
    let mut shutdown = std::pin::pin!(shutdown);
    let mut batch = Vec::with_capacity(BATCH);
    let mut out = Outbox::new();
    let mut alarm = Alarm::new();
    let mut now = clock.now();
    loop {
        let idle = now + IDLE_MAX;
        let due = machine.deadline().map_or(idle, |deadline| deadline.min(idle));
        tokio::select! {
            // In this order a flood of inputs cannot hold the signal back. It cannot hold time
            // back either, because every turn wakes the machine.
            biased;
            () = &mut shutdown => return Ok(DriveEnd::Shutdown),
            received = inputs.recv_many(&mut batch, BATCH) => {
                if received == 0 {
                    return Ok(DriveEnd::InputsClosed);
                }
                // Whoever is about to bring more does so first: a turn for many inputs is one
                // record and one message to each peer, instead of many small ones. When nobody
                // is, this costs one look at the sockets.
                tokio::task::yield_now().await;
                take_waiting(inputs, &mut batch);
            }
            () = alarm.ring(clock, due) => {}
        }
        now = now.max(clock.now());
        pulse.beat(now);
        // Early calls change nothing, so there is no need to ask who woke us.
        machine.wake(now, &mut out);
        for input in batch.drain(..) {
            machine.handle(now, input, &mut out);
        }
        if machine.deadline().is_some_and(|deadline| deadline <= now) {
            machine.wake(now, &mut out);
        }
        for output in out.drain() {
            perform.perform(now, output)?;
        }
        perform.turned(now, machine)?;
    }
}
