//! What is demanded in the calm phase: a write, and then everything read back.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use quorate::{Answer, Command, ConsistencyLevel, Found, Op, Query, ReadLevel, Request};
use quorate_core::LogId;
use quorate_lin::{Access, Answer as LinAnswer, Pending};

use super::clients::{Acknowledged, KvHistory, command_digest, ended};
use super::observe;
use super::program::KvRequest;
use super::settings::Settings;
use crate::{Context, Seat, SeatSet, TraceKind};

/// The key that only the finale writes.
pub(super) const FINAL_KEY: u8 = 200;
/// Ids of the finale's requests begin here, far above those of clients.
pub(super) const FIRST_ID: u64 = 1 << 48;
const WAIT_MS: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;

/// One last client, who only speaks to the core.
#[derive(Debug)]
pub(super) struct Finale {
    settings: Rc<Settings>,
    core: Vec<Seat>,
    /// What is still to do, the front first.
    tasks: VecDeque<Task>,
    pending: Option<Pending>,
    /// Its place in the history.
    operation: u64,
    id: u64,
    /// The entry of the final write: the core must get there.
    pub(super) written: Option<LogId>,
    /// That write, to be checked by the world.
    pub(super) acknowledged: Option<Acknowledged>,
    /// The digest of the write that was asked for last.
    command: u64,
}

#[derive(Debug, Clone, Copy)]
enum Task {
    Write,
    Read(u8),
}

impl Finale {
    /// Demands a write, then a read of each of `keys`.
    pub(super) fn new(
        settings: Rc<Settings>,
        core: SeatSet,
        keys: impl IntoIterator<Item = u8>,
    ) -> Self {
        let reads = keys.into_iter().map(Task::Read);
        let tasks = [Task::Write].into_iter().chain(reads).chain([Task::Read(FINAL_KEY)]);
        Self {
            settings,
            core: core.iter().collect(),
            tasks: tasks.collect(),
            pending: None,
            operation: 0,
            id: FIRST_ID,
            written: None,
            acknowledged: None,
            command: 0,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Those who are no members can do nothing, and need not have anything.
    pub(super) fn narrow(&mut self, members: SeatSet) {
        self.core.retain(|seat| members.contains(*seat));
    }

    /// Who must have the final write.
    pub(super) fn core(&self) -> &[Seat] {
        &self.core
    }

    /// Sends the request of the next task.
    pub(super) fn go_on(&mut self, history: &mut KvHistory, cx: &mut Context<KvRequest>) {
        let Some(task) = self.tasks.front().copied() else { return };
        self.id += 1;
        let (key, access, request) = match task {
            Task::Write => {
                // Every try puts another value, so that each may count by itself.
                let op =
                    Op::Set { key: Settings::key(FINAL_KEY), value: self.settings.value(self.id) };
                let command = Command { tag: None, op };
                let request = Request::Write { command, level: ConsistencyLevel::Quorum };
                (FINAL_KEY, Access::Write(self.id), request)
            }
            Task::Read(key) => {
                let query = Query::Get { key: Settings::key(key) };
                let level = ReadLevel::Linearizable;
                (key, Access::Read, Request::Read { query, level })
            }
        };
        self.command = command_digest(&request);
        self.operation = history.operations().len() as u64;
        cx.note(|| TraceKind::Began {
            operation: self.operation,
            client: "check".to_owned(),
            label: observe::call(key, &access),
        });
        self.pending = Some(history.invoke(0, key, access));
        let seat = cx.rng().pick(&self.core).copied().unwrap_or(Seat(0));
        cx.ask(seat, self.id, KvRequest { request, wait: Duration::from_millis(WAIT_MS) });
        cx.after((WAIT_MS + 5) * MILLISECOND, self.id);
    }

    /// A node answered, or (`None`) nobody did in time.
    pub(super) fn heard(
        &mut self,
        id: u64,
        answer: Option<Answer>,
        history: &mut KvHistory,
        cx: &mut Context<KvRequest>,
    ) {
        if id != self.id {
            return;
        }
        let Some(pending) = self.pending.take() else { return };
        match answer {
            Some(Answer::Written { at, acked, .. }) => {
                cx.note(|| ended(self.operation, Some(&LinAnswer::Done), true));
                history.ok(pending, LinAnswer::Done);
                self.written = Some(at);
                let command = self.command;
                self.acknowledged = Some(Acknowledged { at, command, holders: acked });
                self.tasks.pop_front();
            }
            Some(Answer::Found { found: Found::Item(item), .. }) => {
                let value = item.map(|item| Settings::number(&item.value));
                cx.note(|| ended(self.operation, Some(&LinAnswer::Value(value)), true));
                history.ok(pending, LinAnswer::Value(value));
                self.tasks.pop_front();
            }
            Some(Answer::Failed(_)) => {
                cx.note(|| ended(self.operation, None, false));
                history.fail(pending);
                // Soon, but not at once: a node that refuses must not be asked for ever.
                self.id += 1;
                return cx.after(50 * MILLISECOND, self.id);
            }
            _ => {
                cx.note(|| ended(self.operation, None, true));
                history.info(pending);
            }
        }
        self.go_on(history, cx);
    }

    /// A moment that this asked for has come.
    pub(super) fn timer(&mut self, id: u64, history: &mut KvHistory, cx: &mut Context<KvRequest>) {
        if id == self.id && self.pending.is_none() {
            self.go_on(history, cx);
        } else {
            self.heard(id, None, history, cx);
        }
    }
}
