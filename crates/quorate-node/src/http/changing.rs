//! Changing the members: `POST` and `DELETE` below `/v1/members`.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use quorate::{Answer, Change, Configuration, DiskId, Kind, Member, NodeId, Request};
use serde::{Deserialize, Serialize};

use super::cluster::{kind, parts};
use super::kv::{mismatch, refuse_forwarding};
use super::meta::ok;
use super::params::{deadline, path};
use super::problem::Problem;
use super::{App, body};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AddBody {
    node_id: String,
    address: String,
    port: u16,
    kind: Option<String>,
    priority: Option<u8>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplaceBody {
    with: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EmptyBody {}

/// The members from then on, as the log has them; `GET /v1/members` says how they are.
#[derive(Debug, Serialize)]
struct ChangedBody {
    members: Vec<ChangedMember>,
}

#[derive(Debug, Serialize)]
struct ChangedMember {
    node_id: String,
    address: String,
    port: u16,
    kind: &'static str,
    priority: u8,
}

/// `POST /v1/members`
pub(super) async fn add(
    State(app): State<App>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let AddBody { node_id, address, port, kind, priority } = body::json(&app, &body)?;
    let kind = match kind.as_deref() {
        None | Some("learner") => Kind::Learner,
        Some("observer") => Kind::Observer,
        Some("voter") => Kind::Voter,
        Some("witness") => return Err(Problem::later(&app, "witnesses")),
        Some(other) => {
            let detail = format!("`{other}` is no kind of member: learner or observer");
            return Err(Problem::bad_request(&app, detail));
        }
    };
    let address = match address.contains(':') {
        true => format!("[{address}]:{port}"),
        false => format!("{address}:{port}"),
    };
    let priority = priority.unwrap_or(Member::PRIORITY_DEFAULT);
    let member = Member { kind, priority, address, disk: DiskId::NONE };
    change(&app, &headers, Change::Add { id: id(&app, &node_id)?, member }).await
}

/// `DELETE /v1/members/{id}`
pub(super) async fn remove(
    State(app): State<App>,
    node: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = id(&app, &path(&app, node)?)?;
    change(&app, &headers, Change::Remove { id, may_return: false }).await
}

/// `POST /v1/members/{id}/promote`
pub(super) async fn promote(
    State(app): State<App>,
    node: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let EmptyBody {} = body::json(&app, &body)?;
    let id = id(&app, &path(&app, node)?)?;
    change(&app, &headers, Change::Promote { ids: [id].into() }).await
}

/// `POST /v1/members/{id}/replace`
pub(super) async fn replace(
    State(app): State<App>,
    node: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let ReplaceBody { with } = body::json(&app, &body)?;
    let (old, new) = (id(&app, &path(&app, node)?)?, id(&app, &with)?);
    change(&app, &headers, Change::Replace { old, new, may_return: false }).await
}

fn id(app: &App, name: &str) -> Result<NodeId, Problem> {
    NodeId::new(name).map_err(|error| Problem::bad_request(app, error.to_string()))
}

async fn change(app: &App, headers: &HeaderMap, change: Change) -> Result<Response, Problem> {
    refuse_forwarding(app, headers)?;
    let wait = deadline(app, headers)?;
    match app.node.request(Request::Change(change), wait).await {
        Answer::Changed { configuration, .. } => Ok(ok(app, changed(&configuration))),
        Answer::Failed(failure) => Err(Problem::of_failure(app, &failure)),
        Answer::Unknown(doubt) => {
            let hint = "read /v1/members before you ask again: the change may be complete";
            Err(Problem::of_doubt(app, &doubt).with_hint(Some(hint.to_owned())))
        }
        Answer::Written { .. }
        | Answer::Found { .. }
        | Answer::HandedOver { .. }
        | Answer::Replicas { .. }
        | Answer::Status(_) => Err(mismatch(app)),
    }
}

fn changed(configuration: &Configuration) -> ChangedBody {
    let members = configuration.members.iter().map(|(id, member)| {
        let (address, port) = parts(&member.address);
        ChangedMember {
            node_id: id.to_string(),
            address,
            port,
            kind: kind(member.kind),
            priority: member.priority,
        }
    });
    ChangedBody { members: members.collect() }
}
