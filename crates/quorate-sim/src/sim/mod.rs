//! The loop: takes the next event, lets it happen, lets the world check.

mod calm;
mod clients;
mod disk;
mod faults;
mod node;
mod process;
mod streams;
mod tracing;

use std::fmt;
use std::panic::{self, AssertUnwindSafe};

use quorate_core::{Rng, play_rare, rare_taken};

use crate::agenda::{Agenda, Event};
use crate::effects::Effects;
use crate::network::Network;
use crate::recorder::Recorder;
use crate::slots::Slots;
use crate::trace::TraceHash;
use crate::world::{Answer, Request};
use crate::{Context, FaultSet, Plan, Report, Seat, SeatSet, TraceKind, Violation, World};
use faults::Active;
use node::Node;

/// A run of a [`World`] under a [`Plan`].
pub struct Sim<'a, W: World> {
    world: W,
    plan: &'a Plan<W::Operation>,
    time: u64,
    agenda: Agenda,
    network: Network,
    nodes: Vec<Node<W::Program>>,
    messages: Slots<Message>,
    asks: Slots<(Seat, u64, Request<W>)>,
    answers: Slots<(Seat, u64, Answer<W>)>,
    /// Messages that wait for the end of a partition.
    held: Vec<Message>,
    active: Vec<Active>,
    /// Faults of clocks, which last once they struck.
    clocks_off: FaultSet,
    /// Whether a fault of the plan wants disks as they were.
    keeps_images: bool,
    effects: Effects<Answer<W>>,
    context: Context<Request<W>>,
    trace: TraceHash,
    events: u64,
    /// Events at this very moment.
    at_once: u64,
    event_limit: u64,
    violation: Option<Violation>,
    is_over: bool,
    is_beyond: bool,
    /// Whose step showed the violation.
    culprit: Option<Seat>,
    recorder: Option<Recorder>,
    /// Names the messages of a trace.
    sent: u64,
    rngs: Rngs,
}

/// Dice apart from those of the network, each under its own name: a draw added to one shifts no
/// other.
#[derive(Debug)]
struct Rngs {
    boot: Rng,
    crash: Rng,
    disk: Rng,
    streams: Rng,
    targets: Rng,
    harm: Rng,
    clients: Rng,
    calm: Rng,
    rare: Rng,
}

/// A program that still wants to be woken after it was would keep time from passing.
const AT_ONCE_MAX: u64 = 100_000;

/// A message in flight.
#[derive(Debug)]
struct Message {
    from: Seat,
    to: Seat,
    /// The life of the target that the stream leads to; `None` for what may reach any.
    life: Option<u32>,
    is_datagram: bool,
    /// When it left, and its number in a trace.
    sent: u64,
    number: u64,
    bytes: Vec<u8>,
}

impl<W: World> fmt::Debug for Sim<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim")
            .field("seed", &self.plan.seed)
            .field("time", &self.time)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

impl<'a, W: World> Sim<'a, W> {
    /// Prepares the run of `plan`.
    ///
    /// # Panics
    ///
    /// If the plan has no node or more than [`Seat::COUNT_MAX`]. Others that [`Plan::check`] refuses
    /// may panic later, or never end.
    pub fn new(world: W, plan: &'a Plan<W::Operation>) -> Self {
        let seed = if plan.dice == 0 { plan.seed } else { other_dice(plan.seed, plan.dice) };
        assert!((1..=Seat::COUNT_MAX).contains(&plan.nodes), "a run has 1 to 32 nodes");
        let mut sim = Self {
            world,
            plan,
            time: 0,
            agenda: Agenda::default(),
            network: Network::new(plan.nodes, plan.latency, seed),
            nodes: (0..plan.nodes).map(|_| Node::new()).collect(),
            messages: Slots::new(),
            asks: Slots::new(),
            answers: Slots::new(),
            held: Vec::new(),
            active: Vec::new(),
            clocks_off: FaultSet::NONE,
            keeps_images: plan.faults.iter().any(|planned| planned.fault.wants_image()),
            effects: Effects::new(),
            context: Context::new(Rng::stream(seed, "clients")),
            trace: TraceHash::new(),
            events: 0,
            at_once: 0,
            event_limit: u64::MAX,
            violation: None,
            is_over: false,
            is_beyond: false,
            culprit: None,
            recorder: None,
            sent: 0,
            rngs: Rngs {
                boot: Rng::stream(seed, "boot"),
                crash: Rng::stream(seed, "crash"),
                disk: Rng::stream(seed, "disk"),
                streams: Rng::stream(seed, "streams"),
                targets: Rng::stream(seed, "targets"),
                harm: Rng::stream(seed, "harm"),
                clients: Rng::stream(seed, "client links"),
                calm: Rng::stream(seed, "calm"),
                rare: Rng::stream(seed, "rare branches"),
            },
        };
        sim.schedule();
        sim
    }

