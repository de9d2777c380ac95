//! Request bodies: bounded, strict, and with a hint when a field is misspelt.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::problem::Problem;
use super::{App, BODY_MAX, DEADLINE_MAX};

/// Receives the whole body before anybody looks at the request.
///
/// An answer to a request whose body was not read ends the connection, and a client that is still
/// sending may never see it. Bodies are bounded, so reading them first costs little.
pub(super) async fn received(State(app): State<App>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return next.run(Request::from_parts(parts, body)).await;
    }
    match timeout(BODY_WAIT, whole(&app, body)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Ok(Err(problem)) => problem.into_response(),
        Err(_) => Problem::body_late(&app, BODY_WAIT).into_response(),
    }
}

/// The whole body, up to the limit; beyond it the rest is read and dropped, up to a bound.
async fn whole(app: &App, mut body: Body) -> Result<Bytes, Problem> {
    let mut bytes = BytesMut::new();
    let mut size = 0;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame
            .map_err(|error| Problem::bad_request(app, format!("the body ends early: {error}")))?;
        // Trailers say nothing to us.
        let Ok(data) = frame.into_data() else { continue };
        size += data.len();
        if size <= BODY_MAX {
            bytes.extend_from_slice(&data);
        } else if size > READ_MAX {
            break;
        }
    }
    if size > BODY_MAX {
        return Err(Problem::too_large(app, format!("a request body is at most {BODY_MAX} bytes")));
    }
    Ok(bytes.freeze())
}

/// The body as JSON: an object, also where all its fields may be absent.
pub(super) fn json<T: DeserializeOwned>(app: &App, body: &[u8]) -> Result<T, Problem> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { body };
    // A list of the fields' values in order would be taken too.
    if text.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Problem::bad_request(app, "the body is a JSON object"));
    }
    serde_json::from_slice(text).map_err(|error| unreadable(app, error.to_string()))
}

/// What serde could not read: an unknown field by its name, anything else as it says.
pub(super) fn unreadable(app: &App, detail: String) -> Problem {
    match detail.split_once("unknown field `") {
        Some((_, rest)) => {
            let hint = nearest(rest);
            Problem::unknown_field(app, detail, hint)
        }
        None => Problem::bad_request(app, detail),
    }
}

/// The expected field that is nearest to the unknown one, out of serde's text
/// "unknown field `x`, expected one of `a`, `b`".
fn nearest(rest: &str) -> Option<String> {
    let (unknown, expected) = rest.split_once('`')?;
    let fields = expected.split('`').skip(1).step_by(2);
    fields
        .map(|field| (strange(unknown, field), field))
        .min()
        .map(|(_, field)| format!("did you mean `{field}`?"))
}

/// How strange two names are to each other: letters that are not shared, roughly.
fn strange(a: &str, b: &str) -> usize {
    let common = a.chars().zip(b.chars()).take_while(|(x, y)| x == y).count();
    a.len().max(b.len()) - common
}

/// How long a body may take to arrive: as long as the longest request may take.
const BODY_WAIT: Duration = DEADLINE_MAX;

/// How much of a body that is too large is read, so that its sender sees the answer.
const READ_MAX: usize = 4 * BODY_MAX;

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_misspelt_field_is_met_with_a_hint() {
        let rest = "valeu`, expected one of `value`, `encoding`";
        assert_eq!(nearest(rest).as_deref(), Some("did you mean `value`?"));
    }
}
