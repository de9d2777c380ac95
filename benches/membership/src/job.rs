//! What is to be measured, and what came of it.

use std::time::Duration;

use clap::ValueEnum;
use quorate_sim::crowd::{Figures, Gossiper, Member, Members, Promises, Scenario, Size, Stall};

use crate::in_foca::{Expected, InFoca};
use crate::timed::{Timed, with_share};

/// What a part of the table is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Topic {
    Crash,
    MassCrash,
    Join,
    Leave,
    ColdBoot,
    Heal,
    Quiet,
    Loss,
    Stalls,
}

/// Whose membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Subject {
    Quorate,
    Foca,
}

/// One run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    pub(crate) subject: Subject,
    pub(crate) topic: Topic,
    pub(crate) scenario: Scenario,
    pub(crate) nodes: u32,
    pub(crate) seed: u64,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) job: Job,
    pub(crate) figures: Figures,
    /// Which share of the time the thread had a processor.
    pub(crate) share: f64,
}

impl Job {
    pub(crate) fn run(self) -> Result<Outcome, String> {
        match self.subject {
            Subject::Quorate => self.run_as::<Member>(Members::default()),
            Subject::Foca => self.run_as::<InFoca>(Expected(self.nodes)),
        }
    }

    fn run_as<G: Gossiper>(self, setting: G::Setting) -> Result<Outcome, String> {
        let size = Size { nodes: self.nodes, promises: Promises::NONE };
        let run = || self.scenario.run::<Timed<G>>(setting, self.seed, size);
        let (figures, share) = with_share(run);
        let figures = figures.map_err(|broken| broken.to_string())?;
        Ok(Outcome { job: self, figures, share })
    }

    /// What it is, in a few words.
    pub(crate) fn name(&self) -> String {
        let Self { subject, scenario, nodes, seed, .. } = self;
        format!("{subject:?} {scenario:?} of {nodes}, seed {seed}").to_lowercase()
    }
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// How many seeds a scenario is given at the smallest size.
    pub(crate) seeds: u64,
    /// For how many hours of one node loss lasts at the smallest size.
    pub(crate) node_hours: f64,
}

impl Effort {
    /// The runs of a topic.
    pub(crate) fn jobs(self, subject: Subject, topic: Topic, nodes: u32) -> Vec<Job> {
        let seeds = (self.seeds * 100).div_ceil(u64::from(nodes.max(100))).max(1);
        let runs: Vec<(Scenario, u64)> = match topic {
            Topic::Crash => {
                vec![(Scenario::Crash, if nodes <= 100 { seeds * 10 } else { seeds.max(2) })]
            }
            Topic::MassCrash => vec![(Scenario::MassCrash, seeds)],
            Topic::Join => vec![(Scenario::Join, seeds)],
            Topic::Leave => vec![(Scenario::Leave, seeds)],
            Topic::ColdBoot => vec![(Scenario::ColdBoot, seeds.div_ceil(2))],
            Topic::Heal if nodes > 1_000 => Vec::new(),
            Topic::Heal => {
                [60, 3_600].map(|secs| (Scenario::Split(Duration::from_secs(secs)), seeds)).to_vec()
            }
            Topic::Quiet => vec![(Scenario::Quiet(Duration::from_secs(60)), seeds.div_ceil(5))],
            Topic::Loss => self.losses(nodes),
            Topic::Stalls if nodes > 100 => Vec::new(),
            Topic::Stalls => stalls(self.seeds.div_ceil(10)),
        };
        // The stalls are those of the paper, which has 128 nodes.
        let nodes = if topic == Topic::Stalls { 128 } else { nodes };
        let job = |scenario, seed| Job { subject, topic, scenario, nodes, seed };
        let all = runs
            .into_iter()
            .flat_map(|(scenario, seeds)| (0..seeds).map(move |seed| job(scenario, seed)));
        all.collect()
    }

    fn losses(self, nodes: u32) -> Vec<(Scenario, u64)> {
        if nodes > 1_000 {
            return Vec::new();
        }
        // Large crowds are at it for a minute, small ones for their node-hours in turns of 20 min.
        let (time, runs) = if nodes > 100 {
            (Duration::from_secs(60), 1)
        } else {
            let turn = Duration::from_secs(1_200);
            let hours = f64::from(nodes) * turn.as_secs_f64() / 3_600.0;
            (turn, (self.node_hours / hours).ceil().max(1.0) as u64)
        };
        let mut losses =
            vec![(Scenario::Loss(10, time), runs.div_ceil(2)), (Scenario::Loss(25, time), runs)];
        // Those between are for the plot alone.
        losses.extend([5, 15, 20].map(|percent| (Scenario::Loss(percent, MINUTE), 1)));
        losses
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// The cells of the paper, and the same with processes that stand still as a whole.
fn stalls(seeds: u64) -> Vec<(Scenario, u64)> {
    let mut cells = Vec::new();
    for how in [Stall::Blocked, Stall::Frozen] {
        for count in [1, 4, 8, 16, 32] {
            for millis in [2_000, 8_200, 16_400, 32_800] {
                cells.push((Scenario::Stalls(count, Duration::from_millis(millis), how), seeds));
            }
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(subject: Subject, topic: Topic, scenario: Scenario) -> Outcome {
        Job { subject, topic, scenario, nodes: 20, seed: 1 }.run().unwrap()
    }

    #[test]
    fn both_notice_in_the_same_network_what_befalls_it() {
        for subject in [Subject::Quorate, Subject::Foca] {
            let crash = run(subject, Topic::Crash, Scenario::Crash).figures;
            assert_eq!((crash.dead.len(), crash.pairs), (19, 19), "{subject:?}");
            let join = run(subject, Topic::Join, Scenario::Join).figures;
            assert_eq!((join.alive.len(), join.complete.is_some()), (20, true), "{subject:?}");
            let leave = run(subject, Topic::Leave, Scenario::Leave).figures;
            assert!(leave.settled.is_some(), "{subject:?}");
            let boot = run(subject, Topic::ColdBoot, Scenario::ColdBoot).figures;
            assert!(boot.settled.is_some(), "{subject:?}");
            let split = Scenario::Split(Duration::from_secs(60));
            let heal = run(subject, Topic::Heal, split).figures;
            assert!(heal.settled.is_some(), "{subject:?}");
            // One of the two has to come back as another.
            assert_eq!(heal.tally.renamed > 0, subject == Subject::Foca);
            let quiet = run(subject, Topic::Quiet, Scenario::Quiet(MINUTE)).figures;
            assert_eq!((quiet.tally.healthy_deaths, quiet.tally.lost), (0, 0), "{subject:?}");
            assert!(quiet.tally.busy_nanos > 0 && quiet.tally.calls > quiet.tally.events);
        }
    }
}