    /// Keeps all that happens, as records. Slow: for a run that is known to be of interest. The
    /// run itself, and its hash, are the same.
    #[must_use]
    pub fn with_trace(self) -> Self {
        self.with_tail(usize::MAX)
    }

    /// Keeps the last `events` records of what happens.
    #[must_use]
    pub fn with_tail(mut self, events: usize) -> Self {
        self.recorder = Some(Recorder::new(self.plan.nodes, events));
        self.context.keep_notes();
        self
    }

    /// Takes so many events for a violation: whatever happens, a run needs fewer.
    #[must_use]
    pub const fn with_event_limit(mut self, events: u64) -> Self {
        self.event_limit = events;
        self
    }

    fn schedule(&mut self) {
        for seat in (0..self.plan.nodes).map(Seat) {
            self.agenda.add(0, Event::Restart { seat, life: 0 });
        }
        let faults = self.plan.faults.iter().enumerate();
        let faults = faults.map(|(index, fault)| (fault.at, Event::Fault { index: index as u32 }));
        let operations = self.plan.operations.iter().enumerate();
        let operations =
            operations.map(|(index, op)| (op.at, Event::Operation { index: index as u32 }));
        self.agenda.plan(faults.chain(operations));
        self.agenda.add(self.plan.calm_at, Event::Calm);
        let end = self.plan.calm_at.saturating_add(self.plan.calm_lasting);
        self.agenda.add(end, Event::Over);
    }

    /// Runs to the end or to the first violation.
    pub fn run(mut self) -> (Report, W) {
        self.advance();
        self.conclude()
    }

