//! `/v1/keyring`: the keys that seal gossip, on this node.

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use quorate::{KeyStatus, Keyring, KeyringError, PlainGossip};
use serde::{Deserialize, Serialize};

use super::meta::ok;
use super::problem::Problem;
use super::{App, body};

/// What a keyring is, without the keys themselves.
#[derive(Debug, Serialize)]
struct KeyringBody {
    keys: Vec<KeyBody>,
    plain: PlainGossip,
    /// Whether changes outlive the process.
    kept: bool,
}

#[derive(Debug, Serialize)]
struct KeyBody {
    id: String,
    in_use: bool,
}

impl From<&Keyring> for KeyringBody {
    fn from(keyring: &Keyring) -> Self {
        let key = |KeyStatus { id, in_use }| KeyBody { id, in_use };
        Self {
            keys: keyring.keys().into_iter().map(key).collect(),
            plain: keyring.plain(),
            kept: keyring.is_kept(),
        }
    }
}

/// Never printed: it holds a key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InstallBody {
    key: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdBody {
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainBody {
    plain: PlainGossip,
}

/// `GET /v1/keyring`
pub(super) async fn show(State(app): State<App>) -> Result<Response, Problem> {
    let keyring = keyring(&app)?;
    Ok(ok(&app, KeyringBody::from(&keyring)))
}

/// `POST /v1/keyring/install`
pub(super) async fn install(State(app): State<App>, body: Bytes) -> Result<Response, Problem> {
    // An error of the reader may repeat what it read.
    let InstallBody { key } = body::json(&app, &body)
        .map_err(|_| Problem::bad_request(&app, "the body is `{ \"key\": \"..\" }`"))?;
    change(app, move |keyring| keyring.install(&key).map(drop)).await
}

/// `POST /v1/keyring/use`
pub(super) async fn use_key(State(app): State<App>, body: Bytes) -> Result<Response, Problem> {
    let IdBody { id } = body::json(&app, &body)?;
    change(app, move |keyring| keyring.use_key(&id)).await
}

/// `POST /v1/keyring/remove`
pub(super) async fn remove(State(app): State<App>, body: Bytes) -> Result<Response, Problem> {
    let IdBody { id } = body::json(&app, &body)?;
    change(app, move |keyring| keyring.remove(&id)).await
}

/// `POST /v1/keyring/plain`
pub(super) async fn plain(State(app): State<App>, body: Bytes) -> Result<Response, Problem> {
    let PlainBody { plain } = body::json(&app, &body)?;
    change(app, move |keyring| {
        keyring.set_plain(plain);
        Ok(())
    })
    .await
}

fn keyring(app: &App) -> Result<Keyring, Problem> {
    app.node.keyring().ok_or_else(|| {
        let hint = "start the node with cluster.keyring_file (--keyring-file)".to_owned();
        Problem::no_keyring(app).with_hint(Some(hint))
    })
}

/// Changes the ring, and shows it as it is then.
async fn change(
    app: App,
    change: impl FnOnce(&Keyring) -> Result<(), KeyringError> + Send + 'static,
) -> Result<Response, Problem> {
    let keyring = keyring(&app)?;
    let ring = keyring.clone();
    // Its file is written before the answer: not on the runtime's threads.
    let changed = tokio::task::spawn_blocking(move || change(&ring)).await;
    match changed {
        Ok(Ok(())) => Ok(ok(&app, KeyringBody::from(&keyring))),
        Ok(Err(error)) => Err(Problem::of_keyring(&app, &error)),
        Err(error) => Err(Problem::internal(&app, error.to_string())),
    }
}
