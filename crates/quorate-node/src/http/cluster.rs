//! `/v1/cluster`, `/v1/status`, `/v1/config`.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use quorate::{ConfigOption, NodeId, NodeStatus};
use serde::Serialize;

use super::App;
use super::answer::LogIdBody;
use super::meta::ok;

#[derive(Debug, Serialize)]
struct ClusterBody {
    cluster_id: Option<String>,
    cluster_name: String,
    total_nodes: usize,
    leader_node: Option<LeaderBody>,
    is_healthy: bool,
    quorum: QuorumBody,
    advice: Vec<String>,
}

#[derive(Debug, Serialize)]
struct LeaderBody {
    node_id: String,
    address: String,
    port: u16,
    api_address: Option<String>,
}

#[derive(Debug, Serialize)]
struct QuorumBody {
    voters: usize,
    reachable: usize,
    needed: usize,
}

/// `host:port` in its two parts.
pub(super) fn parts(address: &str) -> (String, u16) {
    match address.rsplit_once(':') {
        Some((host, port)) => (host.to_owned(), port.parse().unwrap_or(0)),
        None => (address.to_owned(), 0),
    }
}

/// `GET /v1/cluster`
pub(super) async fn info(State(app): State<App>) -> Response {
    let cluster = app.node.cluster();
    let info = cluster.info();
    let leader_node = info.leader_node.map(|leader| {
        let (address, port) = parts(&leader.address);
        let api_address = api_address(&app, &leader.node_id);
        LeaderBody { node_id: leader.node_id.to_string(), address, port, api_address }
    });
    let body = ClusterBody {
        cluster_id: info.cluster_id.map(|id| id.to_string()),
        cluster_name: info.cluster_name,
        total_nodes: info.total_nodes,
        leader_node,
        is_healthy: info.is_healthy,
        quorum: QuorumBody { voters: info.voters, reachable: info.reachable, needed: info.needed },
        advice: advice(&app.node.status(), info.voters),
    };
    ok(&app, body)
}

/// What a person should know about the size of the cluster, and about lost disks.
fn advice(status: &NodeStatus, voters: usize) -> Vec<String> {
    let size = match voters {
        0 => Some(format!("not a member of a cluster yet: {}", status.bootstrap)),
        1 => {
            Some("one voter: its loss stops the cluster; three survive the loss of one".to_owned())
        }
        even if even % 2 == 0 => {
            Some(format!("{even} voters survive no more failures than {}", even - 1))
        }
        _ => None,
    };
    let lost = status.another_disk.iter().map(|(id, disk)| {
        format!(
            "`{id}` came back on disk {disk}, another than it was a member on: it has no say yet"
        )
    });
    size.into_iter().chain(lost).collect()
}

/// Where clients reach the API of `id`, as far as it has said so.
pub(super) fn api_address(app: &App, id: &NodeId) -> Option<String> {
    if id == app.node.id() {
        return Some(app.api.to_string());
    }
    let status = app.node.status();
    let said = &status.neighbours.get(id)?.tags.api_address;
    (!said.is_empty()).then(|| said.clone())
}

pub(super) const fn kind(kind: quorate_core::Kind) -> &'static str {
    match kind {
        quorate_core::Kind::Voter => "voter",
        quorate_core::Kind::Learner => "learner",
        quorate_core::Kind::Observer => "observer",
        quorate_core::Kind::Witness => "witness",
    }
}

#[derive(Debug, Serialize)]
struct StatusBody {
    node_id: String,
    kind: Option<&'static str>,
    role: String,
    term: u64,
    voted_for: Option<String>,
    tip: LogIdBody,
    commit_index: u64,
    applied_index: u64,
    state_hash: String,
    boot_epoch: u64,
    incarnation: u64,
    storage: &'static str,
    connections: u64,
    rejected_frames: BTreeMap<&'static str, u64>,
}

/// `GET /v1/status`
pub(super) async fn status(State(app): State<App>) -> Response {
    let status = app.node.status();
    let transfers = app.node.transfers();
    let boot_epoch = app.node.boot();
    let body = StatusBody {
        node_id: status.node.to_string(),
        kind: status.configuration.kind(&status.node).map(kind),
        role: format!("{:?}", status.role).to_uppercase(),
        term: status.term.0,
        voted_for: status.voted_for.as_ref().map(ToString::to_string),
        tip: status.tip.into(),
        commit_index: status.commit.0,
        applied_index: status.applied.index.0,
        state_hash: format!("{:016x}", status.digest),
        boot_epoch,
        incarnation: boot_epoch,
        storage: "ok",
        connections: transfers.inbound + transfers.outbound,
        rejected_frames: transfers.rejected_frames,
    };
    ok(&app, body)
}

#[derive(Debug, Serialize)]
struct ConfigBody {
    options: BTreeMap<&'static str, OptionBody>,
    limits: LimitsBody,
}

#[derive(Debug, Serialize)]
struct OptionBody {
    value: String,
    origin: String,
    about: &'static str,
}

#[derive(Debug, Serialize)]
struct LimitsBody {
    key_bytes: u64,
    value_bytes: u64,
    request_bytes: usize,
}

/// `GET /v1/config`
pub(super) async fn config(State(app): State<App>) -> Response {
    let options = app.node.config().options().map(|ConfigOption { name, about, value, origin }| {
        let origin = origin.map_or_else(|| "default".to_owned(), |origin| origin.to_string());
        (name, OptionBody { value, origin, about })
    });
    let limits = quorate_dist_state::Limits::default();
    let limits = LimitsBody {
        key_bytes: limits.key_bytes_max,
        value_bytes: limits.value_bytes_max,
        request_bytes: super::BODY_MAX,
    };
    ok(&app, ConfigBody { options: options.collect(), limits })
}
