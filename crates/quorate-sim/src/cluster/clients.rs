//! Clients: what they ask, how patient they are, and what they make of the answers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use quorate::{
    Answer, Command, ConsistencyLevel, Doubt, Expected, Failure, Found, Op, Query, ReadLevel,
    Reply, Request, SessionId, Tag,
};
use quorate_core::{LogId, NodeId};
use quorate_dist_state::Rejection;
use quorate_lin::{Access, Answer as LinAnswer, History, Pending};

use super::errands::{self, Errands};
use super::observe;
use super::operation::{Act, KvOperation};
use super::program::KvRequest;
use super::settings::Settings;
use crate::trace::digest;
use crate::{Context, Ending, FaultKind, Plan, Seat, SeatSet, TraceKind, Violation};

/// The history that the linearizability checker gets.
pub(super) type KvHistory = History<u8, Access<u64>, LinAnswer<u64>>;

/// All clients of a run.
#[derive(Debug)]
pub(super) struct Clients {
    settings: Rc<Settings>,
    pub(super) history: KvHistory,
    clients: Vec<Client>,
    /// Tries that may still be answered, by the id of the request.
    tries: BTreeMap<u64, Try>,
    next_id: u64,
    /// Processes of the history given out so far.
    processes: u64,
    /// The first answer to each tagged write: later ones must equal it.
    answers: BTreeMap<(SessionId, u64), Reply>,
    /// Acknowledged writes, to be checked by the world.
    pub(super) acknowledged: Vec<Acknowledged>,
    is_draining: bool,
    errands: Errands,
    /// The keys that operations of the run name.
    keys: BTreeSet<u8>,
    /// The highest revision that any node has applied: what is read from now on is not older.
    pub(super) revision: u64,
}

/// A write that was acknowledged.
#[derive(Debug)]
pub(super) struct Acknowledged {
    /// Where it stands.
    pub(super) at: LogId,
    /// A digest of it.
    pub(super) command: u64,
    /// Who is said to hold it.
    pub(super) holders: Vec<NodeId>,
}

#[derive(Debug)]
struct Client {
    process: u64,
    session: Option<Session>,
    waiting: VecDeque<(u32, KvOperation)>,
    now: Option<Current>,
    /// What it last saw under each key.
    saw: BTreeMap<u8, Option<u64>>,
    favourite: Seat,
    /// A moment it waits for before it goes on; late ones are told apart by this number.
    pause: u64,
}

#[derive(Debug, Clone, Copy)]
struct Session {
    id: SessionId,
    seq: u64,
}

/// What a client is about.
#[derive(Debug)]
struct Current {
    op: KvOperation,
    request: Request,
    tag: Option<Tag>,
    /// Its entry in the history; `None` while it only opens a session for what comes next.
    pending: Option<Pending>,
    /// Its place in the history.
    operation: u64,
    /// The value it puts.
    value: u64,
    /// The try that counts.
    id: u64,
    tries: u32,
    /// Whether an earlier try may have had an effect.
    in_doubt: bool,
}

#[derive(Debug, Clone, Copy)]
struct Try {
    client: u8,
    tag: Option<Tag>,
    /// The highest revision applied anywhere when it was asked.
    revision: u64,
    /// A digest of the command; zero for a read.
    command: u64,
    /// Whether it wants every copy.
    strong: bool,
}

/// What became of a try.
enum Outcome {
    Done(LinAnswer<u64>),
    Opened(SessionId),
    NoEffect,
    SessionLost,
    Doubt,
}

/// Timers of clients bear the id of a try, and this bit if they end a pause.
const PAUSE: u64 = 1 << 63;
const MILLISECOND: u64 = 1_000_000;
/// How often a client tries to open a session before it goes on without.
const OPEN_TRIES_MAX: u32 = 5;
/// The place of the opening of a session among the kinds of operations.
const OPEN_KIND: usize = super::operation::KINDS.len();

impl Clients {
    pub(super) fn new(settings: Rc<Settings>, plan: &Plan<KvOperation>) -> Self {
        Self {
            settings,
            history: History::new(),
            clients: Vec::new(),
            tries: BTreeMap::new(),
            next_id: 1,
            processes: 0,
            answers: BTreeMap::new(),
            acknowledged: Vec::new(),
            is_draining: false,
            errands: Errands::default(),
            keys: plan.operations.iter().map(|planned| planned.operation.key).collect(),
            revision: 0,
        }
    }

    /// No client begins anything new.
    pub(super) const fn drain(&mut self) {
        self.is_draining = true;
    }

    const fn new_process(&mut self) -> u64 {
        self.processes += 1;
        self.processes
    }

