//! `cargo xtask sim`: the shipped node through simulated faults, seed after seed.

mod hunt;

use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use quorate_sim::cluster::{Failure, MUTANTS, Outcome, Profile, Summary, run_parallel, run_plan};
use quorate_sim::{FaultKind, Plan};
use quorate_tests::now;

use crate::sh::{root, say};

/// Runs the shipped node through simulated faults. Exit: 0 no violation, 1 a violation, 64 usage.
///
/// With --mutant or --mutants the seeded bugs are built in (in a target folder of their own), and
/// finding the violation is success.
#[derive(Debug, Args)]
pub(crate) struct Sim {
    /// Seeds from A up to B; default: as many as the budget allows, from 0.
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    seeds: Option<Range<u64>>,
    /// How long to go on, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "45", value_parser = seconds)]
    budget: Duration,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Long runs with pauses between faults, for simulated hours, in place of short ones.
    #[arg(long)]
    long: bool,
    /// Runs around the birth of the cluster, in place of short ones.
    #[arg(long, conflicts_with = "long")]
    birth: bool,
    /// Runs the plan in this file alone.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Builds this seeded bug in; it must be caught within the budget.
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
    /// Builds every seeded bug in, one after the other; each must be caught within the budget.
    #[arg(long)]
    mutants: bool,
    /// Cuts the plan of every seeded bug down as well.
    #[arg(long, requires = "mutants")]
    minimise: bool,
    /// Prints the trace hash of every seed.
    #[arg(long)]
    hashes: bool,
    /// Where the plan of a failure is written.
    #[arg(long, value_name = "FOLDER", default_value = "target/sim")]
    report: PathBuf,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("write A..B, for example 0..1000")?;
    let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is no seed"));
    Ok(number(from)?..number(to)?)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.trim_end_matches('s');
    number.parse().map(Duration::from_secs).map_err(|_| format!("`{text}` is no time: write 45s"))
}

impl Sim {
    pub(crate) fn run(self) -> ExitCode {
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
        if let Some(file) = &self.plan {
            return self.replay(file);
        }
        if self.mutants || self.mutant.is_some() {
            // A seeded bug often ends in a failed assertion, which is a way of being caught.
            std::panic::set_hook(Box::new(|_| {}));
        }
        if self.mutants {
            return self.hunt_all();
        }
        let (summary, failure, took) = self.campaign(self.mutant.as_deref(), true);
        report(&summary, took);
        self.judge(failure.as_ref())
    }

    /// How runs are: as asked for, or so that the seeded bug can show itself.
    fn profile(&self, mutant: Option<&str>) -> Profile {
        let breaks = MUTANTS.iter().find(|known| Some(known.name) == mutant).map(|m| m.breaks);
        if self.long {
            Profile::long()
        } else if self.birth || breaks == Some("E12") {
            Profile::birth()
        } else {
            Profile::short()
        }
    }

    /// Runs seeds until the budget, the seeds or the promises end.
    fn campaign(
        &self,
        mutant: Option<&str>,
        visible: bool,
    ) -> (Summary, Option<Failure>, Duration) {
        let begun = now();
        let Range { start, end } = self.seeds.clone().unwrap_or(0..u64::MAX);
        let next = AtomicU64::new(start);
        let failure: Mutex<Option<Failure>> = Mutex::new(None);
        let bar = if visible { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{spinner} {elapsed} {pos} seeds, {per_sec}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        let summary = run_parallel(
            &self.profile(mutant),
            self.jobs,
            || choose(mutant),
            || {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                let goes_on = seed < end && (self.seeds.is_some() || now() - begun < self.budget);
                goes_on.then_some(seed)
            },
            |outcome: &Outcome| {
                bar.inc(1);
                if self.hashes {
                    say(&format!("{} {:032x}", outcome.seed, outcome.hash));
                }
                let Some(found) = &outcome.failure else { return true };
                let mut failure = failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                failure.get_or_insert_with(|| found.clone());
                false
            },
        );
        bar.finish_and_clear();
        let failure = failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        (summary, failure, now() - begun)
    }

    fn judge(&self, failure: Option<&Failure>) -> ExitCode {
        match (failure, &self.mutant) {
            (None, None) => {
                say("no violation");
                ExitCode::SUCCESS
            }
            (None, Some(name)) => {
                say(&format!("{name} was NOT caught"));
                ExitCode::FAILURE
            }
            (Some(failure), Some(name)) => {
                say(&format!("{name} caught: {}: {}", failure.invariant, failure.message));
                ExitCode::SUCCESS
            }
            (Some(failure), None) => {
                self.tell(failure);
                ExitCode::FAILURE
            }
        }
    }

    /// A violation, its plan in a file, and how to see it again.
    fn tell(&self, failure: &Failure) {
        for line in &failure.tail {
            say(line);
        }
        say(&format!("seed {} broke {}: {}", failure.seed, failure.invariant, failure.message));
        let folder = root().join(&self.report);
        let file = folder.join(format!("seed-{}.toml", failure.seed));
        let written = failure.plan.to_toml().map_err(|error| error.to_string()).and_then(|text| {
            fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
            fs::write(&file, text).map_err(|error| error.to_string())
        });
        match written {
            Ok(()) => say(&format!("replay: cargo xtask sim --plan {}", file.display())),
            Err(error) => say(&format!("the plan could not be written: {error}")),
        }
        let (from, to) = (failure.seed, failure.seed + 1);
        let profile = match (self.long, self.birth) {
            (true, _) => " --long",
            (_, true) => " --birth",
            _ => "",
        };
        say(&format!("replay: cargo xtask sim --seeds {from}..{to}{profile}"));
    }

    fn replay(&self, file: &PathBuf) -> ExitCode {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                say(&format!("{}: {error}", file.display()));
                return ExitCode::from(64);
            }
        };
        match Plan::from_toml(&text) {
            Ok(plan) => self.judge(run_plan(&plan, &self.profile(None)).failure.as_ref()),
            Err(error) => {
                say(&format!("{}: {error}", file.display()));
                ExitCode::from(64)
            }
        }
    }
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
    if status.is_ok_and(|status| status.success()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(summary: &Summary, took: Duration) {
    let rate = summary.events as f64 / took.as_secs_f64().max(0.001);
    say(&format!(
        "{} seeds, {:.1} simulated hours, {} events, {rate:.0} events/s, {} undecided histories, {} runs beyond",
        summary.seeds,
        summary.hours(),
        summary.events,
        summary.undecided,
        summary.beyond
    ));
    let faults: Vec<String> = FaultKind::ALL
        .iter()
        .map(|kind| match kind.awaits() {
            Some(_) => format!("{} n/a", kind.id()),
            None => format!("{} {}", kind.id(), summary.tally.faults.of(*kind)),
        })
        .collect();
    say(&format!("faults: {}", faults.join(", ")));
    let (met, all) = summary.pairs();
    say(&format!("pairs of a fault and an operation met: {met} of {all}"));
    let marks: Vec<String> =
        summary.tally.marks.iter().map(|(mark, count)| format!("{mark} {count}")).collect();
    say(&format!("marks: {}", marks.join(", ")));
    let checked: Vec<String> =
        summary.checked.iter().map(|(id, count)| format!("{id} {count}")).collect();
    say(&format!("checked: {}", checked.join(", ")));
}
