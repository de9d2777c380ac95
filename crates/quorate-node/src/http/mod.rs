//! The HTTP API of a node.

mod answer;
mod body;
mod cluster;
mod kv;
mod meta;
mod metrics;
mod params;
mod probes;
mod problem;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{delete, get, post};
use quorate::Node;

use self::metrics::Metrics;
use self::problem::Problem;

/// The largest request body, in bytes. Values are smaller; the rest is JSON around them.
const BODY_MAX: usize = 4 << 20;

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
        .route("/metrics", get(metrics::render))
        .route("/v1/cluster", get(cluster::info))
        .route("/v1/members", get(cluster::members))
        .route("/v1/status", get(cluster::status))
        .route("/v1/config", get(cluster::config))
        .route("/v1/kv", get(kv::range))
        .route("/v1/kv/{key}", get(kv::read).put(kv::put).delete(kv::remove))
        .route("/v1/kv/{key}/cas", post(kv::compare_and_swap))
        .route("/v1/sessions", post(sessions::open))
        .route("/v1/sessions/{session}/keepalive", post(sessions::keep_alive))
        .route("/v1/sessions/{session}", delete(sessions::close))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(app.clone(), counted))
        .with_state(app)
}

async fn unknown_path(State(app): State<App>, request: Request) -> Problem {
    let path = request.uri().path().to_owned();
    Problem::not_found(&app, format!("there is nothing at {path}; see /v1/cluster and /v1/kv"))
}

async fn wrong_method(State(app): State<App>, request: Request) -> Problem {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    Problem::bad_request(&app, format!("{path} does not take {method}")).with_status(405)
}

/// Counts every answer by its status.
async fn counted(State(app): State<App>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    app.metrics.answered(response.status().as_u16());
    response
}

/// The default deadline of a request, and the longest it may ask for.
const DEADLINE: Duration = Duration::from_secs(5);
const DEADLINE_MAX: Duration = Duration::from_secs(60);
