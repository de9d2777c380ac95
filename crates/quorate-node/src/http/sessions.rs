//! `/v1/sessions`: writes that take effect once, however often they are retried.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use quorate::{Op, Reply, SessionId};
use serde::{Deserialize, Serialize};

use super::kv::{mismatch, said, write};
use super::meta::ok;
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
    ttl_ms: u64,
}

/// `POST /v1/sessions`
pub(super) async fn open(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let OpenBody { ttl_ms } = body::json(&app, body).await?;
    if ttl_ms == 0 || u128::from(ttl_ms) > TTL_MAX.as_millis() {
        return Err(Problem::bad_request(&app, "`ttl_ms` lies between 1 and 86400000 (a day)"));
    }
    match write(&app, &headers, Op::OpenSession { ttl_ms }).await? {
        (Reply::Session { session, .. }, ..) => {
            Ok(ok(&app, SessionBody { session: session.0, ttl_ms }))
        }
        _ => Err(mismatch(&app)),
    }
}

/// `POST /v1/sessions/{session}/keepalive`
pub(super) async fn keep_alive(
    State(app): State<App>,
    Path(session): Path<u64>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let op = Op::KeepAlive { session: SessionId(session) };
    write(&app, &headers, op).await?;
    Ok(said(&app, "kept_alive"))
}

/// `DELETE /v1/sessions/{session}`
pub(super) async fn close(
    State(app): State<App>,
    Path(session): Path<u64>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let op = Op::CloseSession { session: SessionId(session) };
    write(&app, &headers, op).await?;
    Ok(said(&app, "closed"))
}
