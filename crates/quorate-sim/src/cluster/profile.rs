//! How long and how busy the runs of a campaign are.

use super::Scenario;
use super::operation::{self, KvOperation};
use crate::{FaultKind, FaultSet, Plan, Swarm};

/// How long and how busy runs are, and which faults they may meet.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Nodes, duration, faults.
    pub swarm: Swarm,
    /// The most clients, at least 2.
    pub clients_max: u8,
    /// The shortest mean time between two operations and the longest, in nanoseconds.
    pub operation_gap: (u64, u64),
    /// The most operations, apart from those around faults.
    pub operations_max: usize,
    /// One more than the most operations around each fault, at least 1.
    pub operations_per_fault: u64,
    /// The most events: a run that needs more makes no progress, and that is a violation.
    pub events_max: u64,
    /// Other profiles, each for every so-manieth seed; the first that fits counts.
    pub now_and_then: Vec<(u64, Self)>,
    /// A named scenario in place of what is drawn, and how many nodes it has.
    pub scenario: Option<(&'static Scenario, u8)>,
}

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

impl Profile {
    /// A few seconds with many faults: for many seeds, and for finding seeded bugs fast.
    #[must_use]
    pub fn short() -> Self {
        Self {
            swarm: Swarm {
                calm_at: (3 * SECOND, 10 * SECOND),
                gap: (SECOND / 2, 5 * SECOND),
                ..Swarm::default()
            },
            clients_max: 5,
            operation_gap: (10 * MILLISECOND, 100 * MILLISECOND),
            operations_max: 300,
            operations_per_fault: 12,
            events_max: 2_000_000,
            now_and_then: Vec::new(),
            scenario: None,
        }
    }

    /// A few minutes with pauses between the faults: for simulated hours.
    #[must_use]
    pub fn long() -> Self {
        Self {
            swarm: Swarm {
                calm_at: (60 * SECOND, 300 * SECOND),
                gap: (5 * SECOND, 60 * SECOND),
                ..Swarm::default()
            },
            clients_max: 8,
            operation_gap: (200 * MILLISECOND, 2 * SECOND),
            operations_max: 1_000,
            operations_per_fault: 20,
            events_max: 20_000_000,
            now_and_then: Vec::new(),
            scenario: None,
        }
    }

    /// A second or two around the birth of the cluster, with many nodes, of which some are not
    /// among its first members, and faults from the first moment on.
    #[must_use]
    pub fn birth() -> Self {
        Self {
            swarm: Swarm {
                nodes: (5, 7),
                calm_at: (SECOND, 6 * SECOND),
                gap: (SECOND / 10, SECOND),
                kinds: BIRTH,
                ..Swarm::default()
            },
            clients_max: 2,
            operation_gap: (200 * MILLISECOND, SECOND),
            operations_max: 10,
            operations_per_fault: 1,
            events_max: 2_000_000,
            now_and_then: Vec::new(),
            scenario: None,
        }
    }

    /// All of them: mostly short runs, every eighth a long one, and now and then one around a birth
    /// or in quiet.
    #[must_use]
    pub fn mixed() -> Self {
        let long = Self::long();
        Self {
            events_max: long.events_max,
            now_and_then: vec![(32, Self::quiet()), (8, long), (16, Self::birth())],
            ..Self::short()
        }
    }

    /// Ten minutes in which a few messages are lost and clocks drift, no more: nobody may notice.
    #[must_use]
    pub fn quiet() -> Self {
        Self {
            swarm: Swarm {
                calm_at: (300 * SECOND, 900 * SECOND),
                kinds: FaultSet::only(FaultKind::Loss).union(FaultSet::only(FaultKind::Drift)),
                loss_max: 100_000,
                ..Self::long().swarm
            },
            operations_max: 300,
            operation_gap: (2 * SECOND, 5 * SECOND),
            ..Self::long()
        }
    }

    /// No faults at all: what must hold in fair weather, and a base line of speed.
    #[must_use]
    pub fn fair() -> Self {
        let mut profile = Self::short();
        profile.swarm.kinds = FaultSet::NONE;
        profile
    }

    /// Lets every run have so many nodes.
    pub fn set_nodes(&mut self, nodes: u8) {
        self.swarm.nodes = (nodes, nodes);
        if let Some((_, known)) = &mut self.scenario {
            *known = nodes;
        }
        self.now_and_then.iter_mut().for_each(|(_, other)| other.set_nodes(nodes));
    }

    /// The plan of `seed`.
    #[must_use]
    pub fn plan(&self, seed: u64) -> Plan<KvOperation> {
        if let Some((scenario, nodes)) = self.scenario
            && let Some(plan) = scenario.plan(seed, nodes)
        {
            return plan;
        }
        let other = self.now_and_then.iter().find(|(every, _)| seed % every == every - 1);
        if let Some((_, other)) = other {
            return other.plan(seed);
        }
        let mut plan: Plan<KvOperation> = self.swarm.plan(seed);
        let kinds = self.swarm.draw_kinds(seed);
        plan.operations = operation::draw(self, kinds, &plan);
        plan
    }
}

/// What can lead to a second birth: words that are lost, late or told twice, and pledges that are
/// lost.
const BIRTH: FaultSet = FaultSet::only(FaultKind::Loss)
    .union(FaultSet::only(FaultKind::Delay))
    .union(FaultSet::only(FaultKind::Reorder))
    .union(FaultSet::only(FaultKind::Copies))
    .union(FaultSet::only(FaultKind::Partition))
    .union(FaultSet::only(FaultKind::Reset))
    .union(FaultSet::only(FaultKind::Crash))
    .union(FaultSet::only(FaultKind::CrashAll))
    .union(FaultSet::only(FaultKind::Cut))
    .union(FaultSet::only(FaultKind::Pause))
    .union(FaultSet::only(FaultKind::Restart))
    .union(FaultSet::only(FaultKind::Unsynced))
    .union(FaultSet::only(FaultKind::Stall));

impl Default for Profile {
    /// Short runs.
    fn default() -> Self {
        Self::short()
    }
}
