//! Probes for orchestrators and load balancers: a status code, and one word for a person.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;

use super::App;

type Probe = (StatusCode, &'static str);

/// A loop that stands still for longer is stuck; an idle one turns every second.
const STILL_MAX: Duration = Duration::from_secs(5);

/// `/livez`: the loop turns.
pub(super) async fn live(State(app): State<App>) -> Probe {
    verdict(app.node.still_for() <= STILL_MAX, "alive", "stuck")
}

/// `/readyz`: knows a leader, has applied what it knows to be committed, is not draining.
pub(super) async fn ready(State(app): State<App>) -> Probe {
    let status = app.node.status();
    if app.is_draining() {
        return verdict(false, "", "draining");
    }
    if status.leader.is_none() {
        return verdict(false, "", "no leader");
    }
    verdict(status.applied.index >= status.commit, "ready", "catching up")
}

/// `/startupz`: belongs to a cluster.
pub(super) async fn started(State(app): State<App>) -> Probe {
    verdict(!app.node.status().configuration.is_empty(), "started", "no cluster yet")
}

/// `/leader`: leads.
pub(super) async fn leader(State(app): State<App>) -> Probe {
    let status = app.node.status();
    verdict(status.leader.as_ref() == Some(&status.node), "leader", "not the leader")
}

const fn verdict(good: bool, yes: &'static str, no: &'static str) -> Probe {
    if good { (StatusCode::OK, yes) } else { (StatusCode::SERVICE_UNAVAILABLE, no) }
}
