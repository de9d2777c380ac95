//! Why a configuration is refused. Nothing was started.

/// Why a configuration is refused; the text names the fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No option bears this name.
    #[error("unknown option `{key}`{}", hint.as_ref().map_or(String::new(), |h| format!(": did you mean `{h}`?")))]
    UnknownKey {
        /// As it was written.
        key: String,
        /// The nearest option.
        hint: Option<String>,
    },
    /// The value cannot be read.
    #[error("`{key} = {value}` cannot be read: write {wanted}")]
    WrongValue {
        /// The option.
        key: String,
        /// As it was written.
        value: String,
        /// What would do.
        wanted: String,
    },
    /// The file is not TOML, or a value has another type than its option.
    #[error("{0}")]
    Syntax(String),
    /// The part exists in the specification but not in this version.
    #[error("`{key}` asks for {part}, which this version does not hold: unset it")]
    NotInThisVersion {
        /// The variable.
        key: String,
        /// The part.
        part: String,
    },
    /// The timings of `[election]` do not fit together.
    #[error("[election] {0}")]
    Election(#[from] quorate_election::ConfigError),
    /// Name, address, seeds or pace of `[cluster]` do not fit together.
    #[error("[cluster] {0}")]
    Membership(#[from] quorate_membership::ConfigError),
    /// The limits of `[storage]` do not fit together.
    #[error("[storage] {0}")]
    Replication(#[from] quorate_replication::ConfigError),
    /// A crash of the leader would cost more than an election timeout.
    #[error(
        "election.lease <= election.timeout_min does not hold: {lease:?} > {timeout_min:?}; \
         lower election.lease to {timeout_min:?} or less, or set it to 0s for no lease reads"
    )]
    LeaseTooLong {
        /// The lease asked for.
        lease: std::time::Duration,
        /// The shortest election timeout.
        timeout_min: std::time::Duration,
    },
    /// No clock is that bad.
    #[error("election.drift = {0} is more than 500000 millionths: give at most that")]
    Drift(u32),
    /// A key of the keyring is none.
    #[error("key {position} of cluster.keyring: {why}")]
    Key {
        /// Its place in the list, from 1.
        position: usize,
        /// What is wrong; never the key.
        why: String,
    },
    /// Keys in two places.
    #[error("cluster.keyring and cluster.keyring_file are both set: keep the keys in one of them")]
    TwoKeyrings,
    /// Gossip without seal is always heard where there are no keys.
    #[error("cluster.plain speaks of a keyring: set cluster.keyring_file, or leave it out")]
    PlainWithoutKeyring,
    /// A wide open port without protection.
    #[error(
        "cluster.address {address} is reachable from outside, which takes a keyring (it seals \
         gossip) and TLS between the nodes (not in this version): bind to 127.0.0.1, or set \
         --insecure-cluster (CLUSTER_INSECURE=true) to accept an open port in a network of your own"
    )]
    InsecureCluster {
        /// The address.
        address: String,
    },
    /// Others would be told an address that leads to themselves.
    #[error(
        "cluster.address {address} is no address that others can call: set cluster.advertise \
         (--advertise) to the host:port under which they reach this node"
    )]
    NoAdvertise {
        /// The address.
        address: String,
    },
    /// The API would be open to everyone.
    #[error(
        "api.address {address} is reachable from outside and the API has no TLS yet: bind it to \
         127.0.0.1 and put a proxy before it"
    )]
    InsecureApi {
        /// The address.
        address: String,
    },
    /// Something that stands on the cluster is on while the cluster is explicitly off.
    #[error("state.enabled needs cluster.enabled, which is explicitly false: remove one of them")]
    ClusterOff,
    /// An even or zero number of voters.
    #[error("cluster.max_voters {0} must be 1, 3, 5 or 7: an even voter adds risk, not safety")]
    MaxVoters(u32),
    /// The cluster can never form.
    #[error(
        "cluster.min_nodes {min_nodes} must be 1 to cluster.max_voters {max_voters}: change one of \
         them"
    )]
    MinNodes {
        /// Wanted founders.
        min_nodes: u32,
        /// Most voters.
        max_voters: u32,
    },
    /// Something is missing that has no default.
    #[error("`{key}` is not set: {fix}")]
    Missing {
        /// The option.
        key: &'static str,
        /// What to do.
        fix: &'static str,
    },
}
