//! A cluster of real processes on loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::{Client, Daemon, Network, binary, free_port, wait_until};

/// How a cluster is made.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// How many nodes.
    pub nodes: usize,
    /// The timing preset.
    pub preset: String,
    /// The cluster's name.
    pub name: String,
    /// Further flags for every node.
    pub flags: Vec<String>,
    /// A limit of the shell for each node, as [`Daemon::start`] takes it.
    pub limit: Option<String>,
    /// The binary to run; `None` for the one that [`binary`] finds.
    pub binary: Option<PathBuf>,
    /// The seed of a [`Network`] that all cluster ports lie behind; `None`: they meet directly.
    pub network: Option<u64>,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            nodes: 3,
            preset: "lan".into(),
            name: "test".into(),
            flags: Vec::new(),
            limit: None,
            binary: None,
            network: None,
        }
    }
}

/// One node: its places, and its process while it runs.
#[derive(Debug)]
struct Place {
    id: String,
    /// Where it is bound.
    cluster: String,
    /// Where others find it.
    advertised: String,
    api: String,
    folder: PathBuf,
    daemon: Option<Daemon>,
}

/// A cluster of real processes; all are killed, and their folders removed, when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    options: ClusterOptions,
    places: Vec<Place>,
    seeds: String,
    network: Option<Network>,
    folder: TempDir,
}

