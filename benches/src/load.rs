//! A closed loop of clients: each asks, waits for the answer, and asks again.

use std::time::Duration;

use hdrhistogram::Histogram;
use quorate_core::Rng;
use quorate_tests::now;
use tokio::task::JoinSet;

/// The size of every value, in bytes.
pub(crate) const VALUE_BYTES: usize = 256;

/// What the clients ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// A put of a random key.
    Put,
    /// A linearizable get of a random key.
    Get,
    /// A compare-and-swap of the value of the client's own key, so that each succeeds.
    Swap,
}

/// One connection of one client. Every error ends the bench: a figure with failures in it would
/// compare nothing.
pub(crate) trait Connection: Send + 'static {
    /// Sets `key` to `value`; returns when it is durable on a majority.
    fn put(&mut self, key: &str, value: &str) -> impl Future<Output = Result<(), String>> + Send;

    /// Reads `key`, which must exist, linearizably.
    fn get(&mut self, key: &str) -> impl Future<Output = Result<(), String>> + Send;

    /// Sets `key` from `old`, which it must hold, to `new`; durable on a majority.
    fn swap(
        &mut self,
        key: &str,
        old: &str,
        new: &str,
    ) -> impl Future<Output = Result<(), String>> + Send;
}

/// What a load found.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Answers within the measured time.
    pub(crate) per_second: f64,
    /// Their latencies, in microseconds.
    pub(crate) latency: Histogram<u64>,
}

/// The value number `n`: text, so that no protocol pays for escapes.
pub(crate) fn value(n: u64) -> String {
    let mut text = format!("{n:020}");
    text.extend(std::iter::repeat_n('v', VALUE_BYTES - text.len()));
    text
}

/// The key number `n`.
pub(crate) fn key(n: u64) -> String {
    format!("bench-{n:08}")
}

/// Runs `work` over `keys` keys on every connection for `warm_up`, and then for `measured`.
pub(crate) async fn run<C: Connection>(
    connections: Vec<C>,
    (work, keys): (Work, u64),
    (warm_up, measured): (Duration, Duration),
) -> Result<Sample, String> {
    let start = now() + warm_up;
    let end = start + measured;
    let mut clients = JoinSet::new();
    for (client, mut connection) in connections.into_iter().enumerate() {
        clients.spawn(async move {
            let mut latency = histogram();
            let mut rng = Rng::seeded(client as u64);
            let own = format!("swapped-{client:04}");
            let mut held = value(0);
            if work == Work::Swap {
                connection.put(&own, &held).await?;
            }
            loop {
                let n = rng.next_u64();
                let begun = now();
                match work {
                    Work::Put => connection.put(&key(n % keys), &value(n)).await?,
                    Work::Get => connection.get(&key(n % keys)).await?,
                    Work::Swap => {
                        let next = value(n);
                        connection.swap(&own, &held, &next).await?;
                        held = next;
                    }
                }
                let ended = now();
                if ended >= end {
                    return Ok::<_, String>(latency);
                }
                if ended >= start {
                    let micros = (ended - begun).as_micros();
                    latency.saturating_record(u64::try_from(micros).unwrap_or(u64::MAX));
                }
            }
        });
    }
    let mut latency = histogram();
    while let Some(client) = clients.join_next().await {
        let client = client.map_err(|error| error.to_string())??;
        latency.add(client).map_err(|error| error.to_string())?;
    }
    Ok(Sample { per_second: latency.len() as f64 / measured.as_secs_f64(), latency })
}

/// Puts every key once, so that each get finds one.
pub(crate) async fn fill<C: Connection>(connections: Vec<C>, keys: u64) -> Result<(), String> {
    let (mut clients, count) = (JoinSet::new(), connections.len() as u64);
    for (client, mut connection) in (0..).zip(connections) {
        clients.spawn(async move {
            for n in (client..keys).step_by(count as usize) {
                connection.put(&key(n), &value(n)).await?;
            }
            Ok::<_, String>(())
        });
    }
    while let Some(client) = clients.join_next().await {
        client.map_err(|error| error.to_string())??;
    }
    Ok(())
}

/// From a microsecond to a minute, to three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are in order")
}
