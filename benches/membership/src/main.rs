//! Measures quorate's membership beside foca, very many nodes in one simulated network.
//!
//! Run it as `cargo xtask bench membership`, which builds it in the release profile.

mod group;
mod in_foca;
mod job;
mod plots;
mod report;
mod rows;
mod timed;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use job::{Effort, Job, Outcome, Subject, Topic};

/// Measures quorate's membership beside foca, very many nodes in one simulated network.
///
/// Both run in the same crowd of quorate-sim, with the same seeds: a datagram takes 0.5 to 1.5 ms, all
/// nodes know each other at first (but for the cold boot), and ten quiet seconds later something
/// befalls them. quorate runs with `Config::lan`, and bincode as it ships; foca with
/// `Config::new_lan` for the true number of nodes, an identity that may renew, and its own postcard
/// codec. Nothing is tuned for a row.
///
/// Bytes are those of UDP payloads, without headers. CPU is what a clock around each call of a node
/// sees: protocol and codec, not the network. Timers that foca leaves to its user count, as those
/// inside quorate do. What the clock itself takes is measured and taken off, and so is the share of
/// the time in which other work had the processor; still, the caches are shared by all nodes.
///
/// "Dead" is final and what foca calls down; quorate says "unreachable" before, which can be taken
/// back. "The median observer" is that of all pairs of all seeds, "the last" the very last of them. A
/// false death is one of a node that runs; each observer that believes it counts. A blocked node runs
/// and neither sends nor receives (the experiment of Lifeguard: 1 to 32 of 128 for 2 to 33 s, half a
/// second apart, for two minutes), a frozen one stands still; only deaths of other nodes count there.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask bench membership",
    bin_name = "cargo xtask bench membership",
    verbatim_doc_comment,
    after_help = "\
Examples:
  cargo xtask bench membership --quick                      minutes: all topics, few seeds
  cargo xtask bench membership --only crash,quiet --nodes 100,1000,5000
  cargo xtask bench membership --report target/membership   with JSON and plots"
)]
struct Cli {
    /// How many nodes: one part of the table each.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "100,1000")]
    nodes: Vec<u32>,
    /// Only these topics.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    only: Vec<Topic>,
    /// Only these memberships.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    subjects: Vec<Subject>,
    /// How many seeds a scenario is given at N = 100; a crash ten times as many, larger crowds
    /// fewer.
    #[arg(long, value_name = "N", default_value_t = 10)]
    seeds: u64,
    /// For how many hours of one node a loss of 25 % lasts at N = 100, all seeds together.
    #[arg(long, value_name = "HOURS", default_value_t = 100.0)]
    node_hours: f64,
    /// Little of everything: two seeds, ten node-hours.
    #[arg(long, conflicts_with_all = ["seeds", "node_hours"])]
    quick: bool,
    /// Where the figures as JSON and the plots as SVG are written.
    #[arg(long, value_name = "FOLDER")]
    report: Option<PathBuf>,
    /// How many threads.
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            report::complain(&format!("the bench ended early: {why}"));
            ExitCode::FAILURE
        }
    }
}

impl Cli {
    fn run(&self) -> Result<(), String> {
        if let Some(folder) = &self.report {
            // Whether files can be written is known before the time is spent.
            std::fs::create_dir_all(folder)
                .map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        let jobs = self.jobs();
        let overhead = timed::overhead();
        let outcomes = run_all(&jobs, self.jobs)?;
        let rows = rows::rows(&outcomes, overhead);
        report::print(&rows);
        if let Some(folder) = &self.report {
            report::write_json(folder, &rows, overhead)?;
            let plots = plots::draw(folder, &outcomes)?;
            report::say(&format!("{}: membership.json {}", folder.display(), plots.join(" ")));
        }
        Ok(())
    }

    fn jobs(&self) -> Vec<Job> {
        let effort = if self.quick {
            Effort { seeds: 2, node_hours: 10.0 }
        } else {
            Effort { seeds: self.seeds.max(1), node_hours: self.node_hours }
        };
        let topics = if self.only.is_empty() {
            <Topic as clap::ValueEnum>::value_variants()
        } else {
            &self.only
        };
        let subjects = if self.subjects.is_empty() {
            <Subject as clap::ValueEnum>::value_variants()
        } else {
            &self.subjects
        };
        let mut jobs = Vec::new();
        for nodes in &self.nodes {
            for topic in topics {
                for subject in subjects {
                    jobs.extend(effort.jobs(*subject, *topic, *nodes));
                }
            }
        }
        jobs
    }
}

/// Runs all, several at a time; those of very many nodes one after the other, for they need much
/// memory.
fn run_all(jobs: &[Job], threads: usize) -> Result<Vec<Outcome>, String> {
    let (large, small): (Vec<Job>, Vec<Job>) = jobs.iter().partition(|job| job.nodes > LARGE);
    let bar = bar(jobs.len());
    let mut outcomes = run_some(&small, threads, &bar)?;
    outcomes.extend(run_some(&large, 1, &bar)?);
    bar.finish_and_clear();
    Ok(outcomes)
}

fn run_some(jobs: &[Job], threads: usize, bar: &ProgressBar) -> Result<Vec<Outcome>, String> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let work = || {
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            bar.set_message(job.name());
            let outcome = job.run();
            bar.inc(1);
            done.lock().expect("nobody panics with it").push(outcome);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(work);
        }
    });
    done.into_inner().expect("nobody panicked with it").into_iter().collect()
}

fn bar(steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    let style = ProgressStyle::with_template("{bar:30} {pos:>3}/{len} {elapsed:>4} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Crowds of more nodes run alone.
const LARGE: u32 = 2_000;
