//! What is measured.

#[cfg(not(madsim))]
use std::time::Duration;

use clap::ValueEnum;
#[cfg(not(madsim))]
use quorate_sim::cluster::{Profile, run_seed};

use crate::exchange::{self, Setting};
use crate::measure::{Measured, cpu_time};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// The exchange in quorate's simulator.
    Quorate,
    /// The exchange in turmoil.
    Turmoil,
    /// The exchange in madsim.
    Madsim,
    /// The messages of the exchange, without a simulator.
    Messages,
    /// The whole node, in short runs with many faults.
    Short,
    /// The whole node, in long runs.
    Long,
}

impl Subject {
    /// What runs the exchange; the first is what the others are compared with.
    pub(crate) const EXCHANGES: [Self; 4] =
        [Self::Quorate, Self::Turmoil, Self::Madsim, Self::Messages];

    /// What runs the whole node.
    pub(crate) const CLUSTERS: [Self; 2] = [Self::Short, Self::Long];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Quorate => "quorate-sim",
            Self::Turmoil => "turmoil",
            Self::Madsim => "madsim",
            Self::Messages => "the messages alone",
            Self::Short => "short: seconds with many faults",
            Self::Long => "long: minutes with fewer",
        }
    }

    /// The name on the command line.
    pub(crate) fn flag(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Runs it once, in this process.
    ///
    /// # Errors
    ///
    /// It is not in this build, or the whole node broke a promise.
    pub(crate) fn measure(self, setting: &Setting, seeds: u64) -> Result<Measured, String> {
        match self {
            #[cfg(not(madsim))]
            Self::Quorate => Ok(of_exchange(setting, exchange::in_quorate)),
            #[cfg(not(madsim))]
            Self::Turmoil => Ok(of_exchange(setting, exchange::in_turmoil)),
            #[cfg(madsim)]
            Self::Madsim => Ok(of_exchange(setting, exchange::in_madsim)),
            Self::Messages => Ok(of_exchange(setting, exchange::without_simulator)),
            #[cfg(not(madsim))]
            Self::Short => of_cluster(Profile::short(), setting.seed, seeds),
            #[cfg(not(madsim))]
            Self::Long => of_cluster(Profile::long(), setting.seed, seeds.div_ceil(50)),
            #[cfg(not(madsim))]
            Self::Madsim => Err("in this build madsim does not simulate".to_owned()),
            #[cfg(madsim)]
            Self::Quorate | Self::Turmoil | Self::Short | Self::Long => {
                Err(format!("not in the build of madsim ({seeds} seeds)"))
            }
        }
    }
}

fn of_exchange(setting: &Setting, run: fn(&Setting) -> exchange::Tally) -> Measured {
    let begun = cpu_time();
    let tally = run(setting);
    let cpu = cpu_time() - begun;
    let (events, loss) = (tally.events(), tally.loss());
    Measured { events, cpu, simulated: setting.lasting(), loss, runs: 1 }
}

/// Runs `seeds` seeds of the whole node, five of them, with all faults and invariants.
#[cfg(not(madsim))]
fn of_cluster(mut profile: Profile, seed: u64, seeds: u64) -> Result<Measured, String> {
    profile.swarm.nodes = (exchange::NODES, exchange::NODES);
    let begun = cpu_time();
    let (mut events, mut nanos) = (0, 0);
    for seed in seed..seed + seeds {
        let outcome = run_seed(seed, &profile);
        if let Some(failure) = outcome.failure {
            return Err(format!("seed {seed} broke {}: {}", failure.invariant, failure.message));
        }
        events += outcome.events;
        nanos += outcome.nanos;
    }
    let cpu = cpu_time() - begun;
    let simulated = Duration::from_nanos(nanos);
    Ok(Measured { events, cpu, simulated, loss: 0.0, runs: seeds })
}

#[cfg(all(test, not(madsim)))]
mod tests {
    use super::*;

    #[test]
    fn the_whole_node_runs() {
        let setting = Setting { every: Duration::from_millis(1), times: 1, seed: 7 };
        let measured = Subject::Short.measure(&setting, 3).unwrap();
        assert_eq!(measured.runs, 3);
        assert!(measured.events > 3_000 && measured.simulated > Duration::from_secs(9));
    }
}
