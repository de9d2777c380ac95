//! The typed configuration: what [`ConfigBuilder::build`](super::ConfigBuilder::build) returns is
//! consistent.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use quorate_core::{Member, NodeId};
use quorate_election::BootstrapConfig;
use quorate_replication::ConsistencyLevel;
use serde::{Deserialize, Serialize};

use super::keys::KEYS;
use super::layers::Layers;
use super::{ConfigBuilder, ConfigError, Origin, Secret};
use crate::AutopilotConfig;

/// A consistent configuration of a node. Everything is off until enabled.
#[derive(Debug, Clone)]
pub struct Config {
    /// The node itself.
    pub node: NodeConfig,
    /// How it finds its peers.
    pub cluster: ClusterConfig,
    /// How a leader is found.
    pub election: ElectionConfig,
    /// The shared state.
    pub state: StateConfig,
    /// The copies.
    pub replication: ReplicationConfig,
    /// The disk.
    pub storage: StorageConfig,
    /// The HTTP API; used by the node binary alone.
    pub api: ApiConfig,
    layers: Layers,
}

/// The node itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    /// Its lasting name; absent: made once and kept in the data folder.
    pub id: Option<NodeId>,
    /// The folder of the journal and snapshots.
    pub data_dir: Option<PathBuf>,
}

/// How a node finds its peers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterConfig {
    /// Whether it takes part in a cluster; `None`: if something that needs it is on.
    pub enabled: Option<bool>,
    /// Nodes of another name are refused. Default `quorate`.
    pub name: String,
    /// The address of the cluster port. Default 127.0.0.1.
    pub address: IpAddr,
    /// The cluster port, TCP and UDP. Default 7946.
    pub port: u16,
    /// `host:port` under which peers reach this node; absent: the bound address.
    pub advertise: Option<String>,
    /// `host:port` of nodes through which to find the cluster.
    pub seeds: Vec<String>,
    /// How many nodes found the cluster together; absent: 1 without seeds, 2 with one seed, else 3.
    pub min_nodes: Option<u32>,
    /// Most voters, odd. Default 5.
    pub max_voters: u32,
    /// Whether members change by themselves while this node leads: who comes joins, learners
    /// become voters up to `max_voters`, and voters that are gone are replaced. Default on; the
    /// same on every node.
    pub autopilot: bool,
    /// How long a learner must have been well before it becomes a voter. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub stabilisation: Duration,
    /// How long a member must have been gone before a learner takes its place; longer than a
    /// restart takes. Default 60 s.
    #[serde(with = "humantime_serde")]
    pub replace_after: Duration,
    /// The keys that seal gossip, as 64 hexadecimal digits or in base64; the first is in use, the
    /// others open what nodes send that use them. Empty: gossip is not sealed.
    pub keyring: Vec<Secret>,
    /// The keys in a file, one a line, the first in use; what is changed while the node runs is
    /// written to it. In place of `keyring`.
    pub keyring_file: Option<PathBuf>,
    /// What becomes of gossip that is not sealed, where there are keys. Default `refused`.
    pub plain: PlainGossip,
    /// How fast gossip finds that a node is gone; absent: as `election.timing` has it.
    pub timing: Option<GossipTiming>,
    /// How long a node may stall, once the others miss it, without being given up; absent: the
    /// timing's, a second for `lan`. Longer forgives longer stalls, and finds deaths later by as
    /// much.
    #[serde(with = "humantime_serde")]
    pub pause_tolerance: Option<Duration>,
    /// Accept a cluster port that is reachable from outside without encryption.
    pub insecure: bool,
}

/// What a node with keys does about gossip that is not sealed: the steps by which a cluster that
/// runs gets its first key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlainGossip {
    /// Refuses and counts it.
    #[default]
    Refused,
    /// Hears it, from nodes that have no keys yet: anybody can forge it.
    Accepted,
    /// Hears it, and sends like that too: to nodes that have no keys yet.
    Sent,
}

/// How fast gossip finds that a node is gone, against how long a pause it takes for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GossipTiming {
    /// Processes of one machine.
    Local,
    /// One data centre.
    Lan,
    /// Several regions.
    Wan,
}

