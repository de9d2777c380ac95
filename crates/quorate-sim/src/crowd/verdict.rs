//! M6 to M9: within which time all must know what happened.

use std::time::Duration;

use crate::crowd::checks::Promises;
use crate::crowd::scenarios::{Figures, Scenario};

impl Scenario {
    /// What a correct membership keeps in it: at each step, and within bounds at the end. Where
    /// nodes are cut off or stall for long, some are rightly given up that live.
    #[must_use]
    pub const fn promises(self) -> Promises {
        match self {
            Self::Split(_)
            | Self::CutOff(_)
            | Self::Islands
            | Self::Storm(_)
            | Self::Stalls(..) => Promises::MOST,
            Self::Loss(percent, _) if percent > 25 => Promises::MOST,
            _ => Promises::ALL,
        }
    }

    /// Which invariant the figures of a run with so many nodes break, and how; the bounds are
    /// what `cargo xtask bench membership` aims at.
    ///
    /// # Errors
    ///
    /// The invariant, and how it is broken.
    pub fn judge(self, nodes: u32, figures: &Figures) -> Result<(), (&'static str, String)> {
        let bound = self.bound(nodes);
        match self {
            Self::Crash | Self::MassCrash => {
                all(figures.pairs, &figures.dead, bound).map_err(|what| ("M6", what))
            }
            Self::Join => {
                all(figures.pairs, &figures.alive, bound).map_err(|what| ("M8", what))?;
                soon(figures.complete, JOINED_WITHIN).map_err(|what| ("M8", what))
            }
            Self::Split(_) if figures.tally.renamed > 0 => {
                Err(("M8", format!("{} had to change their identity", figures.tally.renamed)))
            }
            Self::Leave
            | Self::Move
            | Self::ColdBoot
            | Self::Split(_)
            | Self::CutOff(_)
            | Self::Storm(_) => soon(figures.settled, bound).map_err(|what| ("M8", what)),
            Self::Islands | Self::Strangers => {
                soon(figures.settled, bound).map_err(|what| ("M9", what))
            }
            Self::Stalls(..) if figures.tally.healthy_deaths > STALLS_DEATHS_MAX => {
                let deaths = figures.tally.healthy_deaths;
                Err(("M7", format!("nodes that were well were declared dead {deaths} times")))
            }
            Self::Quiet(_) | Self::Loss(..) | Self::Stalls(..) => Ok(()),
        }
    }

    /// Within which time all must be right.
    #[must_use]
    pub const fn bound(self, nodes: u32) -> Duration {
        Duration::from_millis(match self {
            // Nobody can be asked for another opinion, so the timer is long.
            Self::Crash | Self::MassCrash if nodes <= 2 => 20_000,
            Self::MassCrash => 6_000,
            Self::Join => 1_500,
            Self::Leave => 3_000,
            Self::ColdBoot if nodes > 1_000 => 10_000,
            Self::Crash
            | Self::Move
            | Self::ColdBoot
            | Self::Strangers
            | Self::Split(_)
            | Self::CutOff(_) => 5_000,
            // The longest pause between two announces, and time to tell all.
            Self::Islands => 45_000,
            // From when nobody is alone any more.
            Self::Storm(_) => 15_000,
            Self::Quiet(_) | Self::Loss(..) | Self::Stalls(..) => 0,
        })
    }
}

fn all(pairs: u64, times: &[Duration], bound: Duration) -> Result<(), String> {
    let missing = pairs - times.len() as u64;
    if missing > 0 {
        return Err(format!("{missing} of {pairs} pairs never learn of it"));
    }
    match times.last() {
        Some(last) if *last > bound => Err(format!("the last learns of it after {last:?}")),
        _ => Ok(()),
    }
}

fn soon(time: Option<Duration>, bound: Duration) -> Result<(), String> {
    match time {
        None => Err("not all are ever right".to_owned()),
        Some(time) if time > bound => Err(format!("all are right only after {time:?}")),
        Some(_) => Ok(()),
    }
}

/// How soon a newcomer must know all others.
const JOINED_WITHIN: Duration = Duration::from_secs(1);
/// How many false deaths a cell of the stalls may have: 100 in all twenty.
const STALLS_DEATHS_MAX: u64 = 5;
