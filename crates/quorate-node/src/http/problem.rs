//! Errors as problem details (RFC 9457): what happened, whether it had an effect, what to do.

use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use quorate::{
    ChangeRefused, ConsistencyLevel, Doubt, Failure, KeyringError, LogId, NodeId, RingError,
};
use quorate_dist_state::Rejection;
use serde::Serialize;

use super::App;
use super::answer::LogIdBody;
use super::meta::Meta;

/// Whether a request that did not succeed may have had an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Failed,
    Unknown,
}

/// An error as the client reads it; boxed, because success is the common way.
#[derive(Debug)]
pub(super) struct Problem(Box<Details>);

#[derive(Debug, Serialize)]
struct Details {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    code: &'static str,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    guard: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leader_api: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    write: Option<Write>,
    meta: Meta,
}

/// How far a write got that did not get as far as it should.
#[derive(Debug, Default, Serialize)]
struct Write {
    /// Its entry, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_id: Option<LogIdBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wanted: Option<String>,
    /// The highest level it has reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    reached: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acked: Option<Vec<String>>,
    /// Who is not known to hold it, or cannot be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    written: Option<bool>,
}

fn names(ids: &[NodeId]) -> Option<Vec<String>> {
    Some(ids.iter().map(ToString::to_string).collect())
}

impl Problem {
    pub(super) fn new(
        app: &App,
        (status, code, title): (u16, &'static str, &'static str),
        outcome: Outcome,
        detail: impl Into<String>,
    ) -> Self {
        Self(Box::new(Details {
            kind: format!("urn:quorate:{code}"),
            title,
            status,
            detail: detail.into(),
            code,
            outcome,
            guard: None,
            hint: None,
            retry_after_ms: None,
            leader_api: None,
            write: None,
            meta: Meta::of(app),
        }))
    }

    fn failed(app: &App, what: (u16, &'static str, &'static str), detail: String) -> Self {
        Self::new(app, what, Outcome::Failed, detail)
    }

    pub(super) fn bad_request(app: &App, detail: impl Into<String>) -> Self {
        Self::failed(app, (400, "bad_request", "the request cannot be read"), detail.into())
    }

    pub(super) fn unknown_field(app: &App, detail: String, hint: Option<String>) -> Self {
        Self::failed(app, (400, "unknown_field", "a field is unknown"), detail).with_hint(hint)
    }

    pub(super) fn not_found(app: &App, detail: String) -> Self {
        Self::failed(app, (404, "key_not_found", "not found"), detail)
    }

    pub(super) fn too_large(app: &App, detail: String) -> Self {
        Self::failed(app, (413, "too_large", "beyond a limit"), detail)
    }

    /// The client did not send its body in time; nothing was done.
    pub(super) fn body_late(app: &App, waited: Duration) -> Self {
        let detail = format!("the body did not arrive within {waited:?}");
        Self::failed(app, (504, "deadline", "not received in time"), detail)
    }

    /// There is nothing at the path; nothing else would be missing.
    pub(super) fn no_such_path(app: &App, path: &str) -> Self {
        let detail = format!("there is nothing at {path}; see /v1/cluster and /v1/kv");
        Self::failed(app, (404, "bad_request", "no such path"), detail)
    }

    /// A part of the API that this version does not hold.
    pub(super) fn later(app: &App, what: &str) -> Self {
        let detail = format!("{what}: not in this version");
        Self::failed(app, (501, "feature_disabled", "not in this version"), detail)
    }

    pub(super) fn disabled(app: &App) -> Self {
        let detail = "the shared state is off: start with `state.enabled`".to_owned();
        Self::failed(app, (503, "feature_disabled", "the feature is off"), detail)
    }

    /// Gossip is not sealed here.
    pub(super) fn no_keyring(app: &App) -> Self {
        let detail = "this node has no keyring".to_owned();
        Self::failed(app, (503, "feature_disabled", "the feature is off"), detail)
    }

