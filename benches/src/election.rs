//! `bench election`: how long writes stop when a leader is killed, beside etcd.

use std::time::{Duration, Instant};

use clap::Args;
use hdrhistogram::Histogram;
use quorate_core::Rng;
use quorate_tests::now;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::beside::Beside;
use crate::http::HttpConnection;
use crate::load::{Connection as _, histogram, key, value};
use crate::probe::Probe;
use crate::report::{self, Stops, progress};
use crate::system::{Asker, System};

/// How long writes stop when the leader is killed, beside etcd.
///
/// Three real processes of each system run on 127.0.0.1 with fresh data folders and their default
/// settings. The leader of one is killed with SIGKILL, then that of the other, and so on. From the
/// moment of the kill a put is sent to each of the two nodes that live every few milliseconds,
/// whatever became of those before, each over a connection that is open already or of its own; the
/// first one that is acknowledged ends the count. Then the dead node starts again, and when all
/// three are well, and a random while later, the next one dies.
///
/// Then the lead is handed over, again and again, while one client puts through another node, one put
/// after the other: what counts is the longest time between two acknowledgements around it.
///
/// Without etcd in the PATH its row is left out, loudly.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  cargo xtask bench election                      what docs/MEASUREMENTS.md shows; 20 minutes
  cargo xtask bench election --kills 20           a first look
  cargo xtask bench election --beside old/quorated   this build beside an earlier one"
)]
pub(crate) struct Bench {
    /// How many leaders of each system are killed.
    #[arg(long, value_name = "N", default_value_t = 200)]
    kills: u64,
    /// How long after a put the next one is sent to the same node, in milliseconds.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    pace: u64,
    /// How often the lead of each quorate is handed over.
    #[arg(long, value_name = "N", default_value_t = 100)]
    hand_overs: u64,
    #[command(flatten)]
    beside: Beside,
}

impl Bench {
    pub(crate) async fn run(self) -> Result<(), String> {
        let probe = Probe::take().map_err(|error| format!("the probe of the disk: {error}"))?;
        report::print_probe(&probe);
        let mut systems = self.beside.systems().await?;
        systems.push(System::quorate_timed("fast")?);
        let names: Vec<String> = systems.iter().map(|system| system.name.clone()).collect();
        let mut found: Vec<Histogram<u64>> = systems.iter().map(|_| histogram()).collect();
        let mut rng = Rng::seeded(1);
        let bar = progress(self.kills as usize * systems.len());
        for kill in 1..=self.kills {
            for (system, found) in systems.iter_mut().zip(&mut found) {
                bar.set_message(format!("{}: kill {kill}", system.name));
                // The moment must not always be the same one of a heartbeat.
                sleep(rng.duration(PAUSE_MIN, PAUSE_MAX)).await;
                let stop = self.stop(system).await?;
                found.saturating_record(u64::try_from(stop.as_micros()).unwrap_or(u64::MAX));
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        let rows = names.iter().cloned().zip(found);
        let rows: Vec<_> = rows.map(|(name, stops)| Stops { name, stops }).collect();
        report::print_stops("kills", &rows);
        self.hand_over(&systems, &mut rng).await
    }

    /// The second half: planned.
    async fn hand_over(&self, systems: &[System], rng: &mut Rng) -> Result<(), String> {
        let systems: Vec<&System> = systems.iter().filter(|system| system.hands_over()).collect();
        let mut found: Vec<Histogram<u64>> = systems.iter().map(|_| histogram()).collect();
        let bar = progress(self.hand_overs as usize * systems.len());
        for _ in 0..self.hand_overs {
            for (system, found) in systems.iter().zip(&mut found) {
                bar.set_message(format!("{}: hand-over", system.name));
                let gap = hand_over(system, rng.duration(AROUND / 2, AROUND)).await?;
                found.saturating_record(u64::try_from(gap.as_micros()).unwrap_or(u64::MAX));
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        let rows = systems.iter().zip(found);
        let rows: Vec<_> =
            rows.map(|(system, stops)| Stops { name: system.name.clone(), stops }).collect();
        report::print_stops("hand-overs", &rows);
        Ok(())
    }

    /// Kills the leader, waits for an acknowledged put, and makes the system whole again.
    async fn stop(&self, system: &mut System) -> Result<Duration, String> {
        let (nodes, leader) = system.leader().await?;
        let mut askers = Vec::new();
        for (_, node) in nodes.iter().enumerate().filter(|(place, _)| *place != leader) {
            askers.push(system.asker(node).await?);
        }
        let killed_at = now();
        system.kill(leader);
        let acknowledged = timeout(STOP_MAX, first_put(askers, Duration::from_millis(self.pace)));
        let until: Instant = acknowledged
            .await
            .map_err(|_| format!("{}: no put is acknowledged within {STOP_MAX:?}", system.name))?;
        system.revive(leader).await?;
        Ok(until - killed_at)
    }
}

/// Hands the lead over, `wait` after a client began to put, and for how long at most that client got no
/// acknowledgement.
async fn hand_over(system: &System, wait: Duration) -> Result<Duration, String> {
    let (nodes, leader) = system.leader().await?;
    let lost = |error: std::io::Error| format!("{}: {error}", system.name);
    let other = &nodes[(leader + 1) % nodes.len()];
    let mut writer = HttpConnection::open(other).await.map_err(lost)?;
    let mut operator = HttpConnection::open(&nodes[leader]).await.map_err(lost)?;
    let (ended, mut end) = tokio::sync::oneshot::channel::<()>();
    let writing = tokio::spawn(async move {
        let (mut longest, mut count, mut last) = (Duration::ZERO, 0, None);
        while end.try_recv() == Err(TryRecvError::Empty) {
            writer.put(&key(count % KEYS), &value(count)).await?;
            let at = now();
            longest = last.map_or(longest, |last| longest.max(at - last));
            (last, count) = (Some(at), count + 1);
        }
        Ok::<Duration, String>(longest)
    });
    sleep(wait).await;
    let handed = timeout(STOP_MAX, operator.hand_over()).await;
    handed.map_err(|_| format!("{}: not handed over in {STOP_MAX:?}", system.name))??;
    sleep(AROUND).await;
    // The writer may have ended by an error, which it reports.
    let _ = ended.send(());
    writing.await.map_err(|error| error.to_string())?
}

/// When the first of many puts is acknowledged; those that are under way then are given up.
async fn first_put(askers: Vec<Asker>, pace: Duration) -> Instant {
    let mut puts = JoinSet::new();
    let mut ticks = interval(pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut count = 0;
    loop {
        tokio::select! {
            _ = ticks.tick() => for asker in &askers {
                let asker = asker.clone();
                count += 1;
                let (key, value) = (key(count % KEYS), value(count));
                puts.spawn(async move { asker.put(&key, &value).await.map(|()| now()) });
            },
            // One that failed was too early.
            Some(put) = puts.join_next() => if let Ok(Ok(at)) = put {
                return at;
            },
        }
    }
}

const KEYS: u64 = 1_000;
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_millis(1_500);
/// For how long puts go on before and after a hand-over.
const AROUND: Duration = Duration::from_millis(300);
/// Far beyond any election.
const STOP_MAX: Duration = Duration::from_secs(60);
