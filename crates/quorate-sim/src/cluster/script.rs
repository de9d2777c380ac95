//! Writes the plan of a scenario.

use quorate_core::Rng;

use super::operation::KvOperation;
use super::scenarios::ACTS;
use super::settings::Settings;
use crate::{
    DiskLoss, Fault, Latency, Plan, PlannedFault, PlannedOperation, Seat, SeatSet, Shape, Way,
};

pub(super) const SECOND: u64 = 1_000_000_000;
const MILLISECOND: u64 = 1_000_000;

/// A plan that is being written, and the dice for its details.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) rng: Rng,
    plan: Plan<KvOperation>,
}

impl Script {
    /// An empty plan of a seed whose settings fit.
    pub(super) fn new(name: &str, seed: u64, nodes: u8, fits: fn(&Settings) -> bool) -> Self {
        let mut rng = Rng::stream(seed, name);
        let mut seeds = Rng::stream(seed, "settings that fit");
        // Seeds of plans fit into 63 bits; one in ten or so fits the story.
        let mut drawn = (0..TRIES_MAX).map(|_| seeds.next_u64() >> 16);
        let seed = drawn.find(|seed| fits(&Settings::draw(*seed, nodes, true)));
        let seed = seed.unwrap_or_else(|| panic!("no settings fit the story of {name}"));
        let low = rng.between(MILLISECOND / 10, MILLISECOND / 2);
        let mean = rng.between(MILLISECOND / 10, MILLISECOND);
        let plan = Plan {
            seed,
            dice: 0,
            rare: false,
            nodes,
            calm_at: 0,
            calm_lasting: 30 * SECOND,
            latency: Latency::Exponential { low, mean },
            disk: Latency::Exponential { low: MILLISECOND / 5, mean },
            faults: Vec::new(),
            operations: Vec::new(),
        };
        Self { rng, plan }
    }

    pub(super) fn finish(mut self) -> Plan<KvOperation> {
        self.plan.faults.sort_by_key(|planned| planned.at);
        self.plan.operations.sort_by_key(|planned| planned.at);
        self.plan
    }

    pub(super) const fn nodes(&self) -> u8 {
        self.plan.nodes
    }

    pub(super) fn seats(&self) -> Vec<Seat> {
        (0..self.plan.nodes).map(Seat).collect()
    }

    pub(super) fn some_seat(&mut self) -> Seat {
        Seat(self.rng.below(self.plan.nodes.into()) as u8)
    }

    /// Less than half of the nodes, at least one.
    pub(super) fn minority(&mut self) -> SeatSet {
        let mut seats = self.seats();
        self.rng.shuffle(&mut seats);
        let most = (seats.len().saturating_sub(1) / 2).max(1);
        let count = 1 + self.rng.index(most);
        seats.into_iter().take(count).collect()
    }

    /// The nodes in so many groups.
    pub(super) fn zones(&mut self, count: usize) -> Vec<SeatSet> {
        let mut seats = self.seats();
        self.rng.shuffle(&mut seats);
        let zone = |n: usize| seats.iter().skip(n).step_by(count).copied().collect();
        (0..count).map(zone).collect()
    }

    /// Up to a second, so that no two runs strike at the same moment.
    pub(super) const fn jitter(&mut self) -> u64 {
        self.rng.below(SECOND)
    }

    /// What a loss of power does to what was not synced.
    pub(super) const fn power_loss(&mut self) -> DiskLoss {
        [DiskLoss::Nothing, DiskLoss::All, DiskLoss::Some, DiskLoss::Torn][self.rng.index(4)]
    }

    pub(super) fn at(&mut self, at: u64, fault: Fault) {
        self.plan.faults.push(PlannedFault { at, fault });
    }

    /// Cuts some of the nodes off from the others.
    pub(super) fn cut_some(&mut self, at: u64, lasting: u64) {
        let shape = Shape::Halves { left: self.minority() };
        let way = [Way::Both, Way::In, Way::Out][self.rng.index(3)];
        self.at(at, Fault::Partition { shape, way, hold: false, lasting });
    }

    /// Puts two groups so many milliseconds apart.
    pub(super) fn distance(&mut self, one: SeatSet, other: SeatSet, (low, high): (u64, u64)) {
        let low = self.rng.between(low, (low + high) / 2) * MILLISECOND;
        let latency = Latency::Exponential { low, mean: (high - low / MILLISECOND) * 100_000 };
        for (from, to) in [(one, other), (other, one)] {
            self.at(1, Fault::SlowLink { from, to, latency });
        }
    }

    pub(super) const fn calm_at(&mut self, at: u64) {
        self.plan.calm_at = at;
    }

    /// Clients that read and write all the time, with a session each, and try again what is not
    /// answered within a second.
    pub(super) fn steady_load(&mut self) {
        let mut at = 3 * SECOND;
        // The calm phase ends all patience: what begins last has some seconds until then.
        while at < self.plan.calm_at.saturating_sub(6 * SECOND) {
            let client = self.rng.below(CLIENTS) as u8;
            let operation = KvOperation {
                client,
                act: ACTS[self.rng.index(ACTS.len())],
                key: self.rng.below(8) as u8,
                wait_ms: 1_000,
                // A refusal costs no time: so many bridge the two seconds of an election.
                retries: 100,
                stall_ms: 0,
                tagged: true,
                dies: false,
                strong: false,
                burst: false,
            };
            self.plan.operations.push(PlannedOperation { at, operation });
            at += 1 + self.rng.below(2 * GAP);
        }
    }
}

/// How many seeds are tried, at most.
const TRIES_MAX: usize = 10_000;
const CLIENTS: u64 = 4;
/// The mean time between two operations.
const GAP: u64 = 50 * MILLISECOND;
