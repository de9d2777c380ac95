//! `/v1/writes`: what became of a write, and who holds it.

use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query as Params, State};
use axum::http::HeaderMap;
use axum::response::Response;
use quorate::{ConsistencyLevel, LogId, ReadError, WriteError, WriteState, WriteStatus};
use serde::{Deserialize, Serialize};

use super::answer::LogIdBody;
use super::meta::ok;
use super::params::{self, deadline};
use super::problem::Problem;
use super::{App, DEADLINE_MAX};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WaitParams {
    /// The level to wait for.
    level: Option<ConsistencyLevel>,
    /// For how long; absent, with a level: the deadline of the request.
    wait_ms: Option<u64>,
}

#[derive(Debug, Serialize)]
struct StatusBody {
    log_id: LogIdBody,
    state: &'static str,
    /// The highest level that it is known to have reached.
    reached: Option<String>,
    copies: usize,
    acked: Vec<String>,
    missing: Vec<String>,
}

impl From<WriteStatus> for StatusBody {
    fn from(status: WriteStatus) -> Self {
        Self {
            log_id: status.log_id.into(),
            state: match status.state {
                WriteState::Pending => "pending",
                WriteState::Committed => "committed",
                WriteState::Overwritten => "lost",
                WriteState::Unknown => "unknown",
            },
            reached: status.reached.map(|level| level.to_string()),
            copies: status.acked.len(),
            acked: status.acked.iter().map(ToString::to_string).collect(),
            missing: status.missing.iter().map(ToString::to_string).collect(),
        }
    }
}

/// `GET /v1/writes/{term}-{index}`
pub(super) async fn status(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Params<WaitParams>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let text = params::path(&app, path)?;
    let Some(log_id) = log_id(&text) else {
        let detail = format!("`{text}` is no write: say term-index, as in `log_id`");
        return Err(Problem::bad_request(&app, detail));
    };
    let WaitParams { level, wait_ms } = params::query(&app, query)?;
    let wait = match wait_ms {
        Some(millis) => Duration::from_millis(millis).min(DEADLINE_MAX),
        None => deadline(&app, &headers)?,
    };
    super::kv::refuse_forwarding(&app, &headers)?;
    let replication = app.node.replication();
    let status = match level {
        None => replication.write_status(log_id, wait).await.map_err(|error| match error {
            ReadError::Failed(failure) => Problem::of_failure(&app, &failure),
            error => Problem::internal(&app, error.to_string()),
        })?,
        Some(level) => {
            replication.await_level(log_id, level, wait).await.map_err(|error| match error {
                WriteError::Failed(failure) => Problem::of_failure(&app, &failure),
                WriteError::Unknown(doubt) => Problem::of_doubt(&app, &doubt),
                error => Problem::internal(&app, error.to_string()),
            })?
        }
    };
    Ok(ok(&app, StatusBody::from(status)))
}

/// The entry that `term-index` names.
fn log_id(text: &str) -> Option<LogId> {
    let (term, index) = text.split_once('-')?;
    let (term, index) = (term.parse().ok()?, index.parse().ok()?);
    (index > 0).then(|| LogId::new(term, index))
}
