//! Who this node is to others, where it finds them, and how fast it notices that one is gone.

use std::time::Duration;

use quorate_core::is_address;

use crate::claim::Tags;
use crate::{Channel, spread};

/// Names, seeds and pace.
///
/// Make one from a preset and change what must differ; [`validate`](Self::validate) says whether
/// the values fit together. All nodes of a cluster should use the same pace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The name of the cluster. Nodes of different names never mix.
    pub cluster_name: String,
    /// Where others reach this node's cluster port, `host:port`, TCP and UDP.
    pub address: String,
    /// Where to look for others: `host:port`, or a service of DNS as `_name._udp.example.org` (RFC
    /// 2782). Names are resolved again and again. May hold this node's own address. At most
    /// [`Self::SEEDS_MAX`].
    pub seeds: Vec<String>,
    /// How often a member is probed, one after the other. Shorter finds a crash sooner; costs a
    /// ping and its answer, about 70 bytes, for each period.
    pub probe_interval: Duration,
    /// The least time to wait for an answer; grows with the measured round trips. After each such
    /// time the ping is repeated, after two others are asked to help, after four the member counts
    /// as silent.
    pub probe_timeout: Duration,
    /// How many others are asked to probe a silent member. More hear it in spite of loss; costs
    /// four packets each, only when one is silent. Default 3, as SWIM measured.
    pub indirect_probes: usize,
    /// How many others must look at a silent member before it is accused; four fifths of them must
    /// find it silent too. More make a false accusation less likely; costs six packets each, only
    /// when one is silent. Default 5.
    pub observers: usize,
    /// How long a member may stall without being given up, once it is accused. Longer forgives
    /// longer stalls, and finds crashes later by as much. Where news need longer to spread and be
    /// answered, that counts instead: [`Self::suspicion`].
    pub pause_tolerance: Duration,
    /// Whether packets may also be sent over TCP, where datagrams do not get through.
    pub streams: bool,
    /// How often news are told to others while there are any.
    pub gossip_interval: Duration,
    /// To how many others at a time.
    pub gossip_fanout: usize,
    /// The first pause before a silent seed or lost peer is announced to again.
    pub announce_min: Duration,
    /// The longest such pause; it is kept up for ever.
    pub announce_max: Duration,
    /// How often the names of seeds are resolved, and those of peers when they are needed; a name
    /// without an address sooner, after `announce_min` at first.
    pub resolve_every: Duration,
    /// How long it is remembered that a member is gone. Longer than a message may be on its way,
    /// and than a split may last after which both halves should find each other without a seed.
    pub tombstone_horizon: Duration,
    /// How long a leaving node tries to reach those who have not acknowledged it.
    pub leave_timeout: Duration,
    /// The most members, those that are gone included. About 1 KiB of memory each.
    pub members_max: usize,
}

impl Config {
    /// The most seeds.
    pub const SEEDS_MAX: usize = 32;

    /// For processes of one machine: a member is suspected within half a second and given up after
    /// another one.
    #[must_use]
    pub const fn local() -> Self {
        Self::paced(200, 50, 700, 20)
    }

    /// For one data centre, the default: probes every 600 ms, accusation about half a second after
    /// an unanswered probe, dead a second later. (memberlist's LAN profile probes every second and
    /// suspects for 4 s and more.)
    #[must_use]
    pub const fn lan() -> Self {
        Self::paced(600, 100, 1_000, 40)
    }

    /// Across regions: probes every second, for round trips up to 300 ms, dead after 5 s.
    #[must_use]
    pub const fn wan() -> Self {
        Self::paced(1_000, 300, 4_000, 150)
    }

    const fn paced(probe: u64, timeout: u64, tolerance: u64, gossip: u64) -> Self {
        Self {
            cluster_name: String::new(),
            address: String::new(),
            seeds: Vec::new(),
            probe_interval: Duration::from_millis(probe),
            probe_timeout: Duration::from_millis(timeout),
            indirect_probes: 3,
            observers: 5,
            pause_tolerance: Duration::from_millis(tolerance),
            streams: true,
            gossip_interval: Duration::from_millis(gossip),
            gossip_fanout: 3,
            announce_min: Duration::from_secs(1),
            announce_max: Duration::from_secs(30),
            resolve_every: Duration::from_secs(10),
            tombstone_horizon: Duration::from_secs(24 * 60 * 60),
            leave_timeout: Duration::from_secs(2),
            members_max: 8_192,
        }
    }

    /// How long a member is suspected among `live` members before it is declared dead: long enough
    /// that it hears of it, and all hear its answer.
    #[must_use]
    pub fn suspicion(&self, live: usize) -> Duration {
        self.pause_tolerance.max(self.gossip_interval * (2 * spread::rounds(live)))
    }

    /// By which way the `asked`th question goes to one that has not answered: every fourth one over
    /// a stream, where datagrams may not get through.
    pub(crate) const fn way(&self, asked: u32) -> Channel {
        if self.streams && asked.is_multiple_of(4) { Channel::Stream } else { Channel::Datagram }
    }

