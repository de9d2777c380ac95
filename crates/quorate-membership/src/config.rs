//! Who this node is to others, where it finds them, and how fast it notices that one is gone.

use std::time::Duration;

use crate::claim::is_address;

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
    /// Where to look for others, `host:port`; names are resolved again and again. May hold this
    /// node's own address. At most [`Self::SEEDS_MAX`].
    pub seeds: Vec<String>,
    /// How often a member is probed, one after the other. Shorter finds a crash sooner; costs a
    /// ping and its answer, about 150 bytes, for each period.
    pub probe_interval: Duration,
    /// The least time to wait for an answer; grows with the measured round trips. After one such
    /// time others are asked to help, after four the member is suspected.
    pub probe_timeout: Duration,
    /// How many others are asked to probe a silent member. More hear it in spite of loss; costs
    /// four packets each, only when one is silent. A second
    /// set is asked if the first does not help. Default 3, as SWIM measured.
    pub indirect_probes: usize,
    /// The least time a member is suspected before it is declared dead: how long it may stall
    /// without being given up. It is shown as unreachable at once.
    pub suspicion: Duration,
    /// How often news are told to others while there are any.
    pub gossip_interval: Duration,
    /// To how many others at a time.
    pub gossip_fanout: usize,
    /// The first pause before a silent seed or lost peer is announced to again.
    pub announce_min: Duration,
    /// The longest such pause; it is kept up for ever.
    pub announce_max: Duration,
    /// How often the names of seeds are resolved, and those of peers when they are needed; sooner
    /// while a name has no address.
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
        Self::paced(200, 50, 1_000, 50)
    }

    /// For one data centre, the default: probes every 500 ms, suspicion within 400 ms after an
    /// unanswered probe, dead 1.5 s later. (memberlist's LAN profile probes every second and
    /// suspects for 4 s and more.)
    #[must_use]
    pub const fn lan() -> Self {
        Self::paced(500, 100, 1_500, 100)
    }

    /// Across regions: probes every second, for round trips up to 300 ms, dead after 5 s.
    #[must_use]
    pub const fn wan() -> Self {
        Self::paced(1_000, 300, 5_000, 250)
    }

    const fn paced(probe: u64, timeout: u64, suspicion: u64, gossip: u64) -> Self {
        Self {
            cluster_name: String::new(),
            address: String::new(),
            seeds: Vec::new(),
            probe_interval: Duration::from_millis(probe),
            probe_timeout: Duration::from_millis(timeout),
            indirect_probes: 3,
            suspicion: Duration::from_millis(suspicion),
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
            if !is_address(address) {
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
        {
            return Err(ConfigError::Fanout {
                indirect_probes: self.indirect_probes,
                gossip_fanout: self.gossip_fanout,
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
            ("suspicion", self.suspicion),
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
        let (suspicion, probe_interval) = (self.suspicion, self.probe_interval);
        let least = (probe_interval * 2).max(self.probe_timeout * 8);
        if suspicion < least {
            return Err(ConfigError::SuspicionTooShort { suspicion, least });
        }
        let (announce_min, announce_max) = (self.announce_min, self.announce_max);
        if announce_max < announce_min {
            return Err(ConfigError::Backoff { announce_min, announce_max });
        }
        let (tombstone_horizon, least) = (self.tombstone_horizon, suspicion * 20);
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
        "indirect_probes <= 16 and 1 <= gossip_fanout <= 16 do not hold: {indirect_probes}, \
         {gossip_fanout}; use 3 for both"
    )]
    Fanout {
        /// Relays asked for.
        indirect_probes: usize,
        /// Receivers of news asked for.
        gossip_fanout: usize,
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
        "suspicion >= 2 x probe_interval and 8 x probe_timeout does not hold: {suspicion:?}; \
         raise suspicion to {least:?} or more"
    )]
    SuspicionTooShort {
        /// The suspicion asked for.
        suspicion: Duration,
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
        "tombstone_horizon >= 20 x suspicion does not hold: {tombstone_horizon:?}; raise it to \
         {least:?} or more"
    )]
    HorizonTooShort {
        /// The horizon asked for.
        tombstone_horizon: Duration,
        /// The least that would do.
        least: Duration,
    },
}

/// The longest of all periods: ten years.
const PERIOD_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Asking more at once costs packets and helps no further.
const PEERS_ASKED_MAX: usize = 16;
