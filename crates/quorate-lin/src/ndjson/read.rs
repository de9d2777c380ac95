use super::event::{Event, Kind, Op};
use super::report::models_with;
use crate::{History, Operation};
use std::collections::BTreeMap;
use std::io::{BufRead, Read};

/// Why a history file cannot be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no such model.
    #[error("no model {name:?}; choose one of {}", super::MODEL_NAMES.join(", "))]
    UnknownModel {
        /// The name that was given.
        name: String,
    },
    /// The file has no event. An empty history is linearizable, but it is more likely the wrong
    /// file or a recorder that did not record.
    #[error("no events in the history; check that the recorder wrote to this file")]
    Empty,
    /// Reading stopped.
    #[error("cannot read line {line}")]
    Io {
        /// The line, counted from 1.
        line: u64,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A line that is no event, or one that does not fit those before it.
    #[error("line {line}: {problem}")]
    Line {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        problem: LineProblem,
    },
}

/// What is wrong with a line of a history file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineProblem {
    /// It is too long.
    #[error("longer than {MAX_LINE} bytes; write one event a line, and hashes for large values")]
    TooLong,
    /// It is not JSON.
    #[error("not JSON ({}, column {}); write one object a line", what(.0), .0.column())]
    Json(serde_json::Error),
    /// It is JSON but no object.
    #[error("not an object; write {{\"process\":.., \"type\":.., \"op\":.., ..}}")]
    NotAnObject,
    /// The process is missing or no number.
    #[error("\"process\" must be a whole number from 0 up; leave lines of fault injectors out")]
    BadProcess,
    /// The type is missing or unknown.
    #[error("\"type\" must be invoke, ok, fail or info")]
    BadType,
    /// The operation is unknown.
    #[error("\"op\" must be read, get, write, put, cas, delete, append, acquire or release")]
    BadOp,
    /// The key is neither text nor number.
    #[error("\"key\" must be a string")]
    BadKey,
    /// A number that may have been rounded, so that different values would look equal.
    #[error("a number is not whole or too large to be exact; write it as a string")]
    InexactNumber,
    /// A field that must be true or false.
    #[error("{name:?} must be true or false")]
    BadFlag {
        /// Name of the field.
        name: &'static str,
    },
    /// An invocation without a needed field.
    #[error("{op} needs {needs}")]
    Incomplete {
        /// The operation.
        op: &'static str,
        /// What it needs.
        needs: &'static str,
    },
    /// An operation the chosen model has not.
    #[error("model {model} has no {op}; choose {}", better.join(" or "))]
    NotInModel {
        /// The model.
        model: &'static str,
        /// The operation.
        op: &'static str,
        /// The models that have it.
        better: Vec<&'static str>,
    },
    /// A process invokes while its last operation is open.
    #[error(
        "process {process} has not completed its operation of line {since}; \
         write its ok, fail or info first, or give concurrent calls processes of their own"
    )]
    StillOpen {
        /// The process.
        process: u64,
        /// The line of its open invocation.
        since: u64,
    },
    /// A completion without an invocation.
    #[error("process {process} completes an operation but none is open; write its invoke first")]
    NotOpen {
        /// The process.
        process: u64,
    },
    /// A completion of something else than was invoked.
    #[error("does not match the invocation in line {since}; op and key must be the same")]
    Mismatch {
        /// The line of the invocation.
        since: u64,
    },
}

/// The error without its position, which counts lines from this one.
fn what(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    text.truncate(text.rfind(" at line ").unwrap_or(text.len()));
    text
}

/// How a model reads its operations out of events.
pub(crate) struct Dialect<I, O> {
    pub(crate) model: &'static str,
    pub(crate) input: fn(Op, &Event) -> Result<I, LineProblem>,
    pub(crate) output: fn(&I, &Event) -> Result<O, LineProblem>,
}

/// A history as read, its times being line numbers.
pub(crate) struct Recording<I, O> {
    pub(crate) history: History<String, I, O>,
    pub(crate) failed: usize,
}

/// Reads a history. The order of lines is the order in time.
pub(crate) fn read<I, O>(
    dialect: &Dialect<I, O>,
    mut reader: impl BufRead,
) -> Result<Recording<I, O>, ReadError> {
    let mut operations: Vec<Option<Operation<String, I, O>>> = Vec::new();
    let mut open: BTreeMap<u64, (usize, Op)> = BTreeMap::new();
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        let limit = MAX_LINE as u64 + 1;
        let read = reader.by_ref().take(limit).read_until(b'\n', &mut text);
        if read.map_err(|source| ReadError::Io { line, source })? == 0 {
            break;
        }
        let fault = |problem| ReadError::Line { line, problem };
        if text.len() > MAX_LINE {
            return Err(fault(LineProblem::TooLong));
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        let event = Event::parse(text.trim_ascii_end()).map_err(fault)?;
        match event.kind {
            Kind::Invoke => invoke(dialect, event, line, &mut operations, &mut open),
            Kind::Ok | Kind::Fail | Kind::Info => {
                complete(dialect, &event, line, &mut operations, &mut open)
            }
        }
        .map_err(fault)?;
    }
    if operations.is_empty() {
        return Err(ReadError::Empty);
    }
    let all = operations.len();
    let kept: Vec<_> = operations.into_iter().flatten().collect();
    let failed = all - kept.len();
    let history = History::from_operations(kept).expect("line numbers only grow");
    Ok(Recording { history, failed })
}

fn invoke<I, O>(
    dialect: &Dialect<I, O>,
    event: Event,
    line: u64,
    operations: &mut Vec<Option<Operation<String, I, O>>>,
    open: &mut BTreeMap<u64, (usize, Op)>,
) -> Result<(), LineProblem> {
    let op = event.op.ok_or(LineProblem::BadOp)?;
    let better = models_with(op);
    if !better.contains(&dialect.model) {
        return Err(LineProblem::NotInModel { model: dialect.model, op: op.name(), better });
    }
    let process = event.process;
    if let Some((index, _)) = open.get(&process) {
        let since = operations[*index].as_ref().map_or(line, |operation| operation.invoked);
        return Err(LineProblem::StillOpen { process, since });
    }
    let input = (dialect.input)(op, &event)?;
    open.insert(process, (operations.len(), op));
    operations.push(Some(Operation {
        process,
        key: event.key.unwrap_or_default(),
        invoked: line,
        completed: None,
        input,
        output: None,
    }));
    Ok(())
}

fn complete<I, O>(
    dialect: &Dialect<I, O>,
    event: &Event,
    line: u64,
    operations: &mut [Option<Operation<String, I, O>>],
    open: &mut BTreeMap<u64, (usize, Op)>,
) -> Result<(), LineProblem> {
    let process = event.process;
    let (index, op) = open.remove(&process).ok_or(LineProblem::NotOpen { process })?;
    let slot = &mut operations[index];
    let operation = slot.as_mut().expect("an open operation has not failed");
    let same_key = event.key.as_ref().is_none_or(|key| *key == operation.key);
    if event.op.is_some_and(|other| other != op) || !same_key {
        return Err(LineProblem::Mismatch { since: operation.invoked });
    }
    match event.kind {
        Kind::Ok => {
            operation.output = Some((dialect.output)(&operation.input, event)?);
            operation.completed = Some(line);
        }
        Kind::Fail => *slot = None,
        Kind::Invoke | Kind::Info => {}
    }
    Ok(())
}

/// Values of a mebibyte, twice, with room for escapes.
const MAX_LINE: usize = 16 << 20;