    /// The same, but a panic of the code of a node is a violation like any other, of
    /// [`Violation::PANIC`].
    pub fn run_caught(mut self) -> (Report, W) {
        // Nothing but the trace and the counts are read afterwards.
        if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(|| self.advance())) {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let message = text.or_else(|| payload.downcast_ref::<&str>().copied());
            let message = message.unwrap_or("a panic without words");
            self.violation = Some(Violation::new(Violation::PANIC, message));
        }
        self.conclude()
    }

    fn advance(&mut self) {
        play_rare(self.plan.rare.then(|| self.rngs.rare.next_u64()));
        while !self.is_over
            && let Some((time, event)) = self.agenda.next()
        {
            self.at_once = if time == self.time { self.at_once + 1 } else { 0 };
            self.time = time;
            self.context.time = time;
            self.events += 1;
            self.trace.mix(time);
            self.happen(event);
            self.carry_out_context();
            if self.violation.is_some() {
                break;
            }
            if self.at_once > AT_ONCE_MAX {
                let message = format!("{AT_ONCE_MAX} events without a moment passing");
                self.violation = Some(Violation::new("progress", message));
                break;
            }
            if self.events >= self.event_limit && !self.is_over {
                let message = format!("{} events and no end", self.events);
                self.violation = Some(Violation::new("progress", message));
                break;
            }
        }
    }

    fn conclude(mut self) -> (Report, W) {
        for (branch, taken) in rare_taken().into_iter().filter(|(_, taken)| *taken > 0) {
            *self.context.tally.rare.entry(branch).or_default() += taken;
        }
        play_rare(None);
        if self.violation.is_none() && !self.is_beyond {
            self.violation = self.world.finished().err();
        }
        if let Some(Violation { invariant, message }) = self.violation.clone() {
            let seat = self.culprit;
            self.record(|_| TraceKind::Violated { invariant, message, seat });
        }
        let report = Report {
            seed: self.plan.seed,
            hash: self.trace.value(),
            events: self.events,
            nanos: self.time,
            tally: self.context.tally,
            violation: self.violation,
            is_beyond: self.is_beyond,
            trace: self.recorder.map(|kept| kept.into_events(&self.world)).unwrap_or_default(),
        };
        (report, self.world)
    }

    fn happen(&mut self, event: Event) {
        self.trace.mix(code(event));
        match event {
            Event::Deliver { slot } => self.deliver(slot),
            Event::Ask { slot } => self.asked(slot),
            Event::Answer { slot } => self.answered(slot),
            Event::Wake { seat } => self.wake(seat),
            Event::Disk { seat, life } => self.disk_ready(seat, life),
            Event::Dial { from, to, life } => self.dial(from, to, life),
            Event::Connected { from, to, stream } => self.connected(from, to, stream),
            Event::Lost { from, to, stream, refused } => self.lost(from, to, stream, refused),
            Event::Stalled { from, to, stream } => self.stalled(from, to, stream),
            Event::Operation { index } => self.operation(index),
            Event::Timer { token } => self.world.timer(token, &mut self.context),
            Event::Fault { index } => self.fault(index),
            Event::End { index } => self.fault_ends(index),
            Event::Roll { index, seat } => self.roll(index, seat),
            Event::Strobe { index, seat } => self.strobe(index, seat),
            Event::Restart { seat, life } => self.boot(seat, life),
            Event::Stopped { seat, life, down } => self.stopped(seat, life, down),
            Event::Resume { seat } => self.resume(seat),
            Event::Calm => self.calm(),
            Event::Over => self.over(),
        }
        if self.world.is_beyond() {
            // Whatever was noticed in the same moment follows from it.
            self.violation = None;
            self.is_beyond = true;
            self.is_over = true;
        }
        if self.context.is_calm && self.world.is_satisfied() {
            self.is_over = true;
        }
    }

    /// The time is up.
    fn over(&mut self) {
        self.is_over = true;
        if self.context.is_calm && !self.world.is_satisfied() {
            self.violation = Some(self.world.unsatisfied());
        }
    }

    /// Adds a record to the trace, if one is kept.
    fn record(&mut self, what: impl FnOnce(&W) -> TraceKind) {
        if let Some(recorder) = &mut self.recorder {
            recorder.add(self.time, what(&self.world));
        }
    }

    /// Adds a line in words to the trace, if one is kept.
    #[allow(dead_code, reason = "for what has no kind of its own yet")]
    fn note(&mut self, line: impl FnOnce(&W) -> String) {
        self.record(|world| TraceKind::Note { text: line(world) });
    }

    const fn seats(&self) -> SeatSet {
        SeatSet::first(self.plan.nodes)
    }
}

/// The seed of other dice than those of `seed`.
const fn other_dice(seed: u64, dice: u64) -> u64 {
    let mut hash = TraceHash::new();
    hash.mix(seed);
    hash.mix(dice);
    hash.value() as u64
}

/// A number for the event, without what is mixed in elsewhere.
fn code(event: Event) -> u64 {
    let pair = |a: Seat, b: Seat| u64::from(a.0) << 8 | u64::from(b.0) << 16;
    match event {
        Event::Deliver { .. } => 1,
        Event::Ask { .. } => 2,
        Event::Answer { .. } => 3,
        Event::Wake { seat } => 4 | u64::from(seat.0) << 8,
        Event::Disk { seat, .. } => 5 | u64::from(seat.0) << 8,
        Event::Dial { from, to, .. } => 6 | pair(from, to),
        Event::Connected { from, to, .. } => 7 | pair(from, to),
        Event::Lost { from, to, refused, .. } => 8 | pair(from, to) | u64::from(refused) << 24,
        Event::Stalled { from, to, .. } => 9 | pair(from, to),
        Event::Operation { index } => 10 | u64::from(index) << 8,
        Event::Timer { token } => 11 ^ token << 8,
        Event::Fault { index } => 12 | u64::from(index) << 8,
        Event::End { index } => 13 | u64::from(index) << 8,
        Event::Restart { seat, .. } => 14 | u64::from(seat.0) << 8,
        Event::Resume { seat } => 15 | u64::from(seat.0) << 8,
        Event::Roll { index, seat } => 18 | u64::from(seat.0) << 8 | u64::from(index) << 16,
        Event::Strobe { index, seat } => 19 | u64::from(seat.0) << 8 | u64::from(index) << 16,
        Event::Stopped { seat, .. } => 20 | u64::from(seat.0) << 8,
        Event::Calm => 16,
        Event::Over => 17,
    }
}
