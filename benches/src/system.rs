//! The systems that are compared, behind one face.

use std::path::PathBuf;
use std::time::Duration;

use quorate_tests::{Cluster, ClusterOptions};

use crate::etcd::{EtcdCluster, EtcdConnection};
use crate::http::HttpConnection;
use crate::load::{self, Connection, Sample, Work};
use crate::meter;

/// A running system of three nodes.
pub(crate) struct System {
    /// How the report calls it.
    pub(crate) name: String,
    kind: Kind,
}

enum Kind {
    Quorate(Box<Cluster>),
    Etcd(EtcdCluster),
}

/// One measurement of one system.
pub(crate) struct Measured {
    pub(crate) sample: Sample,
    /// Processor time of all nodes together, in microseconds per answer.
    pub(crate) nodes_cpu: f64,
    /// Processor time of the clients, in microseconds per answer.
    pub(crate) clients_cpu: f64,
    /// The memory of the largest node, in MiB.
    pub(crate) memory_mib: f64,
}

/// How a system is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) work: Work,
    pub(crate) clients: usize,
    /// How many keys puts and gets choose from.
    pub(crate) keys: u64,
    /// How many connections the clients share, where the protocol carries many calls on one.
    pub(crate) connections: usize,
    /// Whether the clients are spread over the nodes; else all ask the leader.
    pub(crate) spread: bool,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

impl System {
    /// Three `quorated` processes with the default timing; of `binary` if it is given.
    pub(crate) fn quorate(name: &str, binary: Option<PathBuf>) -> Result<Self, String> {
        Self::start(name, ClusterOptions { binary, ..ClusterOptions::default() })
    }

    /// Three `quorated` processes with the timing `preset`.
    pub(crate) fn quorate_timed(preset: &str) -> Result<Self, String> {
        let options = ClusterOptions { preset: preset.to_owned(), ..ClusterOptions::default() };
        Self::start(&format!("quorate, {preset}"), options)
    }

    fn start(name: &str, options: ClusterOptions) -> Result<Self, String> {
        let options = ClusterOptions { name: "bench".into(), ..options };
        let cluster = Cluster::start(options).map_err(|error| format!("quorated: {error}"))?;
        if cluster.wait_ready(FORM_MAX).is_none() {
            return Err(format!("quorate does not form\n{}", cluster.logs()));
        }
        Ok(Self { name: name.to_owned(), kind: Kind::Quorate(Box::new(cluster)) })
    }

    /// Three etcd processes.
    pub(crate) async fn etcd(binary: &std::path::Path) -> Result<Self, String> {
        let cluster = EtcdCluster::start(binary).await?;
        Ok(Self { name: format!("etcd {}", cluster.version), kind: Kind::Etcd(cluster) })
    }

    /// Whether its protocol carries many calls at once on one connection.
    pub(crate) const fn can_share(&self) -> bool {
        matches!(self.kind, Kind::Etcd(_))
    }

    /// Puts every key once.
    pub(crate) async fn fill(&self, keys: u64) -> Result<(), String> {
        let nodes = self.nodes(false).await?;
        match &self.kind {
            Kind::Quorate(_) => load::fill(http(&nodes, 64).await?, keys).await,
            Kind::Etcd(_) => load::fill(etcd(&nodes, 64, 64).await?, keys).await,
        }
    }

    /// Runs one load.
    pub(crate) async fn measure(&self, load: Load) -> Result<Measured, String> {
        let nodes = self.nodes(load.spread).await?;
        match &self.kind {
            Kind::Quorate(_) => self.run(load, http(&nodes, load.clients).await?).await,
            Kind::Etcd(_) => {
                let connections = etcd(&nodes, load.clients, load.connections).await?;
                self.run(load, connections).await
            }
        }
    }

    async fn run<C: Connection>(
        &self,
        load: Load,
        connections: Vec<C>,
    ) -> Result<Measured, String> {
        let pids = self.pids();
        let nodes_cpu = || pids.iter().map(|pid| meter::cpu_seconds(*pid)).sum::<f64>();
        let own_cpu = || meter::cpu_seconds(std::process::id());
        let (nodes_before, own_before) = (nodes_cpu(), own_cpu());
        let sample =
            load::run(connections, (load.work, load.keys), (load.warm_up, load.measured)).await?;
        // The warm-up is counted on both sides of the division.
        let answers = sample.per_second * (load.warm_up + load.measured).as_secs_f64();
        let per_answer = |seconds: f64| seconds * 1e6 / answers.max(1.0);
        Ok(Measured {
            sample,
            nodes_cpu: per_answer(nodes_cpu() - nodes_before),
            clients_cpu: per_answer(own_cpu() - own_before),
            memory_mib: pids.iter().map(|pid| meter::memory_mib(*pid)).fold(0.0, f64::max),
        })
    }