/// How a leader is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ElectionConfig {
    /// A set of timings that fit together. Default `lan`.
    pub timing: Timing,
    /// How often a leader is heard; absent: the timing's.
    #[serde(with = "humantime_serde")]
    pub heartbeat: Option<Duration>,
    /// The shortest election timeout; absent: the timing's.
    #[serde(with = "humantime_serde")]
    pub timeout_min: Option<Duration>,
    /// The longest election timeout; absent: the timing's.
    #[serde(with = "humantime_serde")]
    pub timeout_max: Option<Duration>,
    /// For how long a voter of a higher priority must be well, and have the whole log, before the
    /// leader hands over to it; absent: the timing's.
    #[serde(with = "humantime_serde")]
    pub stabilisation: Option<Duration>,
    /// How long a leader may answer reads of level `lease` by itself after it appended the newest
    /// committed entry of its term; absent: the timing's, zero: never. The same on all nodes.
    #[serde(with = "humantime_serde")]
    pub lease: Option<Duration>,
    /// By how much one node's clock may run faster than another's, in millionths; at most a half.
    /// Default 10,000, one in a hundred. The same on all nodes.
    pub drift: u32,
    /// 0 to 255; a higher one stands earlier, and gets the lead. 0 leads only while nobody else can.
    /// Default 100.
    pub priority: u8,
}

/// Timings that fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Timing {
    /// Heartbeat 20 ms, election timeout 75 to 150 ms: one rack, quiet machines.
    Fast,
    /// Heartbeat 50 ms, election timeout 150 to 300 ms: one site.
    #[default]
    Lan,
    /// Heartbeat 300 ms, election timeout 1.5 to 3 s: several sites.
    Wan,
    /// As `wan`: for nodes that come and go while a site is being set up.
    Seed,
    /// As `lan`: for a developer's machine.
    Dev,
}

impl Timing {
    /// Its name in a file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Lan => "lan",
            Self::Wan => "wan",
            Self::Seed => "seed",
            Self::Dev => "dev",
        }
    }

    /// How long a leader may answer reads by itself.
    const fn lease(self) -> Duration {
        Duration::from_millis(match self {
            Self::Fast => 60,
            Self::Lan | Self::Dev => 120,
            Self::Wan | Self::Seed => 1_200,
        })
    }

    const fn election(self) -> quorate_election::Config {
        match self {
            Self::Fast => quorate_election::Config::fast(),
            Self::Lan | Self::Dev => quorate_election::Config::lan(),
            Self::Wan | Self::Seed => quorate_election::Config::wan(),
        }
    }
}

/// The shared state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StateConfig {
    /// Whether it is open. Implies the cluster.
    pub enabled: bool,
}

/// The copies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplicationConfig {
    /// How many must hold a write that says nothing else. Default `quorum`; `strong` waits for every
    /// data voter, so that one that is down stops all such writes.
    pub consistency: ConsistencyLevel,
}

/// The disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageConfig {
    /// Size of a journal segment in bytes. Default 16 MiB.
    pub segment_bytes: u64,
    /// Log size in bytes that asks for a snapshot. Default 8 MiB.
    pub compact_bytes: u64,
}

/// The HTTP API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// Its address. Default 127.0.0.1.
    pub address: IpAddr,
    /// Its port. Default 8080.
    pub port: u16,
    /// `host:port` under which clients reach it; absent: the bound address.
    pub advertise: Option<String>,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            enabled: None,
            name: "quorate".to_owned(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 7946,
            advertise: None,
            seeds: Vec::new(),
            min_nodes: None,
            max_voters: 5,
            autopilot: true,
            stabilisation: AutopilotConfig::default().stabilisation,
            replace_after: AutopilotConfig::default().replace_after,
            keyring: Vec::new(),
            keyring_file: None,
            plain: PlainGossip::default(),
            timing: None,
            pause_tolerance: None,
            insecure: false,
        }
    }
}

impl Default for ElectionConfig {
    fn default() -> Self {
        Self {
            timing: Timing::default(),
            heartbeat: None,
            timeout_min: None,
            timeout_max: None,
            stabilisation: None,
            lease: None,
            drift: 10_000,
            priority: Member::PRIORITY_DEFAULT,
        }
    }
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self { segment_bytes: 16 << 20, compact_bytes: 8 << 20 }
    }
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 8080, advertise: None }
    }
}

/// One option as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigOption {
    /// `section.name`, as in a file.
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    /// Its value, as a file would hold it.
    pub value: String,
    /// Where it was set; `None` for a default.
    pub origin: Option<Origin>,
}

