//! `cargo xtask bench`: builds the benches in the release profile, and runs them.

use std::process::ExitCode;

use clap::Args;

use crate::sh::cargo;

/// Measures quorate beside other systems; `cargo xtask bench state --help` tells more.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Bench {
    /// The bench and its flags.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "BENCH")]
    arguments: Vec<String>,
}

impl Bench {
    pub(crate) fn run(self) -> ExitCode {
        // The benches are no default member, and look for `quorated` beside themselves.
        if !cargo(&["build", "--quiet", "--release", "-p", "quorate-node"]) {
            return ExitCode::FAILURE;
        }
        let mut call = vec!["run", "--quiet", "--release", "-p", "quorate-bench", "--"];
        call.extend(self.arguments.iter().map(String::as_str));
        if cargo(&call) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
