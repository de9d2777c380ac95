//! A voter's state as one number, for those who look at all of them.

use std::hash::{Hash, Hasher};

use quorate_core::Instant;

use crate::campaign::{State, StrawPoll, Votes};
use crate::patience::Timer;
use crate::reign::Reign;
use crate::{Config, Voter};

impl Voter {
    /// Adds all that decides what this voter will do to `hasher`, as seen at `now`, the time of
    /// its last call.
    ///
    /// Moments count relative to `now`, and those that are past only as far as a comparison can
    /// tell: three times the longest timeout. Left out are what never changes (the configuration)
    /// and the dice: of two voters that differ in their next draw alone, either may stand for both.
    pub fn fingerprint(&self, now: Instant, hasher: &mut impl Hasher) {
        let Self {
            me,
            config,
            rng: _,
            gate,
            ballot,
            durable,
            state,
            leader,
            heard_at,
            timer,
            quorum_lost,
            handing,
        } = self;
        let age = |at: Instant| age(config, now, at);
        (me, gate.current(), ballot, durable, leader, quorum_lost).hash(hasher);
        heard_at.filter(|_| config.check_quorum).map(age).hash(hasher);
        handing.is_some().hash(hasher);
        if let Some(handing) = handing {
            handing.fingerprint(now, hasher);
        }
        match state {
            State::Follower => (0_u8, patience(config, timer, now)).hash(hasher),
            State::PreCandidate { poll, ask_at } => {
                let StrawPoll { answers, reluctant } = poll;
                (1_u8, patience(config, timer, now), answers, reluctant).hash(hasher);
                ask_at.since(now).hash(hasher);
            }
            State::Candidate { votes: Votes { tally, answered, at_once }, ask_at } => {
                (2_u8, patience(config, timer, now), tally, answered, at_once).hash(hasher);
                ask_at.since(now).hash(hasher);
            }
            // The timer starts over before it counts again.
            State::Leader(Reign { since, heard, beat_at, check_at }) => {
                (3_u8, beat_at.since(now)).hash(hasher);
                if config.check_quorum {
                    (check_at.since(now), age(*since)).hash(hasher);
                    for (peer, at) in heard {
                        (peer, age(*at)).hash(hasher);
                    }
                }
            }
        }
    }
}

/// What is left of the patience: until when, and if that is open, since when.
fn patience(config: &Config, timer: &Timer, now: Instant) -> (bool, u128, u128) {
    let Timer { since, drawn } = timer;
    let left = timer.due(config).since(now).as_nanos();
    (drawn.is_some(), left, if drawn.is_some() { 0 } else { age(config, now, *since) })
}

/// How long ago `at` was; zero if it is to come.
fn age(config: &Config, now: Instant, at: Instant) -> u128 {
    now.since(at).min(config.election_max * 3).as_nanos()
}
