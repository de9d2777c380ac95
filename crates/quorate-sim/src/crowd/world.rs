//! The loop: one event after the other, and what each node does with it.

use std::time::Duration;

use quorate_core::{Instant, Rng};

use crate::crowd::agenda::{Act, Agenda, Parcels};
use crate::crowd::checks::{Broken, Checks, Promises};
use crate::crowd::gossiper::{Belief, Came, Gossiper, Over, Port, number_of};
use crate::crowd::ledger::{Ledger, Sighting};
use crate::crowd::seat::{Seat, Stall};
use crate::crowd::tally::Tally;
use crate::crowd::weather::{Dice, Weather};

/// Very many nodes in one network.
#[derive(Debug)]
pub struct Crowd<G: Gossiper> {
    pub(super) seed: u64,
    pub(super) setting: G::Setting,
    pub(super) weather: Weather,
    pub(super) now: Instant,
    pub(super) seats: Vec<Seat<G>>,
    /// Of each address, which node is there or was last. Node `n` begins at address `n`.
    pub(super) addresses: Vec<u32>,
    pub(super) ledger: Ledger,
    pub(super) checks: Checks,
    pub(super) births: Rng,
    pub(super) agenda: Agenda,
    dice: Dice,
    parcels: Parcels,
    port: Port,
    tally: Tally,
    /// How many processes run, and up to when their time is counted.
    running: u64,
    counted_to: Instant,
    violation: Option<Broken>,
}

impl<G: Gossiper> Crowd<G> {
    /// An empty network.
    #[must_use]
    pub fn new(seed: u64, setting: G::Setting, weather: Weather) -> Self {
        let checks = Checks::new(Promises::NONE, G::suspicion_min(&setting));
        Self {
            seed,
            setting,
            weather,
            now: Instant::ZERO,
            seats: Vec::new(),
            addresses: Vec::new(),
            ledger: Ledger::default(),
            checks,
            births: Rng::stream(seed, "crowd births"),
            agenda: Agenda::default(),
            dice: Dice::new(seed),
            parcels: Parcels::default(),
            port: Port::default(),
            tally: Tally::default(),
            running: 0,
            counted_to: Instant::ZERO,
            violation: None,
        }
    }

    /// From now on, what is checked. M1 to M3 need to have seen a node from its start.
    pub const fn promise(&mut self, promises: Promises) {
        self.checks.promises = promises;
    }

    /// From now on, what the links are like.
    pub const fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// The time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// What all nodes have in common.
    #[must_use]
    pub const fn setting(&self) -> &G::Setting {
        &self.setting
    }

    /// How many nodes there are, whether they run or not.
    #[must_use]
    pub const fn nodes(&self) -> u32 {
        self.seats.len() as u32
    }

    /// Whether the process of `node` runs and does not leave.
    #[must_use]
    pub fn runs(&self, node: u32) -> bool {
        self.ledger.runs(node)
    }

    /// The process of `node`, if it runs.
    #[must_use]
    pub fn node(&self, node: u32) -> Option<&G> {
        self.seats[node as usize].node.as_ref()
    }

    /// What `observer` told of `about` last.
    #[must_use]
    pub fn belief(&self, observer: u32, about: u32) -> Belief {
        self.ledger.belief(observer, about)
    }

    /// How many pairs of a running node and another of its cluster there are in which the first is
    /// wrong about the second: it does not take one that runs for alive, or one that is gone for
    /// a member.
    #[must_use]
    pub const fn astray(&self) -> u64 {
        self.ledger.astray()
    }

    /// How many running nodes are wrong about `node`.
    #[must_use]
    pub fn misjudged(&self, node: u32) -> u32 {
        self.ledger.misjudged(node)
    }

    /// Whether all running nodes of each cluster have the same sum of their views.
    #[must_use]
    pub fn agrees(&self) -> bool {
        let mut sums = std::collections::BTreeMap::new();
        (0..self.nodes()).filter(|node| self.runs(*node)).all(|node| {
            let sum = self.node(node).and_then(Gossiper::sum);
            sum.is_none() || *sums.entry(self.ledger.cluster(node)).or_insert(sum) == sum
        })
    }