/// The sections as a file holds them.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sections {
    node: NodeConfig,
    cluster: ClusterConfig,
    election: ElectionConfig,
    state: StateConfig,
    replication: ReplicationConfig,
    storage: StorageConfig,
    api: ApiConfig,
}

impl Config {
    /// Starts from the defaults: everything off.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }

    pub(super) fn from_layers(layers: Layers) -> Result<Self, ConfigError> {
        let Sections { node, cluster, election, state, replication, storage, api } =
            Sections::deserialize(layers.tables()).map_err(|error| {
                // One line, as logs are read by the line.
                let text = error.to_string().trim().replace('\n', " ");
                ConfigError::Syntax(layers.without_secrets(&text))
            })?;
        let config = Self { node, cluster, election, state, replication, storage, api, layers };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.state.enabled && self.cluster.enabled == Some(false) {
            return Err(ConfigError::ClusterOff);
        }
        if self.replication.consistency == ConsistencyLevel::Eventual {
            let (key, part) = ("replication.consistency", "eventual writes");
            return Err(ConfigError::NotInThisVersion { key: key.into(), part: part.into() });
        }
        self.election_config().validate()?;
        self.replication_config().validate()?;
        let (lease, timeout_min) = (self.lease(), self.election_config().election_min);
        if lease > timeout_min {
            return Err(ConfigError::LeaseTooLong { lease, timeout_min });
        }
        if self.election.drift > DRIFT_MAX {
            return Err(ConfigError::Drift(self.election.drift));
        }
        let max_voters = self.cluster.max_voters;
        if max_voters.is_multiple_of(2) || max_voters > 7 {
            return Err(ConfigError::MaxVoters(max_voters));
        }
        // Port 0 is replaced by the one that is found free, before anybody is told of it.
        let bound = SocketAddr::new(self.cluster.address, self.cluster.port.max(1));
        self.membership_config(&bound.to_string()).validate()?;
        let min_nodes = self.min_nodes();
        if min_nodes > max_voters || min_nodes == 0 {
            return Err(ConfigError::MinNodes { min_nodes, max_voters });
        }
        if !self.cluster.keyring.is_empty() && self.cluster.keyring_file.is_some() {
            return Err(ConfigError::TwoKeyrings);
        }
        #[cfg(feature = "tokio")]
        self.keyring_of_config()?;
        if self.cluster.plain != PlainGossip::Refused
            && self.cluster.keyring.is_empty()
            && self.cluster.keyring_file.is_none()
        {
            return Err(ConfigError::PlainWithoutKeyring);
        }
        if !self.cluster.address.is_loopback() && !self.cluster.insecure {
            let address = self.cluster.address.to_string();
            return Err(ConfigError::InsecureCluster { address });
        }
        if self.cluster.address.is_unspecified() && self.cluster.advertise.is_none() {
            let address = self.cluster.address.to_string();
            return Err(ConfigError::NoAdvertise { address });
        }
        if !self.api.address.is_loopback() {
            return Err(ConfigError::InsecureApi { address: self.api.address.to_string() });
        }
        Ok(())
    }

    /// Whether the node takes part in a cluster: said so, or implied by what stands on it.
    #[must_use]
    pub fn cluster_enabled(&self) -> bool {
        self.cluster.enabled.unwrap_or(self.state.enabled)
    }

    /// How many nodes found the cluster together.
    #[must_use]
    pub fn min_nodes(&self) -> u32 {
        self.cluster.min_nodes.unwrap_or(match self.cluster.seeds.len() {
            0 => 1,
            1 => 2,
            _ => 3,
        })
    }

    /// How peers are found and watched; `bound` is where the cluster port listens.
    #[must_use]
    pub fn membership_config(&self, bound: &str) -> quorate_membership::Config {
        let timing = self.cluster.timing.unwrap_or(match self.election.timing {
            Timing::Fast | Timing::Dev => GossipTiming::Local,
            Timing::Lan => GossipTiming::Lan,
            Timing::Wan | Timing::Seed => GossipTiming::Wan,
        });
        let pace = match timing {
            GossipTiming::Local => quorate_membership::Config::local(),
            GossipTiming::Lan => quorate_membership::Config::lan(),
            GossipTiming::Wan => quorate_membership::Config::wan(),
        };
        quorate_membership::Config {
            cluster_name: self.cluster.name.clone(),
            address: self.cluster.advertise.clone().unwrap_or_else(|| bound.to_owned()),
            seeds: self.cluster.seeds.clone(),
            pause_tolerance: self.cluster.pause_tolerance.unwrap_or(pace.pause_tolerance),
            ..pace
        }
    }

