//! Named scenarios: a story each, with details drawn from the seed.

use super::operation::{Act, KvOperation};
use super::profile::Profile;
use super::script::{SECOND, Script};
use super::seen::Seen;
use super::settings::Settings;
use crate::{DiskLoss, Fault, FaultKind, FaultSet, Plan, Shape, Target, Way};

/// A story that a cluster must come through.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What happens, in a sentence for people.
    pub story: &'static str,
    /// What every run of it must show, beside that no promise breaks.
    pub shows: &'static str,
    /// The part of the system that it needs, while there is no such part: it cannot be played.
    pub awaits: Option<&'static str>,
    /// How many nodes it has if nobody says otherwise.
    pub nodes: u8,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Faults at chosen times; which nodes' settings fit; and what a run must show.
    Told {
        tell: fn(&mut Script),
        fits: fn(&Settings) -> bool,
        check: fn(&Seen) -> Result<(), String>,
    },
    /// Faults drawn as in a campaign.
    Drawn(fn() -> Profile),
    /// Not yet.
    Nothing,
}

/// All scenarios, in the order in which they are listed.
#[must_use]
pub const fn scenarios() -> &'static [Scenario] {
    SCENARIOS
}

impl Scenario {
    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }

    /// A campaign of it, with so many nodes; `None` if it cannot be played yet.
    #[must_use]
    pub fn profile(&'static self, nodes: u8) -> Option<Profile> {
        match self.kind {
            Kind::Told { .. } => Some(Profile { scenario: Some((self, nodes)), ..Profile::long() }),
            Kind::Drawn(draw) => {
                let mut profile = draw();
                profile.set_nodes(nodes);
                Some(profile)
            }
            Kind::Nothing => None,
        }
    }

    /// The plan of `seed` with so many nodes; `None` if it cannot be played yet. The seed in the
    /// plan is another: one whose settings fit the story.
    #[must_use]
    pub fn plan(&'static self, seed: u64, nodes: u8) -> Option<Plan<KvOperation>> {
        match self.kind {
            Kind::Told { tell, fits, .. } => {
                let mut script = Script::new(self.name, seed, nodes, fits);
                tell(&mut script);
                Some(script.finish())
            }
            Kind::Drawn(_) => Some(self.profile(nodes)?.plan(seed)),
            Kind::Nothing => None,
        }
    }

    /// Runs the plan of `seed` and looks whether it shows what it must.
    ///
    /// # Errors
    ///
    /// The broken promise, or what was not shown.
    pub fn try_out(&'static self, seed: u64, nodes: u8) -> Result<(), String> {
        let Some((plan, profile)) = self.plan(seed, nodes).zip(self.profile(nodes)) else {
            return Ok(());
        };
        let seen = Seen::of(&plan, &profile);
        match (&seen.outcome.failure, self.kind) {
            (Some(failure), _) => Err(format!("{}: {}", failure.invariant, failure.message)),
            (None, Kind::Told { check, .. }) => check(&seen),
            (None, Kind::Drawn(_) | Kind::Nothing) => Ok(()),
        }
    }
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "formation",
        story: "Nodes that know only a list of seeds start at random times, across partitions.",
        shows: "one cluster is born, and none beside it",
        awaits: None,
        nodes: 5,
        kind: Kind::Told { tell: formation, fits: finds_others, check: is_born },
    },
    Scenario {
        name: "leader-crash",
        story: "The leader is killed every five seconds.",
        shows: "a write is confirmed again within two seconds of each crash",
        awaits: None,
        nodes: 5,
        kind: Kind::Told { tell: leader_crash, fits: is_plain, check: fails_over_soon },
    },
    Scenario {
        name: "partition",
        story: "The network breaks in every shape: the leader alone, one way, halves, bridge, ring.",
        shows: "every cut strikes, and a leader without a majority is replaced",
        awaits: None,
        nodes: 5,
        kind: Kind::Told { tell: partition, fits: is_plain, check: is_cut_and_replaced },
    },
    Scenario {
        name: "flapping",
        story: "A node's link goes up and down several times a second, for half a minute.",
        shows: "nine in ten operations are answered all the same",
        awaits: None,
        nodes: 5,
        kind: Kind::Told { tell: flapping, fits: is_plain, check: mostly_answers },
    },
    Scenario {
        name: "rolling-upgrade",
        story: "Each node is asked to stop and started in turn, under load. (All of one version yet.)",
        shows: "no operation fails that is tried again",
        awaits: None,
        nodes: 3,
        kind: Kind::Told { tell: rolling_upgrade, fits: is_plain, check: answers_everything },
    },
    Scenario {
        name: "zero-downtime-deploy",
        story: "All nodes are restarted within seconds of each other.",
        shows: "no operation fails that is tried again, and none takes longer than two seconds",
        awaits: None,
        nodes: 5,
        kind: Kind::Told { tell: deploy, fits: is_plain, check: answers_soon },
    },
    Scenario {
        name: "geo",
        story: "Three zones, 40 to 80 ms apart; one is lost for ten seconds, and heals.",
        shows: "a write is confirmed again within six seconds of a leader's loss",
        awaits: None,
        nodes: 5,
        kind: Kind::Told { tell: geo, fits: spans_regions, check: fails_over_in_time },
    },
    Scenario {
        name: "disaster-recovery",
        story: "All nodes lose power at once; later a majority of them, one after the other.",
        shows: "what was confirmed is there afterwards, and writes go on",
        awaits: None,
        nodes: 5,
        kind: Kind::Told { tell: disaster, fits: is_plain, check: recovers },
    },
    Scenario {
        name: "multi-master",
        story: "Several nodes take writes while they cannot reach one another.",
        shows: "all come to the same state, and no write is lost",
        awaits: Some("multi-master replication"),
        nodes: 5,
        kind: Kind::Nothing,
    },
    Scenario {
        name: "locks",
        story: "Owners of locks die, stall and come back.",
        shows: "fencing tokens rise, and nobody writes with an old one",
        awaits: Some("locks"),
        nodes: 5,
        kind: Kind::Nothing,
    },
    Scenario {
        name: "disk",
        story: "Disks tear, rot, fill up, hang and lie, and processes die on them.",
        shows: "what a majority has made durable is never lost",
        awaits: None,
        nodes: 5,
        kind: Kind::Drawn(disk),
    },
    Scenario {
        name: "clock",
        story: "Clocks are off, drift, leap, freeze and stop in a suspend.",
        shows: "no promise rests on a clock, and every wait ends",
        awaits: None,
        nodes: 5,
        kind: Kind::Drawn(clock),
    },
    Scenario {
        name: "swarm",
        story: "Any faults, in runs of every length.",
        shows: "every promise holds",
        awaits: None,
        nodes: 5,
        kind: Kind::Drawn(Profile::mixed),
    },
];

