//! What can befall a crowd, and how it fares.

use std::time::Duration;

use quorate_core::{Instant, Rng};

use crate::crowd::checks::{Broken, Promises};
use crate::crowd::gossiper::{Belief, Gossiper};
use crate::crowd::ledger::Sighting;
use crate::crowd::seat::Stall;
use crate::crowd::tally::Tally;
use crate::crowd::weather::Weather;
use crate::crowd::world::Crowd;

/// What befalls a crowd. Unless it says otherwise, all nodes know each other at first, and the
/// links are those of [`Weather::LAN`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// One node crashes.
    Crash,
    /// A tenth of all crash at once.
    MassCrash,
    /// One node more joins.
    Join,
    /// One node leaves by its own will.
    Leave,
    /// One node crashes and is back a second later, elsewhere.
    Move,
    /// All start at once, alone but for the first one as their seed.
    ColdBoot,
    /// Two halves do not hear each other for so long.
    Split(Duration),
    /// One node hears nobody and is heard by nobody for so long.
    CutOff(Duration),
    /// Nothing, for so long.
    Quiet(Duration),
    /// So many percent of all packets are lost, for so long.
    Loss(u32, Duration),
    /// So many nodes stall for so long, run for half a second, and again, for two minutes: the
    /// experiment of Dadgar, Phillips and Currey 2018, where they are [`Stall::Blocked`].
    Stalls(u32, Duration, Stall),
    /// Two islands that know only themselves and a common seed, which is down until later.
    Islands,
    /// Nodes come and go, links lose and repeat, for so long; then calm.
    Storm(Duration),
    /// Two clusters of other names share the seeds.
    Strangers,
}

/// How many nodes, and what is checked meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// How many nodes.
    pub nodes: u32,
    /// What is checked.
    pub promises: Promises,
}

/// How a crowd fared in a scenario.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// How long after the blow a running node took one that it hit for dead, or for left; of each
    /// such pair the first time, in the order of time.
    pub dead: Vec<Duration>,
    /// The same for unreachable or worse.
    pub unreachable: Vec<Duration>,
    /// The same for alive, where nodes came.
    pub alive: Vec<Duration>,
    /// How many pairs should have noticed the blow.
    pub pairs: u64,
    /// How long after the blow, or after its end, everybody was right about everybody and stayed so
    /// until the scenario ended; `None` if not within its time.
    pub settled: Option<Duration>,
    /// How long after its start a newcomer knew all others.
    pub complete: Option<Duration>,
    /// How many different nodes were declared dead by anybody though they were well.
    pub buried_alive: usize,
    /// What happened during the scenario.
    pub tally: Tally,
}

impl Scenario {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// The first of the promises that is broken.
    pub fn run<G: Gossiper>(
        self,
        setting: G::Setting,
        seed: u64,
        size: Size,
    ) -> Result<Figures, Broken> {
        let mut crowd = Crowd::<G>::new(seed, setting, Weather::LAN);
        crowd.promise(size.promises);
        self.run_in(&mut crowd, size.nodes)
    }