    /// A client begins an operation, or keeps it for when it is free.
    pub(super) fn begin(&mut self, index: u32, op: &KvOperation, cx: &mut Context<KvRequest>) {
        while self.clients.len() <= usize::from(op.client) {
            let process = self.new_process();
            let favourite = self.some_seat(cx);
            self.clients.push(Client {
                process,
                session: None,
                waiting: VecDeque::new(),
                now: None,
                saw: BTreeMap::new(),
                favourite,
                pause: 0,
            });
        }
        if op.act.is_errand() {
            return self.send_on_errand(op, cx);
        }
        if op.burst {
            cx.struck(FaultKind::Burst);
        }
        let client = &mut self.clients[usize::from(op.client)];
        client.waiting.push_back((index, op.clone()));
        self.go_on(op.client, cx);
    }

    /// Something beside what the client is about.
    fn send_on_errand(&mut self, op: &KvOperation, cx: &mut Context<KvRequest>) {
        let session = self.clients[usize::from(op.client)].session.map(|session| session.id);
        let ids = &self.settings.ids;
        let Some(request) = errands::request(op.act, op.key, session, ids) else { return };
        if op.act == Act::HandOver {
            cx.struck(FaultKind::HandOver);
        }
        let mut reads = Vec::new();
        if op.act == Act::List {
            let process = self.new_process();
            for key in &self.keys {
                reads.push((*key, self.history.invoke(process, *key, Access::Read)));
            }
        }
        let id = self.next_id;
        self.next_id += 1;
        let seat = self.some_seat(cx);
        let terms = (self.revision, op.wait_ms);
        self.errands.send(id, seat, request, (op.act, reads), terms, cx);
    }

    /// Begins the client's next operation, if it is free.
    fn go_on(&mut self, number: u8, cx: &mut Context<KvRequest>) {
        let client = &mut self.clients[usize::from(number)];
        if client.now.is_some() || client.pause != 0 || self.is_draining {
            return;
        }
        let Some((index, op)) = client.waiting.pop_front() else { return };
        let changes = op.act != Act::Get;
        if op.tagged && changes && client.session.is_none() {
            client.waiting.push_front((index, op.clone()));
            return self.open_session(number, op, cx);
        }
        // Values are named after the operation that puts them; zero names none.
        let value = u64::from(index) + 1;
        let (request, tag) = self.request(number, &op, value);
        let client = &mut self.clients[usize::from(number)];
        let access = match op.act {
            Act::Get => Access::Read,
            Act::Set => Access::Write(value),
            Act::Delete => Access::Delete,
            Act::Cas => {
                let expected = client.saw.get(&op.key).copied().flatten();
                Access::Cas { expected, new: Some(value) }
            }
            Act::Peek | Act::List | Act::KeepAlive | Act::Close | Act::HandOver | Act::Follow => {
                return;
            }
        };
        let operation = self.history.operations().len() as u64;
        cx.note(|| TraceKind::Began {
            operation,
            client: format!("c{number}"),
            label: observe::call(op.key, &access),
        });
        let pending = Some(self.history.invoke(client.process, op.key, access));
        cx.began(op.act.kind());
        let current = Current {
            op,
            request,
            tag,
            pending,
            operation,
            value,
            id: 0,
            tries: 0,
            in_doubt: false,
        };
        client.now = Some(current);
        self.try_now(number, cx);
    }

    fn open_session(&mut self, number: u8, op: KvOperation, cx: &mut Context<KvRequest>) {
        let open = Op::OpenSession { ttl_ms: self.settings.session_ttl_ms };
        let command = Command { tag: None, op: open };
        let request = Request::Write { command, level: ConsistencyLevel::Quorum };
        cx.began(OPEN_KIND);
        self.clients[usize::from(number)].now = Some(Current {
            op: KvOperation { dies: false, stall_ms: 0, ..op },
            request,
            tag: None,
            pending: None,
            operation: 0,
            value: 0,
            id: 0,
            tries: 0,
            in_doubt: false,
        });
        self.try_now(number, cx);
    }

