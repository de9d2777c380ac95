use super::event::{Event, Op};
use super::read::{Dialect, LineProblem, ReadError, Recording, read};
use super::value::Value;
use crate::{
    Access, Answer, Budget, Model, Mutex, MutexCall, Register, TokenAnswer, TokenCall, TokenLock,
    Verdict, check,
};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;
use std::io::BufRead;

/// The models a history file can be checked against, by the names [`check_ndjson`] takes.
pub const MODEL_NAMES: &[&str] = &["register", "cas-register", "kv", "mutex", "lock", "lease-lock"];

/// What checking a history file came to.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Name of the model.
    pub model: &'static str,
    /// Invocations in the file.
    pub operations: usize,
    /// Of these, how many failed and were left out.
    pub failed: usize,
    /// Of these, how many have an unknown outcome.
    pub unknown: usize,
    /// Different keys.
    pub keys: usize,
    /// Steps the budget has spent.
    pub steps: u64,
    /// The verdict; times in its text are line numbers, and indices count invocations that did not
    /// fail.
    pub verdict: Verdict<String>,
}

/// Checks a history in the NDJSON format, one event a line:
///
/// ```text
/// {"process":3,"type":"invoke","op":"cas","key":"k","value":[null,1]}
/// {"process":3,"type":"ok","swapped":true}
/// ```
///
/// `type` is `invoke`, `ok`, `fail` (had no effect) or `info` (unknown, as is an operation that
/// never completes); the order of lines is real time. What `op` and the answer are depends on the
/// model: `register` has `read` and `write`; `cas-register` also `cas` (value `[expected, new]`,
/// answer `"swapped"`); `kv` also `delete` (answer `"deleted"`, optional) and `append`; `get` and
/// `put` mean `read` and `write`. `mutex` has `acquire` and `release` of the process; `lock` and
/// `lease-lock` (whose grants may expire) answer `acquire` with the token (`null` if refused), and
/// `release` names it (answer `"released"`, optional). A read answers with the value, `null` being
/// absent. Without `key` all operations are on one object.
///
/// # Errors
/// [`ReadError`] if there is no such model or the file is no history; it names the line and what
/// to change. Nothing was checked then.
pub fn check_ndjson(
    model_name: &str,
    reader: impl BufRead,
    budget: &mut Budget<'_>,
) -> Result<Report, ReadError> {
    let register = |model| Dialect { model, input: access, output: answer };
    let lock = |model| Dialect { model, input: token_call, output: token_answer };
    match model_name {
        "register" => decide(&values(), &register("register"), reader, budget),
        "cas-register" => decide(&values(), &register("cas-register"), reader, budget),
        "kv" => decide(&values(), &register("kv"), reader, budget),
        "mutex" => decide(&Mutex, &MUTEX, reader, budget),
        "lock" => decide(&TokenLock::new(), &lock("lock"), reader, budget),
        "lease-lock" => decide(&TokenLock::with_expiry(), &lock("lease-lock"), reader, budget),
        _ => Err(ReadError::UnknownModel { name: model_name.to_owned() }),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, operations, failed, unknown, keys, steps, verdict } = self;
        let objects = if *keys == 1 { "key" } else { "keys" };
        let calls = if *operations == 1 { "operation" } else { "operations" };
        writeln!(
            f,
            "{model}: {operations} {calls} on {keys} {objects} ({failed} failed, {unknown} unknown), \
             {steps} steps"
        )?;
        verdict.fmt(f)
    }
}

/// The models that have an operation, of [`MODEL_NAMES`].
pub(crate) fn models_with(op: Op) -> Vec<&'static str> {
    let has = |name: &&str| match *name {
        "register" => matches!(op, Op::Read | Op::Write),
        "cas-register" => matches!(op, Op::Read | Op::Write | Op::Cas),
        "kv" => !matches!(op, Op::Acquire | Op::Release),
        _ => matches!(op, Op::Acquire | Op::Release),
    };
    MODEL_NAMES.iter().copied().filter(has).collect()
}

