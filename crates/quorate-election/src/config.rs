//! How fast an election is, and whom it prefers.

use std::time::Duration;

use quorate_core::Member;

/// The pace and the safeguards of a voter.
///
/// Make one from a preset and change what must differ; [`validate`](Self::validate) says whether
/// the values fit together. All nodes of a cluster should use the same pace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How often a leader says that it is there. Shorter finds a dead leader no sooner by itself,
    /// but allows a shorter `election_min`; costs one small message per member and period.
    pub heartbeat: Duration,
    /// The shortest silence after which a follower stands, and how long a voter that hears its
    /// leader refuses to replace it. At least three heartbeats, so that two may be lost.
    pub election_min: Duration,
    /// The longest silence after which a follower of priority above 0 stands, and how long a
    /// leader leads without hearing a quorum. At least `election_min + heartbeat`: the spread is
    /// what keeps two followers from standing at once.
    pub election_max: Duration,
    /// Higher stands earlier; 0 stands only while no other electable voter has its log. Default
    /// 100. Moves timers and never a vote.
    pub priority: u8,
    /// Ask before raising the term, so that a node that was cut off disturbs nobody when it comes
    /// back. Default on; costs one round trip per election. (Ongaro 2014, section 9.6.)
    pub pre_vote: bool,
    /// Step down as leader when no quorum was heard for `election_max`, and as voter keep a leader
    /// that was heard within `election_min`. Default on. The two go together: a leader that can
    /// speak but not hear would otherwise be kept for ever.
    pub check_quorum: bool,
    /// For how long another voter must be better, of a higher priority, well and with the whole log,
    /// before the leader hands over to it. Default 5 s for `lan`. Shorter brings the preferred one to
    /// lead sooner; longer bears one that comes and goes. At least `election_max`, at most a day.
    pub stabilisation: Duration,
}

impl Config {
    /// For one rack or one host: 20 ms heartbeat, 75 to 150 ms timeout. Wants quiet machines.
    #[must_use]
    pub const fn fast() -> Self {
        Self::paced(20, 75, 150, 2_000)
    }

    /// For one data centre, the default: 50 ms heartbeat, 150 to 300 ms timeout (the timeouts of
    /// Ongaro and Ousterhout 2014, section 9.3).
    #[must_use]
    pub const fn lan() -> Self {
        Self::paced(50, 150, 300, 5_000)
    }

    /// Across regions: 300 ms heartbeat, 1.5 to 3 s timeout, for round trips up to 300 ms.
    #[must_use]
    pub const fn wan() -> Self {
        Self::paced(300, 1_500, 3_000, 15_000)
    }

    const fn paced(
        heartbeat: u64,
        election_min: u64,
        election_max: u64,
        stabilisation: u64,
    ) -> Self {
        Self {
            heartbeat: Duration::from_millis(heartbeat),
            election_min: Duration::from_millis(election_min),
            election_max: Duration::from_millis(election_max),
            priority: Member::PRIORITY_DEFAULT,
            pre_vote: true,
            check_quorum: true,
            stabilisation: Duration::from_millis(stabilisation),
        }
    }

    /// Whether the values fit together.
    ///
    /// # Errors
    ///
    /// The first inequality that does not hold, with both sides and a value that would do.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Self { heartbeat, election_min, election_max, .. } = *self;
        if heartbeat.is_zero() {
            return Err(ConfigError::NoHeartbeat);
        }
        let least = heartbeat.saturating_mul(BEATS_PER_TIMEOUT);
        if election_min < least {
            return Err(ConfigError::TimeoutTooShort { heartbeat, election_min, least });
        }
        let least = election_min.saturating_add(heartbeat);
        if election_max < least {
            return Err(ConfigError::SpreadTooSmall {
                heartbeat,
                election_min,
                election_max,
                least,
            });
        }
        if self.stabilisation > STABILISATION_MAX {
            return Err(ConfigError::StabilisationTooLong { stabilisation: self.stabilisation });
        }
        if self.stabilisation < election_max {
            let stabilisation = self.stabilisation;
            return Err(ConfigError::StabilisationTooShort { stabilisation, election_max });
        }
        Ok(())
    }
}

impl Default for Config {
    /// [`Config::lan`].
    fn default() -> Self {
        Self::lan()
    }
}

/// Why a [`Config`] cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The heartbeat is zero.
    #[error("heartbeat > 0 does not hold: set heartbeat to 50ms, or use a preset")]
    NoHeartbeat,
    /// Followers would stand between two heartbeats.
    #[error(
        "election_min >= 3 x heartbeat does not hold: {election_min:?} < 3 x {heartbeat:?}; \
         raise election_min to {least:?} or more, or shorten heartbeat"
    )]
    TimeoutTooShort {
        /// The heartbeat asked for.
        heartbeat: Duration,
        /// The shortest timeout asked for.
        election_min: Duration,
        /// The least that would do.
        least: Duration,
    },
    /// Followers would stand at the same moment and split the vote.
    #[error(
        "election_max >= election_min + heartbeat does not hold: {election_max:?} < \
         {election_min:?} + {heartbeat:?}; raise election_max to {least:?} or more"
    )]
    SpreadTooSmall {
        /// The heartbeat asked for.
        heartbeat: Duration,
        /// The shortest timeout asked for.
        election_min: Duration,
        /// The longest timeout asked for.
        election_max: Duration,
        /// The least that would do.
        least: Duration,
    },
    /// A voter would get the lead before it showed that it stays.
    #[error(
        "stabilisation >= election_max does not hold: {stabilisation:?} < {election_max:?}; \
         raise stabilisation to {election_max:?} or more"
    )]
    StabilisationTooShort {
        /// The stabilisation asked for.
        stabilisation: Duration,
        /// The longest timeout asked for.
        election_max: Duration,
    },
    /// Nobody would ever get the lead.
    #[error("stabilisation = {stabilisation:?} is more than a day; give at most 24h")]
    StabilisationTooLong {
        /// The stabilisation asked for.
        stabilisation: Duration,
    },
}

/// Far beyond any sense, and far below what overflows when it is doubled.
const STABILISATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Two heartbeats may be lost before anyone stands.
const BEATS_PER_TIMEOUT: u32 = 3;
