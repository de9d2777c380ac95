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
    folder: TempDir,
}

#[derive(Debug)]
struct Member {
    api: String,
    process: Child,
}

impl Drop for Member {
    fn drop(&mut self) {
        // An error means that it has gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
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
        let names = names.join(",");
        let mut cluster = Self { members: Vec::new(), version: String::new(), folder };
        for place in places {
            let member = cluster.member(binary, place, &names);
            cluster.members.push(member.map_err(|error| format!("etcd: {error}"))?);
        }
        cluster.form().await?;
        Ok(cluster)
    }

    fn member(&self, binary: &Path, place: [String; 3], names: &str) -> io::Result<Member> {
        let [name, peer, api] = place;
        let folder = self.folder.path().join(&name);
        let log = File::create(self.folder.path().join(format!("{name}.log")))?;
        let (peer, client) = (format!("http://{peer}"), format!("http://{api}"));
        let process = Command::new(binary)
            .args(["--name", &name, "--data-dir"])
            .arg(folder)
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--initial-cluster", names, "--initial-cluster-state", "new"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Member { api, process })
    }

    async fn form(&mut self) -> Result<(), String> {
        let end = now() + FORM_MAX;
        loop {
            match self.leader().await {
                Ok(leader) => {
                    let address = self.addresses()[leader].clone();
                    self.version = EtcdConnection::open(&address).await?.status().await?.version;
                    return Ok(());
                }
                Err(why) if now() >= end => return Err(format!("etcd does not form: {why}")),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// The place of the leader among [`addresses`](Self::addresses), if all agree on it.
    pub(crate) async fn leader(&self) -> Result<usize, String> {
        let mut leads = Vec::new();
        for member in &self.members {
            let status = EtcdConnection::open(&member.api).await?.status().await?;
            let own = status.header.map_or(0, |header| header.member_id);
            leads.push((own, status.leader));
        }
        let (_, leader) = leads.first().copied().unwrap_or_default();
        let agreed = leader != 0 && leads.iter().all(|(_, theirs)| *theirs == leader);
        let place = leads.iter().position(|(own, _)| *own == leader).filter(|_| agreed);
        place.ok_or_else(|| "its members do not agree on a leader".to_owned())
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.members.iter().map(|member| member.api.clone()).collect()
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.members.iter().map(|member| member.process.id()).collect()
    }
}

/// Long enough for any machine.
const FORM_MAX: Duration = Duration::from_secs(60);
