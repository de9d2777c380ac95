//! How long a node is busy, whatever protocol it runs.

#![expect(clippy::disallowed_methods, reason = "a bench reads clocks")]

use std::cell::Cell;
use std::time::{Duration, Instant as Clock};

use quorate_core::Instant;
use quorate_sim::crowd::{Birth, Came, Gossiper, Held, Port};
use rustix::time::{ClockId, clock_gettime};

/// A node with a clock around each call of it. What it does in a call is its protocol, its codec
/// and the copy of what it sends; the network of the crowd is not in it.
#[derive(Debug)]
pub(crate) struct Timed<G> {
    node: G,
    /// What calls took that had no port to tell it.
    untold: Cell<(u64, u64)>,
}

impl<G> Timed<G> {
    fn time<T>(&mut self, port: &mut Port, call: impl FnOnce(&mut G, &mut Port) -> T) -> T {
        let start = Clock::now();
        let value = call(&mut self.node, port);
        let (nanos, calls) = self.untold.take();
        port.busy(nanos + start.elapsed().as_nanos() as u64, calls + 1);
        value
    }
}

impl<G: Gossiper> Gossiper for Timed<G> {
    type Setting = G::Setting;

    fn start(setting: &G::Setting, birth: Birth<'_>) -> Self {
        Self { node: G::start(setting, birth), untold: Cell::default() }
    }

    fn introduce(setting: &G::Setting, nodes: &mut [&mut Self], now: Instant) {
        let mut nodes: Vec<&mut G> = nodes.iter_mut().map(|timed| &mut timed.node).collect();
        G::introduce(setting, &mut nodes, now);
    }

    fn received(&mut self, now: Instant, came: Came<'_>, port: &mut Port) {
        self.time(port, |node, port| node.received(now, came, port));
    }

    fn wake(&mut self, now: Instant, port: &mut Port) {
        self.time(port, |node, port| node.wake(now, port));
    }

    fn deadline(&self) -> Option<Instant> {
        let start = Clock::now();
        let deadline = self.node.deadline();
        let (nanos, calls) = self.untold.get();
        self.untold.set((nanos + start.elapsed().as_nanos() as u64, calls + 1));
        deadline
    }

    fn leave(&mut self, now: Instant, port: &mut Port) {
        self.time(port, |node, port| node.leave(now, port));
    }

    fn held(&self, node: u32) -> Option<Held> {
        self.node.held(node)
    }

    fn sum(&self) -> Option<u64> {
        self.node.sum()
    }

    fn datagram_max(setting: &G::Setting) -> usize {
        G::datagram_max(setting)
    }

    fn suspicion_min(setting: &G::Setting) -> Duration {
        G::suspicion_min(setting)
    }
}

/// Runs `work`; its value, and which share of the time this thread had a processor. Clocks run on
/// while others have it, in calls and between them alike, so what is measured with one is
/// shortened by that share.
pub(crate) fn with_share<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let (start, cpu) = (Clock::now(), thread_nanos());
    let value = work();
    let (wall, cpu) = (start.elapsed().as_nanos() as u64, thread_nanos() - cpu);
    (value, (cpu as f64 / wall.max(1) as f64).min(1.0))
}

/// What a clock around nothing measures, in nanoseconds: the least of many rounds.
pub(crate) fn overhead() -> f64 {
    let round = || {
        let sum: u128 = (0..ROUND).map(|_| Clock::now().elapsed().as_nanos()).sum();
        sum as f64 / f64::from(ROUND)
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

fn thread_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

const ROUND: u32 = 10_000;
const ROUNDS: u32 = 50;