    /// Runs it in an empty crowd, with the weather of that.
    ///
    /// # Errors
    ///
    /// The first of the promises that is broken.
    pub fn run_in<G: Gossiper>(self, crowd: &mut Crowd<G>, nodes: u32) -> Result<Figures, Broken> {
        let mut dice = Rng::stream(crowd.seed, "crowd scenario");
        let before = match self {
            Self::ColdBoot | Self::Islands | Self::Strangers => crowd.tally(),
            _ => {
                crowd.warm_start(nodes);
                crowd.run_for(WARM_UP)?;
                crowd.tally()
            }
        };
        let mut figures = match self {
            Self::Crash => {
                let victim = dice.below(u64::from(nodes)) as u32;
                crashed(crowd, &[victim])
            }
            Self::MassCrash => {
                let mut all: Vec<u32> = (0..nodes).collect();
                dice.shuffle(&mut all);
                all.truncate((nodes / 10).max(1) as usize);
                crashed(crowd, &all)
            }
            Self::Join => joined(crowd),
            Self::Leave => left(crowd, dice.below(u64::from(nodes)) as u32),
            Self::Move => moved(crowd, dice.below(u64::from(nodes)) as u32),
            Self::ColdBoot => cold(crowd, nodes),
            Self::Split(time) => split(crowd, time),
            Self::CutOff(time) => cut_off(crowd, dice.below(u64::from(nodes)) as u32, time),
            Self::Quiet(time) => crowd.run_for(time).map(|()| Figures::default()),
            Self::Loss(percent, time) => {
                crowd.set_weather(crowd.weather.with_loss(percent));
                crowd.run_for(time).map(|()| Figures::default())
            }
            Self::Stalls(count, time, how) => {
                let mut all: Vec<u32> = (0..nodes).collect();
                dice.shuffle(&mut all);
                all.truncate(count as usize);
                stalls(crowd, &all, how, time)
            }
            Self::Islands => islands(crowd, nodes),
            Self::Storm(time) => storm(crowd, time, &mut dice),
            Self::Strangers => strangers(crowd, nodes),
        }?;
        figures.tally = crowd.tally() - before;
        figures.buried_alive = crowd.buried_alive();
        match self.judge(nodes, &figures) {
            Err((invariant, what)) if crowd.checks.promises.bounds => {
                Err(crowd.break_of(invariant, what, &[]))
            }
            _ => Ok(figures),
        }
    }
}

fn crashed<G: Gossiper>(crowd: &mut Crowd<G>, victims: &[u32]) -> Result<Figures, Broken> {
    for victim in victims {
        crowd.watch(*victim);
        crowd.crash(*victim);
    }
    let at = crowd.now();
    let stopped = crowd.run_while(NOTICE_MAX, |crowd| crowd.astray() > 0)?;
    let settled = stopped.then(|| crowd.now().since(at));
    let observers = (0..crowd.nodes()).filter(|node| crowd.runs(*node)).count() as u64;
    let mut figures = seen(crowd.sightings(), at);
    figures.pairs = observers * victims.len() as u64;
    figures.settled = settled;
    Ok(figures)
}

fn joined<G: Gossiper>(crowd: &mut Crowd<G>) -> Result<Figures, Broken> {
    let newcomer = crowd.add(1, 0);
    let others = crowd.nodes() - 1;
    crowd.watch(newcomer);
    let at = crowd.now();
    crowd.start(newcomer, &seeds(crowd));
    // Whichever is first, its own view or that of all others of it; then the other.
    let knows_all = |crowd: &Crowd<G>| crowd.astray() == u64::from(crowd.misjudged(newcomer));
    let mut complete = None;
    if crowd.run_while(NOTICE_MAX, |crowd| !knows_all(crowd))? {
        complete = Some(crowd.now().since(at));
    }
    let left = NOTICE_MAX.saturating_sub(crowd.now().since(at));
    let stopped = crowd.run_while(left, |crowd| crowd.astray() > 0)?;
    let settled = stopped.then(|| crowd.now().since(at));
    let figures = seen(crowd.sightings(), at);
    Ok(Figures { pairs: u64::from(others), settled, complete, ..figures })
}

fn left<G: Gossiper>(crowd: &mut Crowd<G>, leaver: u32) -> Result<Figures, Broken> {
    crowd.watch(leaver);
    let at = crowd.now();
    crowd.leave(leaver);
    let goes_on = |crowd: &Crowd<G>| crowd.astray() > 0 || crowd.node(leaver).is_some();
    let stopped = crowd.run_while(NOTICE_MAX, goes_on)?;
    let settled = stopped.then(|| crowd.now().since(at));
    let buries = |node: &u32| crowd.runs(*node) && crowd.belief(*node, leaver) == Belief::Dead;
    if let Some(node) = (0..crowd.nodes()).find(buries)
        && crowd.checks.promises.bounds
    {
        let what = format!("n{leaver:04} leaves, and n{node:04} takes it for dead");
        return Err(crowd.break_of("M2", what, &[leaver, node]));
    }
    let figures = seen(crowd.sightings(), at);
    Ok(Figures { pairs: u64::from(crowd.nodes() - 1), settled, ..figures })
}