/// All nodes are members from the start, timing is that of a data centre, and nothing is so small
/// that requests are refused in fair weather.
fn is_plain(settings: &Settings) -> bool {
    has_room(settings) && has_timing(settings, quorate_election::Config::lan())
}

fn spans_regions(settings: &Settings) -> bool {
    has_room(settings) && has_timing(settings, quorate_election::Config::wan())
}

/// How long a better voter must be well before it leads is drawn by itself.
fn has_timing(settings: &Settings, timing: quorate_election::Config) -> bool {
    let stabilisation = settings.election.stabilisation;
    settings.election == quorate_election::Config { stabilisation, ..timing }
}

fn has_room(settings: &Settings) -> bool {
    let usual = quorate_replication::Config::default();
    let all_vote = settings
        .founders
        .as_ref()
        .is_some_and(|proposal| proposal.configuration.voters().count() == settings.ids.len());
    all_vote
        && settings.replication.uncommitted_entries == usual.uncommitted_entries
        && settings.limits.sessions_max > 100
        && settings.session_ttl_ms > 10_000
}

const fn finds_others(settings: &Settings) -> bool {
    settings.founders.is_none()
}

fn formation(script: &mut Script) {
    for seat in script.seats() {
        let down = script.rng.below(4 * SECOND);
        let target = Target::Seat(seat);
        script.at(1, Fault::Crash { target, disk: DiskLoss::Nothing, down });
    }
    for _ in 0..3 {
        let at = script.rng.below(5 * SECOND);
        script.cut_some(at, 2 * SECOND);
    }
    script.calm_at(10 * SECOND);
}

