//! What stands for itself: a single run, or all of a small world.

use std::process::ExitCode;

use clap::Subcommand;
use quorate_sim::Plan;
use quorate_sim::cluster::{KvOperation, meaning};

use super::{Sim, args, exhaust};
use crate::sh::{USAGE, say};

/// What to do with a single run.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum One {
    /// Runs a seed or a plan again, and writes its trace and its timeline.
    Replay {
        /// A seed, or a file that holds a plan. A seed is another run with another of --short,
        /// --long and --birth: repeat the one it was found with.
        #[arg(value_name = "SEED|PLAN")]
        what: String,
    },
    /// Cuts a seed or a plan that fails down to what breaks the promise.
    Minimise {
        /// A seed, or a file that holds a plan. A seed is another run with another of --short,
        /// --long and --birth: repeat the one it was found with.
        #[arg(value_name = "SEED|PLAN")]
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

impl One {
    /// What it is called on the command line.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Replay { .. } => "replay",
            Self::Minimise { .. } => "minimise",
            Self::Exhaust { .. } => "exhaust",
        }
    }
}

impl Sim {
    pub(super) fn run_one(&self, one: &One) -> ExitCode {
        let what = match one {
            One::Replay { what } | One::Minimise { what } => what,
            One::Exhaust { world, small } => {
                return exhaust::run(*world, *small, self.mutant.as_deref());
            }
        };
        let profile = self.profile(self.mutant.as_deref());
        match self.folder_made().and_then(|()| args::plan(what, &profile)) {
            Ok(plan) if matches!(one, One::Replay { .. }) => self.replay(&plan),
            Ok(plan) => self.minimise_one(&plan),
            Err(error) => {
                say(&error);
                ExitCode::from(USAGE)
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
        let late = plan.faults.iter().filter(|fault| fault.at >= plan.calm_at).count();
        if late > 0 {
            let calm = plan.calm_at as f64 / 1e9;
            say(&format!("{late} of its faults never strike: faults end at {calm:.3} s"));
        }
        let written = self.write_files(plan, &outcome, &trace, None, None);
        match outcome.failure {
            Some(_) => ExitCode::FAILURE,
            None if written => ExitCode::SUCCESS,
            None => ExitCode::from(USAGE),
        }
    }

    fn minimise_one(&self, plan: &Plan<KvOperation>) -> ExitCode {
        let (outcome, _) = self.trace(plan);
        let Some(failure) = &outcome.failure else {
            say(
                "it breaks no promise: there is nothing to cut down. Was it found with --short, --long, --birth or --mutant?",
            );
            return ExitCode::from(USAGE);
        };
        self.tell_failure(failure, None);
        ExitCode::FAILURE
    }
}
