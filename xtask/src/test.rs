//! `cargo xtask test`: everything a change must pass, on a machine with only a Rust toolchain.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use quorate_tests::now;

use crate::sh::{USAGE, cargo, cargo_madsim, cargo_output, cargo_seeded, say, skipped_file};

/// Everything a change must pass.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Only this step; `benches` runs only so.
    #[arg(long)]
    only: Option<String>,
}

/// A step: its name, and the calls of cargo that it is made of.
type Step = (&'static str, &'static [Call]);

/// A call of cargo.
enum Call {
    Plain(&'static [&'static str]),
    /// In the build that holds the seeded bugs.
    Seeded(&'static [&'static str]),
    /// In both builds, for the same words on standard output.
    Alike(&'static [&'static str]),
    /// In the build in which madsim simulates.
    Madsim(&'static [&'static str]),
}

use Call::{Alike, Madsim, Plain, Seeded};

/// Without `--workspace` a call takes the default members: everything but the benches.
const STEPS: &[Step] = &[
    ("form", &[Plain(&["fmt", "--all", "--", "--check"])]),
    ("tidy", &[Plain(&["xtask", "tidy"])]),
    ("lints", &[Plain(&["clippy", "--all-targets", "--", "-D", "warnings"])]),
    ("build", &[Plain(&["build"])]),
    ("tests", &[Plain(&["test"])]),
    ("simulation", &[Plain(&["xtask", "sim", "--budget", "57s"])]),
    // Equal seeds make equal runs, event for event: in two processes, of two builds.
    ("hashes", &[Alike(&["--package=xtask", "--", "sim", "--seeds=0..100", "--hashes"])]),
    (
        "seeded bugs",
        &[
            Plain(&["xtask", "sim", "--mutants", "--budget", "120s"]),
            // And those that the protocols' own tests must find, and what once showed them, small.
            Seeded(&[
                "test",
                "-p=quorate-membership",
                "-p=quorate-election",
                "-p=quorate-replication",
                "-p=quorate-dist-state",
                "-p=quorate-sim",
                "--features=quorate-sim/cluster",
                "--test=cluster",
                "--test=it",
                "seeded_bug",
            ]),
        ],
    ),
    ("demo", &[Plain(&["xtask", "demo", "--quiet"])]),
];

/// Steps that run only by name: what they build takes long, and nothing else rests on it.
const BY_HAND: &[Step] = &[(
    "benches",
    &[
        Plain(&["clippy", "-p", "quorate-bench", "--all-targets", "--", "-D", "warnings"]),
        Plain(&["test", "-p", "quorate-bench"]),
        Plain(&["clippy", "-p", "quorate-bench-sim", "--all-targets", "--", "-D", "warnings"]),
        Plain(&["test", "-p", "quorate-bench-sim"]),
        Plain(&[
            "clippy",
            "-p",
            "quorate-bench-membership",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]),
        Plain(&["test", "-p", "quorate-bench-membership"]),
        Madsim(&["clippy", "-p", "quorate-bench-sim", "--all-targets", "--", "-D", "warnings"]),
        Madsim(&["test", "-p", "quorate-bench-sim"]),
    ],
)];

impl Test {
    pub(crate) fn run(self) -> ExitCode {
        let all = || STEPS.iter().chain(BY_HAND);
        let steps: Vec<&Step> = match &self.only {
            Some(only) => all().filter(|(name, _)| name == only).collect(),
            None => STEPS.iter().collect(),
        };
        if let Some(only) = &self.only
            && steps.is_empty()
        {
            let names: Vec<&str> = all().map(|(name, _)| *name).collect();
            say(&format!("there is no step `{only}`: choose from {}", names.join(", ")));
            return ExitCode::from(USAGE);
        }
        let (mut passed, mut failed) = (0, 0);
        let mut lines = Vec::new();
        for (name, calls) in steps {
            let begun = now();
            let good = calls.iter().all(|call| match call {
                Plain(arguments) => cargo(arguments),
                Seeded(arguments) => cargo_seeded(arguments),
                Alike(arguments) => are_alike(arguments),
                Madsim(arguments) => cargo_madsim(arguments),
            });
            if good {
                passed += 1;
            } else {
                failed += 1;
            }
            let word = if good { "passed" } else { "FAILED" };
            let took: Duration = now() - begun;
            lines.push(format!("  {name:<12} {word}  {:.0} s", took.as_secs_f64()));
        }
        say("\nsteps:");
        for line in lines {
            say(&line);
        }
        let skipped = skipped();
        for line in &skipped {
            say(&format!("  {line}"));
        }
        say(&format!("steps: {passed} passed, {failed} failed; tests: {} skipped", skipped.len()));
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Whether a program says the same in a build with checks and in one without, optimised otherwise; in
/// any order.
fn are_alike(arguments: &[&str]) -> bool {
    let said = |build: &[&str]| {
        let text = cargo_output(&[&["run", "--quiet"], build, arguments].concat())?;
        let hash = |line: &&str| line.split_once(' ').is_some_and(|(_, hash)| hash.len() == 32);
        let mut lines: Vec<String> = text.lines().filter(hash).map(str::to_owned).collect();
        lines.sort_unstable();
        Some(lines)
    };
    let (checked, unchecked) = (said(&[]), said(&["--profile=likeness"]));
    let alike = checked.as_ref().is_some_and(|lines| !lines.is_empty()) && checked == unchecked;
    let count = checked.map_or(0, |lines| lines.len());
    say(&format!("{count} hashes, {}", if alike { "all alike" } else { "NOT alike" }));
    alike
}

/// What tests noted as skipped, because this machine lacks or forbids what they need.
fn skipped() -> Vec<String> {
    let file = skipped_file();
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    // An error means that nothing was skipped.
    let _ = std::fs::remove_file(&file);
    text.lines().map(str::to_owned).collect()
}
