//! `sim exhaust`: every state of a small world.

use std::process::ExitCode;

use clap::ValueEnum;
use indicatif::ProgressBar;
use quorate_sim::cluster::{Bounds, Scope, exhaust};
use quorate_tests::now;

use super::{be_quiet, choose};
use crate::sh::say;

/// Which worlds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum World {
    /// Voters alone.
    Election,
    /// Logs, with their voters.
    Replication,
}

/// Looks at every state of `world`, or of both, within the larger bounds unless `small`. A seeded
/// bug must show.
pub(super) fn run(world: Option<World>, small: bool, mutant: Option<&str>) -> ExitCode {
    be_quiet();
    choose(mutant);
    let mut is_broken = false;
    for (known, scope) in
        [(World::Election, Scope::Election), (World::Replication, Scope::Replication)]
    {
        if world.is_some_and(|world| world != known) {
            continue;
        }
        let bounds = if small { Bounds::small(scope) } else { Bounds::large(scope) };
        let begun = now();
        let bar = ProgressBar::new_spinner();
        let report = exhaust(scope, bounds, |counts| {
            bar.set_message(counts.to_string());
            bar.tick();
        });
        bar.finish_and_clear();
        say(&format!("{report}\n  in {:.1} s", (now() - begun).as_secs_f64()));
        is_broken |= report.found.broken.is_some();
    }
    if let Some(name) = mutant {
        say(&format!("{name} {}", if is_broken { "caught" } else { "was NOT caught" }));
    }
    if is_broken == mutant.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
