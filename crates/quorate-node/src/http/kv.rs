//! `/v1/kv`: the shared state.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query as Params, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use quorate::{
    Answer, Command, ConsistencyLevel, Expected, Found, Item, Op, Query, Ran, ReadLevel, Reply,
    Request, Revision,
};
use serde::{Deserialize, Serialize};

use super::App;
use super::answer::{CopiesBody, ItemBody};
use super::body;
use super::meta::ok_at;
use super::params::{
    self, Encoding, KeyEncoding, bytes_of, deadline, forbids_forwarding, key_of, key_text, tag,
};
use super::problem::Problem;

/// The media type of the raw form, where the body is the value.
const RAW: &str = "application/octet-stream";

/// The most items in one page.
const PAGE_MAX: u32 = 1_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ReadParams {
    consistency: Consistency,
    key_encoding: KeyEncoding,
    max_age_ms: Option<u64>,
    session: Option<u64>,
    revision: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Consistency {
    #[default]
    Linearizable,
    Local,
    Lease,
    Bounded,
    Session,
}

impl Consistency {
    fn level(self, app: &App) -> Result<ReadLevel, Problem> {
        match self {
            Self::Linearizable => Ok(ReadLevel::Linearizable),
            Self::Local => Ok(ReadLevel::Local),
            Self::Lease => Ok(ReadLevel::Lease),
            Self::Bounded | Self::Session => {
                let what = "reads other than `linearizable`, `lease` and `local`";
                Err(Problem::later(app, what))
            }
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct KeyParams {
    key_encoding: KeyEncoding,
    /// How many must hold the write.
    consistency: Option<ConsistencyLevel>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RangeParams {
    prefix: String,
    limit: Option<u32>,
    after: Option<String>,
    consistency: Consistency,
    key_encoding: KeyEncoding,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PutBody {
    value: String,
    #[serde(default)]
    encoding: Encoding,
    lease: Option<u64>,
    consistency: Option<ConsistencyLevel>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CasBody {
    /// Present and `null`: absent. Not present: `expected_revision` says.
    #[serde(default, deserialize_with = "present")]
    expected: Option<Option<String>>,
    expected_revision: Option<u64>,
    #[serde(default, deserialize_with = "present")]
    value: Option<Option<String>>,
    #[serde(default)]
    encoding: Encoding,
    #[serde(default)]
    expected_encoding: Encoding,
}

/// Tells `null` from a field that is not there.
fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

#[derive(Debug, Serialize)]
struct WrittenBody {
    mod_revision: u64,
    version: u64,
    #[serde(flatten)]
    copies: CopiesBody,
}

#[derive(Debug, Serialize)]
struct DeletedBody {
    deleted: bool,
    #[serde(flatten)]
    copies: CopiesBody,
}

#[derive(Debug, Serialize)]
struct SwappedBody {
    swapped: bool,
    current: Option<ItemBody>,
    #[serde(flatten)]
    copies: CopiesBody,
}

#[derive(Debug, Serialize)]
struct PageBody {
    items: Vec<ItemBody>,
    more: bool,
}

/// `GET /v1/kv/{key}`
pub(super) async fn read(
    State(app): State<App>,
    key: Result<Path<String>, PathRejection>,
    query: Result<Params<ReadParams>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let ReadParams { consistency, key_encoding, max_age_ms, session, revision } =
        params::query(&app, query)?;
    if max_age_ms.or(session).or(revision).is_some() {
        return Err(Problem::later(&app, "reads by age, session or revision"));
    }
    let key = params::one_key(&app, params::path(&app, key)?, key_encoding)?;
    let level = consistency.level(&app)?;
    let (found, revision) = ask(&app, &headers, Query::Get { key: key.clone() }, level).await?;
    let Found::Item(item) = found else { return Err(mismatch(&app).without_effect()) };
    let Some(item) = item else {
        let (text, _) = key_text(&key, key_encoding);
        return Err(Problem::not_found(&app, format!("there is no key `{text}`")));
    };
    if headers.get(header::ACCEPT).is_some_and(|accept| accept == RAW) {
        return Ok(raw_item(item));
    }
    Ok(ok_at(&app, revision.0, ItemBody::of(&key, &item, key_encoding)))
}

fn raw_item(item: Item) -> Response {
    let numbers = [
        ("quorate-create-revision", item.create_revision.0),
        ("quorate-mod-revision", item.mod_revision.0),
        ("quorate-version", item.version),
    ];
    let mut response = ([(header::CONTENT_TYPE, RAW)], item.value).into_response();
    for (name, number) in numbers {
        response.headers_mut().insert(name, HeaderValue::from(number));
    }
    response
}

/// `GET /v1/kv?prefix=`
pub(super) async fn range(
    State(app): State<App>,
    query: Result<Params<RangeParams>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let RangeParams { prefix, limit, after, consistency, key_encoding } =
        params::query(&app, query)?;
    let level = consistency.level(&app)?;
    let prefix = key_of(&app, prefix, key_encoding)?;
    let after = after.map(|after| key_of(&app, after, key_encoding)).transpose()?;
    let limit = limit.unwrap_or(PAGE_MAX).min(PAGE_MAX);
    let query = Query::Range { prefix, after, limit };
    let (found, revision) = ask(&app, &headers, query, level).await?;
    let Found::Page { items, more } = found else {
        return Err(mismatch(&app).without_effect());
    };
    let items = items.iter().map(|(key, item)| ItemBody::of(key, item, key_encoding)).collect();
    Ok(ok_at(&app, revision.0, PageBody { items, more }))
}

async fn ask(
    app: &App,
    headers: &HeaderMap,
    query: Query,
    level: ReadLevel,
) -> Result<(Found, Revision), Problem> {
    if level != ReadLevel::Local {
        refuse_forwarding(app, headers)?;
    }
    match call(app, headers, Request::Read { query, level }).await? {
        Answer::Found { found, revision } => Ok((found, revision)),
        Answer::Failed(failure) => Err(Problem::of_failure(app, &failure)),
        // Whatever became of it, a read did nothing.
        Answer::Unknown(doubt) => Err(Problem::of_doubt(app, &doubt).without_effect()),
        Answer::Written { .. }
        | Answer::Changed { .. }
        | Answer::HandedOver { .. }
        | Answer::Replicas { .. }
        | Answer::Status(_) => Err(mismatch(app).without_effect()),
    }
}

/// `PUT /v1/kv/{key}`
pub(super) async fn put(
    State(app): State<App>,
    key: Result<Path<String>, PathRejection>,
    query: Result<Params<KeyParams>, QueryRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let KeyParams { key_encoding, consistency: mut level } = params::query(&app, query)?;
    let key = params::one_key(&app, params::path(&app, key)?, key_encoding)?;
    let raw = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == RAW);
    let value = if raw {
        body
    } else {
        let PutBody { value, encoding, lease, consistency } = body::json(&app, &body)?;
        if lease.is_some() {
            return Err(Problem::later(&app, "leases"));
        }
        level = consistency.or(level);
        bytes_of(&app, value, encoding)?
    };
    let ran = write(&app, &headers, Op::Set { key, value }, level).await?;
    let copies = CopiesBody::of(&ran);
    let Reply::Set { mod_revision, version } = ran.reply else { return Err(mismatch(&app)) };
    let body = WrittenBody { mod_revision: mod_revision.0, version, copies };
    Ok(ok_at(&app, mod_revision.0, body))
}

/// `DELETE /v1/kv/{key}`
pub(super) async fn remove(
    State(app): State<App>,
    key: Result<Path<String>, PathRejection>,
    query: Result<Params<KeyParams>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let KeyParams { key_encoding, consistency } = params::query(&app, query)?;
    let key = params::one_key(&app, params::path(&app, key)?, key_encoding)?;
    let ran = write(&app, &headers, Op::Delete { key }, consistency).await?;
    let copies = CopiesBody::of(&ran);
    match ran.reply {
        Reply::Deleted { deleted, revision } => {
            Ok(ok_at(&app, revision.0, DeletedBody { deleted, copies }))
        }
        _ => Err(mismatch(&app)),
    }
}

/// `POST /v1/kv/{key}/cas`
pub(super) async fn compare_and_swap(
    State(app): State<App>,
    key: Result<Path<String>, PathRejection>,
    query: Result<Params<KeyParams>, QueryRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let KeyParams { key_encoding, consistency } = params::query(&app, query)?;
    let key = params::one_key(&app, params::path(&app, key)?, key_encoding)?;
    let cas: CasBody = body::json(&app, &body)?;
    let Some(value) = cas.value else {
        return Err(Problem::bad_request(&app, "`value` is missing; null deletes the key"));
    };
    let expected = match (cas.expected, cas.expected_revision) {
        (Some(None), None) => Expected::Absent,
        (Some(Some(text)), None) => Expected::Value(bytes_of(&app, text, cas.expected_encoding)?),
        (None, Some(revision)) => Expected::Revision(Revision(revision)),
        _ => {
            let detail = "give either `expected` (null = absent) or `expected_revision`";
            return Err(Problem::bad_request(&app, detail));
        }
    };
    let new = value.map(|text| bytes_of(&app, text, cas.encoding)).transpose()?;
    let op = Op::CompareAndSwap { key: key.clone(), expected, new };
    let ran = write(&app, &headers, op, consistency).await?;
    let copies = CopiesBody::of(&ran);
    match ran.reply {
        Reply::Swapped { swapped, current, revision } => {
            let current = current.map(|item| ItemBody::of(&key, &item, key_encoding));
            Ok(ok_at(&app, revision.0, SwappedBody { swapped, current, copies }))
        }
        _ => Err(mismatch(&app)),
    }
}

/// Runs a mutation with the deadline, session and forwarding rule of the headers; without a level
/// of its own, at that of the configuration.
pub(super) async fn write(
    app: &App,
    headers: &HeaderMap,
    op: Op,
    level: Option<ConsistencyLevel>,
) -> Result<Ran, Problem> {
    let tag = tag(app, headers)?;
    refuse_forwarding(app, headers)?;
    let level = level.unwrap_or_else(|| app.node.config().replication.consistency);
    match call(app, headers, Request::Write { command: Command { tag, op }, level }).await? {
        Answer::Written { reply, at: log_id, reached, acked } => {
            Ok(Ran { reply, log_id, reached, acked })
        }
        Answer::Failed(failure) => Err(Problem::of_failure(app, &failure)),
        Answer::Unknown(doubt) => Err(Problem::of_doubt(app, &doubt)),
        Answer::Found { .. }
        | Answer::Changed { .. }
        | Answer::HandedOver { .. }
        | Answer::Replicas { .. }
        | Answer::Status(_) => Err(mismatch(app)),
    }
}

async fn call(app: &App, headers: &HeaderMap, request: Request) -> Result<Answer, Problem> {
    if !app.node.config().state.enabled {
        return Err(Problem::disabled(app));
    }
    let wait = deadline(app, headers)?;
    let mutates = request.mutates();
    let answer = app.node.request(request, wait).await;
    app.metrics.requested(mutates, &answer);
    Ok(answer)
}

pub(super) fn refuse_forwarding(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let status = app.node.status();
    if forbids_forwarding(headers) && status.leader.as_ref() != Some(&status.node) {
        return Err(Problem::not_here(app));
    }
    Ok(())
}

/// A reply of another kind than the request's.
pub(super) fn mismatch(app: &App) -> Problem {
    let what = (500, "internal", "internal error");
    let detail = "the node answered something else than it was asked; please report this";
    Problem::new(app, what, super::problem::Outcome::Unknown, detail)
}
