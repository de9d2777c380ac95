//! What a node is told before it starts: from code, a file, the environment and flags.

mod builder;
mod error;
mod keys;
mod layers;
mod secret;
mod typed;

pub use builder::ConfigBuilder;
pub use error::ConfigError;
pub use layers::Origin;
pub use secret::Secret;
pub use typed::{
    ApiConfig, ClusterConfig, Config, ConfigOption, ElectionConfig, GossipTiming, NodeConfig,
    PlainGossip, ReplicationConfig, StateConfig, StorageConfig, Timing,
};
