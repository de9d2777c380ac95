//! `bench state`: the shared state beside etcd's.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::beside::Beside;
use crate::load::Work;
use crate::probe::Probe;
use crate::report::{self, Row, progress, say};
use crate::system::{Load, System};

/// Durable writes, linearizable reads and compare-and-swap, beside etcd.
///
/// Three real processes of each system run on 127.0.0.1 with fresh data folders (below $TMPDIR,
/// which must be a real disk for the figures to mean anything) and their default settings. Each
/// load runs on one system and then on the other, round after round, so that whatever the machine
/// does besides hits both; the ratio is that of neighbours, with the median, the least and the
/// most of all rounds.
///
/// A client is one connection and one request at a time. quorate is asked over its HTTP API, etcd
/// over its gRPC; and as that carries many calls on one connection, which spares etcd and its
/// clients a good part of the work, etcd is measured a second time with all clients on one: as
/// the tasks of one program that share a client, not as so many programs. All clients are driven
/// by one thread of the bench. Puts and gets choose among the
/// keys; a compare-and-swap expects the value of the client's own key, so each succeeds. An answer
/// that is not a success ends the bench.
///
/// Without etcd in the PATH its rows are left out, loudly.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  cargo xtask bench state                              what docs/MEASUREMENTS.md shows
  cargo xtask bench state --clients 64 --loads put     one row
  cargo xtask bench state --beside old/quorated        this build beside an earlier one
  cargo xtask bench state --alone --seconds 20         a long load, to profile under"
)]
pub(crate) struct Bench {
    /// How many clients put at once: one row each.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "1,64,256")]
    clients: Vec<usize>,
    /// How many clients get, and compare-and-swap.
    #[arg(long, value_name = "N", default_value_t = 64)]
    other_clients: usize,
    /// How many keys there are, all filled before.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    keys: u64,
    /// Which loads run.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "put,get,cas")]
    loads: Vec<Loads>,
    /// How long each measurement takes, in seconds, behind a warm-up of one.
    #[arg(long, value_name = "N", default_value_t = 5)]
    seconds: u64,
    /// How often each pair is measured.
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// Spread the clients of either system over its three nodes; else all ask the leader.
    #[arg(long)]
    spread: bool,
    #[command(flatten)]
    beside: Beside,
}

/// The loads by their short names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Loads {
    Put,
    Get,
    Cas,
}

impl Bench {
    pub(crate) async fn run(self) -> Result<(), String> {
        let probe = Probe::take().map_err(|error| format!("the probe of the disk: {error}"))?;
        report::print_probe(&probe);
        let place = if self.spread { "spread over the three nodes" } else { "all at the leader" };
        say(&format!(
            "clients: {place}, for either system; {} keys, values of 256 bytes",
            self.keys
        ));
        let systems = self.beside.systems().await?;
        let contestants = contestants(&systems);
        let mut rows = self.rows(contestants.len());
        let bar = progress(rows.len() * contestants.len() * self.rounds);
        for system in &systems {
            bar.set_message(format!("{}: filling", system.name));
            system.fill(self.keys).await?;
        }
        for round in 1..=self.rounds {
            for row in &mut rows {
                for (contestant, found) in contestants.iter().zip(&mut row.rounds) {
                    let (name, work, clients) = (&contestant.name, row.work, row.clients);
                    bar.set_message(format!("{name}: {work:?} x {clients}, round {round}"));
                    let load = Load {
                        work,
                        clients,
                        keys: self.keys,
                        connections: if contestant.shares { 1 } else { clients },
                        spread: self.spread,
                        warm_up: WARM_UP,
                        measured: Duration::from_secs(self.seconds),
                    };
                    found.push(contestant.system.measure(load).await?);
                    bar.inc(1);
                }
            }
        }
        bar.finish_and_clear();
        let names: Vec<String> = contestants.into_iter().map(|it| it.name).collect();
        report::print(&names, &rows);
        Ok(())
    }

    fn rows(&self, systems: usize) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut add = |work, clients| {
            let rounds = (0..systems).map(|_| Vec::new()).collect();
            rows.push(Row { work, clients, rounds });
        };
        for load in &self.loads {
            match load {
                Loads::Put => self.clients.iter().for_each(|clients| add(Work::Put, *clients)),
                Loads::Get => add(Work::Get, self.other_clients),
                Loads::Cas => add(Work::Swap, self.other_clients),
            }
        }
        rows
    }
}

/// A way to ask a system.
struct Contestant<'a> {
    name: String,
    system: &'a System,
    /// Whether all clients share one connection.
    shares: bool,
}

fn contestants(systems: &[System]) -> Vec<Contestant<'_>> {
    let mut contestants = Vec::new();
    for system in systems {
        let name = system.name.clone();
        contestants.push(Contestant { name, system, shares: false });
        if system.can_share() {
            let name = format!("{}, one connection", system.name);
            contestants.push(Contestant { name, system, shares: true });
        }
    }
    contestants
}

/// Long enough for connections and caches.
const WARM_UP: Duration = Duration::from_secs(1);
