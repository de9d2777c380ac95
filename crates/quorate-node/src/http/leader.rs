//! `/v1/leader/transfer`: another node is to lead.

use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use quorate::{HandOverError, NodeId};
use serde::{Deserialize, Serialize};

use super::kv::refuse_forwarding;
use super::meta::ok;
use super::params::deadline;
use super::problem::Problem;
use super::{App, body};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TransferBody {
    /// Whom to; absent: the best one.
    to: Option<String>,
}

#[derive(Debug, Serialize)]
struct TransferredBody {
    leader: String,
    term: u64,
    took_ms: u64,
}

/// `POST /v1/leader/transfer`
pub(super) async fn transfer(
    State(app): State<App>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    refuse_forwarding(&app, &headers)?;
    let TransferBody { to } = body::json(&app, &body)?;
    let to = match to.as_deref().map(NodeId::new).transpose() {
        Ok(to) => to,
        Err(error) => return Err(Problem::bad_request(&app, format!("`to`: {error}"))),
    };
    let wait = deadline(&app, &headers)?;
    let began = app.node.now();
    match app.node.cluster().hand_over(to, wait).await {
        Ok(handed) => {
            let took: Duration = app.node.now().since(began);
            let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            let leader = handed.leader.to_string();
            Ok(ok(&app, TransferredBody { leader, term: handed.term.0, took_ms }))
        }
        Err(HandOverError::Failed(failure)) => Err(Problem::of_failure(&app, &failure)),
        Err(HandOverError::Unknown(doubt)) => Err(Problem::of_doubt(&app, &doubt)
            .with_hint(Some("see who leads, and ask again if it is the wrong one".to_owned()))),
        Err(error) => Err(Problem::internal(&app, error.to_string())),
    }
}
