//! A client of the HTTP API.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::Response;

/// What became of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome<T> {
    /// It took effect.
    Ok(T),
    /// It had no effect and will have none; with the code and the whole answer.
    Failed(String, Value),
    /// It may have had an effect, or may yet.
    Unknown(String),
}

impl<T> Outcome<T> {
    /// The result, if it is known to be good.
    pub fn ok(self) -> Option<T> {
        match self {
            Self::Ok(value) => Some(value),
            Self::Failed(..) | Self::Unknown(_) => None,
        }
    }

    /// The code of a failure.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Failed(code, _) | Self::Unknown(code) => Some(code),
            Self::Ok(_) => None,
        }
    }
}

/// A key as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Item {
    /// The value.
    pub value: String,
    /// The revision at which the key was made.
    pub create_revision: u64,
    /// The revision of its last change.
    pub mod_revision: u64,
    /// How often it was written since it was made.
    pub version: u64,
}

/// A client of one node, with a connection of its own.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
    base: String,
    deadline: Duration,
    headers: Vec<(String, String)>,
}

impl Client {
    /// A client of the API at `address` (`host:port`).
    #[must_use]
    pub fn new(address: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(2)))
            .build();
        Self {
            agent: config.new_agent(),
            base: format!("http://{address}"),
            deadline: Duration::from_secs(5),
            headers: Vec::new(),
        }
    }

    /// The same client with another deadline for its calls.
    #[must_use]
    pub const fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same client with a header on every call.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// Calls `method` on `path` with a body; the status and the answer as JSON (null if it is
    /// none), or nothing if the connection ended without an answer.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        let url = format!("{}{path}", self.base);
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(&url)
            .header("quorate-deadline-ms", self.deadline.as_millis().to_string());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let request = request.body(body).ok()?;
        // The server answers by its deadline; the margin is for the way there and back.
        let configured = self
            .agent
            .configure_request(request)
            .timeout_global(Some(self.deadline + Duration::from_secs(2)))
            .build();
        let mut response: Response<ureq::Body> = self.agent.run(configured).ok()?;
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().ok()?;
        Some((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    fn outcome<T>(
        answer: Option<(u16, Value)>,
        good: impl FnOnce(&Value) -> Option<T>,
        lost_is_unknown: bool,
    ) -> Outcome<T> {
        let lost = |what: &str| {
            if lost_is_unknown {
                Outcome::Unknown(what.to_owned())
            } else {
                Outcome::Failed(what.to_owned(), Value::Null)
            }
        };
        match answer {
            None => lost("connection_lost"),
            Some((200, body)) => good(&body).map_or_else(|| lost("unreadable"), Outcome::Ok),
            Some((_, body)) => {
                let code = body["code"].as_str().unwrap_or("none").to_owned();
                match body["outcome"].as_str() {
                    Some("failed") => Outcome::Failed(code, body),
                    Some(_) => Outcome::Unknown(code),
                    None => lost("unreadable"),
                }
            }
        }
    }

    /// Reads a key, linearizably; `None` if it is absent.
    #[must_use]
    pub fn get(&self, key: &str) -> Outcome<Option<Item>> {
        let answer = self.call("GET", &path(key), None);
        if let Some((404, body)) = &answer
            && body["code"] == "key_not_found"
        {
            return Outcome::Ok(None);
        }
        Self::outcome(answer, |body| serde_json::from_value(body.clone()).ok().map(Some), false)
    }

    /// Writes a key; the revision it made.
    #[must_use]
    pub fn put(&self, key: &str, value: &str) -> Outcome<u64> {
        let answer = self.call("PUT", &path(key), Some(&json!({ "value": value })));
        Self::outcome(answer, |body| body["mod_revision"].as_u64(), true)
    }

    /// Deletes a key; whether it was there.
    #[must_use]
    pub fn delete(&self, key: &str) -> Outcome<bool> {
        Self::outcome(self.call("DELETE", &path(key), None), |body| body["deleted"].as_bool(), true)
    }

    /// Sets a key to `new` if it holds `expected`; `None` is absent.
    #[must_use]
    pub fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<&str>,
        new: Option<&str>,
    ) -> Outcome<bool> {
        let body = json!({ "expected": expected, "value": new });
        let answer = self.call("POST", &format!("{}/cas", path(key)), Some(&body));
        Self::outcome(answer, |body| body["swapped"].as_bool(), true)
    }

    /// The leader this node knows.
    #[must_use]
    pub fn leader(&self) -> Option<String> {
        let (_, body) = self.call("GET", "/v1/cluster", None)?;
        body["leader_node"]["node_id"].as_str().map(str::to_owned)
    }

    /// The value of the metric `name` whose labels contain `label`.
    #[must_use]
    pub fn metric(&self, name: &str, label: &str) -> Option<f64> {
        let (_, text) = self.call("GET", "/metrics", None)?;
        let head = format!("{name}{{");
        let mut lines = text.as_str()?.lines();
        let line = lines.find(|line| line.starts_with(&head) && line.contains(label))?;
        line.rsplit_once(' ')?.1.parse().ok()
    }

    /// Whether a probe such as `/readyz` says yes.
    #[must_use]
    pub fn probe(&self, path: &str) -> bool {
        self.call("GET", path, None).is_some_and(|(status, _)| status == 200)
    }
}

fn path(key: &str) -> String {
    format!("/v1/kv/{}", utf8_percent_encode(key, NON_ALPHANUMERIC))
}
