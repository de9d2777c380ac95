//! What stands for itself: a single run, or all of a small world.

use std::process::ExitCode;

use clap::Subcommand;
use quorate_sim::Plan;
use quorate_sim::cluster::{KvOperation, meaning};

use super::{Sim, args, exhaust};
use crate::sh::say;

/// What to do with a single run.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum One {
    /// Runs it again, and writes its trace and its timeline.
    Replay {
        /// A seed, or a file that holds a plan.
        what: String,
    },
    /// Cuts it down to what breaks the promise.
    Minimise {
        /// A seed, or a file that holds a plan.
        what: String,
    },
    /// Looks at every state of three nodes, with few terms and one crash, rather than at seeds.
    Exhaust {
        /// Which world; both by default.
        #[arg(value_enum)]
        world: Option<exhaust::World>,
        /// Within the bounds of the tests: a few seconds rather than minutes.
        #[arg(long)]
        small: bool,
    },
}

impl Sim {
    pub(super) fn run_one(&self, one: &One) -> ExitCode {
        let what = match one {
            One::Replay { what } | One::Minimise { what } => what,
            One::Exhaust { world, small } => return exhaust::run(*world, *small),
        };
        let profile = self.profile(self.mutant.as_deref());
        match args::plan(what, &profile) {
            Ok(plan) if matches!(one, One::Replay { .. }) => self.replay(&plan),
            Ok(plan) => self.minimise_one(&plan),
            Err(error) => {
                say(&error);
                ExitCode::from(64)
            }
        }
    }

    /// Runs `plan` alone.
    pub(super) fn replay(&self, plan: &Plan<KvOperation>) -> ExitCode {
        let (outcome, trace) = self.trace(plan);
        say(&format!(
            "seed {}: {} nodes, {} faults, {} operations; {} events in {:.2} simulated seconds, hash {:032x}",
            plan.seed,
            plan.nodes,
            plan.faults.len(),
            plan.operations.len(),
            outcome.events,
            outcome.nanos as f64 / 1e9,
            outcome.hash
        ));
        match &outcome.failure {
            Some(failure) => {
                say(&format!("broke {}: {}", failure.invariant, failure.message));
                say(&format!("  {}", meaning(&failure.invariant)));
            }
            None => say("no violation"),
        }
        self.write_files(plan, &outcome, &trace, None, None);
        if outcome.failure.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    fn minimise_one(&self, plan: &Plan<KvOperation>) -> ExitCode {
        let (outcome, _) = self.trace(plan);
        let Some(failure) = &outcome.failure else {
            say("it breaks no promise: there is nothing to cut down");
            return ExitCode::from(64);
        };
        self.tell_failure(failure, None);
        ExitCode::FAILURE
    }
}
