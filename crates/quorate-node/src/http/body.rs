//! Request bodies: bounded, strict, and with a hint when a field is misspelt.

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::{App, BODY_MAX};

/// The whole body, up to the limit.
pub(super) async fn raw(app: &App, body: Body) -> Result<Bytes, Problem> {
    to_bytes(body, BODY_MAX).await.map_err(|error| {
        // The only two reasons: the limit, or a client that went away (and reads no answer).
        Problem::too_large(app, format!("a request body is at most {BODY_MAX} bytes: {error}"))
    })
}

/// The body as JSON.
pub(super) async fn json<T: DeserializeOwned>(app: &App, body: Body) -> Result<T, Problem> {
    let bytes = raw(app, body).await?;
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(text).map_err(|error| {
        let detail = error.to_string();
        match detail.strip_prefix("unknown field `") {
            Some(rest) => {
                let hint = nearest(rest);
                Problem::unknown_field(app, detail, hint)
            }
            None => Problem::bad_request(app, detail),
        }
    })
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

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_misspelt_field_is_met_with_a_hint() {
        let rest = "valeu`, expected one of `value`, `encoding`";
        assert_eq!(nearest(rest).as_deref(), Some("did you mean `value`?"));
    }
}
