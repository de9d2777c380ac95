//! What the engine runs: programs, the clients that use them, and what must hold.

use quorate_core::Instant;
use quorate_core::Rng;
use quorate_storage::SimDisk;

use crate::{Carrier, Context, Effects, Fault, Label, Observation, Seat, SeatSet, TraceEvent};

/// One life of a process on a simulated node.
pub trait Program {
    /// What clients ask.
    type Request;
    /// What clients are told.
    type Answer;

    /// Applies one input. [`Self::wake`] was called before, if it was due.
    fn input(
        &mut self,
        now: Instant,
        input: Input<'_, Self::Request>,
        out: &mut Effects<Self::Answer>,
    );

    /// Lets time pass.
    fn wake(&mut self, now: Instant, out: &mut Effects<Self::Answer>);

    /// When [`Self::wake`] is next wanted, on the node's own clock.
    fn deadline(&self) -> Option<Instant>;

    /// Hands all records of [`Effects::persist`] so far to the file system, without a sync.
    ///
    /// # Errors
    ///
    /// [`Halt`] ends the process.
    fn write(&mut self) -> Result<(), Halt> {
        Ok(())
    }

    /// Makes durable what [`Self::write`] wrote. [`Input::Persisted`] follows a little later.
    ///
    /// # Errors
    ///
    /// [`Halt`] ends the process.
    fn sync(&mut self) -> Result<(), Halt> {
        Ok(())
    }

    /// Whether it believes to lead: faults may aim at it.
    fn leads(&self) -> bool {
        false
    }
}

/// What happens to a program.
#[derive(Debug)]
pub enum Input<'a, R> {
    /// A peer sent a message.
    Message {
        /// Who.
        from: Seat,
        /// The message, as it was encoded.
        bytes: &'a [u8],
    },
    /// A datagram came.
    Datagram {
        /// From where: an address, not a proof.
        from: Seat,
        /// The datagram, as it was encoded.
        bytes: &'a [u8],
    },
    /// The own stream to a peer is up.
    PeerConnected(Seat),
    /// The own stream to a peer is down.
    PeerLost {
        /// The peer.
        peer: Seat,
        /// Whether its live host refused or reset it, rather than fell silent.
        refused: bool,
    },
    /// The process is asked to stop, and ends a moment later.
    Stop,
    /// What was synced last is durable.
    Persisted,
    /// A client asks.
    Request {
        /// Comes back with the answer.
        id: u64,
        /// What it asks.
        request: R,
    },
}

/// Why a process ends itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halt(pub String);

/// What a process is started with.
#[derive(Debug)]
pub struct Boot {
    /// Its place.
    pub seat: Seat,
    /// How many nodes there are.
    pub nodes: u8,
    /// Its disk. Attach to it anew in every life.
    pub disk: SimDisk,
    /// How many lives came before on this node.
    pub life: u32,
    /// Feeds its randomness.
    pub seed: u64,
    /// What its clock shows.
    pub now: Instant,
}

/// Why a process does not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootRefused {
    /// Its disk is in the way now; it is started again later.
    Later(String),
    /// Its disk is damaged, as it noticed: it stays away for good.
    Damaged(String),
    /// It can never start again: a violation.
    Never(String),
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{invariant}: {message}")]
pub struct Violation {
    /// The invariant's id, as `E1`.
    pub invariant: String,
    /// How it was broken.
    pub message: String,
}

impl Violation {
    /// The invariant that is broken when the code of a node panics: see
    /// [`crate::Sim::run_caught`].
    pub const PANIC: &'static str = "panic";

    /// A broken promise.
    #[must_use]
    pub fn new(invariant: &str, message: impl Into<String>) -> Self {
        Self { invariant: invariant.to_owned(), message: message.into() }
    }
}

/// What the engine runs: how programs start, what clients do, and what must hold after every event.
///
/// Everything but [`Self::boot`] has a default, so that a first simulation is short.
pub trait World {
    /// What runs on the nodes.
    type Program: Program;
    /// What a plan makes clients do.
    type Operation;