    fn request(&mut self, number: u8, op: &KvOperation, value: u64) -> (Request, Option<Tag>) {
        let client = &mut self.clients[usize::from(number)];
        let key = Settings::key(op.key);
        let op_of = match op.act {
            // Errands are sent elsewhere.
            Act::Get
            | Act::Peek
            | Act::List
            | Act::KeepAlive
            | Act::Close
            | Act::HandOver
            | Act::Follow => {
                // Half of the clients trust the leader's lease, where it has one.
                let level =
                    if op.client % 2 == 1 { ReadLevel::Lease } else { ReadLevel::Linearizable };
                return (Request::Read { query: Query::Get { key }, level }, None);
            }
            Act::Set => Op::Set { key, value: self.settings.value(value) },
            Act::Delete => Op::Delete { key },
            Act::Cas => {
                let saw = client.saw.get(&op.key).copied().flatten();
                let expected =
                    saw.map_or(Expected::Absent, |saw| Expected::Value(self.settings.value(saw)));
                let new = Some(self.settings.value(value));
                Op::CompareAndSwap { key, expected, new }
            }
        };
        let tag = match &mut client.session {
            Some(session) if op.tagged => {
                session.seq += 1;
                // One at a time: what came before was answered or given up.
                Some(Tag { session: session.id, seq: session.seq, acked: session.seq - 1 })
            }
            _ => None,
        };
        let level = if op.strong { ConsistencyLevel::Strong } else { ConsistencyLevel::Quorum };
        (Request::Write { command: Command { tag, op: op_of }, level }, tag)
    }

    /// Sends the current request, to the favourite node first and to others afterwards.
    fn try_now(&mut self, number: u8, cx: &mut Context<KvRequest>) {
        let seat = self.some_seat(cx);
        let client = &mut self.clients[usize::from(number)];
        let Some(current) = &mut client.now else { return };
        if current.tries > 0 {
            // Half of the clients wait for their node to come back.
            if cx.rng().chance(500_000) {
                client.favourite = seat;
            }
            cx.mark("a client tried again");
        }
        current.tries += 1;
        current.id = self.next_id;
        self.next_id += 1;
        let wait = Duration::from_millis(current.op.wait_ms.into());
        let request = KvRequest { request: current.request.clone(), wait };
        let command = command_digest(&current.request);
        let strong =
            matches!(current.request, Request::Write { level: ConsistencyLevel::Strong, .. });
        let (tag, revision) = (current.tag, self.revision);
        let tried = Try { client: number, tag, revision, command, strong };
        self.tries.insert(current.id, tried);
        cx.ask(client.favourite, current.id, request);
        // A little longer than the node: its word is worth more than silence.
        cx.after((u64::from(current.op.wait_ms) + 5) * MILLISECOND, current.id);
        if current.op.dies && current.tries == 1 {
            cx.struck(FaultKind::Clients);
            self.die(number, cx);
        }
    }

    fn some_seat(&self, cx: &mut Context<KvRequest>) -> Seat {
        let all = SeatSet::first(self.settings.ids.len() as u8);
        // Clients notice dead nodes mostly, but not always.
        let among = if cx.rng().chance(800_000) { cx.alive() } else { all };
        let seats: Vec<Seat> = among.iter().collect();
        cx.rng().pick(&seats).copied().unwrap_or(Seat(0))
    }

    /// The client is gone, and another sits down in its place.
    fn die(&mut self, number: u8, cx: &mut Context<KvRequest>) {
        let process = self.new_process();
        let client = &mut self.clients[usize::from(number)];
        client.process = process;
        client.session = None;
        client.saw.clear();
        self.end(number, None, true, cx);
    }

    /// The current operation is over; what is known of it goes into the history.
    fn end(
        &mut self,
        number: u8,
        answer: Option<LinAnswer<u64>>,
        may_have_happened: bool,
        cx: &mut Context<KvRequest>,
    ) {
        let client = &mut self.clients[usize::from(number)];
        let Some(current) = client.now.take() else { return };
        cx.ended(current.pending.as_ref().map_or(OPEN_KIND, |_| current.op.act.kind()));
        if let Some(pending) = current.pending {
            cx.note(|| ended(current.operation, answer.as_ref(), may_have_happened));
            match answer {
                Some(answer) => {
                    learn(&mut client.saw, &current.op, current.value, &answer);
                    self.history.ok(pending, answer);
                }
                None if may_have_happened => {
                    client.saw.remove(&current.op.key);
                    self.history.info(pending);
                }
                None => self.history.fail(pending),
            }
        }
        self.go_on(number, cx);
    }

    /// A moment has come: a try has lasted too long, or a pause is over.
    pub(super) fn timer(&mut self, token: u64, cx: &mut Context<KvRequest>) {
        if token & PAUSE == 0 {
            self.errands.answered(token, None, self.revision, &mut self.history, cx);
            if let Some(tried) = self.tries.get(&token).copied() {
                self.judge(tried, token, Outcome::Doubt, cx);
            }
            return;
        }
        let number = (token & 0xff) as u8;
        let client = &mut self.clients[usize::from(number)];
        if client.pause == token {
            client.pause = 0;
            if client.now.is_some() {
                self.try_now(number, cx);
            } else {
                self.go_on(number, cx);
            }
        }
    }

