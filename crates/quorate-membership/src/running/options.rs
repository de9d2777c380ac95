//! What a running membership must be told.

use std::net::SocketAddr;
use std::path::PathBuf;

use quorate_core::NodeId;
use quorate_tokio::{Keyring, Resolver};

use super::StartError;
use crate::{Config, Tags};

/// How a [`Membership`](crate::Membership) is started on tokio.
///
/// The defaults are safe and alone: it listens on loopback, on a free port, seeks nobody and
/// remembers nothing.
///
/// ```
/// use quorate_membership::Options;
///
/// let options = Options::new("shop")
///     .bind("127.0.0.1:7946".parse()?)
///     .seeds(["127.0.0.1:7947"]);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Options {
    pub(super) config: Config,
    pub(super) id: Option<NodeId>,
    pub(super) bind: SocketAddr,
    pub(super) advertise: Option<String>,
    pub(super) tags: Tags,
    pub(super) folder: Option<PathBuf>,
    pub(super) keyring: Option<Keyring>,
    pub(super) insecure: bool,
    pub(super) datagrams: bool,
    #[cfg(feature = "srv")]
    pub(super) name_servers: Vec<SocketAddr>,
}

impl Options {
    /// A member of the cluster of this name, at the pace of [`Config::lan`].
    pub fn new(cluster_name: impl Into<String>) -> Self {
        Self {
            config: Config { cluster_name: cluster_name.into(), ..Config::lan() },
            id: None,
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            advertise: None,
            tags: Tags::default(),
            folder: None,
            keyring: None,
            insecure: false,
            datagrams: true,
            #[cfg(feature = "srv")]
            name_servers: Vec::new(),
        }
    }

    /// The node's name, for ever and unique in the cluster. Default: the one in the data folder,
    /// else one made up at random, which is new at each start unless there is a data folder.
    pub fn id(mut self, id: NodeId) -> Self {
        self.id = Some(id);
        self
    }

    /// Another pace, and everything else of a [`Config`] but the cluster's name, the address and
    /// the seeds. Default [`Config::lan`].
    pub fn pace(mut self, pace: Config) -> Self {
        let Config { cluster_name, address, seeds, .. } = self.config;
        self.config = Config { cluster_name, address, seeds, ..pace };
        self
    }

    /// Where to listen: TCP, and UDP on the same port. Port 0 takes a free one. Default
    /// `127.0.0.1:0`: nobody outside of this machine can reach it. Anything but loopback needs a
    /// [keyring](Self::keyring), or [`insecure`](Self::insecure).
    pub const fn bind(mut self, address: SocketAddr) -> Self {
        self.bind = address;
        self
    }

    /// Where others reach this node, `host:port`; port 0 stands for the one that was bound. Default
    /// the bound address; must be given if that is `0.0.0.0` or `[::]`.
    pub fn advertise(mut self, address: impl Into<String>) -> Self {
        self.advertise = Some(address.into());
        self
    }

    /// Where to look for others: `host:port`, or `_service._tcp.domain` with feature `srv`. May
    /// hold this node's own address, so that all nodes can have one list. Default none.
    pub fn seeds<T: Into<String>>(mut self, seeds: impl IntoIterator<Item = T>) -> Self {
        self.config.seeds = seeds.into_iter().map(Into::into).collect();
        self
    }

    /// What this node says of itself. Default [`Tags::default`].
    pub fn tags(mut self, tags: Tags) -> Self {
        self.tags = tags;
        self
    }

    /// A folder of its own in which the node keeps its name, the count of its starts and the peers
    /// it knew, so that it finds back when all its seeds are gone. Default none.
    pub fn data_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Seals all packets. All nodes of a cluster need the same keys. Default none.
    pub fn keyring(mut self, keyring: Keyring) -> Self {
        self.keyring = Some(keyring);
        self
    }

    /// Whether it may listen beyond loopback without keys: whoever reaches the port can then forge
    /// members and see who is there. Default `false`.
    pub const fn insecure(mut self, insecure: bool) -> Self {
        self.insecure = insecure;
        self
    }

    /// Whether UDP is used; without, everything goes over TCP. Default `true`; packets that UDP
    /// loses or a firewall drops are sent over TCP in any case. Turn it off where UDP is known to
    /// be blocked, to save the tries.
    pub const fn datagrams(mut self, datagrams: bool) -> Self {
        self.datagrams = datagrams;
        self
    }

    /// The name servers to ask for SRV records. Default those of the system. Needs feature `srv`.
    #[cfg(feature = "srv")]
    pub fn name_servers(mut self, servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.name_servers = servers.into_iter().collect();
        self
    }

    /// Whether it may be started, before anything is bound.
    pub(super) fn check(&self) -> Result<(), StartError> {
        let open = !self.bind.ip().is_loopback();
        if open && self.keyring.is_none() && !self.insecure {
            return Err(StartError::NoKeyring { bind: self.bind });
        }
        if self.bind.ip().is_unspecified() && self.advertise.is_none() {
            return Err(StartError::NoAdvertise { bind: self.bind });
        }
        let srv = self.config.seeds.iter().find(|seed| Resolver::is_srv(seed));
        if let Some(seed) = srv.filter(|_| !Resolver::knows_srv()) {
            return Err(StartError::NoSrv { seed: seed.clone() });
        }
        self.tags.validate()?;
        // The address is known once the port is bound; here any will do.
        let address = "localhost:1".to_owned();
        Config { address, ..self.config.clone() }.validate()?;
        Ok(())
    }

    /// The address that others are told, now that `bound` is.
    pub(super) fn advertised(&self, bound: SocketAddr) -> String {
        let Some(told) = &self.advertise else { return bound.to_string() };
        match told.rsplit_once(':') {
            Some((host, "0")) => format!("{host}:{}", bound.port()),
            _ => told.clone(),
        }
    }
}