impl Cluster {
    /// Starts a cluster; returns at once, before it has formed.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn start(options: ClusterOptions) -> io::Result<Self> {
        let mut cluster = Self::prepare(options)?;
        for node in 0..cluster.places.len() {
            cluster.start_node(node)?;
        }
        Ok(cluster)
    }

    /// Chooses ports and folders, and starts nothing.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn prepare(options: ClusterOptions) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("quorate-").tempdir()?;
        let network = options.network.map(Network::new).transpose()?;
        let place = |n: usize| {
            let id = format!("n{}", n + 1);
            let (cluster, advertised) = port(network.as_ref(), &id)?;
            Ok(Place {
                cluster,
                advertised,
                api: format!("127.0.0.1:{}", free_port()),
                folder: folder.path().join(&id),
                id,
                daemon: None,
            })
        };
        let places: Vec<Place> = (0..options.nodes).map(place).collect::<io::Result<_>>()?;
        let seeds: Vec<&str> = places.iter().map(|place| place.advertised.as_str()).collect();
        let seeds = seeds.join(",");
        Ok(Self { options, places, seeds, network, folder })
    }

    /// The network that the cluster ports lie behind.
    ///
    /// # Panics
    ///
    /// If there is none: see [`ClusterOptions::network`].
    #[must_use]
    pub const fn network(&self) -> &Network {
        self.network.as_ref().expect("the options ask for one")
    }

    /// Gives a node that does not run another cluster port, for its next start. The seed lists stay
    /// as they are, and so does the network's place for the old port; where that was.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn move_node(&mut self, node: usize) -> io::Result<String> {
        let place = &mut self.places[node];
        let old = place.advertised.clone();
        (place.cluster, place.advertised) = port(self.network.as_ref(), &place.id)?;
        Ok(old)
    }

    /// A place for one more node, which knows the same seeds and is none of them; its number.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn add_node(&mut self) -> io::Result<usize> {
        let id = format!("n{}", self.places.len() + 1);
        let (cluster, advertised) = port(self.network.as_ref(), &id)?;
        let api = format!("127.0.0.1:{}", free_port());
        let folder = self.folder.path().join(&id);
        self.places.push(Place { id, cluster, advertised, api, folder, daemon: None });
        Ok(self.places.len() - 1)
    }

    /// The flags of a node.
    #[must_use]
    pub fn flags(&self, node: usize) -> Vec<String> {
        let place = &self.places[node];
        let folder = place.folder.display().to_string();
        let min_nodes = self.options.nodes.to_string();
        let pairs = [
            ("--node-id", place.id.as_str()),
            ("--cluster-name", &self.options.name),
            ("--data-dir", &folder),
            ("--bind", &place.cluster),
            ("--advertise", &place.advertised),
            ("--api-bind", &place.api),
            ("--min-nodes", &min_nodes),
            ("--preset", &self.options.preset),
        ];
        // One node alone founds without asking anybody.
        let seeds = (self.places.len() > 1).then_some(("--seeds", self.seeds.as_str()));
        let pairs = pairs.into_iter().chain(seeds);
        let pairs = pairs.flat_map(|(name, value)| [name.into(), value.into()]);
        pairs.chain(self.options.flags.iter().cloned()).collect()
    }

    /// Starts a node that does not run.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn start_node(&mut self, node: usize) -> io::Result<()> {
        self.start_node_with(node, &[])
    }

    /// Starts a node with further flags, which replace those of the same name.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn start_node_with(&mut self, node: usize, flags: &[String]) -> io::Result<()> {
        let mut all = self.flags(node);
        for pair in flags.chunks(2) {
            match all.iter().position(|flag| *flag == pair[0]) {
                Some(at) => all[at + 1].clone_from(&pair[1]),
                None => all.extend_from_slice(pair),
            }
        }
        let log = self.log_file(node);
        let program = self.options.binary.clone().unwrap_or_else(binary);
        let limit = self.options.limit.as_deref();
        self.places[node].daemon = Some(Daemon::start(&program, &all, &log, limit)?);
        Ok(())
    }

    fn log_file(&self, node: usize) -> PathBuf {
        self.folder.path().join(format!("{}.log", self.places[node].id))
    }

    /// Kills a node with SIGKILL.
    pub fn kill(&mut self, node: usize) {
        if let Some(mut daemon) = self.places[node].daemon.take() {
            daemon.kill();
        }
    }

    /// The process of a node, if it was started and not killed.
    pub fn daemon(&mut self, node: usize) -> Option<&mut Daemon> {
        self.places[node].daemon.as_mut()
    }

    /// The process ids of the nodes that run.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.places.iter().filter_map(|place| place.daemon.as_ref()).map(Daemon::pid).collect()
    }

    /// How many nodes it has, running or not.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether it has no node.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The nodes that run.
    #[must_use]
    pub fn running(&self) -> Vec<usize> {
        (0..self.len()).filter(|node| self.places[*node].daemon.is_some()).collect()
    }

    /// A node's name.
    #[must_use]
    pub fn id(&self, node: usize) -> &str {
        &self.places[node].id
    }

    /// A node's cluster port, `host:port`, as others find it.
    #[must_use]
    pub fn cluster_address(&self, node: usize) -> &str {
        &self.places[node].advertised
    }

    /// A node's API, `host:port`.
    #[must_use]
    pub fn api_address(&self, node: usize) -> &str {
        &self.places[node].api
    }

    /// A node's data folder.
    #[must_use]
    pub fn data_folder(&self, node: usize) -> &Path {
        &self.places[node].folder
    }

    /// The log of a node over all its starts.
    #[must_use]
    pub fn log(&self, node: usize) -> String {
        std::fs::read_to_string(self.log_file(node)).unwrap_or_default()
    }

    /// A client of a node.
    #[must_use]
    pub fn client(&self, node: usize) -> Client {
        Client::new(&self.places[node].api)
    }

    /// Waits until every running node is ready and names the same leader.
    pub fn wait_ready(&self, deadline: Duration) -> Option<usize> {
        let clients: Vec<Client> =
            self.running().into_iter().map(|node| self.client(node)).collect();
        wait_until(deadline, || {
            let leaders: Vec<String> = clients.iter().map(Client::leader).collect::<Option<_>>()?;
            let first = leaders.first()?;
            let agreed = leaders.iter().all(|leader| leader == first);
            let ready = agreed && clients.iter().all(|client| client.probe("/readyz"));
            ready.then(|| self.places.iter().position(|place| place.id == *first)).flatten()
        })
    }

    /// The end of every log, for the report of a failed test.
    #[must_use]
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for node in 0..self.len() {
            let log = self.log(node);
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(40)..].join("\n");
            text.push_str(&format!("--- {} ---\n{tail}\n", self.id(node)));
        }
        text
    }

    /// Keeps the folders when the cluster is dropped, and stops killing its processes; for a
    /// person who wants to look around. The folder.
    pub fn keep(mut self) -> PathBuf {
        for place in &mut self.places {
            if let Some(daemon) = place.daemon.take() {
                std::mem::forget(daemon);
            }
        }
        self.folder.keep()
    }
}

/// A free port for `node` to bind, and what it is to advertise: the same, unless it lies behind a
/// network.
fn port(network: Option<&Network>, node: &str) -> io::Result<(String, String)> {
    let bound = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let advertised = network.map_or(Ok(bound), |network| network.attach(node, bound))?;
    Ok((bound.to_string(), advertised.to_string()))
}