    /// The keys that the configuration itself holds.
    #[cfg(feature = "tokio")]
    pub(crate) fn keyring_of_config(&self) -> Result<Vec<quorate_tokio::Key>, ConfigError> {
        let parse = |(n, key): (usize, &Secret)| {
            key.reveal().parse().map_err(|why: quorate_tokio::KeyError| ConfigError::Key {
                position: n + 1,
                why: why.to_string(),
            })
        };
        self.cluster.keyring.iter().enumerate().map(parse).collect()
    }

    /// How the first members are found. A node that may found alone has nothing to wait for.
    #[must_use]
    pub fn bootstrap_config(&self) -> BootstrapConfig {
        let config = BootstrapConfig::new(self.min_nodes() as usize);
        let alone = self.cluster.seeds.is_empty() && self.min_nodes() == 1;
        if alone { BootstrapConfig { settle: Duration::ZERO, ..config } } else { config }
    }

    /// How members change by themselves; `None`: only when asked.
    #[must_use]
    pub fn autopilot_config(&self) -> Option<AutopilotConfig> {
        self.cluster.autopilot.then_some(AutopilotConfig {
            max_voters: self.cluster.max_voters as usize,
            stabilisation: self.cluster.stabilisation,
            replace_after: self.cluster.replace_after,
        })
    }

    /// Where the cluster port is bound.
    #[must_use]
    pub const fn cluster_bind(&self) -> SocketAddr {
        SocketAddr::new(self.cluster.address, self.cluster.port)
    }

    /// Where the API is bound.
    #[must_use]
    pub const fn api_bind(&self) -> SocketAddr {
        SocketAddr::new(self.api.address, self.api.port)
    }

    /// The election's timing and priority.
    #[must_use]
    pub fn election_config(&self) -> quorate_election::Config {
        let mut config = self.election.timing.election();
        config.heartbeat = self.election.heartbeat.unwrap_or(config.heartbeat);
        config.election_min = self.election.timeout_min.unwrap_or(config.election_min);
        config.election_max = self.election.timeout_max.unwrap_or(config.election_max);
        // A longer timeout alone is no reason to refuse to start.
        let preset = config.stabilisation.max(config.election_max);
        config.stabilisation = self.election.stabilisation.unwrap_or(preset);
        config.priority = self.election.priority;
        config
    }

    /// The log's batches and windows.
    #[must_use]
    pub fn replication_config(&self) -> quorate_replication::Config {
        let compact_log_bytes = usize::try_from(self.storage.compact_bytes).unwrap_or(usize::MAX);
        quorate_replication::Config {
            compact_log_bytes,
            lease: self.lease(),
            drift_millionths: self.election.drift,
            ..Default::default()
        }
    }

    /// How long a leader may answer reads by itself; zero where the clock does not count suspend.
    fn lease(&self) -> Duration {
        if cfg!(any(target_os = "linux", target_os = "android")) {
            // A shorter timeout alone is no reason to refuse to start.
            let preset = self.election.timing.lease().min(self.election_config().election_min);
            self.election.lease.unwrap_or(preset)
        } else {
            Duration::ZERO
        }
    }

    /// Every option.
    pub fn options(&self) -> impl Iterator<Item = ConfigOption> {
        let sections = Sections {
            node: self.node.clone(),
            cluster: self.cluster.clone(),
            election: self.election.clone(),
            state: self.state.clone(),
            replication: self.replication.clone(),
            storage: self.storage.clone(),
            api: self.api.clone(),
        };
        let table = toml::Table::try_from(sections).unwrap_or_default();
        KEYS.iter().map(move |key| {
            let value = key
                .name
                .split_once('.')
                .and_then(|(section, option)| table.get(section)?.get(option))
                .map_or_else(|| "(unset)".to_owned(), ToString::to_string);
            ConfigOption {
                name: key.name,
                about: key.about,
                value,
                origin: self.layers.origin(key.name),
            }
        })
    }
}

/// A clock that is off by more is broken.
const DRIFT_MAX: u32 = 500_000;