    /// Keeps what is learned of `node` from now on.
    pub fn watch(&mut self, node: u32) {
        self.ledger.watch(node);
    }

    /// What was learned of watched nodes, in the order of time; forgotten with this call.
    pub fn sightings(&mut self) -> Vec<Sighting> {
        std::mem::take(&mut self.ledger.sightings)
    }

    /// How many running nodes were declared dead by anybody.
    #[must_use]
    pub fn buried_alive(&self) -> usize {
        self.ledger.buried_alive.len()
    }

    /// What happened so far.
    pub fn tally(&mut self) -> Tally {
        self.count_time();
        self.tally
    }

    /// Runs for `time`.
    ///
    /// # Errors
    ///
    /// The first promise that is broken; the crowd is of no use then.
    pub fn run_for(&mut self, time: Duration) -> Result<(), Broken> {
        self.run_while(time, |_| true).map(|_| ())
    }

    /// Runs for at most `time`, and no longer than `goes_on` says after each event; whether it
    /// stopped before. The cost of `goes_on` counts: ask for what the crowd keeps count of.
    ///
    /// # Errors
    ///
    /// The first promise that is broken; the crowd is of no use then.
    pub fn run_while(
        &mut self,
        time: Duration,
        goes_on: impl Fn(&Self) -> bool,
    ) -> Result<bool, Broken> {
        let end = self.now + time;
        if !goes_on(self) {
            return Ok(true);
        }
        while let Some((at, act)) = self.agenda.pop(end) {
            self.now = at;
            let stepped = self.act(act);
            if let Some(broken) = self.violation.take() {
                return Err(broken);
            }
            if stepped && !goes_on(self) {
                return Ok(true);
            }
        }
        self.now = end;
        Ok(false)
    }

    /// Whether a node did something.
    fn act(&mut self, act: Act) -> bool {
        match act {
            Act::Wake(node) => self.rung(node),
            Act::Deliver(slot) => self.arrived(slot),
            Act::GoOn(node) => self.goes_on(node),
        }
    }

    fn rung(&mut self, node: u32) -> bool {
        let seat = &mut self.seats[node as usize];
        if seat.wake_at != self.now {
            return false;
        }
        seat.wake_at = Instant::FAR;
        let is_frozen = matches!(seat.stall, Some((Stall::Frozen, _)));
        let Some(process) = seat.node.as_mut().filter(|_| !is_frozen) else { return false };
        self.tally.events += 1;
        process.wake(self.now, &mut self.port);
        self.stepped(node);
        true
    }

    fn arrived(&mut self, slot: u32) -> bool {
        let parcel = self.parcels.get(slot);
        let node = self.addresses[parcel.to as usize];
        let seat = &mut self.seats[node as usize];
        let there = number_of(seat.address) == Some(parcel.to);
        let Some(process) = seat.node.as_mut().filter(|_| there) else {
            self.tally.lost += 1;
            self.parcels.done(slot);
            return false;
        };
        if seat.stall.is_some() {
            if seat.inbox.len() < BUFFER_MAX {
                seat.inbox.push(slot);
            } else {
                self.tally.overflowed += 1;
                self.parcels.done(slot);
            }
            return false;
        }
        self.tally.events += 1;
        process.received(self.now, parcel.came(), &mut self.port);
        self.parcels.done(slot);
        self.stepped(node);
        true
    }

    /// The stall of a node ends, if this is its end.
    fn goes_on(&mut self, node: u32) -> bool {
        let now = self.now;
        let seat = &mut self.seats[node as usize];
        let Some((how, _)) = seat.stall.filter(|(_, until)| *until <= now) else { return false };
        seat.stall = None;
        let (inbox, outbox) = (std::mem::take(&mut seat.inbox), std::mem::take(&mut seat.outbox));
        for slot in outbox {
            let parcel = self.parcels.take(slot);
            self.dispatch(node, parcel.to, parcel.came());
            self.parcels.back(parcel.bytes);
        }
        if let Some(process) = &mut self.seats[node as usize].node {
            if how == Stall::Frozen {
                process.wake(now, &mut self.port);
            }
            for slot in inbox {
                self.tally.events += 1;
                process.received(now, self.parcels.get(slot).came(), &mut self.port);
                self.parcels.done(slot);
            }
        }
        self.stepped(node);
        true
    }