    /// A keyring that is as it was.
    pub(super) fn of_keyring(app: &App, error: &KeyringError) -> Self {
        let what = match error {
            KeyringError::Key(_) => (400, "bad_request", "the request cannot be read"),
            KeyringError::Ring(RingError::Unknown { .. }) => (404, "key_not_found", "not found"),
            KeyringError::Ring(RingError::InUse { .. }) => (412, "guard_refused", "in use"),
            KeyringError::Ring(_) => (409, "conflict", "the keyring does not allow it"),
            _ => (500, "internal", "internal error"),
        };
        Self::failed(app, what, error.to_string())
    }

    /// A fault of this node, before it had any effect.
    pub(super) fn internal(app: &App, detail: String) -> Self {
        Self::failed(app, (500, "internal", "internal error"), detail)
    }

    /// This node does not lead and was told not to forward.
    pub(super) fn not_here(app: &App) -> Self {
        let detail = "this node does not lead, and the request forbids forwarding".to_owned();
        let mut problem = Self::failed(app, (421, "not_here", "ask the leader"), detail);
        problem.0.leader_api = problem.0.meta.leader_api().map(str::to_owned);
        problem
    }

    /// The same, of a request that can have had no effect.
    pub(super) fn without_effect(mut self) -> Self {
        self.0.outcome = Outcome::Failed;
        self
    }

    pub(super) fn with_status(mut self, status: u16) -> Self {
        self.0.status = status;
        self
    }

    pub(super) fn with_hint(mut self, hint: Option<String>) -> Self {
        self.0.hint = hint;
        self
    }

    const fn guarded(mut self, guard: &'static str) -> Self {
        self.0.guard = Some(guard);
        self
    }

    fn retry_after(mut self, millis: u64) -> Self {
        self.0.retry_after_ms = Some(millis);
        self
    }

    /// A request that had no effect.
    pub(super) fn of_failure(app: &App, failure: &Failure) -> Self {
        let detail = failure.to_string();
        match failure {
            Failure::NoLeader | Failure::NotLeading => {
                Self::failed(app, (503, "no_leader", "no leader"), detail).retry_after(200)
            }
            Failure::NoQuorum => {
                Self::failed(app, (503, "no_quorum", "no quorum"), detail).retry_after(500)
            }
            Failure::Overloaded => {
                Self::failed(app, (429, "overloaded", "overloaded"), detail).retry_after(100)
            }
            Failure::Rejected(rejection) => Self::of_rejection(app, rejection),
            Failure::Change(refused) => Self::of_change(app, refused, detail),
            Failure::Stopping => Self::failed(app, (503, "stopping", "stopping"), detail),
            Failure::ForwardLost => {
                Self::failed(app, (503, "forward_lost", "the leader was lost"), detail)
                    .retry_after(200)
            }
            Failure::NoHeir => Self::failed(app, (412, "guard_refused", "nobody can lead"), detail),
            Failure::HandingOver | Failure::NotHandedOver => {
                Self::failed(app, (409, "conflict", "not handed over"), detail).retry_after(500)
            }
            Failure::Unavailable { level, missing } => {
                let what = (503, "no_quorum", "not all that must hold it can be reached");
                Self::failed(app, what, detail).retry_after(500).of_write(Write {
                    wanted: Some(level.to_string()),
                    missing: names(missing),
                    written: Some(false),
                    ..Write::default()
                })
            }
            Failure::LevelNotOffered { .. } => {
                Self::failed(app, (501, "feature_disabled", "not in this version"), detail)
            }
            _ => Self::failed(app, (500, "internal", "internal error"), detail),
        }
    }

    fn of_write(mut self, write: Write) -> Self {
        self.0.write = Some(write);
        self
    }

