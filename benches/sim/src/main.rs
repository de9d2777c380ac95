//! Measures the simulator's engine beside turmoil and madsim, and the whole node in it.
//!
//! Run it as `cargo xtask bench sim`, which builds it twice in the release profile: madsim needs a
//! build of its own (`--cfg madsim`), from which only its measurements are taken. Every
//! measurement is a process of its own, in either build, and says what it counted as a line of
//! JSON.

mod exchange;
mod measure;
mod report;
mod subject;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use exchange::Setting;
use indicatif::{ProgressBar, ProgressStyle};
use measure::Measured;
use report::{Row, say};
use subject::Subject;

/// Measures the simulator's engine beside turmoil and madsim, and the whole node in it.
///
/// One exchange runs in each: five nodes send each other pings of 64 bytes, in a frame of quorate's
/// wire, and answer with pongs; a message takes 1 ms on average and 1 % are lost, all from one seed.
/// An event is a message that came or a timer that rang, as the nodes count it; what a simulator
/// does besides is not counted. The time is the processor's, of one thread.
///
/// The simulators run one after the other, round after round, so that whatever the machine does
/// besides hits all; a ratio is that of neighbours, with the median, the least and the most of all
/// rounds. "The messages alone" are encoded and decoded without any simulator: every one of them
/// spends that too.
///
/// Of the whole node, five of them under all faults and with all invariants, the engine's own count
/// of events is shown: disks, clients and faults among them.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask bench sim",
    bin_name = "cargo xtask bench sim",
    verbatim_doc_comment,
    after_help = "\
Examples:
  cargo xtask bench sim                           what docs/MEASUREMENTS.md shows
  cargo xtask bench sim --every-ms 100            nodes that mostly wait"
)]
struct Cli {
    /// The times between two pings to the same node, in milliseconds: one table part each.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "10,1")]
    every_ms: Vec<u64>,
    /// How often a node pings, in one run.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    times: u32,
    /// How many seeds of the whole node one run takes, in the short profile; of the long one a
    /// fiftieth.
    #[arg(long, value_name = "N", default_value_t = 300)]
    seeds: u64,
    /// Feeds all dice; the whole node begins with this seed.
    #[arg(long, value_name = "SEED", default_value_t = 7)]
    seed: u64,
    /// How often everything is measured.
    #[arg(long, value_name = "N", default_value_t = 7)]
    rounds: usize,
    /// This program in the build in which madsim simulates.
    #[arg(long, value_name = "FILE", hide = true)]
    madsim: Option<PathBuf>,
    /// Measures this once, in this process.
    #[arg(long, value_name = "SUBJECT", hide = true)]
    once: Option<Subject>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = match cli.once {
        Some(subject) => cli.once(subject),
        None => cli.rounds(),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            report::complain(&format!("the bench ended early: {why}"));
            ExitCode::FAILURE
        }
    }
}

impl Cli {
    fn setting(&self, every_ms: u64) -> Setting {
        let every = Duration::from_millis(every_ms.max(1));
        Setting { every, times: self.times.max(1), seed: self.seed }
    }

    /// One measurement, for the process that asked for it.
    fn once(&self, subject: Subject) -> Result<(), String> {
        let every_ms = self.every_ms.first().copied().unwrap_or(1);
        let measured = subject.measure(&self.setting(every_ms), self.seeds)?;
        say(&measured.to_line());
        Ok(())
    }

    fn rounds(&self) -> Result<(), String> {
        if self.madsim.is_none() {
            say("\n*** madsim skipped: there is no build in which it simulates. ***\n");
        }
        let mut rows = self.rows();
        let bar = bar(rows.len() * self.rounds);
        for round in 1..=self.rounds {
            for row in &mut rows {
                bar.set_message(format!("{}, round {round}", row.subject.name()));
                row.rounds.push(self.in_a_process(row.subject, row.every_ms)?);
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        report::print(&rows);
        Ok(())
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut add = |subject, every_ms| rows.push(Row { subject, every_ms, rounds: Vec::new() });
        for every_ms in &self.every_ms {
            for subject in Subject::EXCHANGES {
                if subject != Subject::Madsim || self.madsim.is_some() {
                    add(subject, *every_ms);
                }
            }
        }
        for subject in Subject::CLUSTERS {
            add(subject, 0);
        }
        rows
    }

    fn in_a_process(&self, subject: Subject, every_ms: u64) -> Result<Measured, String> {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let program = match &self.madsim {
            Some(program) if subject == Subject::Madsim => program,
            _ => &own,
        };
        let flags = [
            ("--every-ms", every_ms),
            ("--times", self.times.into()),
            ("--seeds", self.seeds),
            ("--seed", self.seed),
        ];
        measure::in_a_process(program, subject, &flags)
    }
}

fn bar(steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    let style = ProgressStyle::with_template("{bar:30} {pos:>3}/{len} {elapsed:>4} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