    /// Lets the process of `node`, if it runs, do something of its own accord.
    pub(super) fn act_on(&mut self, node: u32, act: impl FnOnce(&mut G, &mut Port)) {
        if let Some(process) = &mut self.seats[node as usize].node {
            act(process, &mut self.port);
            self.stepped(node);
        }
    }

    /// Carries out what `node` put into its port, and arranges its next wake.
    pub(super) fn stepped(&mut self, node: u32) {
        let mut port = std::mem::take(&mut self.port);
        self.tally.renamed += port.renamed;
        self.tally.refused += port.refused;
        self.tally.busy_nanos += port.busy_nanos;
        self.tally.calls += port.calls;
        for (about, belief) in port.news.drain(..) {
            self.learned(node, about, belief);
        }
        if self.checks.promises.views {
            for about in port.touched.drain(..) {
                self.check(node, about);
            }
        }
        self.transmit(node, &port);
        if port.gone {
            self.end(node);
        }
        port.clear();
        port.is_checked = self.checks.promises.views;
        self.port = port;
        self.arrange(node);
    }

    /// Puts the next wake of `node` into the agenda, unless an earlier one is there: that one asks
    /// again.
    pub(super) fn arrange(&mut self, node: u32) {
        let seat = &mut self.seats[node as usize];
        if matches!(seat.stall, Some((Stall::Frozen, _))) {
            return;
        }
        let Some(due) = seat.node.as_ref().and_then(Gossiper::deadline) else { return };
        let due = due.max(self.now);
        if due < seat.wake_at {
            seat.wake_at = due;
            self.agenda.push(due, Act::Wake(node));
        }
    }

    fn learned(&mut self, observer: u32, about: u32, belief: Belief) {
        if self.ledger.cluster(observer) != self.ledger.cluster(about) {
            if self.checks.promises.views {
                let what =
                    format!("n{observer:04} has n{about:04} of another cluster as {belief:?}");
                self.broken("M4", what, &[observer, about]);
            }
            return;
        }
        let before = self.ledger.learn(self.now, observer, about, belief);
        let lives = self.ledger.runs(about);
        match belief {
            Belief::Dead if !lives => self.tally.true_deaths += 1,
            Belief::Dead => self.declared_dead(observer, about),
            Belief::Unreachable if lives && before != belief => self.tally.false_alarms += 1,
            Belief::Unreachable | Belief::Alive | Belief::Left | Belief::Unknown => {}
        }
        if self.checks.promises.views {
            self.check(observer, about);
        }
    }

    fn declared_dead(&mut self, observer: u32, about: u32) {
        let (own, other) = (&self.seats[observer as usize], &self.seats[about as usize]);
        // Its life before this one did end.
        let held = own.node.as_ref().and_then(|node| node.held(about));
        if held.is_some_and(|held| held.boot < other.boot) {
            self.tally.true_deaths += 1;
            return;
        }
        let healthy = own.group == other.group && !other.troubled;
        self.tally.false_deaths += 1;
        if healthy {
            self.tally.healthy_deaths += 1;
            *self.ledger.buried_alive.entry(about).or_default() += 1;
        }
        if healthy && self.checks.promises.no_false_deaths {
            let what = format!("n{observer:04} declares n{about:04} dead, which runs");
            self.broken("M7", what, &[observer, about]);
        }
    }

    fn check(&mut self, observer: u32, about: u32) {
        let held = self.seats[observer as usize].node.as_ref().and_then(|node| node.held(about));
        match held {
            None => self.checks.forgot(observer, about),
            Some(held) => {
                if let Err((invariant, what)) = self.checks.held(self.now, observer, about, held) {
                    self.broken(invariant, what, &[observer, about]);
                }
            }
        }
    }

