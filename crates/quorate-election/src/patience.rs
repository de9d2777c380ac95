//! How long a follower bears silence: here priorities move timers, and nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use quorate_core::{Configuration, Instant, NodeId, Rng, rare};

use crate::Config;

/// A timeout whose length is drawn only when the shortest one has passed.
///
/// While a leader speaks, resetting it is one store: no draw, no look at the configuration. And
/// when the draw comes, it knows whose silence it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Timer {
    pub(crate) since: Instant,
    pub(crate) drawn: Option<Duration>,
}

impl Timer {
    /// Starts over at `since`, its length open.
    pub(crate) const fn undrawn(since: Instant) -> Self {
        Self { since, drawn: None }
    }

    /// Fires `wait` after `since`.
    pub(crate) const fn drawn(since: Instant, wait: Duration) -> Self {
        Self { since, drawn: Some(wait) }
    }

    /// When it wants to be looked at: the end, or, while undrawn, the earliest end there can be.
    pub(crate) fn due(&self, config: &Config) -> Instant {
        self.since + self.drawn.unwrap_or(config.election_min)
    }

    /// Draws the length if that is open.
    pub(crate) fn draw_with(&mut self, draw: impl FnOnce() -> Duration) {
        if self.drawn.is_none() {
            self.drawn = Some(draw());
        }
    }
}

/// How eager a node is to lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Eagerness {
    /// There are `levels` distinct priorities among the candidates to be, and `rank` are higher.
    Ranked { rank: u32, levels: u32 },
    /// Priority 0, with others to lead: stands only if none of them has its log.
    Reluctant,
}

/// Who would stand before `me`, once `lost` no longer leads.
pub(crate) fn eagerness(
    me: &NodeId,
    priority: u8,
    configuration: &Configuration,
    lost: Option<&NodeId>,
) -> Eagerness {
    let others = || {
        let leading = configuration.voters().filter(|id| {
            *id != me && configuration.kind(id).is_some_and(quorate_core::Kind::leads)
        });
        leading.filter_map(|id| Some((id, configuration.member(id)?.priority)))
    };
    if priority == 0 && others().any(|(_, priority)| priority > 0) {
        return Eagerness::Reluctant;
    }
    let mut levels: BTreeSet<u8> =
        others().filter(|(id, _)| Some(*id) != lost).map(|(_, priority)| priority).collect();
    levels.insert(priority);
    let above = levels.range(priority..).count() - 1;
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Eagerness::Ranked { rank: count(above), levels: count(levels.len()) }
}

/// Draws how long to bear silence.
///
/// The window from `election_min` to `election_max` is cut into one band per priority level, the
/// highest first: equal priorities share the whole window, and no bound moves. A reluctant node
/// leaves the others two whole windows.
pub(crate) fn draw(eagerness: Eagerness, config: &Config, rng: &mut Rng) -> Duration {
    let Config { election_min: min, election_max: max, .. } = *config;
    if rare("patience ends early") {
        return min;
    }
    match eagerness {
        Eagerness::Ranked { rank, levels } => {
            let band = (max - min) / levels;
            rng.duration(min + band * rank, min + band * (rank + 1))
        }
        Eagerness::Reluctant => rng.duration(max * 2, max * 3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn higher_priorities_draw_shorter_waits_within_the_same_bounds() {
        let ids: Vec<NodeId> = ["a", "b", "c"].iter().map(|id| NodeId::new(id).unwrap()).collect();
        let mut configuration = Configuration::of_voters(ids.clone());
        for (n, id) in ids.iter().enumerate() {
            configuration.members.get_mut(id).unwrap().priority = [200, 100, 50][n];
        }
        let (config, mut rng) = (Config::lan(), Rng::seeded(1));
        let mut window = |n: usize, priority, lost| {
            let eagerness = eagerness(&ids[n], priority, &configuration, lost);
            let drawn: Vec<u128> =
                (0..200).map(|_| draw(eagerness, &config, &mut rng).as_millis()).collect();
            (*drawn.iter().min().unwrap() / 10, drawn.iter().max().unwrap() / 10)
        };
        assert_eq!(window(0, 200, None), (15, 19));
        assert_eq!(window(1, 100, None), (20, 24));
        assert_eq!(window(2, 50, None), (25, 29));
        // The lost leader leaves its band to the others.
        assert_eq!(window(1, 100, Some(&ids[0])), (15, 22));
        assert_eq!(window(2, 50, Some(&ids[0])), (22, 29));
        assert!(window(2, 0, None).0 >= 60);
    }
}
