//! A broken promise: cut down, written down, shown.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quorate_sim::cluster::{Failure, KvOperation, Outcome, Profile, meaning, minimise, trace_plan};
use quorate_sim::{DiskWork, Plan, Timeline, TraceEvent, TraceKind, to_ndjson};
use quorate_tests::now;
use serde_json::{Value, json};

use super::campaign::Campaign;
use super::{Sim, be_quiet, choose};
use crate::sh::{root, say};

/// The time that minimising may take.
pub(super) const MINIMISE_MAX: Duration = Duration::from_secs(30);

/// A failing plan that was made as small as the time allowed.
pub(super) struct Small {
    pub(super) plan: Plan<KvOperation>,
    pub(super) runs: u64,
    pub(super) took: Duration,
    pub(super) is_unfinished: bool,
}

/// Cuts `plan` down, with this seeded bug chosen; `None` if it does not fail.
pub(super) fn cut_down(
    mutant: Option<&str>,
    plan: &Plan<KvOperation>,
    profile: &Profile,
) -> Option<Small> {
    let begun = now();
    be_quiet();
    choose(mutant);
    let small = minimise(plan, profile, || now() - begun < MINIMISE_MAX);
    choose(None);
    let took = now() - begun;
    let small = small?;
    Some(Small { plan: small.plan, runs: small.runs, took, is_unfinished: small.is_unfinished })
}

impl Sim {
    /// Says what was broken, cuts the plan down, and writes all about it into files.
    pub(super) fn tell_failure(&self, failure: &Failure, campaign: Option<&Campaign>) {
        let mutant = self.mutant.as_deref();
        say(&format!("\nseed {} broke {}: {}", failure.seed, failure.invariant, failure.message));
        say(&format!("  {}", meaning(&failure.invariant)));
        say(&format!("cutting it down, for at most {} s ..", MINIMISE_MAX.as_secs()));
        let Some(small) = cut_down(mutant, &failure.plan, &self.profile(mutant)) else {
            say("it did not fail again, which must not be: a run is not a function of its plan");
            return;
        };
        say(&format!(
            "faults {} -> {}, operations {} -> {}, nodes {} -> {}, after {} runs in {:.1} s{}",
            failure.plan.faults.len(),
            small.plan.faults.len(),
            failure.plan.operations.len(),
            small.plan.operations.len(),
            failure.plan.nodes,
            small.plan.nodes,
            small.runs,
            small.took.as_secs_f64(),
            if small.is_unfinished { " (the time was up)" } else { "" }
        ));
        let (outcome, trace) = self.trace(&small.plan);
        for event in last_of_interest(&trace) {
            say(&event.to_string());
        }
        let original = format!("cargo xtask sim replay {}{}", failure.seed, self.options(mutant));
        self.write_files(&small.plan, &outcome, &trace, Some((failure, &small)), campaign);
        say(&format!("the whole run again: {original}{}", self.mutant_option()));
    }

    /// Runs `plan` and keeps all its records.
    pub(super) fn trace(&self, plan: &Plan<KvOperation>) -> (Outcome, Vec<TraceEvent>) {
        let mutant = self.mutant.as_deref();
        choose(mutant);
        let traced = trace_plan(plan, &self.profile(mutant));
        choose(None);
        traced
    }

    /// Where files are written.
    fn folder(&self) -> PathBuf {
        let given = self.report.as_ref();
        given.map_or_else(|| root().join("target").join("sim"), |folder| here().join(folder))
    }

    /// Makes sure that there is such a folder.
    pub(super) fn folder_made(&self) -> Result<(), String> {
        let folder = self.folder();
        fs::create_dir_all(&folder)
            .map_err(|error| format!("--report {}: {error}", folder.display()))
    }