    pub(super) fn broken(&mut self, invariant: &'static str, message: String, of: &[u32]) {
        let broken = self.break_of(invariant, message, of);
        self.violation.get_or_insert(broken);
    }

    /// A broken promise, with what the nodes it is about learned last.
    pub(super) fn break_of(&self, invariant: &'static str, message: String, of: &[u32]) -> Broken {
        let tail = self.checks.tail(of);
        Broken { invariant, seed: self.seed, at: self.now, message, tail }
    }

    fn transmit(&mut self, node: u32, port: &Port) {
        let from = self.seats[node as usize].address;
        let is_blocked = matches!(self.seats[node as usize].stall, Some((Stall::Blocked, _)));
        let mut start = 0;
        for send in &port.sends {
            let came = Came { from, over: send.over, bytes: &port.bytes[start..send.end] };
            start = send.end;
            let to = number_of(send.to).filter(|to| (*to as usize) < self.addresses.len());
            let Some(to) = to else {
                self.tally.lost += 1;
                continue;
            };
            if !is_blocked {
                self.dispatch(node, to, came);
            } else if self.seats[node as usize].outbox.len() < BUFFER_MAX {
                let slot = self.parcels.put(to, came);
                self.seats[node as usize].outbox.push(slot);
            } else {
                self.tally.overflowed += 1;
            }
        }
    }

    /// A packet leaves `node`.
    fn dispatch(&mut self, node: u32, to: u32, came: Came<'_>) {
        let Came { over, bytes, .. } = came;
        self.tally.packets += 1;
        self.tally.bytes += bytes.len() as u64;
        self.tally.streams += u64::from(over == Over::Stream);
        if self.checks.promises.views
            && over == Over::Datagram
            && bytes.len() > G::datagram_max(&self.setting)
        {
            let what = format!("n{node:04} sends a datagram of {} bytes", bytes.len());
            self.broken("M5", what, &[node]);
        }
        if let Some((late, anybody)) = self.dice.replay(&self.weather, self.seats.len()) {
            let anybody = number_of(self.seats[anybody].address).unwrap_or(to);
            let slot = self.parcels.put(anybody, came);
            self.agenda.push(self.now + late, Act::Deliver(slot));
        }
        let target = self.addresses[to as usize] as usize;
        let cut = self.seats[target].group != self.seats[node as usize].group;
        // The dice are thrown for packets that are cut off too: a split shifts nothing else.
        match self.dice.travel(&self.weather, over) {
            Some(time) if !cut => {
                let slot = self.parcels.put(to, came);
                self.agenda.push(self.now + time, Act::Deliver(slot));
            }
            _ => self.tally.lost += 1,
        }
    }

    /// The process of `node` ends, whatever it was about to do.
    pub(super) fn end(&mut self, node: u32) {
        self.count_time();
        let seat = &mut self.seats[node as usize];
        if seat.node.take().is_some() {
            self.running -= 1;
        }
        seat.stall = None;
        seat.wake_at = Instant::FAR;
        let inbox = std::mem::take(&mut seat.inbox);
        for slot in inbox.into_iter().chain(std::mem::take(&mut seat.outbox)) {
            self.parcels.done(slot);
        }
        if self.ledger.runs(node) {
            self.ledger.set_runs(node, false);
        }
    }

    /// The processes of so many nodes began.
    pub(super) fn began(&mut self, count: u64) {
        self.count_time();
        self.running += count;
    }

    fn count_time(&mut self) {
        let passed = self.now.since(self.counted_to).as_nanos();
        self.tally.node_nanos += passed * u128::from(self.running);
        self.counted_to = self.now;
    }
}

/// How many packets wait each way for a process that stalls; more are dropped. About what fits into
/// the 208 KiB of a socket's buffer with what the kernel keeps of each.
const BUFFER_MAX: usize = 256;
