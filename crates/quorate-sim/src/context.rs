//! What a world may do from inside a run.

use std::collections::BTreeMap;

use quorate_core::Rng;

use crate::{FaultCounts, FaultKind, FaultSet, Seat, SeatSet, TraceKind};

/// What a world may do from inside a run.
#[derive(Debug)]
pub struct Context<R> {
    pub(crate) time: u64,
    pub(crate) rng: Rng,
    pub(crate) alive: SeatSet,
    pub(crate) is_calm: bool,
    /// When the last fault ends, or ended, that a cluster may notice; never in the calm phase.
    pub(crate) troubled_until: u64,
    pub(crate) asks: Vec<(Seat, u64, R)>,
    pub(crate) timers: Vec<(u64, u64)>,
    pub(crate) tally: Tally,
    /// Records of the world, if a trace is kept.
    pub(crate) notes: Option<Vec<TraceKind>>,
}

/// What a run counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// How often each kind of fault struck.
    pub faults: FaultCounts,
    /// Which operations met which faults: a bit per kind of operation, for each kind of fault.
    pub pairs: BTreeMap<FaultKind, u64>,
    /// How often each rare situation was reached.
    pub marks: BTreeMap<&'static str, u64>,
    /// How often each rare branch of the code was taken: see [`quorate_core::rare()`].
    pub rare: BTreeMap<&'static str, u64>,
    /// Operations under way, by kind.
    open: Vec<u32>,
    active: FaultSet,
}

impl Tally {
    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Self) {
        self.faults.add(&other.faults);
        for (kind, bits) in &other.pairs {
            *self.pairs.entry(*kind).or_default() |= bits;
        }
        for (mark, count) in &other.marks {
            *self.marks.entry(mark).or_default() += count;
        }
        for (branch, count) in &other.rare {
            *self.rare.entry(branch).or_default() += count;
        }
    }

    /// Counts a fault, and that it met the operations under way.
    pub(crate) fn struck(&mut self, kind: FaultKind) {
        self.faults.count(kind);
        for (operation, count) in self.open.iter().enumerate() {
            if *count > 0 {
                *self.pairs.entry(kind).or_default() |= 1 << operation;
            }
        }
    }

    pub(crate) const fn set_active(&mut self, active: FaultSet) {
        self.active = active;
    }

    fn began(&mut self, operation: usize) {
        assert!(operation < 64, "a report has room for 64 kinds of operations");
        if self.open.len() <= operation {
            self.open.resize(operation + 1, 0);
        }
        self.open[operation] += 1;
        for kind in self.active.iter() {
            *self.pairs.entry(kind).or_default() |= 1 << operation;
        }
    }

    fn ended(&mut self, operation: usize) {
        if let Some(count) = self.open.get_mut(operation) {
            *count = count.saturating_sub(1);
        }
    }
}

impl<R> Context<R> {
    pub(crate) fn new(rng: Rng) -> Self {
        Self {
            time: 0,
            rng,
            alive: SeatSet::NONE,
            is_calm: false,
            troubled_until: 0,
            asks: Vec::new(),
            timers: Vec::new(),
            tally: Tally::default(),
            notes: None,
        }
    }

    pub(crate) fn keep_notes(&mut self) {
        self.notes = Some(Vec::new());
    }

    /// Adds a record to the trace, if one is kept: what a client began, and how it ended.
    pub fn note(&mut self, what: impl FnOnce() -> TraceKind) {
        if let Some(notes) = &mut self.notes {
            notes.push(what());
        }
    }

    /// Nanoseconds since the start of the run: true time, which no node knows.
    #[must_use]
    pub const fn time(&self) -> u64 {
        self.time
    }

    /// Dice of the clients.
    pub const fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// The nodes whose process runs (perhaps paused).
    #[must_use]
    pub const fn alive(&self) -> SeatSet {
        self.alive
    }

    /// Whether the calm phase has begun.
    #[must_use]
    pub const fn is_calm(&self) -> bool {
        self.is_calm
    }

    /// For how long nothing worse has happened than the loss of one message in ten and drifting
    /// clocks. Zero in the calm phase: outside of its core all goes wrong.
    #[must_use]
    pub const fn quiet_for(&self) -> u64 {
        if self.is_calm { 0 } else { self.time.saturating_sub(self.troubled_until) }
    }

    /// Sends a request to a node. It may be lost, as may its answer: ask for a moment to give up
    /// with [`Self::after`]. Ids are the world's own; an answer bears the one of its request.
    pub fn ask(&mut self, seat: Seat, id: u64, request: R) {
        self.asks.push((seat, id, request));
    }

    /// Asks for a call of [`crate::World::timer`] so many nanoseconds from now.
    pub fn after(&mut self, nanos: u64, token: u64) {
        self.timers.push((self.time.saturating_add(nanos), token));
    }

    /// An operation of this kind (a place in [`crate::World::OPERATIONS`]) is under way.
    pub fn began(&mut self, operation: usize) {
        self.tally.began(operation);
    }

    /// An operation of this kind ended.
    pub fn ended(&mut self, operation: usize) {
        self.tally.ended(operation);
    }

    /// Counts a fault that the world itself plays, such as [`FaultKind::Burst`].
    pub fn struck(&mut self, kind: FaultKind) {
        self.tally.struck(kind);
    }

    /// Whether a fault of this kind lasts.
    #[must_use]
    pub const fn is_active(&self, kind: FaultKind) -> bool {
        self.tally.active.contains(kind)
    }

    /// Counts that a rare situation was reached.
    pub fn mark(&mut self, mark: &'static str) {
        *self.tally.marks.entry(mark).or_default() += 1;
    }
}