fn moved<G: Gossiper>(crowd: &mut Crowd<G>, node: u32) -> Result<Figures, Broken> {
    crowd.crash(node);
    crowd.run_for(Duration::from_secs(1))?;
    crowd.relocate(node);
    let at = crowd.now();
    crowd.start(node, &seeds(crowd));
    // Who never noticed that it was gone must learn of its next life all the same.
    let stopped = crowd.run_while(NOTICE_MAX, |crowd| crowd.astray() > 0)?;
    let mut settled = stopped.then(|| crowd.now().since(at));
    while settled.is_some() && !crowd.agrees() {
        crowd.run_for(GLANCE)?;
        let passed = crowd.now().since(at);
        settled = (passed < NOTICE_MAX).then_some(passed);
    }
    Ok(Figures { settled, ..Figures::default() })
}

fn cold<G: Gossiper>(crowd: &mut Crowd<G>, nodes: u32) -> Result<Figures, Broken> {
    crowd.add(nodes, 0);
    for node in 0..nodes {
        crowd.start(node, &[0]);
    }
    settle(crowd, BOOT_MAX)
}

fn split<G: Gossiper>(crowd: &mut Crowd<G>, time: Duration) -> Result<Figures, Broken> {
    // Neighbours by number are on different sides, and so are the seeds.
    crowd.split(|node| (node % 2) as u8);
    crowd.run_for(time)?;
    crowd.heal();
    settle(crowd, HEAL_MAX)
}

fn cut_off<G: Gossiper>(
    crowd: &mut Crowd<G>,
    alone: u32,
    time: Duration,
) -> Result<Figures, Broken> {
    crowd.split(|node| u8::from(node == alone));
    crowd.run_for(time)?;
    let gives_up = |node: &u32| crowd.belief(alone, *node) == Belief::Dead;
    if let Some(node) = (0..crowd.nodes()).find(gives_up)
        && crowd.checks.promises.bounds
    {
        let what = format!("n{alone:04} hears nobody, and declares n{node:04} dead");
        return Err(crowd.break_of("M7", what, &[alone]));
    }
    crowd.heal();
    settle(crowd, HEAL_MAX)
}

fn stalls<G: Gossiper>(
    crowd: &mut Crowd<G>,
    nodes: &[u32],
    how: Stall,
    time: Duration,
) -> Result<Figures, Broken> {
    let end = crowd.now() + STALLS_TIME;
    while crowd.now() < end {
        for node in nodes {
            crowd.stall(*node, how, time);
        }
        let left = end.since(crowd.now());
        crowd.run_for((time + STALLS_RUN).min(left))?;
    }
    Ok(Figures::default())
}

fn islands<G: Gossiper>(crowd: &mut Crowd<G>, nodes: u32) -> Result<Figures, Broken> {
    crowd.add(nodes, 0);
    crowd.split(|node| if node == 0 { 2 } else { (node % 2) as u8 });
    for node in 0..nodes {
        // Each island has a seed of its own, and all know of node 0.
        crowd.start(node, &[0, 1 + (node + 1) % 2]);
    }
    crowd.run_for(Duration::from_secs(60))?;
    crowd.heal();
    settle(crowd, HEAL_MAX)
}

fn storm<G: Gossiper>(
    crowd: &mut Crowd<G>,
    time: Duration,
    dice: &mut Rng,
) -> Result<Figures, Broken> {
    let calm = crowd.weather;
    crowd.set_weather(Weather {
        loss: 100_000,
        held_up: 50_000,
        held_up_max: Duration::from_millis(400),
        replays: 10_000,
        ..calm
    });
    let end = crowd.now() + time;
    while crowd.now() < end {
        crowd.run_for(dice.duration(Duration::ZERO, Duration::from_secs(2)))?;
        let node = dice.below(u64::from(crowd.nodes())) as u32;
        match (crowd.runs(node), dice.index(6)) {
            (true, 0 | 1) => crowd.crash(node),
            (true, 2) => {
                let how = if dice.index(2) == 0 { Stall::Frozen } else { Stall::Blocked };
                crowd.stall(node, how, dice.duration(Duration::ZERO, Duration::from_secs(8)));
            }
            (true, 3) => crowd.leave(node),
            (true, 4) => crowd.split(|other| u8::from((other ^ node).is_multiple_of(4))),
            (true, _) => crowd.heal(),
            (false, moves) => {
                if moves % 2 == 0 && crowd.node(node).is_none() {
                    crowd.relocate(node);
                }
                crowd.start(node, &seeds(crowd));
            }
        }
    }
    crowd.heal();
    crowd.set_weather(calm);
    // Who started while all its seeds were down hears of nobody before it announces itself again.
    let (start, alone_max) = (crowd.now(), Scenario::Islands.bound(crowd.nodes()));
    while somebody_is_alone(crowd) {
        if crowd.now().since(start) >= alone_max {
            return Ok(Figures::default());
        }
        crowd.run_for(GLANCE)?;
    }
    settle(crowd, HEAL_MAX)
}

