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

/// Automation of the project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
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
    match Cli::parse().task {
        Task::Demo(demo) => demo.run(),
        Task::Bench(bench) => bench.run(),
        Task::Test(test) => test.run(),
        Task::Sim(sim) => sim.run(),
        Task::Lin(lin) => lin.run(),
        Task::Tidy => tidy::run(),
    }
}
