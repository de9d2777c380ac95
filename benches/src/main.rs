//! Measures quorate beside other systems, on this machine, in one interleaved run.
//!
//! Run it as `cargo xtask bench`, which builds what it needs in the release profile. No number is
//! printed without saying whether it waited for the disk.

mod beside;
mod election;
mod etcd;
mod http;
mod load;
mod meter;
mod probe;
mod report;
mod state;
mod system;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures quorate beside other systems, on this machine, in one interleaved run.
///
/// `cargo xtask bench sim` and `cargo xtask bench membership` are programs of their own: they measure
/// the simulator's engine, and thousands of memberships in one simulated network.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    State(state::Bench),
    Election(election::Bench),
}

impl Bench {
    async fn run(self) -> Result<(), String> {
        match self {
            Self::State(bench) => bench.run().await,
            Self::Election(bench) => bench.run().await,
        }
    }
}

fn main() -> ExitCode {
    let Cli { bench } = Cli::parse();
    // One thread drives all clients, for either system: the servers have the other cores, and the
    // report says how much of one the clients took.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        runtime.block_on(async {
            tokio::select! {
                ended = bench.run() => ended,
                // What the bench started dies with the dropped future.
                why = interrupted() => Err(why),
            }
        })
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            report::say(&format!("the bench ended early: {why}"));
            ExitCode::FAILURE
        }
    }
}

/// SIGINT or SIGTERM.
async fn interrupted() -> String {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => "interrupted".to_owned(),
        _ = terminate.recv() => "terminated".to_owned(),
    }
}
