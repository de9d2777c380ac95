//! `cargo xtask bench`: builds the benches in the release profile, and runs them.

use std::process::ExitCode;

use clap::Args;

use crate::sh::{cargo, cargo_madsim, madsim_folder, say};

/// Measures quorate beside other systems: `state`, `election`, `membership`, or its simulator, `sim`;
/// `cargo xtask bench state --help` tells more, and so do the others.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Bench {
    /// The bench and its flags.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "BENCH")]
    arguments: Vec<String>,
}

impl Bench {
    pub(crate) fn run(self) -> ExitCode {
        let good = match self.arguments.split_first() {
            Some((bench, flags)) if bench == "sim" => simulators(flags),
            Some((bench, flags)) if bench == "membership" => memberships(flags),
            _ => systems(&self.arguments),
        };
        if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// The benches beside other systems, in real processes.
fn systems(arguments: &[String]) -> bool {
    // The benches are no default member, and look for `quorated` beside themselves.
    if !cargo(&["build", "--quiet", "--release", "-p", "quorate-node"]) {
        return false;
    }
    let mut call = vec!["run", "--quiet", "--release", "-p", "quorate-bench", "--"];
    call.extend(arguments.iter().map(String::as_str));
    cargo(&call)
}

/// The bench of very many memberships in one simulated network.
fn memberships(flags: &[String]) -> bool {
    let mut call = vec!["run", "--quiet", "--release", "-p", "quorate-bench-membership", "--"];
    call.extend(flags.iter().map(String::as_str));
    cargo(&call)
}

/// The bench beside other simulators, of which one needs a build of its own.
fn simulators(flags: &[String]) -> bool {
    let mut call = vec!["run", "--quiet", "--release", "-p", "quorate-bench-sim", "--"];
    call.extend(flags.iter().map(String::as_str));
    let asks_for_help = flags.iter().any(|flag| flag == "--help" || flag == "-h");
    let program = madsim_folder().join("release").join("quorate-bench-sim");
    let program = program.to_string_lossy();
    if !asks_for_help {
        if cargo_madsim(&["build", "--quiet", "--release", "-p", "quorate-bench-sim"]) {
            call.extend(["--madsim", &program]);
        } else {
            say("\n*** madsim cannot be built here: see above. ***");
        }
    }
    cargo(&call)
}
