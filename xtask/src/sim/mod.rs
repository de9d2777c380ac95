//! `cargo xtask sim`: the shipped node through simulated faults, seed after seed.

mod args;
mod campaign;
mod exhaust;
mod found;
mod hunt;
mod members;
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

use crate::sh::{SEEDED, USAGE, root, say};
use args::Kind;
use campaign::Campaign;
use one::One;
use state::State;

/// Runs the shipped node through simulated faults.
#[derive(Debug, Args)]
#[command(after_help = TEACHES)]
pub(crate) struct Sim {
    #[command(subcommand)]
    one: Option<One>,
    /// Seeds from A up to B, B not among them [default: from 0, as many as the budget allows].
    #[arg(long, value_name = "A..B", value_parser = args::seeds)]
    seeds: Option<Range<u64>>,
    /// How long to go on, as 45s, 10m or 1h; --seeds are run to their end instead.
    #[arg(long, value_name = "TIME", default_value = "57s", value_parser = args::budget)]
    budget: Duration,
    /// How many threads.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = args::jobs())]
    jobs: usize,
    /// Only short runs: seconds with many faults. [default: short, long and births mixed]
    #[arg(long, global = true)]
    short: bool,
    /// Only long runs: minutes with pauses between faults.
    #[arg(long, conflicts_with = "short", global = true)]
    long: bool,
    /// Only runs around the birth of the cluster.
    #[arg(long, conflicts_with_all = ["short", "long"], global = true)]
    birth: bool,
    /// Only runs of this named scenario; see --list.
    #[arg(long, value_name = "NAME", value_parser = told::scenario, global = true,
        conflicts_with_all = ["short", "long", "birth"])]
    scenario: Option<&'static Scenario>,
    /// Lists the scenarios.
    #[arg(long)]
    list: bool,
    /// How many nodes every run has; by default as drawn, or as the scenario has it.
    #[arg(long, value_name = "N", value_parser = told::nodes, global = true)]
    nodes: Option<u8>,
    /// Instead of whole nodes, so many memberships in one network, up to thousands: every scenario of
    /// gossip, with M1 to M9 checked, for each of --seeds [default: 0..1].
    #[arg(long, value_name = "N", value_parser = args::members(),
        conflicts_with_all = ["short", "long", "birth", "scenario", "nodes", "plan", "mutant",
            "mutants", "hashes", "state"])]
    members: Option<u32>,
    /// With --members: only the scenarios whose names hold this, as "crash".
    #[arg(long, value_name = "TEXT", requires = "members")]
    only: Option<String>,
    /// The same as `sim replay FILE`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "mutants", "hashes", "state"])]
    plan: Option<PathBuf>,
    /// Builds this seeded bug in; it must be caught within the budget. A wrong name lists all.
    #[arg(long, value_name = "NAME", global = true)]
    mutant: Option<String>,
    /// Builds every seeded bug in, one after the other; each must be caught within the budget.
    #[arg(long, conflicts_with = "mutant")]
    mutants: bool,
    /// With --mutants: cuts the plan of every seeded bug down as well.
    #[arg(long, requires = "mutants")]
    minimise: bool,
    /// With --minimise: writes the small plan of every seeded bug here, as NAME.toml.
    #[arg(long, value_name = "FOLDER", requires = "minimise")]
    plans: Option<PathBuf>,
    /// Prints a hash of all that happened for every seed: equal in every build and process.
    #[arg(long)]
    hashes: bool,
    /// Adds up over campaigns in this file, and goes on with the seed after the last; one that is
    /// interrupted does not count.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "mutant", "mutants", "scenario"])]
    state: Option<PathBuf>,
    /// Where the plan, report, trace and timeline of a failure, or of a replay, are written
    /// [default: target/sim of the workspace].
    #[arg(long, value_name = "FOLDER", global = true)]
    report: Option<PathBuf>,
}

/// What the options leave open, for the help.
const TEACHES: &str = "\
A seed decides a run: its nodes, faults, clients, and every delay. After each event the invariants
are checked; a broken one is a violation. Its plan is then cut down to what breaks it and written
to target/sim, with a timeline to open in a browser.

Exit: 0 no violation, 1 a violation, 64 unusable. With --mutant or --mutants (a build of its own,
in target/mutants) seeds must find the violation: 0 found, 1 not. A replay of it still leaves with 1.

