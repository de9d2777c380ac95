//! Who talks to whom, in which version, and if not, why not.

use bytes::Bytes;
use quorate_core::{BootEpoch, ClusterId, DiskId, LeaseTerms, NodeId};
use serde::{Deserialize, Serialize};

use crate::Versions;

/// The longest name repeated in a refusal, in characters.
const NAME_SHOWN: usize = 64;

/// What a node says first on a connection it opens. The bytes never change between versions; what
/// later versions add goes into `more`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The versions it speaks.
    pub versions: Versions,
    /// The name of its cluster, as configured.
    pub cluster_name: String,
    /// The identity of its cluster; [`ClusterId::NONE`] while it has none.
    pub cluster: ClusterId,
    /// Its name.
    pub node: NodeId,
    /// How often its data folder was started.
    pub boot: BootEpoch,
    /// Its data folder: what it says counts as the word of the member that it is on this disk.
    /// [`DiskId::NONE`] for one that promises nothing, such as a client.
    pub disk: DiskId,
    /// Drawn at random when the process started: tells two processes apart that share node id and
    /// boot epoch, such as those of a copied data folder.
    pub instance: u64,
    /// The leases by which it goes; the same on all nodes of a cluster.
    pub lease: LeaseTerms,
    /// Where its cluster port is reached, `host:port`; empty for a client.
    pub advertised: String,
    /// Whether it is a client, not a node.
    pub client: bool,
    /// Additions of later versions; empty in this one, and ignored by it.
    pub more: Bytes,
}

/// The answer that opens a connection: who was reached. The bytes never change between versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version of all further messages, in both directions.
    pub version: u8,
    /// Who answers.
    pub node: NodeId,
    /// How often its data folder was started.
    pub boot: BootEpoch,
    /// Its data folder, as in [`Hello::disk`].
    pub disk: DiskId,
    /// Its process, as in [`Hello::instance`].
    pub instance: u64,
    /// Its cluster; [`ClusterId::NONE`] while it has none.
    pub cluster: ClusterId,
    /// Additions of later versions; empty in this one, and ignored by it.
    pub more: Bytes,
}

/// The answer that ends a connection. `ours` is the refusing side's, `theirs` the refused one's.
/// The bytes of a variant never change; to a peer that may not know a newer one
/// [`Other`](Self::Other) is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Another live process bears this node id. The newcomer must stop.
    #[error(
        "node id `{node}` is taken by the live node at {address:?}: \
         give this node another node id, or stop the other process"
    )]
    DuplicateId {
        /// The id.
        node: NodeId,
        /// Where the other process was reached, as far as known.
        address: String,
    },
    /// A node reached itself; nothing is wrong, a seed list may name its own node.
    #[error("this address leads back to the node itself: leave it out where it is unwanted")]
    Itself,
    /// Same name, another cluster: clusters never merge.
    #[error(
        "cluster {theirs} met cluster {ours} of the same name: \
         start with an empty data folder to join the latter, or correct the seeds"
    )]
    ForeignCluster {
        /// The refusing node's cluster.
        ours: ClusterId,
        /// The refused node's cluster.
        theirs: ClusterId,
    },
    /// Another cluster by its name.
    #[error(
        "cluster name {theirs:?} met cluster name {ours:?}: \
         set the same cluster name, or correct the seeds"
    )]
    ForeignName {
        /// The refusing node's cluster name, shortened.
        ours: String,
        /// The refused node's cluster name, shortened.
        theirs: String,
    },
    /// No version is spoken by both.
    #[error(
        "message versions {theirs} met versions {ours}: \
         upgrade the older node one release at a time"
    )]
    NoCommonVersion {
        /// What the refusing node speaks.
        ours: Versions,
        /// What the refused node speaks.
        theirs: Versions,
    },
    /// All connections are in use.
    #[error("all {connections} connections are in use: retry later, or raise the limit there")]
    Overloaded {
        /// How many there may be.
        connections: u32,
    },
    /// A reason that the refused node's version has no variant for.
    #[error("refused: {text:?}")]
    Other {
        /// The reason, and the fix.
        text: String,
    },
    /// Other leases: a node that waits for shorter ones than a leader has would commit behind it.
    #[error(
        "leases of {theirs} met leases of {ours}: set the same election.lease and election.drift \
         (and timing preset) on all nodes; to change them stop all, then start all"
    )]
    ForeignLease {
        /// The refusing node's leases.
        ours: LeaseTerms,
        /// The refused node's leases.
        theirs: LeaseTerms,
    },
}

/// How a node that would say `ours` answers the hello `theirs`.
///
/// What takes more than two hellos to see (a third node with the same id, too many connections) is
/// the caller's to refuse.
///
/// # Errors
///
/// The [`Refusal`] to send back; the connection ends with it.
pub fn negotiate(ours: &Hello, theirs: &Hello) -> Result<Welcome, Refusal> {
    let version = ours
        .versions
        .common(theirs.versions)
        .ok_or(Refusal::NoCommonVersion { ours: ours.versions, theirs: theirs.versions })?;
    if ours.cluster_name != theirs.cluster_name {
        let (ours, theirs) = (shown(&ours.cluster_name), shown(&theirs.cluster_name));
        return Err(Refusal::ForeignName { ours, theirs });
    }
    same_cluster(ours.cluster, theirs.cluster)?;
    if !theirs.client {
        distinct(ours, &theirs.node, theirs.instance)?;
        same_lease(ours.lease, theirs.lease)?;
    }
    Ok(Welcome {
        version,
        node: ours.node.clone(),
        boot: ours.boot,
        disk: ours.disk,
        instance: ours.instance,
        cluster: ours.cluster,
        more: Bytes::new(),
    })
}

/// How the node that said `ours` takes the answer: the version agreed on.
///
/// # Errors
///
/// A [`Refusal`], with the dialling node as the refusing side: the connection is to be closed.
pub fn confirm(ours: &Hello, welcome: &Welcome) -> Result<u8, Refusal> {
    if welcome.version == 0 || !ours.versions.contains(welcome.version) {
        let theirs = Versions { min: welcome.version, max: welcome.version };
        return Err(Refusal::NoCommonVersion { ours: ours.versions, theirs });
    }
    same_cluster(ours.cluster, welcome.cluster)?;
    if !ours.client {
        distinct(ours, &welcome.node, welcome.instance)?;
    }
    Ok(welcome.version)
}

fn same_cluster(ours: ClusterId, theirs: ClusterId) -> Result<(), Refusal> {
    if ours == theirs || ours == ClusterId::NONE || theirs == ClusterId::NONE {
        return Ok(());
    }
    Err(Refusal::ForeignCluster { ours, theirs })
}

fn same_lease(ours: LeaseTerms, theirs: LeaseTerms) -> Result<(), Refusal> {
    if ours == theirs { Ok(()) } else { Err(Refusal::ForeignLease { ours, theirs }) }
}

fn distinct(ours: &Hello, node: &NodeId, instance: u64) -> Result<(), Refusal> {
    if ours.node != *node {
        return Ok(());
    }
    if ours.instance == instance {
        return Err(Refusal::Itself);
    }
    Err(Refusal::DuplicateId { node: ours.node.clone(), address: shown(&ours.advertised) })
}

/// A name short enough that the refusal fits its frame, whatever the peer called itself.
fn shown(name: &str) -> String {
    name.chars().take(NAME_SHOWN).collect()
}
