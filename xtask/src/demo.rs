//! `cargo xtask demo`: the promises of quorate, shown on real processes.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use indicatif::{ProgressBar, ProgressStyle};
use quorate_lin::Verdict;
use quorate_tests::{Client, Cluster, ClusterOptions, Load, now, wait_until};

use crate::sh::{cargo, say};

/// Starts a real cluster of three on loopback and kills its leader under load.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Leave the cluster running, and say where it is.
    #[arg(long)]
    keep: bool,
    /// How often the leader is killed.
    #[arg(long, default_value_t = 3)]
    kills: usize,
    /// Timing preset: fast, lan, wan.
    #[arg(long, default_value = "lan")]
    preset: String,
    /// Only the summary.
    #[arg(long)]
    quiet: bool,
}

/// Long enough for any machine; only a broken promise reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

/// One line of the summary.
struct Row {
    what: String,
    found: String,
    good: bool,
}

struct Stage {
    bar: ProgressBar,
    rows: Vec<Row>,
    begun: std::time::Instant,
}

impl Stage {
    fn new(steps: u64, quiet: bool) -> Self {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(steps) };
        let style = ProgressStyle::with_template("{bar:30} {pos:>2}/{len} {elapsed:>4} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, rows: Vec::new(), begun: now() }
    }

    fn doing(&self, what: &str) {
        self.bar.set_message(what.to_owned());
        self.bar.tick();
    }

    fn found(&mut self, what: &str, found: String, good: bool) {
        let mark = if good { "ok " } else { "BAD" };
        let seconds = (now() - self.begun).as_secs_f64();
        self.bar.println(format!("{seconds:7.2} s  {mark}  {what}: {found}"));
        self.bar.inc(1);
        self.rows.push(Row { what: what.to_owned(), found, good });
    }
}

impl Demo {
    pub(crate) fn run(self) -> ExitCode {
        if !cargo(&["build", "--quiet", "--bin", "quorated"]) {
            return ExitCode::FAILURE;
        }
        let steps = 7 + 3 * self.kills as u64;
        let mut stage = Stage::new(steps, self.quiet);
        let kept = match self.show(&mut stage) {
            Ok(kept) => kept,
            Err(why) => {
                stage.found("the demo", why, false);
                None
            }
        };
        stage.bar.finish_and_clear();
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED).set_header(["promise", "seen", ""]);
        for row in &stage.rows {
            table.add_row([
                row.what.as_str(),
                &row.found,
                if row.good { "held" } else { "BROKEN" },
            ]);
        }
        say(&table.to_string());
        if let Some(text) = kept {
            say(&text);
        }
        let good = stage.rows.iter().all(|row| row.good);
        say(if good { "every promise held" } else { "a promise was broken" });
        if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn show(&self, stage: &mut Stage) -> Result<Option<String>, String> {
        let options = ClusterOptions {
            preset: self.preset.clone(),
            name: "demo".into(),
            ..Default::default()
        };
        stage.doing("three processes form a cluster");
        let begun = now();
        let mut cluster = Cluster::start(options).map_err(|error| error.to_string())?;
        let Some(mut leader) = cluster.wait_ready(PATIENCE) else {
            return Err(format!("no cluster formed\n{}", cluster.logs()));
        };
        stage.found("three nodes found one another through seeds", ms(now() - begun), true);
        stage.found("one leader, known to all", cluster.id(leader).to_owned(), true);

        let clients: Vec<Client> = (0..cluster.len())
            .map(|node| cluster.client(node).within(Duration::from_secs(2)))
            .collect();
        let load = Load::start(&clients, 8, 1);
        stage.doing("eight clients write, read, swap and delete");
        wait_until(PATIENCE, || (load.ok() > 500).then_some(()))
            .ok_or("the load does not get going")?;
        stage.found("writes under load", format!("{} calls took effect", load.ok()), true);

        let mut gaps = Vec::new();
        for _ in 0..self.kills {
            stage.doing("SIGKILL to the leader");
            cluster.kill(leader);
            let killed = now();
            let dead = cluster.id(leader).to_owned();
            let gap = wait_until(PATIENCE, || load.written_since(killed))
                .ok_or_else(|| format!("no write after the kill\n{}", cluster.logs()))?;
            gaps.push(gap);
            stage.found(&format!("kill of {dead} to the next acknowledged write"), ms(gap), true);
            let next = cluster.wait_ready(PATIENCE).ok_or("no new leader")?;
            stage.found("another leader", cluster.id(next).to_owned(), next != leader);
            stage.doing("the killed node comes back");
            let back = now();
            cluster.start_node(leader).map_err(|error| error.to_string())?;
            let agreed = cluster.wait_ready(PATIENCE).ok_or("the node does not come back")?;
            stage.found(&format!("{dead} rejoined and caught up"), ms(now() - back), true);
            leader = agreed;
        }

        gaps.sort();
        if let [least, .., most] = gaps[..] {
            let median = gaps[gaps.len() / 2];
            let found = format!("median {}, {} to {}", ms(median), ms(least), ms(most));
            stage.found(&format!("the same over {} kills", gaps.len()), found, true);
        }

        stage.doing("reading everything back, checking the history");
        let report = load.finish(&cluster.client(leader));
        let counts =
            format!("{} ok, {} failed, {} unknown", report.ok, report.failed, report.unknown);
        stage.found("every call ended as ok, failed or unknown", counts, true);
        let found =
            format!("{} of {} there", report.entered - report.missing.len(), report.entered);
        stage.found("acknowledged writes, read back", found, report.missing.is_empty());
        let (text, good) = match &report.verdict {
            Verdict::Linearizable(_) => ("linearizable".to_owned(), true),
            verdict => (verdict.to_string(), false),
        };
        stage.found("the recorded history", text, good);
        if self.keep {
            let api: Vec<String> = (0..cluster.len())
                .map(|node| format!("http://{}/v1/cluster", cluster.api_address(node)))
                .collect();
            let pids: Vec<String> = cluster.pids().iter().map(ToString::to_string).collect();
            let folder = cluster.keep();
            return Ok(Some(format!(
                "the cluster runs on, in {}:\n  {}\nstop it with: kill {}",
                folder.display(),
                api.join("\n  "),
                pids.join(" ")
            )));
        }
        Ok(None)
    }
}

fn ms(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}