/// Whether a node that runs knows of no other.
fn somebody_is_alone<G: Gossiper>(crowd: &Crowd<G>) -> bool {
    let knows =
        |node: u32, other: u32| other != node && crowd.belief(node, other) != Belief::Unknown;
    let is_alone = |node: &u32| !(0..crowd.nodes()).any(|other| knows(*node, other));
    (0..crowd.nodes()).filter(|node| crowd.runs(*node)).any(|node| is_alone(&node))
}

fn strangers<G: Gossiper>(crowd: &mut Crowd<G>, nodes: u32) -> Result<Figures, Broken> {
    crowd.add(nodes / 2, 0);
    crowd.add(nodes - nodes / 2, 1);
    for node in 0..nodes {
        crowd.start(node, &[0, nodes - 1]);
    }
    settle(crowd, BOOT_MAX)
}

/// Waits until everybody is right about everybody and stays so for a while.
fn settle<G: Gossiper>(crowd: &mut Crowd<G>, within: Duration) -> Result<Figures, Broken> {
    let start = crowd.now();
    let mut settled = None;
    while settled.is_none() && crowd.now().since(start) < within {
        let left = within.saturating_sub(crowd.now().since(start));
        if crowd.run_while(left, |crowd| crowd.astray() > 0)? {
            let at = crowd.now();
            if !crowd.run_while(STAYS, |crowd| crowd.astray() == 0)? {
                settled = Some(at.since(start));
            }
        }
    }
    Ok(Figures { settled, ..Figures::default() })
}

/// The first time of each pair, from what was learned of watched nodes.
fn seen(sightings: Vec<Sighting>, start: Instant) -> Figures {
    let mut figures = Figures::default();
    let first = |wanted: fn(Belief) -> bool| {
        let wanted = sightings.iter().filter(|sighting| wanted(sighting.belief));
        let mut all: Vec<_> = wanted.map(|s| (s.observer, s.about, s.at)).collect();
        all.sort_unstable();
        all.dedup_by_key(|(observer, about, _)| (*observer, *about));
        let mut times: Vec<_> = all.into_iter().map(|(_, _, at)| at.since(start)).collect();
        times.sort_unstable();
        times
    };
    figures.dead = first(|belief| matches!(belief, Belief::Dead | Belief::Left));
    figures.unreachable =
        first(|belief| matches!(belief, Belief::Unreachable | Belief::Dead | Belief::Left));
    figures.alive = first(|belief| belief == Belief::Alive);
    figures
}

/// Three of the nodes that run.
fn seeds<G: Gossiper>(crowd: &Crowd<G>) -> Vec<u32> {
    (0..crowd.nodes()).filter(|node| crowd.runs(*node)).take(3).collect()
}

/// How long a crowd that was started warm runs before the blow: measured round trips are part of
/// a working cluster.
const WARM_UP: Duration = Duration::from_secs(10);
/// How long a blow may go unnoticed.
const NOTICE_MAX: Duration = Duration::from_secs(120);
/// How long a cold boot may take.
const BOOT_MAX: Duration = Duration::from_secs(300);
/// How long a crowd may take to find together.
const HEAL_MAX: Duration = Duration::from_secs(300);
/// How long it must stay right.
const STAYS: Duration = Duration::from_secs(2);
/// How often what costs much is looked at.
const GLANCE: Duration = Duration::from_millis(10);
const STALLS_TIME: Duration = Duration::from_secs(120);
const STALLS_RUN: Duration = Duration::from_millis(500);