    /// Writes the plan, the trace, the timeline and the report, and says where; whether it could.
    pub(super) fn write_files(
        &self,
        plan: &Plan<KvOperation>,
        outcome: &Outcome,
        trace: &[TraceEvent],
        small: Option<(&Failure, &Small)>,
        campaign: Option<&Campaign>,
    ) -> bool {
        let folder = self.folder();
        let failure = outcome.failure.as_ref();
        let words = failure.map_or("", |failure| meaning(&failure.invariant));
        let replay = format!(
            "cargo xtask sim replay {}{}{}",
            shown(&folder.join("plan.toml")),
            self.options(self.mutant.as_deref()),
            self.mutant_option()
        );
        let page = Timeline { meaning: words, replay: &replay, ..Timeline::new(plan, trace) };
        let report = json!({
            "seed": plan.seed,
            "hash": format!("{:032x}", outcome.hash),
            "events": outcome.events,
            "nanos": outcome.nanos,
            "invariant": failure.map(|failure| &failure.invariant),
            "meaning": words,
            "message": failure.map(|failure| &failure.message),
            "plan": sizes(plan),
            "minimised": small.map(|(whole, small)| json!({
                "from": sizes(&whole.plan),
                "runs": small.runs,
                "seconds": small.took.as_secs_f64(),
                "unfinished": small.is_unfinished,
            })),
            "replay": replay,
            "campaign": campaign.map(figures),
        });
        let written = plan.to_toml().map_err(|error| error.to_string()).and_then(|plan| {
            let files = [
                ("plan.toml", format!("{}{plan}", remarks(failure, &replay))),
                ("report.json", format!("{report:#}\n")),
                ("trace.ndjson", to_ndjson(trace)),
                ("timeline.html", page.to_html()),
            ];
            write_all(&folder, &files)
        });
        if let Err(error) = written {
            say(&format!("the report could not be written: {error}"));
            return false;
        }
        say(&format!("plan:     {}", folder.join("plan.toml").display()));
        say(&format!("timeline: {}", folder.join("timeline.html").display()));
        say(&format!("report:   {}", folder.join("report.json").display()));
        say(&format!("replay:   {replay}"));
        true
    }

    fn mutant_option(&self) -> String {
        self.mutant.as_ref().map(|name| format!(" --mutant {name}")).unwrap_or_default()
    }
}

/// What stands before a plan, for whoever opens its file.
fn remarks(failure: Option<&Failure>, replay: &str) -> String {
    let what = failure.map_or_else(String::new, |failure| {
        let first = failure.message.lines().next().unwrap_or_default();
        format!("# Breaks {}: {first}\n", failure.invariant)
    });
    format!("{what}# {replay}\n# Times are nanoseconds, chances are millionths.\n\n")
}

/// The end of a trace without what is always the same.
fn last_of_interest(trace: &[TraceEvent]) -> Vec<&TraceEvent> {
    let mut routine = BTreeSet::new();
    let is_of_interest = |event: &&TraceEvent| match &event.what {
        TraceKind::Sent { number, routine: true, .. } => {
            routine.insert(*number);
            false
        }
        TraceKind::Arrived { number, .. } | TraceKind::Missed { number, .. } => {
            !routine.contains(number)
        }
        TraceKind::Disk { did: DiskWork::Written | DiskWork::Told, .. } => false,
        _ => true,
    };
    let events: Vec<&TraceEvent> = trace.iter().filter(is_of_interest).collect();
    events[events.len().saturating_sub(TAIL)..].to_vec()
}

/// Lines of a trace that are printed.
const TAIL: usize = 25;

/// The folder that names on the command line are seen from.
fn here() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| root())
}

/// `file` as seen from here, for a shell.
fn shown(file: &Path) -> String {
    quoted(&file.strip_prefix(here()).unwrap_or(file).display().to_string())
}

/// `text` as one word of a shell.
fn quoted(text: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+=:,@%".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn write_all(folder: &Path, files: &[(&str, String)]) -> Result<(), String> {
    let say = |error: &std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(|error| say(&error))?;
    files.iter().try_for_each(|(name, text)| {
        fs::write(folder.join(name), text).map_err(|error| say(&error))
    })
}

fn sizes(plan: &Plan<KvOperation>) -> Value {
    json!({
        "nodes": plan.nodes,
        "faults": plan.faults.len(),
        "operations": plan.operations.len(),
    })
}

fn figures(campaign: &Campaign) -> Value {
    let summary = &campaign.summary;
    let faults: serde_json::Map<String, Value> = quorate_sim::FaultKind::ALL
        .iter()
        .map(|kind| (kind.id().to_owned(), summary.tally.faults.of(*kind).into()))
        .collect();
    let (met, all) = summary.pairs();
    json!({
        "seeds": summary.seeds,
        "simulated_hours": summary.hours(),
        "events": summary.events,
        "events_per_second": campaign.rate(),
        "seconds": campaign.took.as_secs_f64(),
        "faults": faults,
        "pairs": { "met": met, "all": all },
        "marks": summary.tally.marks,
        "checked": summary.checked,
        "undecided": summary.undecided,
        "failover_nanos": {
            "p50": summary.failover(50),
            "p95": summary.failover(95),
            "p99": summary.failover(99),
            "count": summary.failovers.len(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_copied_whatever_the_folder_is_called() {
        assert_eq!(quoted("target/sim/plan.toml"), "target/sim/plan.toml");
        assert_eq!(quoted("my runs/plan.toml"), "'my runs/plan.toml'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
