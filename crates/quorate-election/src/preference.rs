//! When a leader hands over by itself: timers give odds, a hand-over gives certainty.

use std::collections::BTreeMap;

use quorate_core::{Instant, NodeId, mutant};

use crate::Config;

/// What a leader is itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its priority; with 0 it leads only to hand over.
    pub priority: u8,
    /// Whether something is wrong with it, so that anybody else who is well should lead.
    pub unfit: bool,
}

impl Standing {
    /// Whether it should lead no longer than it takes to hand over.
    #[must_use]
    pub const fn is_urgent(self) -> bool {
        self.unfit || self.priority == 0
    }
}

/// Decides when a leader hands over, and to whom.
///
/// Its owner shows it again and again those who could lead at once: in reach, well, and with the
/// whole log. One that is better than the leader for the whole of [`Config::stabilisation`] gets the
/// lead, unless a still better one is there. If it is lost and the lead comes back soon, or if the
/// hand-over fails, the next one waits twice as long.
#[derive(Debug, Default)]
pub struct Preference {
    /// Who would be better, and since when each has been there.
    better: BTreeMap<NodeId, Instant>,
    /// When the lead went away last, by this decision.
    given_at: Option<Instant>,
    rest_until: Instant,
    /// When an urgent one may be tried again.
    again_at: Instant,
    /// How often in a row it went wrong; of urgent ones in this lead.
    failures: u32,
    urgent_failures: u32,
}

impl Preference {
    /// This node leads from now on.
    pub fn begin(&mut self, now: Instant, config: &Config) {
        self.better.clear();
        self.again_at = now;
        self.urgent_failures = 0;
        let cooldown = config.stabilisation * COOLDOWN;
        match self.given_at.take() {
            Some(at) if now < at + cooldown * (1 << self.failures) => self.failed(now, config),
            Some(_) => self.failures = 0,
            None => {}
        }
    }

    /// Those who could lead are `fit`, with their priorities, in the order of their names: whom to
    /// hand over to now.
    pub fn look(
        &mut self,
        now: Instant,
        config: &Config,
        own: Standing,
        fit: &[(NodeId, u8)],
    ) -> Option<NodeId> {
        let is_better =
            |priority| own.is_urgent() || priority > own.priority || mutant!("prefers-anybody");
        let better: Vec<&(NodeId, u8)> = fit.iter().filter(|(_, it)| is_better(*it)).collect();
        self.better.retain(|id, _| better.iter().any(|(there, _)| there == id));
        for (id, _) in &better {
            self.better.entry(id.clone()).or_insert(now);
        }
        let highest = better.iter().map(|(_, priority)| *priority).max()?;
        let best = better.iter().filter(|(_, priority)| *priority == highest);
        let (id, _) = best.min_by_key(|(id, _)| self.due(id, config, own))?;
        if now < self.due(id, config, own) || mutant!("prefers-nobody") {
            return None;
        }
        self.again_at = now + config.election_max * 2;
        self.given_at = Some(now);
        Some(id.clone())
    }

    /// When `id` gets the lead, if it stays.
    fn due(&self, id: &NodeId, config: &Config, own: Standing) -> Instant {
        let since = self.better.get(id).copied().unwrap_or(Instant::FAR);
        if own.is_urgent() {
            if mutant!("priority-0-leads-on") && !own.unfit { Instant::FAR } else { self.again_at }
        } else if mutant!("not-stabilised") {
            since
        } else {
            (since + config.stabilisation).max(self.rest_until)
        }
    }

    /// Until when nobody is preferred, because that went wrong before.
    #[must_use]
    pub const fn rests_until(&self) -> Instant {
        self.rest_until
    }

    /// Nobody took the lead of one that is not well: the next try waits longer, since writes wait
    /// for each.
    pub fn failed_urgently(&mut self, now: Instant, config: &Config) {
        self.given_at = None;
        self.urgent_failures = (self.urgent_failures + 1).min(FAILURES_MAX);
        self.again_at = now + config.election_max * (1 << (self.urgent_failures + 1));
    }

    /// What was decided last did not come about.
    pub fn failed(&mut self, now: Instant, config: &Config) {
        self.given_at = None;
        self.failures = (self.failures + 1).min(FAILURES_MAX);
        self.rest_until = now + config.stabilisation * COOLDOWN * (1 << (self.failures - 1));
    }
}

