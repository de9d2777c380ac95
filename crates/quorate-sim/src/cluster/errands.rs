//! What clients ask once and in passing: reads of one node, reads of all keys, and the care of
//! sessions.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate::{
    Answer, Command, ConsistencyLevel, Found, Op, Query, ReadLevel, Request, SessionId, WriteState,
};
use quorate_core::NodeId;
use quorate_lin::{Answer as LinAnswer, Pending};

use super::clients::KvHistory;
use super::operation::Act;
use super::program::KvRequest;
use super::settings::Settings;
use crate::{Context, Seat, Violation};

/// Errands under way, by the id of their request.
#[derive(Debug, Default)]
pub(super) struct Errands(BTreeMap<u64, Errand>);

#[derive(Debug)]
struct Errand {
    act: Act,
    /// The reads that a list amounts to: one of each key, all at one moment.
    reads: Vec<(u8, Pending)>,
    /// The highest revision applied anywhere when it was asked.
    least: u64,
}

const MILLISECOND: u64 = 1_000_000;

impl Errands {
    /// Sends one to `seat` under `id`.
    pub(super) fn send(
        &mut self,
        id: u64,
        seat: Seat,
        request: Request,
        what: (Act, Vec<(u8, Pending)>),
        (least, wait_ms): (u64, u32),
        cx: &mut Context<KvRequest>,
    ) {
        let (act, reads) = what;
        cx.began(act.kind());
        let wait = Duration::from_millis(wait_ms.into());
        cx.ask(seat, id, KvRequest { request, wait });
        cx.after((u64::from(wait_ms) + 5) * MILLISECOND, id);
        self.0.insert(id, Errand { act, reads, least });
    }

    /// What came of the errand `id`; `None` if it is none. `newest` is the highest revision that
    /// any node has applied.
    pub(super) fn answered(
        &mut self,
        id: u64,
        answer: Option<&Answer>,
        newest: u64,
        history: &mut KvHistory,
        cx: &mut Context<KvRequest>,
    ) -> Option<Result<(), Violation>> {
        let Errand { act, reads, least } = self.0.remove(&id)?;
        cx.ended(act.kind());
        if let Some(Answer::HandedOver { .. }) = answer {
            cx.mark("the lead was handed over");
        }
        if let Some(Answer::Status(status)) = answer {
            cx.mark(match status.state {
                WriteState::Pending => "a write was found pending",
                WriteState::Committed => "a write was found committed",
                WriteState::Overwritten => "a write was found overwritten",
                WriteState::Unknown => "a write was too old to be found",
            });
        }
        let Some(Answer::Found { found, revision, .. }) = answer else {
            reads.into_iter().for_each(|(_, pending)| history.fail(pending));
            return Some(Ok(()));
        };
        if act == Act::Peek {
            cx.mark("a node showed what it has applied");
        }
        if revision.0 > newest {
            let message = format!("a node shows {revision:?}, and nobody has applied it");
            return Some(Err(Violation::new("K3", message)));
        }
        // A list is asked of the leader, as a read is.
        if act == Act::List && revision.0 < least {
            let message =
                format!("a list at {revision:?} began when {least} was applied somewhere");
            return Some(Err(Violation::new("K1", message)));
        }
        match found {
            Found::Page { items, more } => {
                if !items.is_sorted_by(|(a, _), (b, _)| a < b) {
                    let message = format!("a list is out of order: {items:?}");
                    return Some(Err(Violation::new("K1", message)));
                }
                let last = items.last().map(|(last, _)| last);
                for (key, pending) in reads {
                    let name = Settings::key(key);
                    // Behind the end of a page that was cut nothing is known.
                    if *more && last.is_none_or(|last| name > *last) {
                        history.fail(pending);
                        continue;
                    }
                    let item = items.iter().find(|(known, _)| *known == name);
                    let value = item.map(|(_, item)| Settings::number(&item.value));
                    history.ok(pending, LinAnswer::Value(value));
                }
            }
            Found::Item(_) => {}
        }
        Some(Ok(()))
    }
}

/// The request of an errand; `None` for one that needs a session where there is none.
pub(super) fn request(
    act: Act,
    key: u8,
    session: Option<SessionId>,
    ids: &[NodeId],
) -> Option<Request> {
    let level = ConsistencyLevel::Quorum;
    let write = |op| Some(Request::Write { command: Command { tag: None, op }, level });
    match act {
        Act::Peek => {
            let query = Query::Get { key: Settings::key(key) };
            Some(Request::Read { query, level: ReadLevel::Local })
        }
        Act::List => {
            // Some lists are cut: those for the key 0 are not.
            let limit = if key == 0 { 1_000 } else { key.into() };
            let query = Query::Range { prefix: Settings::prefix(), after: None, limit };
            Some(Request::Read { query, level: ReadLevel::Linearizable })
        }
        Act::KeepAlive => session.and_then(|session| write(Op::KeepAlive { session })),
        Act::HandOver => {
            let to = ids.get(usize::from(key)).filter(|_| key > 0).cloned();
            Some(Request::HandOver { to })
        }
        Act::Close => session.and_then(|session| write(Op::CloseSession { session })),
        Act::Get | Act::Set | Act::Delete | Act::Cas | Act::Follow => None,
    }
}
