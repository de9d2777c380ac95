//! Settings in code, beneath those of the file, the environment and the flags.

use std::fmt;
use std::path::Path;

use toml::Value;

use super::layers::{Layers, Origin};
use super::{Config, ConfigError, Timing};

/// Collects settings; [`build`](Self::build) checks them together.
///
/// Precedence: default, builder, file, environment, flag; the later wins, in whichever order they
/// are added here.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct ConfigBuilder {
    layers: Layers,
    error: Option<ConfigError>,
}

impl ConfigBuilder {
    fn with(mut self, name: &str, value: Value) -> Self {
        let result = self.layers.set(name, value, Origin::Builder);
        self.keep(result);
        self
    }

    fn keep(&mut self, result: Result<(), ConfigError>) {
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
    }

    /// The lasting name of this node, 1 to 64 of `[A-Za-z0-9._-]`.
    pub fn node_id(self, id: impl fmt::Display) -> Self {
        self.with("node.id", Value::String(id.to_string()))
    }

    /// The folder of the journal and snapshots; one per node.
    pub fn data_dir(self, folder: impl AsRef<Path>) -> Self {
        self.with("node.data_dir", Value::String(folder.as_ref().display().to_string()))
    }

    /// Switches the shared state on, and the cluster with it.
    pub fn enable_state(self) -> Self {
        self.with("state.enabled", Value::Boolean(true))
    }

    /// Switches the cluster on.
    pub fn enable_cluster(self) -> Self {
        self.with("cluster.enabled", Value::Boolean(true))
    }

    /// The name of the cluster; nodes of another name are refused. Default `quorate`.
    pub fn cluster_name(self, name: impl Into<String>) -> Self {
        self.with("cluster.name", Value::String(name.into()))
    }

    /// The address and port of the cluster port. Default `127.0.0.1:7946`; port 0 picks one.
    pub fn bind(self, address: std::net::SocketAddr) -> Self {
        self.with("cluster.address", Value::String(address.ip().to_string()))
            .with("cluster.port", Value::Integer(address.port().into()))
    }

    /// `host:port` of nodes through which to find the cluster; the same list everywhere.
    pub fn seeds<S: Into<String>>(self, seeds: impl IntoIterator<Item = S>) -> Self {
        let seeds = seeds.into_iter().map(|seed| Value::String(seed.into())).collect();
        self.with("cluster.seeds", Value::Array(seeds))
    }

    /// How many nodes found the cluster together. 1 without seeds starts alone, at once.
    pub fn min_nodes(self, nodes: u32) -> Self {
        self.with("cluster.min_nodes", Value::Integer(nodes.into()))
    }

    /// How fast a leader's loss is noticed, against how much delay is tolerated. Default `lan`.
    pub fn timing(self, timing: Timing) -> Self {
        self.with("election.timing", Value::String(timing.name().to_owned()))
    }

    /// 0 to 255; a higher one stands earlier. Default 100.
    pub fn priority(self, priority: u8) -> Self {
        self.with("election.priority", Value::Integer(priority.into()))
    }

    /// Lays the text of a TOML file over it.
    pub fn file(mut self, text: &str) -> Self {
        let result = self.layers.file(text);
        self.keep(result);
        self
    }

    /// Lays environment variables over it; others than ours are passed over.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let result = self.layers.environment(variables);
        self.keep(result);
        self
    }

    /// Lays one flag over it: the option's full name and its text.
    pub fn flag(mut self, name: &str, text: &str) -> Self {
        let result = self.layers.set_text(name, text, Origin::Flag);
        self.keep(result);
        self
    }

    /// Checks everything together.
    ///
    /// # Errors
    ///
    /// The first thing wrong, with the fix in its text.
    pub fn build(self) -> Result<Config, ConfigError> {
        match self.error {
            Some(error) => Err(error),
            None => Config::from_layers(self.layers),
        }
    }
}