/// A lead that comes back, or cannot be given away, stays for so many times the stabilisation, and
/// twice as long after each further time.
const COOLDOWN: u32 = 6;
const FAILURES_MAX: u32 = 6;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn id(name: &str) -> NodeId {
        NodeId::new(name).unwrap()
    }

    #[test]
    fn only_one_that_stays_better_gets_the_lead() {
        let config = Config { stabilisation: Duration::from_secs(5), ..Config::lan() };
        let own = Standing { priority: 100, unfit: false };
        let (b, c) = (id("b"), id("c"));
        let mut preference = Preference::default();
        let at = Instant::from_millis;
        preference.begin(at(0), &config);
        let mut look = |ms, best: Option<(&NodeId, u8)>| {
            let fit: Vec<_> =
                best.map(|(id, priority)| (id.clone(), priority)).into_iter().collect();
            preference.look(at(ms), &config, own, &fit)
        };
        assert_eq!(look(0, Some((&b, 200))), None);
        assert_eq!(look(4_000, None), None);
        assert_eq!(look(4_500, Some((&b, 200))), None);
        assert_eq!(look(6_000, Some((&c, 255))), None);
        assert_eq!(look(10_900, Some((&c, 255))), None);
        assert_eq!(look(11_000, Some((&c, 255))), Some(c.clone()));
        assert_eq!(look(60_000, Some((&b, 100))), None, "an equal one changes nothing");
    }

    #[test]
    fn one_that_stays_gets_the_lead_though_an_equal_one_comes_and_goes() {
        let config = Config { stabilisation: Duration::from_secs(5), ..Config::lan() };
        let own = Standing { priority: 100, unfit: false };
        let (b, c) = ((id("b"), 200), (id("c"), 200));
        let mut preference = Preference::default();
        preference.begin(Instant::ZERO, &config);
        let given: Vec<_> = (0..60_u64)
            .filter_map(|tenth| {
                let both = [b.clone(), c.clone()];
                let fit = if tenth % 40 < 20 { &both[..] } else { &both[1..] };
                let now = Instant::from_millis(tenth * 100);
                Some((tenth, preference.look(now, &config, own, fit)?))
            })
            .collect();
        assert_eq!(given.first(), Some(&(50, c.0)));
    }

    #[test]
    fn nobody_is_given_the_lead_before_a_better_one_that_is_there() {
        let config = Config { stabilisation: Duration::from_secs(1), ..Config::lan() };
        let own = Standing { priority: 50, unfit: false };
        let (b, c) = ((id("b"), 100), (id("c"), 200));
        let mut preference = Preference::default();
        preference.begin(Instant::ZERO, &config);
        let mut look = |ms, fit: &[_]| preference.look(Instant::from_millis(ms), &config, own, fit);
        assert_eq!(look(0, std::slice::from_ref(&b)), None);
        assert_eq!(look(900, &[b.clone(), c.clone()]), None);
        assert_eq!(look(1_000, &[b.clone(), c.clone()]), None, "one hand-over, not two");
        assert_eq!(look(1_900, &[b, c.clone()]), Some(c.0));
    }

    #[test]
    fn what_nobody_takes_is_offered_less_and_less_often() {
        let config = Config::lan();
        let own = Standing { priority: 100, unfit: true };
        let fit = [(id("b"), 100)];
        let mut preference = Preference::default();
        preference.begin(Instant::ZERO, &config);
        let mut offers = 0;
        for tenth in 0..600 {
            let now = Instant::from_millis(tenth * 100);
            if preference.look(now, &config, own, &fit).is_some() {
                preference.failed_urgently(now + config.election_max, &config);
                offers += 1;
            }
        }
        assert!((3..=7).contains(&offers), "{offers} in a minute");
    }

    #[test]
    fn a_lead_that_comes_back_soon_is_kept_for_longer_each_time() {
        let config = Config { stabilisation: Duration::from_secs(1), ..Config::lan() };
        let own = Standing { priority: 100, unfit: false };
        let (b, mut preference) = (id("b"), Preference::default());
        let (mut now, mut gaps) = (0_u64, Vec::new());
        for _ in 0..4 {
            let began = now;
            preference.begin(Instant::from_millis(now), &config);
            while preference
                .look(Instant::from_millis(now), &config, own, &[(b.clone(), 200)])
                .is_none()
            {
                now += 100;
            }
            gaps.push((now - began) / 1_000);
            now += 500;
        }
        assert_eq!(gaps, [1, 6, 12, 24]);
    }

    #[test]
    fn one_of_priority_0_and_one_that_is_unwell_hand_over_at_once() {
        let config = Config::lan();
        let (b, mut preference) = (id("b"), Preference::default());
        for own in [Standing { priority: 0, unfit: false }, Standing { priority: 200, unfit: true }]
        {
            preference.begin(Instant::ZERO, &config);
            let heir = preference.look(Instant::ZERO, &config, own, &[(b.clone(), 1)]);
            assert_eq!(heir, Some(b.clone()));
        }
    }
}