    /// The kinds of operations, for the report on which faults met which. At most 64.
    const OPERATIONS: &'static [&'static str] = &[];

    /// Starts a process.
    ///
    /// # Errors
    ///
    /// [`BootRefused`] if its disk does not let it.
    fn boot(
        &mut self,
        boot: Boot,
        out: &mut Effects<Answer<Self>>,
    ) -> Result<Self::Program, BootRefused>;

    /// A client begins operation `index` of the plan.
    fn operation(&mut self, _index: u32, _op: &Self::Operation, _cx: &mut Context<Request<Self>>) {}

    /// A node answered the request `id`.
    fn answered(&mut self, _id: u64, _answer: Answer<Self>, _cx: &mut Context<Request<Self>>) {}

    /// Nobody listens where the request `id` was sent: it had no effect.
    fn refused(&mut self, _id: u64, _cx: &mut Context<Request<Self>>) {}

    /// A moment that [`Context::after`] asked for.
    fn timer(&mut self, _token: u64, _cx: &mut Context<Request<Self>>) {}

    /// Something happened to the program on `seat`; checks what must hold.
    ///
    /// # Errors
    ///
    /// The [`Violation`] that ends the run.
    fn stepped(
        &mut self,
        _seat: Seat,
        _program: &mut Self::Program,
        _cx: &mut Context<Request<Self>>,
    ) -> Result<(), Violation> {
        Ok(())
    }

    /// The process on `seat` ended.
    fn crashed(&mut self, _seat: Seat, _cx: &mut Context<Request<Self>>) {}

    /// A fault of the plan strikes, `seat` if it strikes one node.
    fn struck(&mut self, _fault: &Fault, _seat: Option<Seat>, _cx: &mut Context<Request<Self>>) {}

    /// Whether `fault` may strike `seat` now. A world that promises something about disks lets
    /// those faults through that leave a good copy of all that was acknowledged: see
    /// [`Fault::harms_disk`]. By default none of these.
    fn permits(&self, _seat: Seat, fault: &Fault) -> bool {
        !fault.harms_disk()
    }

    /// The disk of `seat` no longer holds all that it said it holds, or may not.
    fn harmed(&mut self, _seat: Seat) {}

    /// The disk of `seat` is an empty one from now on.
    fn wiped(&mut self, seat: Seat) {
        self.harmed(seat);
    }

    /// The node on `seat` gets another address.
    fn moved(&mut self, _seat: Seat, _rng: &mut Rng) {}

    /// Turns a datagram into one that a node of another cluster sent.
    fn estrange(&mut self, _datagram: &mut Vec<u8>) {}

    /// Whether more was lost than any promise covers. It ends the run without a verdict.
    fn is_beyond(&self) -> bool {
        false
    }

    /// Chooses those that must make progress in the calm phase: a quorum.
    fn core(&mut self, nodes: u8, rng: &mut Rng) -> SeatSet {
        let mut seats: Vec<Seat> = (0..nodes).map(Seat).collect();
        rng.shuffle(&mut seats);
        seats.into_iter().take(usize::from(nodes) / 2 + 1).collect()
    }

    /// Whether progress can be demanded at all, of any core: enough disks are whole.
    fn is_recoverable(&self) -> bool {
        true
    }

    /// The calm phase begins: faults have ended inside `core`. A good time to demand something.
    fn calm(&mut self, _core: SeatSet, _cx: &mut Context<Request<Self>>) {}

    /// Whether the progress demanded in the calm phase was made; it ends the run.
    fn is_satisfied(&self) -> bool {
        true
    }

    /// Progress was not made in time: the promise that breaks.
    fn unsatisfied(&self) -> Violation {
        Violation::new("E8", "no progress in the calm phase")
    }

    /// The run is over; a last look at what can be judged only as a whole.
    ///
    /// # Errors
    ///
    /// The [`Violation`] found.
    fn finished(&mut self) -> Result<(), Violation> {
        Ok(())
    }

    /// What can be said of a run only afterwards, for its trace: when operations took effect.
    fn hindsight(&self, _trace: &[TraceEvent]) -> Vec<TraceEvent> {
        Vec::new()
    }

    /// A message in words, for traces and timelines.
    fn describe(&self, bytes: &[u8], _carrier: Carrier) -> Label {
        let text = format!("{} bytes", bytes.len());
        Label::new(text.clone(), text)
    }

    /// What there is to see of a node, for a timeline. Asked after each of its steps while a trace
    /// is kept; `None` if there is nothing.
    fn observe(&self, _seat: Seat, _program: &Self::Program) -> Option<Observation> {
        None
    }
}

/// What clients of a world ask.
pub type Request<W> = <<W as World>::Program as Program>::Request;

/// What clients of a world are told.
pub type Answer<W> = <<W as World>::Program as Program>::Answer;
