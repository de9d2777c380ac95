//! `--mutants`: every seeded bug must be caught, and may be cut down.

use std::fs;
use std::process::ExitCode;

use quorate_sim::Goal;
use quorate_sim::cluster::{Failure, MUTANTS, Mutant};

use super::Sim;
use super::found::cut_down;
use crate::sh::{USAGE, say};

/// What became of a seeded bug.
struct Caught {
    /// Until it was caught, in seconds.
    took: f64,
    /// Of the smaller plan, if one was asked for.
    reached_goal: Option<bool>,
}

/// Small enough for a person.
const GOAL: Goal = Goal { faults: 5, operations: 10 };

impl Sim {
    /// Every seeded bug must be caught.
    pub(super) fn hunt_all(&self) -> ExitCode {
        if let Some(folder) = &self.plans
            && let Err(error) = fs::create_dir_all(folder)
        {
            say(&format!("--plans {}: {error}", folder.display()));
            return ExitCode::from(USAGE);
        }
        let mut caught = Vec::new();
        for mutant in MUTANTS {
            let campaign = self.campaign(Some(mutant.name), 0, false);
            let (took, seeds) = (campaign.took.as_secs_f64(), campaign.summary.seeds);
            let failure = campaign.failure.as_ref();
            let verdict = failure.map_or("NOT CAUGHT", |failure| &failure.invariant);
            let mut line =
                format!("{:<34} {verdict:<12} {took:6.2} s {seeds:>7} seeds", mutant.name);
            let mut reached_goal = None;
            if let Some(failure) = failure.filter(|_| self.minimise) {
                let (text, reached) = self.minimised(mutant, failure);
                line += &text;
                reached_goal = Some(reached);
            }
            say(&line);
            if failure.is_some() {
                caught.push(Caught { took, reached_goal });
            }
        }
        conclude(&caught);
        if caught.len() == MUTANTS.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Cuts the plan down: what came of it in words, and whether it is small enough.
    fn minimised(&self, mutant: &Mutant, failure: &Failure) -> (String, bool) {
        let profile = self.profile(Some(mutant.name));
        let Some(small) = cut_down(Some(mutant.name), &failure.plan, &profile) else {
            return ("  did not fail again".to_owned(), false);
        };
        let (whole, plan) = (&failure.plan, &small.plan);
        let reached = plan.faults.len() <= GOAL.faults && plan.operations.len() <= GOAL.operations;
        let text = format!(
            "  faults {:>3} -> {:>2}, operations {:>4} -> {:>3}, nodes {} -> {}, {:5.1} s, {:>5} runs{}",
            whole.faults.len(),
            plan.faults.len(),
            whole.operations.len(),
            plan.operations.len(),
            whole.nodes,
            plan.nodes,
            small.took.as_secs_f64(),
            small.runs,
            if reached { "" } else { "  TOO LARGE" },
        );
        if let Some(folder) = &self.plans {
            let file = folder.join(format!("{}.toml", mutant.name));
            let written = plan
                .to_toml()
                .map_err(|error| error.to_string())
                .and_then(|plan| fs::write(&file, plan).map_err(|error| error.to_string()));
            if let Err(error) = written {
                return (format!("{text}  {}: {error}", file.display()), reached);
            }
        }
        (text, reached)
    }
}

fn conclude(caught: &[Caught]) {
    let mut times: Vec<f64> = caught.iter().map(|caught| caught.took).collect();
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let cut: Vec<bool> = caught.iter().filter_map(|caught| caught.reached_goal).collect();
    let small = cut.iter().filter(|reached| **reached).count();
    let goal = format!(
        ", {small} of {} cut to at most {} faults and {} operations ({:.0} %)",
        cut.len(),
        GOAL.faults,
        GOAL.operations,
        100.0 * small as f64 / cut.len().max(1) as f64
    );
    say(&format!(
        "{} of {} seeded bugs caught, median {median:.2} s{}",
        caught.len(),
        MUTANTS.len(),
        if cut.is_empty() { String::new() } else { goal }
    ));
}