    /// The nodes that clients ask: the leader, or all.
    async fn nodes(&self, spread: bool) -> Result<Vec<String>, String> {
        let (mut nodes, leader) = self.leader().await?;
        if !spread {
            nodes = vec![nodes.swap_remove(leader)];
        }
        Ok(nodes)
    }

    /// Where clients reach each node, and the place of the leader among them.
    pub(crate) async fn leader(&self) -> Result<(Vec<String>, usize), String> {
        match &self.kind {
            Kind::Quorate(cluster) => {
                let nodes = (0..cluster.len()).map(|node| cluster.api_address(node).to_owned());
                let leader = cluster.wait_ready(FORM_MAX).ok_or("quorate has no leader")?;
                Ok((nodes.collect(), leader))
            }
            Kind::Etcd(cluster) => Ok((cluster.addresses(), cluster.wait_ready().await?)),
        }
    }

    /// Kills a node with SIGKILL.
    pub(crate) fn kill(&mut self, node: usize) {
        match &mut self.kind {
            Kind::Quorate(cluster) => cluster.kill(node),
            Kind::Etcd(cluster) => cluster.kill(node),
        }
    }

    /// Starts a node that was killed, and waits until all are well.
    pub(crate) async fn revive(&mut self, node: usize) -> Result<(), String> {
        let started = match &mut self.kind {
            Kind::Quorate(cluster) => cluster.start_node(node).map_err(|error| error.to_string()),
            Kind::Etcd(cluster) => cluster.start_member(node),
        };
        started?;
        self.leader().await.map(|_| ())
    }

    /// Whether its lead can be handed over by [`HttpConnection::hand_over`].
    pub(crate) const fn hands_over(&self) -> bool {
        matches!(self.kind, Kind::Quorate(_))
    }

    /// A client of one node.
    pub(crate) async fn asker(&self, node: &str) -> Result<Asker, String> {
        Ok(match &self.kind {
            Kind::Quorate(_) => Asker::Quorate(node.to_owned()),
            Kind::Etcd(_) => Asker::Etcd(EtcdConnection::open(node).await?),
        })
    }

    fn pids(&self) -> Vec<u32> {
        match &self.kind {
            Kind::Quorate(cluster) => cluster.pids(),
            Kind::Etcd(cluster) => cluster.pids(),
        }
    }
}

/// A client of one node that may have many puts under way.
#[derive(Debug, Clone)]
pub(crate) enum Asker {
    /// By the address of its API: a connection carries one request at a time.
    Quorate(String),
    Etcd(EtcdConnection),
}

impl Asker {
    pub(crate) async fn put(self, key: &str, value: &str) -> Result<(), String> {
        match self {
            Self::Quorate(node) => {
                let opened = HttpConnection::open(&node).await;
                opened.map_err(|error| error.to_string())?.put(key, value).await
            }
            Self::Etcd(mut connection) => connection.put(key, value).await,
        }
    }
}

async fn http(nodes: &[String], clients: usize) -> Result<Vec<HttpConnection>, String> {
    let mut connections = Vec::new();
    for node in nodes.iter().cycle().take(clients) {
        let opened = HttpConnection::open(node).await;
        connections.push(opened.map_err(|error| format!("quorate at {node}: {error}"))?);
    }
    Ok(connections)
}

/// Each connection is shared by the clients that fall to it: gRPC carries many calls at once.
async fn etcd(
    nodes: &[String],
    clients: usize,
    connections: usize,
) -> Result<Vec<EtcdConnection>, String> {
    let mut opened = Vec::new();
    for node in nodes.iter().cycle().take(connections.clamp(1, clients)) {
        opened.push(EtcdConnection::open(node).await?);
    }
    Ok(opened.iter().cycle().take(clients).cloned().collect())
}

/// Long enough for any machine.
const FORM_MAX: Duration = Duration::from_secs(60);