fn leader_crash(script: &mut Script) {
    for n in 1..=12 {
        let at = n * 5 * SECOND + script.jitter();
        let (disk, down) = (script.power_loss(), script.rng.between(SECOND / 2, 3 * SECOND));
        script.at(at, Fault::Crash { target: Target::Leader, disk, down });
    }
    script.calm_at(70 * SECOND);
    script.steady_load();
}

fn partition(script: &mut Script) {
    let one = |way| (Shape::One { target: Target::Leader }, way);
    let left = script.minority();
    let mut cuts = [
        one(Way::Both),
        one(Way::In),
        one(Way::Out),
        (Shape::Halves { left }, Way::Both),
        (Shape::Bridge { target: Target::Follower, left }, Way::Both),
        (Shape::Ring, Way::Both),
        (Shape::Clients { cut: left }, Way::Both),
    ];
    script.rng.shuffle(&mut cuts);
    for (n, (shape, way)) in cuts.into_iter().enumerate() {
        let at = 5 * SECOND + n as u64 * 6 * SECOND + script.jitter();
        let hold = script.rng.chance(500_000);
        script.at(at, Fault::Partition { shape, way, hold, lasting: 3 * SECOND });
    }
    script.calm_at(50 * SECOND);
    script.steady_load();
}

fn flapping(script: &mut Script) {
    let target = Target::Seat(script.some_seat());
    let mut at = 5 * SECOND;
    while at < 35 * SECOND {
        let lasting = script.rng.between(SECOND / 20, SECOND / 4);
        let shape = Shape::One { target };
        script.at(at, Fault::Partition { shape, way: Way::Both, hold: false, lasting });
        at += lasting + script.rng.between(SECOND / 10, SECOND / 2);
    }
    script.calm_at(42 * SECOND);
    script.steady_load();
}

fn rolling_upgrade(script: &mut Script) {
    for (n, seat) in script.seats().into_iter().enumerate() {
        let at = 5 * SECOND + n as u64 * 6 * SECOND + script.jitter();
        let down = script.rng.between(SECOND / 2, 2 * SECOND);
        script.at(at, Fault::Restart { target: Target::Seat(seat), down });
    }
    let nodes = u64::from(script.nodes());
    script.calm_at((5 + 6 * nodes + 3) * SECOND);
    script.steady_load();
}

fn deploy(script: &mut Script) {
    let gap = script.rng.between(3 * SECOND, 4 * SECOND);
    let mut seats = script.seats();
    script.rng.shuffle(&mut seats);
    for (n, seat) in seats.into_iter().enumerate() {
        let down = script.rng.between(SECOND / 5, SECOND);
        script.at(8 * SECOND + n as u64 * gap, Fault::Restart { target: Target::Seat(seat), down });
    }
    let nodes = u64::from(script.nodes());
    script.calm_at((8 + 4 * nodes + 5) * SECOND);
    script.steady_load();
}