    /// Members that are as they were.
    fn of_change(app: &App, refused: &ChangeRefused, detail: String) -> Self {
        match refused {
            ChangeRefused::UnderWay | ChangeRefused::NotReady => {
                let what = (409, "conflict", "not now");
                Self::failed(app, what, detail).retry_after(500)
            }
            ChangeRefused::UnknownNode { .. } => {
                Self::failed(app, (404, "key_not_found", "no such member"), detail)
            }
            ChangeRefused::AlreadyMember { .. } => {
                Self::failed(app, (409, "conflict", "a member already"), detail)
            }
            ChangeRefused::NotCaughtUp { .. } => {
                let what = (412, "guard_refused", "the learner is behind");
                Self::failed(app, what, detail).guarded("caught_up").retry_after(1_000)
            }
            ChangeRefused::NotConnected { .. } => {
                Self::failed(app, (412, "guard_refused", "the node is not connected"), detail)
                    .guarded("connected")
                    .retry_after(1_000)
            }
            ChangeRefused::WouldLoseQuorum { .. } | ChangeRefused::LastVoter { .. } => {
                let what = (412, "guard_refused", "the quorum would be lost");
                Self::failed(app, what, detail).guarded("quorum")
            }
            ChangeRefused::TooManyMembers { .. } => {
                Self::failed(app, (412, "guard_refused", "too many members"), detail)
                    .guarded("members")
            }
            _ => Self::failed(app, (400, "bad_request", "the change makes no sense"), detail),
        }
    }

    fn of_rejection(app: &App, rejection: &Rejection) -> Self {
        let detail = rejection.to_string();
        match rejection {
            Rejection::SeqReused => {
                Self::failed(app, (422, "seq_reused", "the number was used otherwise"), detail)
            }
            Rejection::TooManySessions { .. } => {
                Self::failed(app, (429, "overloaded", "overloaded"), detail).retry_after(1_000)
            }
            Rejection::TooLarge { .. } => Self::too_large(app, detail),
            _ => Self::bad_request(app, detail),
        }
    }

    /// A request that may have had an effect.
    pub(super) fn of_doubt(app: &App, doubt: &Doubt) -> Self {
        let what = match doubt {
            Doubt::Deadline => (504, "deadline", "not known in time"),
            Doubt::Deposed { .. } => (504, "deposed", "the leader changed"),
            Doubt::ForwardLost => (504, "forward_lost", "the leader was lost"),
            Doubt::HeirTold => (504, "deadline", "not handed over yet"),
            Doubt::Stopping => (503, "stopping", "stopping"),
            Doubt::Session(Rejection::SeqForgotten) => {
                (409, "seq_forgotten", "the answer was forgotten")
            }
            Doubt::Indeterminate { .. } => (504, "indeterminate", "not far enough in time"),
            Doubt::Session(_) => (410, "session_expired", "the session has ended"),
            _ => (500, "internal", "internal error"),
        };
        let hint = "with a session, retry with the same Quorate-Seq; else read before you retry";
        let problem = Self::new(app, what, Outcome::Unknown, doubt.to_string());
        let told = |at: LogId| format!("GET /v1/writes/{}-{}", at.term.0, at.index.0);
        match doubt {
            Doubt::Indeterminate { log_id, wanted, reached, acked, missing } => {
                let hint = format!("{}?level={wanted}&wait_ms= waits on", told(*log_id));
                problem.with_hint(Some(hint)).of_write(Write {
                    log_id: Some((*log_id).into()),
                    wanted: Some(wanted.to_string()),
                    reached: reached.as_ref().map(ConsistencyLevel::to_string),
                    acked: names(acked),
                    missing: names(missing),
                    written: None,
                })
            }
            Doubt::Deposed { at: Some(at) } => {
                let hint = format!("{} says what became of it", told(*at));
                let log_id = Some((*at).into());
                problem.with_hint(Some(hint)).of_write(Write { log_id, ..Write::default() })
            }
            _ => problem.with_hint(Some(hint.to_owned())),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let details = self.0;
        let status =
            StatusCode::from_u16(details.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&details).unwrap_or_default();
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        (status, kind, body).into_response()
    }
}
