//! `/metrics`: what Prometheus reads. A registry is a value, so several nodes fit in one process.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use quorate::{Answer, Node, Replica, Request};

use super::App;
use super::gossip_metrics::GossipMetrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Peer {
    pub(super) node: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// The metrics of one node.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Mutex<Registry>,
    answers: Family<Status, Counter>,
    operations: Family<Operation, Counter>,
    term: Gauge,
    is_leader: Gauge,
    has_leader: Gauge,
    commit: Gauge,
    applied: Gauge,
    revision: Gauge,
    open: Gauge,
    members: Gauge,
    voters: Gauge,
    changing: Gauge,
    leader_changes: Counter,
    lag_entries: Family<Peer, Gauge>,
    lag_bytes: Family<Peer, Gauge>,
    lag_seconds: Family<Peer, Gauge<f64, AtomicU64>>,
    rejected: Family<Reason, Gauge>,
    gossip: GossipMetrics,
    /// The term whose leader was counted last.
    counted_term: AtomicU64,
}

impl Metrics {
    pub(super) fn new(node: &Node) -> Self {
        let metrics = Self {
            // Without a label of its own: `node` is whom a figure is about, and a series that bears a
            // label twice makes Prometheus refuse the whole page.
            registry: Mutex::default(),
            answers: Family::default(),
            operations: Family::default(),
            term: Gauge::default(),
            is_leader: Gauge::default(),
            has_leader: Gauge::default(),
            commit: Gauge::default(),
            applied: Gauge::default(),
            revision: Gauge::default(),
            open: Gauge::default(),
            members: Gauge::default(),
            voters: Gauge::default(),
            changing: Gauge::default(),
            leader_changes: Counter::default(),
            lag_entries: Family::default(),
            lag_bytes: Family::default(),
            lag_seconds: Family::default(),
            rejected: Family::default(),
            gossip: GossipMetrics::default(),
            counted_term: AtomicU64::new(0),
        };
        metrics.register(node);
        metrics
    }

    fn register(&self, node: &Node) {
        let mut registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let r = &mut *registry;
        let cluster = node.config().cluster.name.clone();
        let itself = Info::new(vec![("node", node.id().to_string()), ("cluster", cluster)]);
        r.register("quorate_node", "which node this is", itself);
        r.register("quorate_http_answers", "HTTP answers by status", self.answers.clone());
        r.register(
            "quorate_state_operations",
            "operations on the shared state by kind and outcome",
            self.operations.clone(),
        );
        r.register("quorate_term", "highest term promised", self.term.clone());
        r.register("quorate_is_leader", "1 on the leader", self.is_leader.clone());
        r.register("quorate_has_leader", "1 if a leader is known", self.has_leader.clone());
        r.register("quorate_commit_index", "last entry known committed", self.commit.clone());
        r.register("quorate_applied_index", "last entry applied", self.applied.clone());
        r.register("quorate_revision", "revision of the shared state", self.revision.clone());
        r.register("quorate_requests_open", "requests under way here", self.open.clone());
        r.register("quorate_members", "members of the configuration", self.members.clone());
        r.register("quorate_voters", "members that vote, of either half", self.voters.clone());
        r.register(
            "quorate_membership_changing",
            "1 while a change of the voters is under way",
            self.changing.clone(),
        );
        r.register(
            "quorate_leader_changes",
            "leaders seen, each term once",
            self.leader_changes.clone(),
        );
        r.register(
            "quorate_replication_lag_entries",
            "entries a replica has not applied and the leader has; of the leader alone",
            self.lag_entries.clone(),
        );
        r.register(
            "quorate_replication_lag_bytes",
            "size of those entries",
            self.lag_bytes.clone(),
        );
        r.register(
            "quorate_replication_lag_seconds",
            "age of the oldest of those entries, 0 if there is none",
            self.lag_seconds.clone(),
        );
        r.register(
            "quorate_rejected_frames",
            "frames refused since the start, by reason",
            self.rejected.clone(),
        );
        self.gossip.register(r);
    }

    pub(super) fn answered(&self, status: u16) {
        self.answers.get_or_create(&Status { status }).inc();
    }

    pub(super) fn requested(&self, mutates: bool, answer: &Answer) {
        let kind = if mutates { "write" } else { "read" };
        let outcome = match answer {
            Answer::Written { .. }
            | Answer::Found { .. }
            | Answer::Changed { .. }
            | Answer::HandedOver { .. }
            | Answer::Replicas { .. }
            | Answer::Status(_) => "ok",
            Answer::Failed(_) => "failed",
            Answer::Unknown(_) => "unknown",
        };
        self.operations.get_or_create(&Operation { kind, outcome }).inc();
    }

    /// Brings the gauges up to date.
    fn observe(&self, node: &Node, replicas: &[Replica]) {
        let status = node.status();
        let gauge = |gauge: &Gauge, value: u64| {
            gauge.set(value.try_into().unwrap_or(i64::MAX));
        };
        gauge(&self.term, status.term.0);
        gauge(&self.is_leader, u64::from(status.leader.as_ref() == Some(&status.node)));
        gauge(&self.has_leader, u64::from(status.leader.is_some()));
        gauge(&self.commit, status.commit.0);
        gauge(&self.applied, status.applied.index.0);
        gauge(&self.revision, status.revision.0);
        gauge(&self.open, status.open as u64);
        gauge(&self.members, status.configuration.ids().count() as u64);
        gauge(&self.voters, status.configuration.voters().count() as u64);
        gauge(&self.changing, u64::from(status.configuration.is_joint()));
        if status.leader.is_some() {
            let before = self.counted_term.swap(status.term.0, Ordering::Relaxed);
            if before != status.term.0 {
                self.leader_changes.inc();
            }
        }
        self.lag_entries.clear();
        self.lag_bytes.clear();
        self.lag_seconds.clear();
        for Replica { id, applied, .. } in replicas {
            let peer = Peer { node: id.to_string() };
            gauge(&self.lag_entries.get_or_create(&peer), applied.lag.entries);
            gauge(&self.lag_bytes.get_or_create(&peer), applied.lag.bytes);
            self.lag_seconds.get_or_create(&peer).set(applied.lag.age.as_secs_f64());
        }
        self.gossip.observe(&status, node.now());
        for (reason, count) in node.transfers().rejected_frames {
            gauge(&self.rejected.get_or_create(&Reason { reason }), count);
        }
    }
}

/// How far the replicas are, if this node leads: each figure stands on one page alone.
async fn replicas(node: &Node) -> Vec<Replica> {
    let status = node.status();
    if status.leader.as_ref() != Some(&status.node) {
        return Vec::new();
    }
    match node.request(Request::Replicas, Duration::from_secs(1)).await {
        Answer::Replicas { leader, replicas } if leader == status.node => replicas,
        _ => Vec::new(),
    }
}

/// `GET /metrics`
pub(super) async fn render(State(app): State<App>) -> Response {
    let replicas = replicas(&app.node).await;
    app.metrics.observe(&app.node, &replicas);
    let mut text = String::new();
    {
        let registry =
            app.metrics.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Writing into a String does not fail.
        let _ = encode(&mut text, &registry);
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
