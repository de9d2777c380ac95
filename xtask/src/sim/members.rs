//! `sim --members`: thousands of memberships, scenario after scenario.

use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use indicatif::{ProgressBar, ProgressStyle};
use quorate_sim::crowd::{Broken, Figures, Member, Members, Scenario, Size, Stall};

use crate::sh::{USAGE, say};

/// What befalls the crowd, and what it is called.
const SCENARIOS: &[(&str, Scenario)] = &[
    ("one crashes", Scenario::Crash),
    ("a tenth crashes", Scenario::MassCrash),
    ("one joins", Scenario::Join),
    ("one leaves", Scenario::Leave),
    ("one moves", Scenario::Move),
    ("cold boot", Scenario::ColdBoot),
    ("split for 60 s", Scenario::Split(MINUTE)),
    ("one cut off for 60 s", Scenario::CutOff(MINUTE)),
    ("quiet for 60 s", Scenario::Quiet(MINUTE)),
    ("10 % loss for 60 s", Scenario::Loss(10, MINUTE)),
    ("25 % loss for 60 s", Scenario::Loss(25, MINUTE)),
    ("8 blocked for 8.2 s", Scenario::Stalls(8, STALLED, Stall::Blocked)),
    ("8 frozen for 8.2 s", Scenario::Stalls(8, STALLED, Stall::Frozen)),
    ("islands", Scenario::Islands),
    ("storm for 60 s", Scenario::Storm(MINUTE)),
    ("two clusters", Scenario::Strangers),
];

const MINUTE: Duration = Duration::from_secs(60);
const STALLED: Duration = Duration::from_millis(8_200);

/// Runs every scenario, or those whose names hold `only`, with so many nodes.
pub(super) fn run(
    nodes: u32,
    only: Option<&str>,
    seeds: Option<&Range<u64>>,
    jobs: usize,
) -> ExitCode {
    let seeds = seeds.cloned().unwrap_or(0..1);
    let wanted = |at: &usize| only.is_none_or(|text| SCENARIOS[*at].0.contains(text));
    let runs: Vec<(usize, u64)> = (0..SCENARIOS.len())
        .filter(wanted)
        .flat_map(|at| seeds.clone().map(move |seed| (at, seed)))
        .collect();
    if runs.is_empty() {
        let names: Vec<&str> = SCENARIOS.iter().map(|(name, _)| *name).collect();
        say(&format!("no such scenario: choose from\n  {}", names.join("\n  ")));
        return ExitCode::from(USAGE);
    }
    let bar = bar(runs.len());
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let work = || {
        while let Some((at, seed)) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (name, scenario) = SCENARIOS[*at];
            bar.set_message(format!("{name}, seed {seed}"));
            let size = Size { nodes, promises: scenario.promises() };
            let ended = scenario.run::<Member>(Members::default(), *seed, size);
            bar.inc(1);
            done.lock().expect("nobody panics with it").push((*at, ended));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
    bar.finish_and_clear();
    tell(nodes, only, &done.into_inner().expect("nobody panicked with it"))
}

fn tell(nodes: u32, only: Option<&str>, ended: &[(usize, Result<Figures, Broken>)]) -> ExitCode {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header([
        "scenario",
        "seeds",
        "all right after",
        "at most",
        "bytes per node-s",
        "events",
    ]);
    let wanted = |name: &str| only.is_none_or(|text| name.contains(text));
    for (at, (name, scenario)) in SCENARIOS.iter().enumerate().filter(|(_, (n, _))| wanted(n)) {
        let all: Vec<&Figures> = ended
            .iter()
            .filter(|(other, _)| *other == at)
            .filter_map(|(_, ended)| ended.as_ref().ok())
            .collect();
        let worst = all.iter().filter_map(|figures| right_after(*scenario, figures)).max();
        let bound = Some(scenario.bound(nodes)).filter(|bound| !bound.is_zero());
        let seconds = |time: Option<Duration>| {
            time.map_or_else(String::new, |time| format!("{:.2} s", time.as_secs_f64()))
        };
        let bytes: u64 = all.iter().map(|figures| figures.tally.bytes).sum();
        let node_seconds: f64 = all.iter().map(|figures| figures.tally.node_seconds()).sum();
        let events: u64 = all.iter().map(|figures| figures.tally.events).sum();
        table.add_row([
            (*name).to_owned(),
            all.len().to_string(),
            seconds(worst),
            seconds(bound),
            format!("{:.0}", bytes as f64 / node_seconds.max(1e-9)),
            events.to_string(),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    say(&format!("{nodes} memberships; M1 to M9 are checked\n{table}"));
    let broken: Vec<&Broken> = ended.iter().filter_map(|(_, ended)| ended.as_ref().err()).collect();
    for broken in &broken {
        say(&format!("violation: {broken}"));
    }
    if broken.is_empty() {
        say("no violation");
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// When the last was right.
fn right_after(scenario: Scenario, figures: &Figures) -> Option<Duration> {
    match scenario {
        Scenario::Crash | Scenario::MassCrash => figures.dead.last().copied(),
        Scenario::Join => figures.alive.last().copied().max(figures.complete),
        _ => figures.settled,
    }
}

fn bar(steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    let style = ProgressStyle::with_template("{bar:30} {pos:>3}/{len} {elapsed:>4} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
