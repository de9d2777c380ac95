//! What the links are like.

use std::time::Duration;

use quorate_core::Rng;

use crate::crowd::gossiper::Over;

/// What the links are like; the same everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// The shortest and longest time a packet takes one way; each is drawn uniformly.
    pub latency: (Duration, Duration),
    /// Lost packets per million, each on its own.
    pub loss: u32,
    /// Packets per million that are held up on the way, by up to [`Self::held_up_max`].
    pub held_up: u32,
    /// How long at most.
    pub held_up_max: Duration,
    /// Packets per million that come a second time, up to two minutes later and to anybody.
    pub replays: u32,
    /// Whether connections can be made at all.
    pub streams: bool,
}

impl Weather {
    /// A data centre without faults: 0.5 to 1.5 ms one way.
    pub const LAN: Self = Self {
        latency: (Duration::from_micros(500), Duration::from_micros(1_500)),
        loss: 0,
        held_up: 0,
        held_up_max: Duration::ZERO,
        replays: 0,
        streams: true,
    };

    /// The same, with that share of the packets lost.
    #[must_use]
    pub const fn with_loss(self, percent: u32) -> Self {
        Self { loss: percent * 10_000, ..self }
    }
}

/// The dice of the network: a stream each, so that a draw for one thing shifts no other.
#[derive(Debug)]
pub(super) struct Dice {
    latency: Rng,
    loss: Rng,
    held_up: Rng,
    replays: Rng,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            latency: Rng::stream(seed, "crowd latency"),
            loss: Rng::stream(seed, "crowd loss"),
            held_up: Rng::stream(seed, "crowd held up"),
            replays: Rng::stream(seed, "crowd replays"),
        }
    }

    /// How long a packet takes; `None` if it never comes.
    pub(super) fn travel(&mut self, weather: &Weather, over: Over) -> Option<Duration> {
        match over {
            Over::Datagram => self.hop(weather),
            Over::Stream if weather.streams => self.connection(weather),
            Over::Stream => None,
        }
    }

    /// When and to which of `nodes` the packet comes once more, if it does.
    pub(super) fn replay(&mut self, weather: &Weather, nodes: usize) -> Option<(Duration, usize)> {
        if weather.replays == 0 || !self.replays.chance(weather.replays) {
            return None;
        }
        let late = self.replays.duration(Duration::ZERO, REPLAY_MAX);
        Some((late, self.replays.index(nodes)))
    }

    fn hop(&mut self, weather: &Weather) -> Option<Duration> {
        if weather.loss > 0 && self.loss.chance(weather.loss) {
            return None;
        }
        let (low, high) = weather.latency;
        let mut time = self.latency.duration(low, high);
        if weather.held_up > 0 && self.held_up.chance(weather.held_up) {
            time += self.held_up.duration(Duration::ZERO, weather.held_up_max);
        }
        Some(time)
    }

    /// A fresh connection: there, back and there again, each packet repeated as TCP does (RFC
    /// 6298: a second for the first one, then 200 ms, doubled each time), given up after a while.
    fn connection(&mut self, weather: &Weather) -> Option<Duration> {
        let mut time = Duration::ZERO;
        for mut pause in [FIRST_RETRY, FIRST_RETRY, RETRY] {
            let hop = loop {
                if let Some(hop) = self.hop(weather) {
                    break hop;
                }
                time += pause;
                pause *= 2;
                if time > GIVE_UP {
                    return None;
                }
            };
            time += hop;
        }
        Some(time)
    }
}

const REPLAY_MAX: Duration = Duration::from_secs(120);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(200);
const GIVE_UP: Duration = Duration::from_secs(5);
