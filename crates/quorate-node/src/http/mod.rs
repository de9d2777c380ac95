//! The HTTP API of a node.

mod answer;
mod body;
mod changing;
mod cluster;
mod gossip_metrics;
mod keyring;
mod kv;
mod leader;
mod members;
mod meta;
mod metrics;
mod params;
mod probes;
mod problem;
mod replication;
mod serve;
mod sessions;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{delete, get, post};
use quorate::Node;

use self::meta::Meta;
use self::metrics::Metrics;
use self::problem::Problem;

/// The largest request body, in bytes. Values are smaller; the rest is JSON around them.
const BODY_MAX: usize = 4 << 20;

pub(crate) use self::serve::serve;

/// What every handler works with.
#[derive(Clone)]
pub(crate) struct App {
    node: Arc<Node>,
    metrics: Arc<Metrics>,
    api: Arc<str>,
    draining: tokio::sync::watch::Receiver<bool>,
}

impl App {
    pub(crate) fn new(
        node: Arc<Node>,
        api: String,
        draining: tokio::sync::watch::Receiver<bool>,
    ) -> Self {
        Self { metrics: Arc::new(Metrics::new(&node)), node, api: api.into(), draining }
    }

    fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }
}

/// The routes of the API.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/livez", get(probes::live))
        .route("/readyz", get(probes::ready))
        .route("/startupz", get(probes::started))
        .route("/healthz", get(probes::live))
        .route("/leader", get(probes::leader))
        .route("/v1/leader/transfer", post(leader::transfer))
        .route("/metrics", get(metrics::render))
        .route("/v1/cluster", get(cluster::info))
        .route("/v1/members", get(members::members).post(changing::add))
        .route("/v1/members/{id}", delete(changing::remove))
        .route("/v1/members/{id}/promote", post(changing::promote))
        .route("/v1/members/{id}/replace", post(changing::replace))
        .route("/v1/status", get(cluster::status))
        .route("/v1/config", get(cluster::config))
        .route("/v1/keyring", get(keyring::show))
        .route("/v1/keyring/install", post(keyring::install))
        .route("/v1/keyring/use", post(keyring::use_key))
        .route("/v1/keyring/remove", post(keyring::remove))
        .route("/v1/keyring/plain", post(keyring::plain))
        .route("/v1/kv", get(kv::range))
        .route("/v1/kv/{key}", get(kv::read).put(kv::put).delete(kv::remove))
        .route("/v1/kv/{key}/cas", post(kv::compare_and_swap))
        .route("/v1/writes/{log_id}", get(writes::status))
        .route("/v1/replication", get(replication::status))
        .route("/v1/sessions", post(sessions::open))
        .route("/v1/sessions/{session}/keepalive", post(sessions::keep_alive))
        .route("/v1/sessions/{session}", delete(sessions::close))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(app.clone(), body::received))
        .layer(middleware::from_fn_with_state(app.clone(), accounted))
        .with_state(app)
}

async fn unknown_path(State(app): State<App>, request: Request) -> Problem {
    let path = request.uri().path();
    if LATER.iter().any(|part| path.strip_prefix(part).is_some_and(is_part)) {
        return Problem::later(&app, path);
    }
    Problem::no_such_path(&app, path)
}

/// Whether the rest of a path goes on at a border.
fn is_part(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('/')
}

async fn wrong_method(State(app): State<App>, request: Request) -> Problem {
    let (method, path) = (request.method(), request.uri().path());
    Problem::bad_request(&app, format!("{path} does not take {method}")).with_status(405)
}

/// Counts every answer by its status, and says where to ask instead.
async fn accounted(State(app): State<App>, request: Request, next: Next) -> Response {
    let target = request.uri().path_and_query().cloned();
    let mut response = next.run(request).await;
    app.metrics.answered(response.status().as_u16());
    if response.status() == StatusCode::MISDIRECTED_REQUEST
        && let (Some(leader), Some(target)) = (Meta::of(&app).leader_api(), target)
        && let Ok(location) = HeaderValue::from_str(&format!("http://{leader}{target}"))
    {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Parts of the contract that this version does not hold: asking for one is no mistake.
const LATER: &[&str] = &[
    "/v1/txn",
    "/v1/watch",
    "/v1/leases",
    "/v1/locks",
    "/v1/members",
    "/v1/writes",
    "/v1/replication",
    "/v1/crdt",
    "/v1/backup",
    "/v1/restore",
    "/v1/failover",
    "/v1/health",
    "/v1/events",
    "/v1/can-stop",
    "/v1/config",
    "/openapi.json",
    "/primary",
    "/secondary",
    "/read-only",
];

/// The default deadline of a request, and the longest it may ask for.
const DEADLINE: Duration = Duration::from_secs(5);
const DEADLINE_MAX: Duration = Duration::from_secs(60);