    /// Nobody listened there.
    pub(super) fn refused(&mut self, id: u64, cx: &mut Context<KvRequest>) {
        self.errands.answered(id, None, self.revision, &mut self.history, cx);
        if let Some(tried) = self.tries.remove(&id) {
            self.judge(tried, id, Outcome::NoEffect, cx);
        }
    }

    /// A node answered.
    pub(super) fn answered(
        &mut self,
        id: u64,
        answer: Answer,
        newest: u64,
        cx: &mut Context<KvRequest>,
    ) -> Result<(), Violation> {
        let errand = self.errands.answered(id, Some(&answer), newest, &mut self.history, cx);
        if let Some(result) = errand {
            return result;
        }
        let Some(tried) = self.tries.remove(&id) else { return Ok(()) };
        if let Answer::Written { at, reached, .. } = &answer
            && tried.strong
        {
            cx.mark("a write is on every disk that counts");
            if *reached != ConsistencyLevel::Strong {
                let message = format!("a strong write at {at} was confirmed as {reached}");
                return Err(Violation::new("X8", message));
            }
        }
        self.follow(&answer, cx);
        if let Answer::Written { reply, at, acked, .. } = &answer {
            let (at, command, holders) = (*at, tried.command, acked.clone());
            self.acknowledged.push(Acknowledged { at, command, holders });
            self.compare(tried.tag, reply)?;
        }
        if let Answer::Found { revision, .. } = &answer
            && revision.0 < tried.revision
        {
            let message = format!(
                "a read saw revision {}, and began after revision {} was applied somewhere",
                revision.0, tried.revision
            );
            return Err(Violation::new("K1", message));
        }
        let outcome = outcome(answer, cx);
        self.judge(tried, id, outcome, cx);
        Ok(())
    }

    /// A client that does not know what became of its write asks, or waits for it.
    fn follow(&mut self, answer: &Answer, cx: &mut Context<KvRequest>) {
        let (Answer::Unknown(Doubt::Indeterminate { log_id, .. })
        | Answer::Unknown(Doubt::Deposed { at: Some(log_id) })) = answer
        else {
            return;
        };
        let log_id = *log_id;
        cx.mark(match answer {
            Answer::Unknown(Doubt::Deposed { .. }) => "a leader was deposed while it wrote",
            _ => "a write did not get far enough in time",
        });
        if self.is_draining {
            return;
        }
        let request = match cx.rng().below(3) {
            0 => Request::WriteStatus { log_id },
            1 => Request::AwaitLevel { log_id, level: ConsistencyLevel::Quorum },
            _ => Request::AwaitLevel { log_id, level: ConsistencyLevel::Strong },
        };
        let wait_ms = [100, 1_000, 3_000][cx.rng().index(3)];
        let id = self.next_id;
        self.next_id += 1;
        let seat = self.some_seat(cx);
        let what = (Act::Follow, Vec::new());
        self.errands.send(id, seat, request, what, (self.revision, wait_ms), cx);
    }

    /// A tagged write acts once, so every answer to it is the first one.
    fn compare(&mut self, tag: Option<Tag>, reply: &Reply) -> Result<(), Violation> {
        let Some(tag) = tag else { return Ok(()) };
        let first = self.answers.entry((tag.session, tag.seq)).or_insert_with(|| reply.clone());
        if first == reply {
            return Ok(());
        }
        let message = format!("{tag:?} was answered {first:?} and then {reply:?}");
        Err(Violation::new("X1", message))
    }

    /// What the client makes of the outcome of a try, if it still waits for it.
    fn judge(&mut self, tried: Try, id: u64, outcome: Outcome, cx: &mut Context<KvRequest>) {
        let number = tried.client;
        let client = &mut self.clients[usize::from(number)];
        let Some(current) = &mut client.now else { return };
        // An answer to an earlier try of the same tagged write is as good.
        let same = tried.tag.is_some() && tried.tag == current.tag;
        if current.id != id && !(same && matches!(outcome, Outcome::Done(_))) {
            return;
        }
        match outcome {
            Outcome::Done(answer) => self.end(number, Some(answer), true, cx),
            Outcome::Opened(id) => {
                client.session = Some(Session { id, seq: 0 });
                self.end(number, None, false, cx);
            }
            Outcome::SessionLost => {
                client.session = None;
                // The first try of its number: no earlier one can have run.
                let may_have_happened = current.in_doubt || current.tries > 1;
                cx.mark("a session was lost");
                self.end(number, None, may_have_happened, cx);
            }
            Outcome::NoEffect => self.again_or_end(number, cx),
            Outcome::Doubt => {
                let changes = current.op.act != Act::Get && current.pending.is_some();
                if changes {
                    current.in_doubt = true;
                    if current.tag.is_none() {
                        return self.end(number, None, true, cx);
                    }
                }
                self.again_or_end(number, cx);
            }
        }
    }

