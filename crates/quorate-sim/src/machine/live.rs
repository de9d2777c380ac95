//! What promises are checked on: the live nodes, and what clients were told.

use std::ops::Range;

use bytes::Bytes;
use quorate_core::Rng;
use serde::{Deserialize, Serialize};

use crate::{Plan, PlannedOperation, Seat, SeatSet, Swarm, Target};

/// The live nodes of a run, after a step of one of them.
#[derive(Debug)]
pub struct Live<'a, M> {
    pub(super) machines: &'a [Option<M>],
    pub(super) among: SeatSet,
    pub(super) stepped: Option<Seat>,
    pub(super) time: u64,
    pub(super) told: &'a [Told],
}

impl<'a, M> Live<'a, M> {
    /// All of them, with their places.
    pub fn iter(&self) -> impl Iterator<Item = (Seat, &'a M)> + use<'a, M> {
        let among = self.among;
        let seats = (0..).map(Seat).zip(self.machines);
        seats.filter_map(move |(seat, machine)| {
            among.contains(seat).then_some(seat).zip(machine.as_ref())
        })
    }

    /// The machine at this place, if it runs.
    #[must_use]
    pub fn get(&self, seat: Seat) -> Option<&'a M> {
        self.iter().find(|(known, _)| *known == seat).map(|(_, machine)| machine)
    }

    /// Who took the step; `None` in the calm phase.
    #[must_use]
    pub const fn stepped(&self) -> Option<Seat> {
        self.stepped
    }

    /// Nanoseconds since the start of the run.
    #[must_use]
    pub const fn time(&self) -> u64 {
        self.time
    }

    /// What clients were told since the last step of anybody.
    #[must_use]
    pub const fn told(&self) -> &'a [Told] {
        self.told
    }
}

/// An answer that reached its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Who was asked.
    pub seat: Seat,
    /// What was asked.
    pub number: u32,
    /// The answer.
    pub answer: Bytes,
    /// When it was asked, in nanoseconds of the run.
    pub asked_at: u64,
    /// When the answer came, in nanoseconds of the run.
    pub at: u64,
}

/// A client asks a node: an operation of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Whom: some node, if nobody leads.
    pub whom: Target,
    /// What: see [`super::Happened::Asked`].
    pub number: u32,
}

/// The plan of `seed`, with clients that ask every 20 ms or so for a number below 1,000: half of
/// them whoever leads, half of them anybody.
#[must_use]
pub fn plan(swarm: &Swarm, seed: u64) -> Plan<Ask> {
    let mut plan = swarm.plan(seed);
    let mut rng = Rng::stream(seed, "asks");
    let mut at = rng.below(GAP);
    while at < plan.calm_at {
        let seat = Target::Seat(Seat(rng.below(plan.nodes.into()) as u8));
        let whom = if rng.chance(500_000) { Target::Leader } else { seat };
        let operation = Ask { whom, number: rng.below(1_000) as u32 };
        plan.operations.push(PlannedOperation { at, operation });
        at += 1 + rng.below(2 * GAP);
    }
    plan
}

/// The plans of `seeds`, each as [`plan`] draws it.
pub fn plans(swarm: &Swarm, seeds: Range<u64>) -> impl Iterator<Item = Plan<Ask>> + '_ {
    seeds.map(|seed| plan(swarm, seed))
}

/// The mean time between two asks.
const GAP: u64 = 20_000_000;
