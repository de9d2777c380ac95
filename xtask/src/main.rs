//! Automation of the project: `cargo xtask --help`.

mod bench;
mod demo;
mod lin;
mod sh;
mod sim;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sh::USAGE;

/// Automation of the project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Starts a real cluster of three on this machine, kills its leader under load and shows what
    /// becomes of every promise.
    Demo(demo::Demo),
    /// Measures quorate beside other systems: `bench state --help`.
    Bench(bench::Bench),
    /// Everything a change must pass: form, lints, rules, tests, simulation, real processes.
    Test(test::Test),
    /// Runs the shipped node through simulated faults, seed after seed.
    Sim(sim::Sim),
    /// Decides whether a recorded history (NDJSON) is linearizable.
    Lin(lin::Lin),
    /// Checks the rules of the architecture against the code.
    Tidy,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(said) => return leave(&said),
    };
    match cli.task {
        Task::Demo(demo) => demo.run(),
        Task::Bench(bench) => bench.run(),
        Task::Test(test) => test.run(),
        Task::Sim(sim) => sim.run(),
        Task::Lin(lin) => lin.run(),
        Task::Tidy => tidy::run(),
    }
}

/// Prints what clap has to say: help, the version, or what is wrong with the command line.
fn leave(said: &clap::Error) -> ExitCode {
    // Nobody is left to be told that it could not be told.
    let _ = said.print();
    if said.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_command_line_is_not_taken_for_an_answer() {
        let code = |line: &[&str]| {
            let said = Cli::try_parse_from([&["cargo xtask"], line].concat()).unwrap_err();
            if said.use_stderr() { USAGE } else { 0 }
        };
        // 2 is what clap says, and what `lin` says of a history that it cannot decide.
        for wrong in [
            &["lin", "--nonsense"] as &[&str],
            &["lin", "--budget", "nan", "FILE"],
            &["sim", "--seeds", "5..3"],
            &["sim", "--budget", "0"],
            &["sim", "--jobs", "0"],
            &["nonsense"],
            &[],
        ] {
            assert_eq!(code(wrong), 64, "{wrong:?}");
        }
        for right in [&["--help"] as &[&str], &["lin", "-h"], &["sim", "replay", "--help"], &["-V"]]
        {
            assert_eq!(code(right), 0, "{right:?}");
        }
    }
}