fn geo(script: &mut Script) {
    let zones = script.zones(3);
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        script.distance(zones[one], zones[other], (40, 80));
    }
    let lost = script.rng.index(3);
    for (n, zone) in [lost, (lost + 1) % 3].into_iter().enumerate() {
        let at = (20 + 30 * n as u64) * SECOND + script.jitter();
        let shape = Shape::Halves { left: zones[zone] };
        let hold = script.rng.chance(500_000);
        script.at(at, Fault::Partition { shape, way: Way::Both, hold, lasting: 10 * SECOND });
    }
    script.calm_at(80 * SECOND);
    script.steady_load();
}

fn disaster(script: &mut Script) {
    let disk = script.power_loss();
    let down = script.rng.between(SECOND, 4 * SECOND);
    let at = 10 * SECOND + script.jitter();
    script.at(at, Fault::CrashAll { gap: 0, disk, down });
    let mut seats = script.seats();
    script.rng.shuffle(&mut seats);
    seats.truncate(seats.len() / 2 + 1);
    for (n, seat) in seats.into_iter().enumerate() {
        let at = 25 * SECOND + n as u64 * SECOND;
        let (target, disk) = (Target::Seat(seat), script.power_loss());
        script.at(at, Fault::Crash { target, disk, down: 8 * SECOND });
    }
    script.calm_at(45 * SECOND);
    script.steady_load();
}

fn disk() -> Profile {
    drawn(&["P1", "P2", "P6", "P7", "D1", "D2", "D3", "D4", "D5", "D6", "D7", "D8", "D9", "D10"])
}

fn clock() -> Profile {
    drawn(&["N2", "P1", "P3", "C1", "C2", "C3", "C4", "C5"])
}

/// Short runs with no other kinds of faults than these.
fn drawn(ids: &[&str]) -> Profile {
    let kinds = FaultKind::ALL.iter().filter(|kind| ids.contains(&kind.id()));
    let mut profile = Profile::short();
    profile.swarm.kinds = kinds.fold(FaultSet::NONE, |all, kind| all.union(FaultSet::only(*kind)));
    profile
}

fn is_born(seen: &Seen) -> Result<(), String> {
    seen.at_least("births that nodes heard of", seen.checked("E12"), 1)
}

fn fails_over_soon(seen: &Seen) -> Result<(), String> {
    seen.at_least("failovers", seen.outcome.failovers.len() as u64, 10)?;
    seen.failovers_within(2 * SECOND)
}

fn fails_over_in_time(seen: &Seen) -> Result<(), String> {
    seen.at_least("cuts", seen.struck(FaultKind::Partition), 2)?;
    seen.failovers_within(6 * SECOND)?;
    seen.answered_at_least(950_000)
}

fn is_cut_and_replaced(seen: &Seen) -> Result<(), String> {
    seen.at_least("cuts", seen.struck(FaultKind::Partition), 6)?;
    seen.at_least("failovers", seen.outcome.failovers.len() as u64, 1)?;
    seen.at_least("checks that a leader steps down", seen.checked("E11"), 1)
}

fn mostly_answers(seen: &Seen) -> Result<(), String> {
    seen.at_least("cuts", seen.struck(FaultKind::Partition), 40)?;
    seen.answered_at_least(900_000)
}

fn answers_everything(seen: &Seen) -> Result<(), String> {
    seen.at_least("restarts", seen.struck(FaultKind::Restart), seen.nodes.into())?;
    seen.answered_at_least(1_000_000)
}

fn answers_soon(seen: &Seen) -> Result<(), String> {
    answers_everything(seen)?;
    seen.answered_within(2 * SECOND)
}

fn recovers(seen: &Seen) -> Result<(), String> {
    seen.at_least("restarts", seen.struck(FaultKind::Restart), u64::from(seen.nodes) + 1)?;
    seen.at_least("checks of what was confirmed", seen.checked("R4"), 100)?;
    // Some wait in vain while too many nodes are down.
    seen.answered_at_least(800_000)
}

/// What clients of a scenario do, one of so many times.
pub(super) const ACTS: [Act; 6] = [Act::Set, Act::Get, Act::Set, Act::Get, Act::Cas, Act::Delete];
