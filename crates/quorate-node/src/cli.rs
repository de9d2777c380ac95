//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use quorate::{Config, ConfigError};

use crate::logging::LogForm;

/// A quorate node: meets the other members of its cluster, takes part in electing one leader, and keeps a
/// majority-backed key-value state behind an HTTP API.
///
/// Three nodes on one machine:
///
///   S=127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003
///   quorated --node-id a --data-dir /tmp/a --bind 127.0.0.1:7001 --api-bind 127.0.0.1:8001 --seeds $S
///   (the same for b with 7002 and 8002, for c with 7003 and 8003)
///   curl -X PUT localhost:8001/v1/kv/greeting -d '{"value":"hello"}'
#[derive(Debug, Parser)]
#[command(name = "quorated", version, verbatim_doc_comment)]
pub(crate) struct Cli {
    /// A TOML file with sections [node] [cluster] [election] [state] [storage] [api].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Lasting name of this node; absent: made once and kept in the data folder.
    #[arg(long, value_name = "ID")]
    node_id: Option<String>,
    /// Name of the cluster; nodes of another name are refused.
    #[arg(long, value_name = "NAME")]
    cluster_name: Option<String>,
    /// Folder of the journal and snapshots; one per node.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// Cluster port, TCP and UDP [default: 127.0.0.1:7946].
    #[arg(long, value_name = "HOST:PORT")]
    bind: Option<String>,
    /// Where peers reach the cluster port, if not where it is bound.
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// HTTP API [default: 127.0.0.1:8080].
    #[arg(long, value_name = "HOST:PORT")]
    api_bind: Option<String>,
    /// Where clients reach the API, if not where it is bound.
    #[arg(long, value_name = "HOST:PORT")]
    api_advertise: Option<String>,
    /// Cluster ports through which to find the cluster, `host:port`, separated by commas; names are
    /// resolved again and again. Give every node the same list; it may hold the node itself.
    #[arg(long, value_name = "LIST")]
    seeds: Option<String>,
    /// How many nodes found the cluster together [default: 1 without seeds, 2 with one, else 3]; 1
    /// with seeds never founds, only joins.
    #[arg(long, value_name = "N")]
    min_nodes: Option<String>,
    /// Most voters: 1, 3, 5 or 7 [default: 5].
    #[arg(long, value_name = "N")]
    max_voters: Option<String>,
    /// Whether members join, vote and are replaced by themselves: true or false [default: true].
    #[arg(long, value_name = "BOOL")]
    autopilot: Option<String>,
    /// How long a learner must be well before it votes, as `5s` [default: 5s].
    #[arg(long, value_name = "TIME")]
    stabilisation: Option<String>,
    /// How long a member must be gone before a learner takes its place [default: 60s].
    #[arg(long, value_name = "TIME")]
    replace_after: Option<String>,
    /// Timing: fast, lan, wan, seed or dev [default: lan].
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// What to switch on, separated by commas: cluster, state. Any of --seeds, --bind and
    /// --min-nodes switches on both.
    #[arg(long, value_name = "LIST")]
    enable: Option<String>,
    /// 0 to 255; a higher one stands for leader earlier [default: 100].
    #[arg(long, value_name = "N")]
    priority: Option<String>,
    /// File of the keys that seal gossip, one a line as `openssl rand -hex 32` makes it; the first is
    /// in use. Kept up to date when keys are changed by the API.
    #[arg(long, value_name = "FILE")]
    keyring_file: Option<String>,
    /// Accept a cluster port that is reachable from outside without encryption.
    #[arg(long)]
    insecure_cluster: bool,
    /// Form of the log.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) log: LogForm,
    /// How long a stopping node waits for its connections, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    drain_seconds: u64,
}

impl Cli {
    pub(crate) const fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }

    /// The configuration out of file, environment and flags.
    pub(crate) fn config(&self) -> Result<Config, Box<dyn std::error::Error>> {
        let mut builder = Config::builder();
        if let Some(path) = &self.config {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("--config {}: {error}", path.display()))?;
            builder = builder.file(&text);
        }
        // Names that are no text are none of ours; values that are none are refused where they
        // stand for an option.
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        });
        builder = builder.environment(environment);
        let implied = self.seeds.is_some() || self.bind.is_some() || self.min_nodes.is_some();
        if implied {
            builder = builder.flag("cluster.enabled", "true").flag("state.enabled", "true");
        }
        for part in self.enable.iter().flat_map(|list| list.split(',')).map(str::trim) {
            builder = match part {
                "cluster" | "state" => builder.flag(&format!("{part}.enabled"), "true"),
                other => {
                    return Err(format!("--enable {other}: choose from cluster, state").into());
                }
            };
        }
        let flags = [
            ("node.id", &self.node_id),
            ("node.data_dir", &self.data_dir),
            ("cluster.name", &self.cluster_name),
            ("cluster.advertise", &self.advertise),
            ("cluster.seeds", &self.seeds),
            ("cluster.min_nodes", &self.min_nodes),
            ("cluster.max_voters", &self.max_voters),
            ("cluster.autopilot", &self.autopilot),
            ("cluster.stabilisation", &self.stabilisation),
            ("cluster.replace_after", &self.replace_after),
            ("cluster.keyring_file", &self.keyring_file),
            ("election.timing", &self.preset),
            ("election.priority", &self.priority),
            ("api.advertise", &self.api_advertise),
        ];
        for (name, text) in flags {
            if let Some(text) = text {
                builder = builder.flag(name, text);
            }
        }
        for (section, text) in [("cluster", &self.bind), ("api", &self.api_bind)] {
            if let Some(text) = text {
                let (address, port) = host_and_port(text)?;
                builder = builder
                    .flag(&format!("{section}.address"), address)
                    .flag(&format!("{section}.port"), port);
            }
        }
        if self.insecure_cluster {
            builder = builder.flag("cluster.insecure", "true");
        }
        let config: Result<Config, ConfigError> = builder.build();
        Ok(config?)
    }
}

/// `host:port` in its two parts; an IPv6 address stands in brackets.
fn host_and_port(text: &str) -> Result<(&str, &str), String> {
    let (host, port) = text.rsplit_once(':').ok_or_else(|| format!("`{text}` is no HOST:PORT"))?;
    Ok((host.trim_start_matches('[').trim_end_matches(']'), port))
}
