//! What the headers and the path say about a request.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use quorate::{SessionId, Tag};
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use super::{App, DEADLINE, DEADLINE_MAX, body};

/// A number in the header `name`.
fn number<T: FromStr>(
    app: &App,
    headers: &HeaderMap,
    name: &'static str,
) -> Result<Option<T>, Problem>
where
    T::Err: Display,
{
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let wrong = |error: T::Err| Problem::bad_request(app, format!("{name}: {error}"));
    text.trim().parse().map(Some).map_err(wrong)
}

/// The one variable part of the path.
pub(super) fn path<T>(app: &App, path: Result<Path<T>, PathRejection>) -> Result<T, Problem> {
    let hint = "a key that is no text goes with `?key_encoding=base64url`";
    path.map(|Path(part)| part).map_err(|error| {
        Problem::bad_request(app, error.body_text()).with_hint(Some(hint.to_owned()))
    })
}

/// What stands behind the question mark.
pub(super) fn query<T>(app: &App, query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    query.map(|Query(query)| query).map_err(|error| body::unreadable(app, error.body_text()))
}

/// How long the client waits: `Quorate-Deadline-Ms`.
pub(super) fn deadline(app: &App, headers: &HeaderMap) -> Result<Duration, Problem> {
    const NAME: &str = "quorate-deadline-ms";
    // A number that is too large for any integer is cut like every other one above the cap.
    let digits = |value: &HeaderValue| value.as_bytes().iter().all(u8::is_ascii_digit);
    if headers.get(NAME).is_some_and(|value| value.len() > 19 && digits(value)) {
        return Ok(DEADLINE_MAX);
    }
    let asked = number::<u64>(app, headers, NAME)?.map(Duration::from_millis);
    Ok(asked.unwrap_or(DEADLINE).min(DEADLINE_MAX))
}

/// Whether the client forbids forwarding: `Quorate-Forward: never`.
pub(super) fn forbids_forwarding(headers: &HeaderMap) -> bool {
    headers.get("quorate-forward").is_some_and(|value| value.as_bytes() == b"never")
}

/// The session and number of a retried mutation: `Quorate-Session`, `-Seq`, `-Acked`.
pub(super) fn tag(app: &App, headers: &HeaderMap) -> Result<Option<Tag>, Problem> {
    let session = number::<u64>(app, headers, "quorate-session")?;
    let seq = number::<u64>(app, headers, "quorate-seq")?;
    let acked = number::<u64>(app, headers, "quorate-acked")?.unwrap_or(0);
    match (session, seq) {
        (None, None) => Ok(None),
        (Some(session), Some(seq)) if seq > 0 => {
            Ok(Some(Tag { session: SessionId(session), seq, acked }))
        }
        (Some(_), Some(_)) => Err(Problem::bad_request(app, "Quorate-Seq counts from 1")),
        _ => Err(Problem::bad_request(app, "Quorate-Session and Quorate-Seq go together")),
    }
}

/// How bytes are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Encoding {
    #[default]
    Utf8,
    Base64,
}

/// The bytes of `text`.
pub(super) fn bytes_of(app: &App, text: String, encoding: Encoding) -> Result<Bytes, Problem> {
    match encoding {
        Encoding::Utf8 => Ok(Bytes::from(text)),
        Encoding::Base64 => STANDARD
            .decode(text)
            .map(Bytes::from)
            .map_err(|error| Problem::bad_request(app, format!("this is no base64: {error}"))),
    }
}

/// `bytes` as text, and how: UTF-8 where they are, else base64.
pub(super) fn text_of(bytes: &[u8]) -> (String, Encoding) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), Encoding::Utf8),
        Err(_) => (STANDARD.encode(bytes), Encoding::Base64),
    }
}

/// How keys are written in the path and in answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum KeyEncoding {
    #[default]
    Utf8,
    Base64url,
}

/// The bytes of a key as the path gives it, already percent-decoded.
pub(super) fn key_of(app: &App, text: String, encoding: KeyEncoding) -> Result<Bytes, Problem> {
    match encoding {
        KeyEncoding::Utf8 => Ok(Bytes::from(text)),
        KeyEncoding::Base64url => URL_SAFE_NO_PAD
            .decode(text.trim_end_matches('='))
            .map(Bytes::from)
            .map_err(|error| Problem::bad_request(app, format!("key: no base64url: {error}"))),
    }
}

/// A key that is to be read or written, within the limit.
pub(super) fn one_key(app: &App, text: String, encoding: KeyEncoding) -> Result<Bytes, Problem> {
    let key = key_of(app, text, encoding)?;
    if key.is_empty() {
        // No path could name it again.
        return Err(Problem::bad_request(app, "a key is at least one byte"));
    }
    let limit = quorate_dist_state::Limits::default().key_bytes_max;
    if key.len() as u64 > limit {
        return Err(Problem::too_large(app, format!("a key is at most {limit} bytes")));
    }
    Ok(key)
}

/// A key as text: as it was asked for, or the way that can hold it.
pub(super) fn key_text(key: &[u8], encoding: KeyEncoding) -> (String, KeyEncoding) {
    match (std::str::from_utf8(key), encoding) {
        (Ok(text), KeyEncoding::Utf8) => (text.to_owned(), encoding),
        _ => (URL_SAFE_NO_PAD.encode(key), KeyEncoding::Base64url),
    }
}