fn decide<M: Model>(
    model: &M,
    dialect: &Dialect<M::Input, M::Output>,
    reader: impl BufRead,
    budget: &mut Budget<'_>,
) -> Result<Report, ReadError> {
    let Recording { history, failed } = read(dialect, reader)?;
    let kept = history.operations();
    let keys: BTreeSet<&String> = kept.iter().map(|operation| &operation.key).collect();
    let verdict = check(model, &history, budget);
    Ok(Report {
        model: dialect.model,
        operations: kept.len() + failed,
        failed,
        unknown: kept.iter().filter(|operation| operation.completed.is_none()).count(),
        keys: keys.len(),
        steps: budget.spent(),
        verdict,
    })
}

fn values() -> Register<Value> {
    Register::new().with_append(Value::append)
}

fn access(op: Op, event: &Event) -> Result<Access<Value>, LineProblem> {
    let needs = |needs| LineProblem::Incomplete { op: op.name(), needs };
    let value = || {
        let wanted = "a \"value\" other than null (absent is written with delete)";
        event.value.clone().flatten().ok_or_else(|| needs(wanted))
    };
    Ok(match op {
        Op::Write => Access::Write(value()?),
        Op::Append => Access::Append(value()?),
        Op::Delete => Access::Delete,
        Op::Cas => {
            let pair = needs("\"value\": [expected, new], null for absent");
            let Some(Some(Value::List(items))) = event.value.clone() else { return Err(pair) };
            let Ok([expected, new]) = <[Value; 2]>::try_from(items) else { return Err(pair) };
            let present = |value| (value != Value::Null).then_some(value);
            Access::Cas { expected: present(expected), new: present(new) }
        }
        Op::Read | Op::Acquire | Op::Release => Access::Read,
    })
}

fn answer(input: &Access<Value>, event: &Event) -> Result<Answer<Value>, LineProblem> {
    Ok(match input {
        Access::Read => {
            let needs = "\"value\" in its ok, null for absent";
            Answer::Value(event.value.clone().ok_or(LineProblem::Incomplete { op: "read", needs })?)
        }
        Access::Cas { .. } => {
            let needs = "\"swapped\": true or false in its ok";
            Answer::Swapped(event.swapped.ok_or(LineProblem::Incomplete { op: "cas", needs })?)
        }
        Access::Delete => event.deleted.map_or(Answer::Done, Answer::Deleted),
        Access::Write(_) | Access::Append(_) => Answer::Done,
    })
}

fn token_call(op: Op, event: &Event) -> Result<TokenCall, LineProblem> {
    if op == Op::Acquire {
        return Ok(TokenCall::Acquire);
    }
    let needs = "\"value\": the token of the grant, a whole number from 0 up";
    let token = token(event).flatten();
    token.map(TokenCall::Release).ok_or(LineProblem::Incomplete { op: "release", needs })
}

fn token_answer(input: &TokenCall, event: &Event) -> Result<TokenAnswer, LineProblem> {
    match input {
        TokenCall::Acquire => {
            let needs = "\"value\" in its ok: the token, a whole number from 0 up, null if refused";
            let granted = token(event).ok_or(LineProblem::Incomplete { op: "acquire", needs })?;
            Ok(granted.map_or(TokenAnswer::Refused, TokenAnswer::Granted))
        }
        TokenCall::Release(_) => Ok(TokenAnswer::Released(event.released.unwrap_or(true))),
    }
}

/// The token of an event: `None` if it has none, `Some(None)` if it is `null`.
fn token(event: &Event) -> Option<Option<u64>> {
    match event.value.as_ref()? {
        None => Some(None),
        Some(Value::Number(number)) => u64::try_from(*number).ok().map(Some),
        Some(_) => None,
    }
}

const MUTEX: Dialect<MutexCall, ()> = Dialect {
    model: "mutex",
    input: |op, event| {
        Ok(match op {
            Op::Acquire => MutexCall::Acquire(event.process),
            _ => MutexCall::Release(event.process),
        })
    },
    output: |_, _| Ok(()),
};
