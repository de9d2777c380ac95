//! Three etcd processes with their default settings.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use quorate_tests::{free_port, now};
use tempfile::TempDir;

use super::EtcdConnection;

/// A cluster of etcd; its processes are killed, and its folder removed, when it is dropped.
#[derive(Debug)]
pub(crate) struct EtcdCluster {
    members: Vec<Member>,
    pub(crate) version: String,
    binary: PathBuf,
    /// All members with their peer addresses, as the flag wants them.
    names: String,
    folder: TempDir,
}

/// A process, and where it is: its name, its address for peers and that for clients.
#[derive(Debug)]
struct Member {
    place: [String; 3],
    process: Child,
}

impl Member {
    fn api(&self) -> &str {
        &self.place[2]
    }

    fn end(&mut self) {
        // An error means that it has gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.end();
    }
}

/// The binary, if the system has one.
pub(crate) fn binary() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("etcd")).find(|file| file.is_file())
}

impl EtcdCluster {
    /// Starts three members on 127.0.0.1 and waits until they agree on a leader.
    pub(crate) async fn start(binary: &Path) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("etcd-").tempdir();
        let folder = folder.map_err(|error| error.to_string())?;
        let places: Vec<[String; 3]> = (1..=3)
            .map(|n| {
                let address = || format!("127.0.0.1:{}", free_port());
                [format!("e{n}"), address(), address()]
            })
            .collect();
        let names: Vec<String> =
            places.iter().map(|[name, peer, _]| format!("{name}=http://{peer}")).collect();
        let (names, binary) = (names.join(","), binary.to_owned());
        let (members, version) = (Vec::new(), String::new());
        let mut cluster = Self { members, version, binary, names, folder };
        for place in places {
            let process = cluster.process(&place).map_err(|error| format!("etcd: {error}"))?;
            cluster.members.push(Member { place, process });
        }
        let leader = cluster.wait_ready().await?;
        let mut connection = EtcdConnection::open(cluster.members[leader].api()).await?;
        cluster.version = connection.status().await?.version;
        Ok(cluster)
    }

    fn process(&self, place: &[String; 3]) -> io::Result<Child> {
        let [name, peer, api] = place;
        let folder = self.folder.path().join(name);
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join(format!("{name}.log")))?;
        let (peer, client) = (format!("http://{peer}"), format!("http://{api}"));
        Command::new(&self.binary)
            .args(["--name", name, "--data-dir"])
            .arg(folder)
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--initial-cluster", &self.names, "--initial-cluster-state", "new"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
    }

    /// Kills a member with SIGKILL.
    pub(crate) fn kill(&mut self, member: usize) {
        self.members[member].end();
    }

    /// Starts a member that was killed, on its folder.
    pub(crate) fn start_member(&mut self, member: usize) -> Result<(), String> {
        let process = self.process(&self.members[member].place);
        self.members[member].process = process.map_err(|error| format!("etcd: {error}"))?;
        Ok(())
    }

    /// Waits until all members run and agree on a leader; its place.
    pub(crate) async fn wait_ready(&self) -> Result<usize, String> {
        let end = now() + FORM_MAX;
        loop {
            match self.leader().await {
                Ok(leader) => return Ok(leader),
                Err(why) if now() >= end => return Err(format!("etcd does not form: {why}")),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// The place of the leader among [`addresses`](Self::addresses), if all agree on it.
    async fn leader(&self) -> Result<usize, String> {
        let mut leads = Vec::new();
        for member in &self.members {
            let status = EtcdConnection::open(member.api()).await?.status().await?;
            let own = status.header.map_or(0, |header| header.member_id);
            leads.push((own, status.leader));
        }
        let (_, leader) = leads.first().copied().unwrap_or_default();
        let agreed = leader != 0 && leads.iter().all(|(_, theirs)| *theirs == leader);
        let place = leads.iter().position(|(own, _)| *own == leader).filter(|_| agreed);
        place.ok_or_else(|| "its members do not agree on a leader".to_owned())
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.members.iter().map(|member| member.api().to_owned()).collect()
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.members.iter().map(|member| member.process.id()).collect()
    }
}

/// Long enough for any machine.
const FORM_MAX: Duration = Duration::from_secs(60);
