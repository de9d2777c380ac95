//! What every JSON answer says about the node that answered.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::App;

/// What the answering node knew; `null` where it knew nothing.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Meta {
    node: String,
    leader: Option<String>,
    leader_api: Option<String>,
    term: Option<u64>,
    epoch: Option<u64>,
    revision: u64,
    applied_index: u64,
}

impl Meta {
    pub(super) fn of(app: &App) -> Self {
        let status = app.node.status();
        let leader = status.leader.as_ref();
        let leader_api = leader.and_then(|leader| super::cluster::api_address(app, leader));
        let term = (status.term.0 > 0).then_some(status.term.0);
        Self {
            node: status.node.to_string(),
            leader: leader.map(ToString::to_string),
            leader_api,
            term,
            epoch: term,
            revision: status.revision.0,
            applied_index: status.applied.index.0,
        }
    }

    /// No answer is older than what it answers with.
    pub(super) fn at_least(mut self, revision: u64) -> Self {
        self.revision = self.revision.max(revision);
        self
    }

    pub(super) fn leader_api(&self) -> Option<&str> {
        self.leader_api.as_deref()
    }
}

/// An answer with its meta.
#[derive(Debug, Serialize)]
pub(super) struct WithMeta<T> {
    #[serde(flatten)]
    answer: T,
    meta: Meta,
}

/// `answer` as JSON, with meta.
pub(super) fn ok<T: Serialize>(app: &App, answer: T) -> Response {
    Json(WithMeta { answer, meta: Meta::of(app) }).into_response()
}

/// `answer` as JSON, with a meta that knows of `revision`.
pub(super) fn ok_at<T: Serialize>(app: &App, revision: u64, answer: T) -> Response {
    Json(WithMeta { answer, meta: Meta::of(app).at_least(revision) }).into_response()
}
