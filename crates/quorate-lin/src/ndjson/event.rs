use super::Value;
use super::read::LineProblem;

/// One line of a history file.
pub(crate) struct Event {
    pub(crate) process: u64,
    pub(crate) kind: Kind,
    /// Required for an invocation; where a completion has it, it must be the same.
    pub(crate) op: Option<Op>,
    pub(crate) key: Option<String>,
    /// Absent, or present and possibly `null`.
    pub(crate) value: Option<Option<Value>>,
    pub(crate) swapped: Option<bool>,
    pub(crate) deleted: Option<bool>,
    pub(crate) released: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Invoke,
    Ok,
    Fail,
    Info,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Read,
    Write,
    Cas,
    Delete,
    Append,
    Acquire,
    Release,
}

impl Event {
    /// Reads a line. Fields this crate does not know (`time`, `index`, `error`, ..) are ignored.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, LineProblem> {
        let json = serde_json::from_slice(line).map_err(LineProblem::Json)?;
        let serde_json::Value::Object(mut fields) = json else {
            return Err(LineProblem::NotAnObject);
        };
        let process = fields
            .get("process")
            .and_then(serde_json::Value::as_u64)
            .ok_or(LineProblem::BadProcess)?;
        let kind = match fields.get("type").and_then(serde_json::Value::as_str) {
            Some("invoke") => Kind::Invoke,
            Some("ok") => Kind::Ok,
            Some("fail") => Kind::Fail,
            Some("info") => Kind::Info,
            _ => return Err(LineProblem::BadType),
        };
        let op = match fields.get("op") {
            None => None,
            Some(name) => Some(name.as_str().and_then(Op::parse).ok_or(LineProblem::BadOp)?),
        };
        let key = match fields.remove("key") {
            None | Some(serde_json::Value::Null) => None,
            Some(serde_json::Value::String(key)) => Some(key),
            Some(serde_json::Value::Number(key)) => Some(key.to_string()),
            Some(_) => return Err(LineProblem::BadKey),
        };
        let value = match fields.remove("value") {
            None => None,
            Some(serde_json::Value::Null) => Some(None),
            Some(json) => Some(Some(Value::exact(json).ok_or(LineProblem::InexactNumber)?)),
        };
        let flag = |name: &'static str| match fields.get(name) {
            None | Some(serde_json::Value::Null) => Ok(None),
            Some(flag) => flag.as_bool().map(Some).ok_or(LineProblem::BadFlag { name }),
        };
        let (swapped, deleted, released) = (flag("swapped")?, flag("deleted")?, flag("released")?);
        Ok(Self { process, kind, op, key, value, swapped, deleted, released })
    }
}

impl Op {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "read" | "get" => Self::Read,
            "write" | "put" => Self::Write,
            "cas" => Self::Cas,
            "delete" => Self::Delete,
            "append" => Self::Append,
            "acquire" => Self::Acquire,
            "release" => Self::Release,
            _ => return None,
        })
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Cas => "cas",
            Self::Delete => "delete",
            Self::Append => "append",
            Self::Acquire => "acquire",
            Self::Release => "release",
        }
    }
}