Try it:
  cargo xtask sim                            57 seconds of seeds
  cargo xtask sim --seeds 7..8               one of them
  cargo xtask sim replay 7                   the same, with its timeline
  cargo xtask sim --mutant vote-twice        catch a bug that was put in on purpose
  cargo xtask sim replay target/sim/plan.toml --mutant vote-twice   its small plan again
  cargo xtask sim --short --state total.toml --budget 10m           count seeds over days
  cargo xtask sim exhaust --small            all states of small worlds
  cargo xtask sim --members 1000             a thousand memberships
  cargo xtask sim --members 5000 --only crashes --jobs 1   more, which takes 10 GB";

impl Sim {
    pub(crate) fn run(self) -> ExitCode {
        if self.list {
            return told::list();
        }
        if let Some(nodes) = self.members.filter(|_| self.one.is_none()) {
            return members::run(nodes, self.only.as_deref(), self.seeds.as_ref(), self.jobs);
        }
        if let Some(name) = &self.mutant
            && !MUTANTS.iter().any(|mutant| mutant.name == name)
        {
            let names: Vec<&str> = MUTANTS.iter().map(|mutant| mutant.name).collect();
            say(&format!("there is no seeded bug `{name}`: choose from\n  {}", names.join("\n  ")));
            return ExitCode::from(USAGE);
        }
        if let Some(error) = self.misplaced() {
            say(&error);
            return ExitCode::from(USAGE);
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

    /// What is wrong with options of a campaign beside a command for a single run, if something is.
    fn misplaced(&self) -> Option<String> {
        let one = self.one.as_ref()?;
        let mut given = vec![
            ("--seeds", self.seeds.is_some()),
            ("--plan", self.plan.is_some()),
            ("--mutants", self.mutants),
            ("--hashes", self.hashes),
            ("--state", self.state.is_some()),
            ("--members", self.members.is_some()),
            ("--only", self.only.is_some()),
        ];
        if matches!(one, One::Exhaust { .. }) {
            let others = [
                ("--short", self.short),
                ("--long", self.long),
                ("--birth", self.birth),
                ("--scenario", self.scenario.is_some()),
                ("--nodes", self.nodes.is_some()),
                ("--report", self.report.is_some()),
            ];
            given.extend(others);
        }
        let (option, _) = given.into_iter().find(|(_, is_given)| *is_given)?;
        Some(format!("{option} means nothing to `sim {}`: leave it out", one.name()))
    }

    fn run_campaign(&self) -> ExitCode {
        let mutant = self.mutant.as_deref();
        // Whether files can be written is known before the time is spent.
        let state = self.state.as_ref().map(|file| State::open(file, self.kind(mutant)));
        let state = state.transpose().and_then(|state| self.folder_made().map(|()| state));
        let mut state = match state {
            Ok(state) => state,
            Err(error) => {
                say(&error);
                return ExitCode::from(USAGE);
            }
        };
        let start = self.seeds.as_ref().map_or(0, |seeds| seeds.start);
        let start = state.as_ref().map_or(start, |state| state.next_seed);
        let campaign = self.campaign(mutant, start, true);
        if campaign.summary.seeds == 0 {
            say("no seed was run: give it more --budget");
            return ExitCode::from(USAGE);
        }
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
        // By its path, not from its folder: files are named as seen from here.
        .args(["run", "--quiet", "--package", "xtask", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .arg("--target-dir")
        .arg(root().join("target").join("mutants"))
        .arg("--")
        .args(std::env::args_os().skip(1))
        .envs(SEEDED)
        .status();
    // Its own exit code says more than success or failure.
    let code =
        status.ok().and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        sim: Sim,
    }

    #[test]
    fn options_that_would_do_nothing_are_refused() {
        let misplaced = |line: &[&str]| {
            let line = Line::try_parse_from([&["sim"], line].concat()).unwrap();
            line.sim.misplaced()
        };
        for line in [
            &["--seeds", "0..5", "replay", "5"] as &[&str],
            &["--hashes", "minimise", "5"],
            &["--state", "FILE", "exhaust"],
            &["exhaust", "--short"],
        ] {
            let error = misplaced(line).unwrap();
            assert!(error.contains(" means nothing to `sim "), "{line:?}: {error}");
        }
        assert_eq!(misplaced(&["replay", "5", "--short", "--report", "FOLDER"]), None);
        assert_eq!(misplaced(&["exhaust", "--mutant", "vote-twice"]), None);
    }
}
