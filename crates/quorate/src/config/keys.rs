//! Every option by name: what a file, the environment and the documentation call it.

/// How the text of an environment variable or flag becomes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Text,
    Bool,
    Number,
    /// Texts separated by commas.
    List,
    /// The same, never shown.
    Secrets,
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// `section.name`, as in the file.
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// The flat environment variable that sets it, beside `QUORATE__SECTION__NAME`.
    pub(crate) flat: Option<&'static str>,
    /// One line for a person.
    pub(crate) about: &'static str,
}

const fn key(
    name: &'static str,
    shape: Shape,
    flat: Option<&'static str>,
    about: &'static str,
) -> Key {
    Key { name, shape, flat, about }
}

pub(crate) const KEYS: &[Key] = &[
    key("node.id", Shape::Text, Some("CLUSTER_NODE_ID"), "lasting name of this node"),
    key("node.data_dir", Shape::Text, None, "folder of the journal and snapshots"),
    key("cluster.enabled", Shape::Bool, Some("CLUSTER_ENABLED"), "take part in a cluster"),
    key("cluster.name", Shape::Text, None, "nodes of another name are refused"),
    key("cluster.address", Shape::Text, Some("CLUSTER_ADDRESS"), "address of the cluster port"),
    key("cluster.port", Shape::Number, Some("CLUSTER_PORT"), "cluster port, TCP and UDP"),
    key("cluster.advertise", Shape::Text, None, "host:port under which peers reach this node"),
    key("cluster.seeds", Shape::List, Some("CLUSTER_SEED_NODES"), "host:port of nodes to find"),
    key("cluster.min_nodes", Shape::Number, Some("HA_MIN_NODES"), "nodes that found the cluster"),
    key("cluster.max_voters", Shape::Number, None, "most voters, odd"),
    key("cluster.autopilot", Shape::Bool, None, "members join and are replaced by themselves"),
    key("cluster.stabilisation", Shape::Text, None, "how long a learner is well before it votes"),
    key(
        "cluster.replace_after",
        Shape::Text,
        None,
        "how long a member is gone before another votes",
    ),
    key("cluster.keyring", Shape::Secrets, None, "keys that seal gossip; the first is in use"),
    key(
        "cluster.keyring_file",
        Shape::Text,
        None,
        "file of such keys, one a line; kept up to date",
    ),
    key("cluster.plain", Shape::Text, None, "packets without seal: refused, accepted or sent"),
    key("cluster.timing", Shape::Text, None, "pace of gossip: local, lan or wan"),
    key(
        "cluster.pause_tolerance",
        Shape::Text,
        None,
        "pause that is no death: longer finds it later",
    ),
    key("cluster.insecure", Shape::Bool, Some("CLUSTER_INSECURE"), "allow a public cluster port"),
    key("election.timing", Shape::Text, None, "fast, lan, wan, seed or dev"),
    key("election.heartbeat", Shape::Text, None, "how often a leader is heard"),
    key("election.timeout_min", Shape::Text, None, "shortest election timeout"),
    key("election.timeout_max", Shape::Text, None, "longest election timeout"),
    key("election.lease", Shape::Text, None, "how long a leader may answer reads alone; 0s: never"),
    key(
        "election.drift",
        Shape::Number,
        None,
        "most by which two clocks drift apart, in millionths",
    ),
    key(
        "election.stabilisation",
        Shape::Text,
        None,
        "how long a better voter must stay before it gets the lead",
    ),
    key("election.priority", Shape::Number, None, "0 to 255, higher stands earlier"),
    key(
        "state.enabled",
        Shape::Bool,
        Some("DISTRIBUTED_STATE_ENABLED"),
        "open the shared key-value state",
    ),
    key(
        "replication.consistency",
        Shape::Text,
        Some("REPLICATION_CONSISTENCY"),
        "how many must hold a write that says nothing else: quorum or strong",
    ),
    key("storage.segment_bytes", Shape::Number, None, "size of a journal segment"),
    key("storage.compact_bytes", Shape::Number, None, "log size that asks for a snapshot"),
    key("api.address", Shape::Text, None, "address of the HTTP API"),
    key("api.port", Shape::Number, None, "port of the HTTP API"),
    key("api.advertise", Shape::Text, None, "host:port under which clients reach the API"),
];

/// Flat names of the environment that switch on parts this version does not hold yet.
pub(crate) const LATER: &[(&str, &str)] = &[
    ("FAILOVER_ENABLED", "failover"),
    ("REPLICATION_ENABLED", "the replication part on its own"),
    ("HEALTH_MONITOR_ENABLED", "the health monitor"),
];

/// The option called `name`.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The option whose name is nearest to `name`, if one is near at all.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    KEYS.iter()
        .map(|key| (distance(name, key.name), key.name))
        .min()
        .filter(|(distance, _)| *distance <= name.len().max(4) / 2)
        .map(|(_, name)| name)
}

/// Levenshtein's distance, in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_its_key() {
        assert_eq!(nearest("cluster.seed"), Some("cluster.seeds"));
        assert_eq!(nearest("election.heart_beat"), Some("election.heartbeat"));
        assert_eq!(nearest("zzz"), None);
    }
}
