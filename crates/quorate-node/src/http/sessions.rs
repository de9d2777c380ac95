//! `/v1/sessions`: writes that take effect once, however often they are retried.

use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use quorate::{Op, Reply, SessionId};
use serde::{Deserialize, Serialize};

use super::kv::{mismatch, write};
use super::meta::ok;
use super::params::path;
use super::problem::Problem;
use super::{App, body};

/// How long a session may ask to live without a sign of life.
const TTL_MAX: Duration = Duration::from_secs(24 * 3_600);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenBody {
    ttl_ms: u64,
}

#[derive(Debug, Serialize)]
struct SessionBody {
    session: u64,
    /// As granted: the state machine has bounds of its own.
    ttl_ms: u64,
    remaining_ms: u64,
}

#[derive(Debug, Serialize)]
struct ClosedBody {
    session: u64,
    /// Whether it was open.
    closed: bool,
}

/// `POST /v1/sessions`
pub(super) async fn open(
    State(app): State<App>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let OpenBody { ttl_ms } = body::json(&app, &body)?;
    if ttl_ms == 0 || u128::from(ttl_ms) > TTL_MAX.as_millis() {
        return Err(Problem::bad_request(&app, "`ttl_ms` lies between 1 and 86400000 (a day)"));
    }
    touch(&app, &headers, Op::OpenSession { ttl_ms }).await
}

/// Opens a session or keeps it alive: its time begins anew.
async fn touch(app: &App, headers: &HeaderMap, op: Op) -> Result<Response, Problem> {
    match write(app, headers, op, None).await?.reply {
        Reply::Session { session, ttl_ms } => {
            Ok(ok(app, SessionBody { session: session.0, ttl_ms, remaining_ms: ttl_ms }))
        }
        _ => Err(mismatch(app)),
    }
}

/// `POST /v1/sessions/{session}/keepalive`
pub(super) async fn keep_alive(
    State(app): State<App>,
    session: Result<Path<u64>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let session = SessionId(path(&app, session)?);
    touch(&app, &headers, Op::KeepAlive { session }).await
}

/// `DELETE /v1/sessions/{session}`
pub(super) async fn close(
    State(app): State<App>,
    session: Result<Path<u64>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let session = path(&app, session)?;
    let op = Op::CloseSession { session: SessionId(session) };
    match write(&app, &headers, op, None).await?.reply {
        Reply::Closed { closed } => Ok(ok(&app, ClosedBody { session, closed })),
        _ => Err(mismatch(&app)),
    }
}
