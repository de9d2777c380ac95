//! `/v1/replication`: how far each replica is behind.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use quorate::{NodeLag, PeerState, Position, ReadError};
use serde::Serialize;

use super::App;
use super::meta::ok;
use super::params::deadline;
use super::problem::Problem;

#[derive(Debug, Serialize)]
struct ReplicationBody {
    mode: String,
    consistency: String,
    master_node: String,
    nodes: BTreeMap<String, NodeBody>,
}

/// One replica; the first three figures are about what it has applied.
#[derive(Debug, Serialize)]
struct NodeBody {
    lag_entries: u64,
    lag_bytes: u64,
    lag_seconds: f64,
    position: PositionsBody,
    state: &'static str,
    /// How long ago it was heard; `null` if it was not in this term: its positions are unknown.
    silent_ms: Option<u64>,
}

#[derive(Debug, Serialize)]
struct PositionsBody {
    sent: PositionBody,
    received: PositionBody,
    durable: PositionBody,
    applied: PositionBody,
}

#[derive(Debug, Serialize)]
struct PositionBody {
    index: u64,
    lag_entries: u64,
    lag_bytes: u64,
    lag_seconds: f64,
}

impl From<Position> for PositionBody {
    fn from(position: Position) -> Self {
        Self {
            index: position.index.0,
            lag_entries: position.lag.entries,
            lag_bytes: position.lag.bytes,
            lag_seconds: position.lag.age.as_secs_f64(),
        }
    }
}

impl From<NodeLag> for NodeBody {
    fn from(NodeLag { lag_seconds, replica }: NodeLag) -> Self {
        Self {
            lag_entries: replica.applied.lag.entries,
            lag_bytes: replica.applied.lag.bytes,
            lag_seconds,
            position: PositionsBody {
                sent: replica.sent.into(),
                received: replica.received.into(),
                durable: replica.durable.into(),
                applied: replica.applied.into(),
            },
            state: match replica.state {
                PeerState::Probing => "probing",
                PeerState::Streaming => "streaming",
                PeerState::Snapshot { .. } => "snapshot",
            },
            silent_ms: replica
                .silent_for
                .map(|silent| u64::try_from(silent.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

/// `GET /v1/replication`
pub(super) async fn status(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    super::kv::refuse_forwarding(&app, &headers)?;
    let wait = deadline(&app, &headers)?;
    let status = app.node.replication().status(wait).await.map_err(|error| match error {
        ReadError::Failed(failure) => Problem::of_failure(&app, &failure),
        error => Problem::internal(&app, error.to_string()),
    })?;
    let nodes = status.nodes.into_iter().map(|(id, lag)| (id.to_string(), lag.into()));
    let body = ReplicationBody {
        mode: status.mode.to_string(),
        consistency: status.consistency.to_string(),
        master_node: status.master_node.to_string(),
        nodes: nodes.collect(),
    };
    Ok(ok(&app, body))
}
