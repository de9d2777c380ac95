//! `cargo xtask sim`: the shipped node through simulated faults, seed after seed.

mod args;
mod campaign;
mod exhaust;
mod found;
mod hunt;
mod one;
mod state;
mod table;
mod told;

use std::ops::Range;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Args;
use quorate_sim::cluster::{MUTANTS, Scenario};

use crate::sh::{root, say};
use args::Kind;
use campaign::Campaign;
use one::One;
use state::State;

/// Runs the shipped node through simulated faults. Exit: 0 no violation, 1 a violation, 64 usage.
///
/// With --mutant or --mutants the seeded bugs are built in (in a target folder of their own), and
/// finding the violation is success.
#[derive(Debug, Args)]
pub(crate) struct Sim {
    #[command(subcommand)]
    one: Option<One>,
    /// Seeds from A up to B; default: as many as the budget allows, from 0.
    #[arg(long, value_name = "A..B", value_parser = args::seeds)]
    seeds: Option<Range<u64>>,
    /// How long to go on, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "55", value_parser = args::seconds)]
    budget: Duration,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Only short runs with many faults, to count seeds; by default all kinds are mixed.
    #[arg(long, global = true)]
    short: bool,
    /// Only long runs with pauses between faults.
    #[arg(long, conflicts_with = "short", global = true)]
    long: bool,
    /// Only runs around the birth of the cluster.
    #[arg(long, conflicts_with_all = ["short", "long"], global = true)]
    birth: bool,
    /// Only runs of this named scenario; see --list.
    #[arg(long, value_name = "NAME", value_parser = told::scenario, global = true,
        conflicts_with_all = ["short", "long", "birth", "state"])]
    scenario: Option<&'static Scenario>,
    /// Lists the scenarios.
    #[arg(long)]
    list: bool,
    /// How many nodes every run has; by default as drawn, or as the scenario has it.
    #[arg(long, value_name = "N", value_parser = told::nodes, global = true)]
    nodes: Option<u8>,
    /// Runs the plan in this file alone, as `sim replay FILE`.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Builds this seeded bug in; it must be caught within the budget.
    #[arg(long, value_name = "NAME", global = true)]
    mutant: Option<String>,
    /// Builds every seeded bug in, one after the other; each must be caught within the budget.
    #[arg(long)]
    mutants: bool,
    /// Cuts the plan of every seeded bug down as well.
    #[arg(long, requires = "mutants")]
    minimise: bool,
    /// Writes the small plan of every seeded bug into this folder, as NAME.toml.
    #[arg(long, value_name = "FOLDER", requires = "minimise")]
    plans: Option<PathBuf>,
    /// Prints the trace hash of every seed.
    #[arg(long)]
    hashes: bool,
    /// Adds seeds, events and hours up in this file, and goes on from the seed in it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "mutant", "mutants"])]
    state: Option<PathBuf>,
    /// Where plan, report, trace and timeline of a failure are written.
    #[arg(long, value_name = "FOLDER", default_value = "target/sim", global = true)]
    report: PathBuf,
}

impl Sim {
    pub(crate) fn run(self) -> ExitCode {
        if self.list {
            return told::list();
        }
        if let Some(name) = &self.mutant
            && !MUTANTS.iter().any(|mutant| mutant.name == name)
        {
            let names: Vec<&str> = MUTANTS.iter().map(|mutant| mutant.name).collect();
            say(&format!("there is no seeded bug `{name}`: choose from\n  {}", names.join("\n  ")));
            return ExitCode::from(64);
        }
        if (self.mutants || self.mutant.is_some()) && !cfg!(mutants) {
            return with_mutants();
        }
        if self.mutants || self.mutant.is_some() {
            be_quiet();
        }
        if let Some(one) = &self.one {
            return self.run_one(one);
        }
        if let Some(file) = &self.plan {
            return self.run_one(&One::Replay { what: file.display().to_string() });
        }
        if self.mutants { self.hunt_all() } else { self.run_campaign() }
    }

    fn run_campaign(&self) -> ExitCode {
        let mutant = self.mutant.as_deref();
        let state = self.state.as_ref().map(|file| State::read(file, self.kind(mutant)));
        let mut state = match state.transpose() {
            Ok(state) => state,
            Err(error) => {
                say(&error);
                return ExitCode::from(64);
            }
        };
        let start = self.seeds.as_ref().map_or(0, |seeds| seeds.start);
        let start = state.as_ref().map_or(start, |state| state.next_seed);
        let campaign = self.campaign(mutant, start, true);
        table::tell(&campaign);
        if let (Some(file), Some(state)) = (&self.state, &mut state) {
            state.add(&campaign);
            say(&state.tell());
            if let Err(error) = state.write(file) {
                say(&error);
                return ExitCode::FAILURE;
            }
        }
        self.judge(&campaign)
    }

    /// How runs are: as asked for, or so that the seeded bug can show itself.
    fn kind(&self, mutant: Option<&str>) -> Kind {
        let breaks = MUTANTS.iter().find(|known| Some(known.name) == mutant).map(|m| m.breaks);
        if self.long {
            Kind::Long
        } else if self.birth || breaks == Some("E12") {
            Kind::Birth
        } else if self.short || mutant.is_some() {
            Kind::Short
        } else {
            Kind::Mixed
        }
    }

    fn judge(&self, campaign: &Campaign) -> ExitCode {
        match (&campaign.failure, &self.mutant) {
            (None, None) => {
                say("no violation");
                if self.shows_what_it_must() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
            }
            (None, Some(name)) => {
                say(&format!("{name} was NOT caught"));
                ExitCode::FAILURE
            }
            (Some(failure), Some(name)) => {
                self.tell_failure(failure, Some(campaign));
                say(&format!("{name} caught: {}: {}", failure.invariant, failure.message));
                ExitCode::SUCCESS
            }
            (Some(failure), None) => {
                self.tell_failure(failure, Some(campaign));
                ExitCode::FAILURE
            }
        }
    }
}

/// From here on a panic of a node's code is told as a violation only, not where it happens: one
/// that is cut down happens a thousand times.
fn be_quiet() {
    std::panic::set_hook(Box::new(|_| {}));
}

#[cfg(mutants)]
fn choose(mutant: Option<&str>) {
    quorate_core::choose_mutant(mutant);
}

#[cfg(not(mutants))]
const fn choose(_: Option<&str>) {}

/// Runs this command again in a build that holds the seeded bugs.
fn with_mutants() -> ExitCode {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["run", "--quiet", "--package", "xtask", "--target-dir"])
        .arg(root().join("target").join("mutants"))
        .arg("--")
        .args(std::env::args_os().skip(1))
        .env("RUSTFLAGS", "--cfg mutants")
        .current_dir(root())
        .status();
    // Its own exit code says more than success or failure.
    let code =
        status.ok().and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
