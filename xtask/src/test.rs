//! `cargo xtask test`: everything a change must pass, on a machine with only a Rust toolchain.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use quorate_tests::now;

use crate::sh::{cargo, say, skipped_file};

/// Everything a change must pass.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Only this step.
    #[arg(long)]
    only: Option<String>,
}

/// A step: its name, and the calls of cargo that it is made of.
type Step = (&'static str, &'static [&'static [&'static str]]);

const STEPS: &[Step] = &[
    ("form", &[&["fmt", "--all", "--", "--check"]]),
    ("tidy", &[&["xtask", "tidy"]]),
    ("lints", &[&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]]),
    ("build", &[&["build", "--workspace"]]),
    ("tests", &[&["test", "--workspace"]]),
    ("simulation", &[&["xtask", "sim", "--budget", "45s"]]),
    ("seeded bugs", &[&["xtask", "sim", "--mutants", "--budget", "60s"]]),
    ("demo", &[&["xtask", "demo", "--quiet"]]),
];

impl Test {
    pub(crate) fn run(self) -> ExitCode {
        let wanted = |name: &str| self.only.as_deref().is_none_or(|only| only == name);
        if let Some(only) = &self.only
            && !STEPS.iter().any(|(name, _)| name == only)
        {
            let names: Vec<&str> = STEPS.iter().map(|(name, _)| *name).collect();
            say(&format!("there is no step `{only}`: choose from {}", names.join(", ")));
            return ExitCode::from(64);
        }
        let (mut passed, mut failed) = (0, 0);
        let mut lines = Vec::new();
        for (name, calls) in STEPS.iter().filter(|(name, _)| wanted(name)) {
            let begun = now();
            let good = calls.iter().all(|call| cargo(call));
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

/// What tests noted as skipped, because this machine lacks or forbids what they need.
fn skipped() -> Vec<String> {
    let file = skipped_file();
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    // An error means that nothing was skipped.
    let _ = std::fs::remove_file(&file);
    text.lines().map(str::to_owned).collect()
}