    /// Whether the values fit together.
    ///
    /// # Errors
    ///
    /// The first that does not, with a value that would do.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.cluster_name.is_empty() {
            return Err(ConfigError::NoName);
        }
        for address in std::iter::once(&self.address).chain(&self.seeds) {
            let service = is_service(address) && *address != self.address;
            if !(is_address(address) || service) {
                return Err(ConfigError::NoAddress { text: address.chars().take(80).collect() });
            }
        }
        self.validate_bounds()?;
        self.validate_pace()
    }

    const fn validate_bounds(&self) -> Result<(), ConfigError> {
        if self.seeds.len() > Self::SEEDS_MAX {
            return Err(ConfigError::TooManySeeds { seeds: self.seeds.len() });
        }
        if self.indirect_probes > PEERS_ASKED_MAX
            || self.gossip_fanout == 0
            || self.gossip_fanout > PEERS_ASKED_MAX
            || self.observers == 0
            || self.observers > PEERS_ASKED_MAX
        {
            return Err(ConfigError::Fanout {
                indirect_probes: self.indirect_probes,
                gossip_fanout: self.gossip_fanout,
                observers: self.observers,
            });
        }
        if self.members_max < 2 {
            return Err(ConfigError::NoRoom { members_max: self.members_max });
        }
        Ok(())
    }

    fn validate_pace(&self) -> Result<(), ConfigError> {
        for (what, period) in [
            ("probe_interval", self.probe_interval),
            ("probe_timeout", self.probe_timeout),
            ("pause_tolerance", self.pause_tolerance),
            ("gossip_interval", self.gossip_interval),
            ("announce_min", self.announce_min),
            ("announce_max", self.announce_max),
            ("resolve_every", self.resolve_every),
            ("tombstone_horizon", self.tombstone_horizon),
            ("leave_timeout", self.leave_timeout),
        ] {
            if period < Duration::from_millis(1) {
                return Err(ConfigError::NoPeriod { what });
            }
            if period > PERIOD_MAX {
                return Err(ConfigError::PeriodTooLong { what });
            }
        }
        let pause_tolerance = self.pause_tolerance;
        let least = self.probe_interval.max(self.probe_timeout * 4);
        if pause_tolerance < least {
            return Err(ConfigError::ToleranceTooShort { pause_tolerance, least });
        }
        let (announce_min, announce_max) = (self.announce_min, self.announce_max);
        if announce_max < announce_min {
            return Err(ConfigError::Backoff { announce_min, announce_max });
        }
        let (tombstone_horizon, least) = (self.tombstone_horizon, pause_tolerance * 20);
        if tombstone_horizon < least {
            return Err(ConfigError::HorizonTooShort { tombstone_horizon, least });
        }
        Ok(())
    }
}

impl Default for Config {
    /// [`Config::lan`], still without name and address.
    fn default() -> Self {
        Self::lan()
    }
}

/// Why a [`Config`] cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The cluster has no name.
    #[error("cluster_name is empty: give every node of the cluster the same name")]
    NoName,
    /// A text is no address.
    #[error("`{text}` is no address: write host:port, as in 10.0.0.5:7946")]
    NoAddress {
        /// The text, shortened.
        text: String,
    },
    /// There are more seeds than help.
    #[error("{seeds} seeds are more than 32: name a few nodes that are usually up")]
    TooManySeeds {
        /// How many there are.
        seeds: usize,
    },
    /// Nobody or everybody would be asked.
    #[error(
        "indirect_probes <= 16, 1 <= gossip_fanout <= 16 and 1 <= observers <= 16 do not hold: \
         {indirect_probes}, {gossip_fanout}, {observers}; use 3, 3 and 5"
    )]
    Fanout {
        /// Relays asked for.
        indirect_probes: usize,
        /// Receivers of news asked for.
        gossip_fanout: usize,
        /// Observers asked for.
        observers: usize,
    },
    /// There is no room for another member.
    #[error("members_max >= 2 does not hold: {members_max}; leave it at 8192")]
    NoRoom {
        /// The room asked for.
        members_max: usize,
    },
    /// A period is so short that nothing else would be done.
    #[error("{what} >= 1ms does not hold: use a preset")]
    NoPeriod {
        /// Which.
        what: &'static str,
    },
    /// A period is so long that it would never end.
    #[error("{what} <= 10 years does not hold: use a preset")]
    PeriodTooLong {
        /// Which.
        what: &'static str,
    },
    /// A member would be given up before it could say that it lives.
    #[error(
        "pause_tolerance >= probe_interval and 4 x probe_timeout does not hold: \
         {pause_tolerance:?}; raise it to {least:?} or more"
    )]
    ToleranceTooShort {
        /// The tolerance asked for.
        pause_tolerance: Duration,
        /// The least that would do.
        least: Duration,
    },
    /// The pauses would shrink.
    #[error("announce_min <= announce_max does not hold: {announce_min:?} > {announce_max:?}")]
    Backoff {
        /// The first pause asked for.
        announce_min: Duration,
        /// The longest pause asked for.
        announce_max: Duration,
    },
    /// Old news could bring back a member that is gone.
    #[error(
        "tombstone_horizon >= 20 x pause_tolerance does not hold: {tombstone_horizon:?}; raise it to \
         {least:?} or more"
    )]
    HorizonTooShort {
        /// The horizon asked for.
        tombstone_horizon: Duration,
        /// The least that would do.
        least: Duration,
    },
}

/// Whether `text` has the form of a service of DNS.
fn is_service(text: &str) -> bool {
    text.len() <= Tags::ADDRESS_MAX
        && text.starts_with('_')
        && ["._tcp.", "._udp."].iter().any(|kind| text.contains(kind))
}

/// The longest of all periods: ten years.
const PERIOD_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Asking more at once costs packets and helps no further.
const PEERS_ASKED_MAX: usize = 16;