    /// Tries again after a while, or gives up.
    fn again_or_end(&mut self, number: u8, cx: &mut Context<KvRequest>) {
        let client = &mut self.clients[usize::from(number)];
        let Some(current) = &mut client.now else { return };
        let opens = current.pending.is_none();
        let tries_max = if opens { OPEN_TRIES_MAX } else { current.op.retries.into() };
        if self.is_draining || current.tries > tries_max {
            let in_doubt = current.in_doubt;
            if opens && let Some((_, next)) = client.waiting.front_mut() {
                next.tagged = false;
            }
            return self.end(number, None, in_doubt, cx);
        }
        if current.op.stall_ms > 0 {
            cx.struck(FaultKind::Clients);
        }
        let least = 1 + u64::from(current.op.stall_ms);
        let wait = least * MILLISECOND + cx.rng().below(50 * MILLISECOND);
        let token = PAUSE | current.id << 8 | u64::from(number);
        client.pause = token;
        cx.after(wait, token);
    }
}

/// The digest of the command in a request, as the log holds it; zero for a read.
pub(super) fn command_digest(request: &Request) -> u64 {
    match request {
        Request::Write { command, .. } => {
            digest(&quorate_wire::encode(command).unwrap_or_default())
        }
        Request::Read { .. }
        | Request::Change(_)
        | Request::HandOver { .. }
        | Request::AwaitLevel { .. }
        | Request::Replicas
        | Request::WriteStatus { .. } => 0,
    }
}

/// A record of how an operation ended.
pub(super) fn ended(
    operation: u64,
    answer: Option<&LinAnswer<u64>>,
    may_have_happened: bool,
) -> TraceKind {
    let (outcome, label) = match answer {
        Some(answer) => (Ending::Ok, observe::told(answer)),
        None if may_have_happened => (Ending::Unknown, "nobody knows".to_owned()),
        None => (Ending::Failed, "had no effect".to_owned()),
    };
    TraceKind::Ended { operation, outcome, label }
}

/// What an answer means.
fn outcome(answer: Answer, cx: &mut Context<KvRequest>) -> Outcome {
    match answer {
        Answer::Written { reply, .. } => match reply {
            Reply::Set { .. } => Outcome::Done(LinAnswer::Done),
            Reply::Deleted { deleted, .. } => Outcome::Done(LinAnswer::Deleted(deleted)),
            Reply::Swapped { swapped, .. } => Outcome::Done(LinAnswer::Swapped(swapped)),
            Reply::Session { session, .. } => Outcome::Opened(session),
            _ => Outcome::NoEffect,
        },
        Answer::Found { found: Found::Item(item), .. } => {
            Outcome::Done(LinAnswer::Value(item.map(|item| Settings::number(&item.value))))
        }
        Answer::Failed(Failure::Rejected(rejection)) => {
            let full = matches!(rejection, Rejection::TooManySessions { .. });
            cx.mark(if full { "too many sessions" } else { "a write was rejected" });
            Outcome::NoEffect
        }
        Answer::Failed(Failure::Overloaded) => {
            cx.mark("a request was one too many");
            Outcome::NoEffect
        }
        Answer::Failed(Failure::Unavailable { .. }) => {
            cx.mark("a voter was out of reach for a strong write");
            Outcome::NoEffect
        }
        Answer::Failed(_)
        | Answer::Replicas { .. }
        | Answer::Status(_)
        | Answer::Found { .. }
        | Answer::Changed { .. }
        | Answer::HandedOver { .. } => Outcome::NoEffect,
        Answer::Unknown(Doubt::Session(_)) => Outcome::SessionLost,
        Answer::Unknown(_) => Outcome::Doubt,
    }
}

/// What the client knows of the key after the answer.
fn learn(
    saw: &mut BTreeMap<u8, Option<u64>>,
    op: &KvOperation,
    value: u64,
    answer: &LinAnswer<u64>,
) {
    let seen = match (op.act, answer) {
        (Act::Get, LinAnswer::Value(seen)) => *seen,
        (Act::Set, _) | (Act::Cas, LinAnswer::Swapped(true)) => Some(value),
        (Act::Delete, _) => None,
        _ => {
            saw.remove(&op.key);
            return;
        }
    };
    saw.insert(op.key, seen);
}
