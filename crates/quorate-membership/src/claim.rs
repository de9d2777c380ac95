//! What is said of a member, and which of two sayings is the newer.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_core::{BootEpoch, ClusterId, Kind, Member, NodeId, is_address};
use serde::{Deserialize, Serialize};

/// One life of a node and how often it spoke up in it. Ordered by boot, then counter.
///
/// Only the node itself makes a new one: by a restart, by a change of its tags, or to refute that
/// it is gone.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Incarnation {
    /// How often its data folder has been started.
    pub boot: BootEpoch,
    /// How often it spoke up since.
    pub counter: u64,
}

impl Incarnation {
    /// Counters above this are refused from the wire, so that adding to one never overflows. 2^48: a
    /// refutation each microsecond for nine years. A forged claim at the bound cannot be refuted
    /// before the next boot; only a network that forgers cannot reach protects from that.
    pub const COUNTER_MAX: u64 = 1 << 48;

    /// The first of a boot.
    #[must_use]
    pub const fn first(boot: BootEpoch) -> Self {
        Self { boot, counter: 0 }
    }
}

/// What is known of a member. Of one incarnation, the later state wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// It answers, or nobody says otherwise.
    Alive,
    /// It does not answer. Reversible: it may still refute.
    Suspect,
    /// It was suspected for long enough. Final for this incarnation.
    Dead,
    /// It said that it leaves. Final for this incarnation.
    Left,
}

impl State {
    /// Whether it counts as a member: alive or suspected.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Alive | Self::Suspect)
    }
}

/// What a member says of itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Info {
    /// In which life, and how often it spoke in it.
    pub incarnation: Incarnation,
    /// Where its cluster port is, `host:port`, for TCP and UDP.
    pub address: String,
    /// What it is.
    pub tags: Tags,
    /// Which versions of the packets it reads.
    pub protocol: Protocol,
}

/// Which versions of the packets a process reads, and what it can do besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Protocol {
    /// The oldest version.
    pub min: u8,
    /// The newest version.
    pub max: u8,
    /// One bit for each thing that a reader of these versions may or may not know. None is defined
    /// yet.
    pub features: u8,
}

impl Protocol {
    /// What this build reads.
    pub const SUPPORTED: Self = Self { min: 1, max: 1, features: 0 };

    /// Whether packets of `version` are read.
    #[must_use]
    pub const fn reads(self, version: u8) -> bool {
        self.min <= version && version <= self.max
    }
}

/// What a member is, for others to read. Bounded, so that every claim fits into a datagram.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tags {
    /// What it is meant to be in the cluster.
    pub kind: Kind,
    /// Higher leads sooner. Default 100.
    pub priority: u8,
    /// Where its API is, `host:port`; may be empty. At most [`Self::ADDRESS_MAX`] bytes.
    pub api_address: String,
    /// Which fate it shares: a rack, a zone, a region. At most [`Self::ZONE_MAX`] bytes.
    pub zone: String,
    /// Its cluster; [`ClusterId::NONE`] until that is born.
    pub cluster: ClusterId,
    /// How well it says it is.
    pub health: HealthDigest,
    /// Anything else; with their lengths, at most [`Self::EXTRA_MAX`] bytes.
    pub extra: BTreeMap<String, String>,
    /// How often its owner changed them since it started. Set by the membership itself.
    pub version: u32,
}

/// How well a member says it is, in one word.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub enum HealthDigest {
    /// Nobody looked.
    #[default]
    Unknown,
    /// All is well.
    Healthy,
    /// It works, with less than all.
    Degraded,
    /// It does not do its work.
    Unhealthy,
}

impl Tags {
    /// The longest address in bytes: a name of DNS, a colon and a port.
    pub const ADDRESS_MAX: usize = quorate_core::ADDRESS_MAX;
    /// The longest zone, in bytes.
    pub const ZONE_MAX: usize = 64;
    /// The most bytes of `extra` together, with two for each text's length.
    pub const EXTRA_MAX: usize = 256;

    /// Whether everything is within its bounds.
    ///
    /// # Errors
    ///
    /// The first bound that is broken.
    pub fn validate(&self) -> Result<(), TagsError> {
        let bytes = |text: &String| text.len() + 2;
        let extra = self.extra.iter().map(|(key, value)| bytes(key) + bytes(value)).sum();
        for (what, length, max) in [
            ("api_address", self.api_address.len(), Self::ADDRESS_MAX),
            ("zone", self.zone.len(), Self::ZONE_MAX),
            ("extra", extra, Self::EXTRA_MAX),
        ] {
            if length > max {
                return Err(TagsError { what, length, max });
            }
        }
        Ok(())
    }
}

impl Default for Tags {
    /// A voter of ordinary priority that says nothing else.
    fn default() -> Self {
        Self {
            kind: Kind::Voter,
            priority: Member::PRIORITY_DEFAULT,
            api_address: String::new(),
            zone: String::new(),
            cluster: ClusterId::NONE,
            health: HealthDigest::Unknown,
            extra: BTreeMap::new(),
            version: 0,
        }
    }
}

/// Why [`Tags`] cannot be spoken: a part is too long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tag {what} takes {length} bytes: shorten it to {max}")]
pub struct TagsError {
    /// Which part.
    pub what: &'static str,
    /// Its bytes.
    pub length: usize,
    /// The most it may have.
    pub max: usize,
}

/// A claim about a member, as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// About whom.
    pub id: NodeId,
    /// How it is.
    pub state: State,
    /// Of a member that is gone: for how many seconds, rounded up at every hop. So a tombstone only
    /// ever gets older on its way, and cannot outlive its horizon by being passed on.
    pub gone_secs: u32,
    /// Of a suspect: who says so, and on what grounds.
    pub accusation: Option<Accusation>,
    /// What it said of itself last. Shared with the view it comes from or goes to.
    pub info: Arc<Info>,
}

/// The grounds of a suspicion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accusation {
    /// The hash of the accuser's id, for limits: nobody may accuse everybody.
    #[serde(with = "crate::raw")]
    pub by: u32,
    /// Whether enough others found it silent too. Then it dies sooner.
    pub corroborated: bool,
}

impl Update {
    /// Whether this claim is newer than that one, about the same member.
    ///
    /// Claims are in a total order: by incarnation, then state, then whether a suspicion was
    /// corroborated, then content (which honest members never change without a new incarnation). A
    /// view keeps the greatest, so it does not matter in which order, how often and by whom claims
    /// are told. Who accused is no part of it.
    #[must_use]
    pub fn supersedes(&self, other: &Self) -> bool {
        self.rank() > other.rank()
    }

    pub(crate) fn is_corroborated(&self) -> bool {
        self.state == State::Suspect
            && self.accusation.is_some_and(|accusation| accusation.corroborated)
    }

    pub(crate) fn rank(&self) -> Rank<'_> {
        (self.info.incarnation, self.state, self.is_corroborated(), &self.info)
    }

    /// Whether an honest node could have sent it.
    pub(crate) fn is_sound(&self) -> bool {
        self.info.incarnation.counter <= Incarnation::COUNTER_MAX
            && is_address(&self.info.address)
            && self.info.tags.validate().is_ok()
            && self.info.protocol.min <= self.info.protocol.max
            && (self.state == State::Suspect || self.accusation.is_none())
    }
}

/// The order of claims about one member.
pub(crate) type Rank<'a> = (Incarnation, State, bool, &'a Info);
