//! `--mutants`: every seeded bug must be caught, and may be cut down.

use std::process::ExitCode;
use std::time::Duration;

use quorate_sim::cluster::{Failure, KvOperation, MUTANTS, Mutant, Profile, minimise};
use quorate_sim::{Goal, Minimised};
use quorate_tests::now;

use super::{Sim, choose};
use crate::sh::say;

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
        let mut caught = Vec::new();
        for mutant in MUTANTS {
            let (summary, failure, took) = self.campaign(Some(mutant.name), false);
            let took = took.as_secs_f64();
            let verdict = failure.as_ref().map_or("NOT CAUGHT", |failure| &failure.invariant);
            let line = format!(
                "{:<34} {verdict:<12} {took:6.2} s {:>7} seeds",
                mutant.name, summary.seeds
            );
            let Some(failure) = failure else {
                say(&line);
                continue;
            };
            if self.minimise {
                let (cut, reached_goal) = self.cut_down(mutant, &failure);
                say(&format!("{line}  {cut}"));
                caught.push(Caught { took, reached_goal: Some(reached_goal) });
            } else {
                say(&line);
                caught.push(Caught { took, reached_goal: None });
            }
        }
        conclude(&caught);
        if caught.len() == MUTANTS.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Cuts the plan down: what came of it in words, and whether it is small enough.
    fn cut_down(&self, mutant: &Mutant, failure: &Failure) -> (String, bool) {
        let begun = now();
        let small = minimise_as(Some(mutant.name), failure, &self.profile(Some(mutant.name)));
        let took = (now() - begun).as_secs_f64();
        let (faults, operations) = (failure.plan.faults.len(), failure.plan.operations.len());
        let Some(small) = small else {
            return ("did not fail again".to_owned(), false);
        };
        let plan = &small.plan;
        let reached = plan.faults.len() <= GOAL.faults && plan.operations.len() <= GOAL.operations;
        let text = format!(
            "faults {faults:>3} -> {:>2}, operations {operations:>4} -> {:>3}, nodes {} -> {}, {took:5.1} s, {:>5} runs{}",
            plan.faults.len(),
            plan.operations.len(),
            failure.plan.nodes,
            plan.nodes,
            small.runs,
            if reached { "" } else { "  TOO LARGE" },
        );
        (text, reached && took <= MINIMISE_MAX.as_secs_f64() + 1.0)
    }
}

/// The time that minimising may take.
pub(super) const MINIMISE_MAX: Duration = Duration::from_secs(30);

/// Cuts the plan of `failure` down, with this seeded bug chosen.
pub(super) fn minimise_as(
    mutant: Option<&str>,
    failure: &Failure,
    profile: &Profile,
) -> Option<Minimised<KvOperation>> {
    let end = now() + MINIMISE_MAX;
    choose(mutant);
    let small = minimise(&failure.plan, profile, || now() < end);
    choose(None);
    small
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
