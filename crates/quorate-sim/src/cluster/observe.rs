//! Nodes and messages in words, for traces and timelines.

use quorate::{Op, PeerMessage, Query, Request};
use quorate_core::{ClusterId, DiskId, LogView as _};
use quorate_election::{BootstrapMessage, Message as Vote, Role};
use quorate_lin::{Access, Answer};
use quorate_membership::{Body, Packet};
use quorate_replication::Message as Log;
use quorate_wire::{Limit, Versions, decode_datagram, decode_frame};

use super::finale::FIRST_ID;
use super::program::NodeProgram;
use crate::{Label, Observation};

/// What there is to see of a node.
pub(super) fn observe(program: &NodeProgram) -> Observation {
    let (machine, voter) = (&program.machine, program.machine.voter());
    let role = match voter.role() {
        Role::Leader => "leader",
        Role::Candidate => "candidate",
        Role::PreCandidate => "asks for votes",
        Role::Follower if machine.log().configuration().kind(program.id()).is_none() => "outside",
        Role::Follower => "follower",
    };
    let log = machine.log();
    let follows = voter.leader().map_or_else(|| "nobody".to_owned(), ToString::to_string);
    let vote =
        voter.ballot().vote.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
    // Enough of it to tell two apart: its end, since agreed ones begin with zeros.
    let cluster = machine.status().cluster;
    let cluster =
        cluster.map_or_else(|| "none".to_owned(), |id| format!("..{:04x}", id.0 & 0xffff));
    let named = [
        ("follows", follows),
        ("voted for", vote),
        ("last entry", log.tip().to_string()),
        ("committed up to", log.commit().to_string()),
        ("revision", machine.store().revision().0.to_string()),
        ("cluster", cluster),
    ];
    Observation {
        role: role.to_owned(),
        leads: voter.role() == Role::Leader,
        term: Some(voter.term().0),
        state: named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    }
}

/// A message in words.
pub(super) fn describe(bytes: &[u8]) -> Label {
    let unreadable = |error: &dyn std::fmt::Display| Label::new("unreadable", error.to_string());
    if let Ok(content) = decode_datagram(bytes) {
        return Limit::Datagram.decode::<Packet>(content).map_or_else(
            |error| unreadable(&error),
            |packet| Label {
                is_routine: true,
                ..Label::new(gossip(&packet.body), format!("{packet:?}"))
            },
        );
    }
    let frame = match decode_frame(bytes, ClusterId::NONE, Versions::SUPPORTED) {
        Ok(frame) => frame,
        Err(error) => return unreadable(&error),
    };
    frame.read::<(DiskId, PeerMessage)>().map_or_else(
        |error| unreadable(&error),
        |(_, message)| Label {
            is_routine: is_routine(&message),
            ..Label::new(short(&message), format!("{message:?}"))
        },
    )
}

const fn is_routine(message: &PeerMessage) -> bool {
    match message {
        PeerMessage::Election(vote) => {
            matches!(vote, Vote::Heartbeat { .. } | Vote::HeartbeatReply { .. })
        }
        PeerMessage::Replication(log) => match log {
            Log::Append { entries, .. } => entries.is_empty(),
            Log::Probe { .. } | Log::ProbeReply { .. } => true,
            _ => false,
        },
        _ => false,
    }
}

fn short(message: &PeerMessage) -> String {
    match message {
        PeerMessage::Election(vote) => match vote {
            Vote::PreVote { term, .. } => format!("would you vote after {term:?}?"),
            Vote::PreVoteReply { granted: true, .. } => "I would".to_owned(),
            Vote::PreVoteReply { granted: false, .. } => "I would not".to_owned(),
            Vote::Vote { term, .. } => format!("vote for me in {term:?}"),
            Vote::VoteReply { term, granted, .. } => format!("vote {term:?}{}", refused(*granted)),
            Vote::Heartbeat { term } => format!("heartbeat {term:?}"),
            Vote::HeartbeatReply { term } => format!("heard {term:?}"),
            Vote::StandNow { term, .. } => format!("stand now, after {term:?}"),
            Vote::VoteAtOnce { term, .. } => format!("vote for me in {term:?}, at once"),
        },
        PeerMessage::Replication(log) => replication(log),
        PeerMessage::Forward { request, .. } => format!("passes on a {}", asks(request)),
        PeerMessage::Answer { .. } => "answers it".to_owned(),
        PeerMessage::Bootstrap(birth) => match birth {
            BootstrapMessage::Prepare { .. } => "birth: prepare",
            BootstrapMessage::Promise { .. } => "birth: promise",
            BootstrapMessage::Accept { .. } => "birth: accept",
            BootstrapMessage::Accepted { .. } => "birth: accepted",
            BootstrapMessage::Refused { .. } => "birth: refused",
            _ => "birth",
        }
        .to_owned(),
    }
}

const fn refused(granted: bool) -> &'static str {
    if granted { " granted" } else { " refused" }
}

fn replication(log: &Log) -> String {
    match log {
        Log::Append { term, prev, entries, commit, .. } => {
            match (entries.first(), entries.last()) {
                (Some(first), Some(last)) if first.id == last.id => {
                    format!("entry {} after {prev}, commit {commit}", first.id)
                }
                (Some(first), Some(last)) => format!("entries {} to {}", first.id, last.id),
                _ => format!("no entries after {prev}, commit {commit}, {term:?}"),
            }
        }
        Log::Appended { matched, .. } => format!("holds up to {matched}"),
        Log::Diverged { prev, .. } => format!("differs at {prev}"),
        Log::Probe { seq, .. } => format!("do I lead? {seq}"),
        Log::ProbeReply { seq, .. } => format!("you lead {seq}"),
        Log::SnapshotChunk { head, offset, .. } => format!("snapshot {} from {offset}", head.last),
        Log::SnapshotReply { received, .. } => format!("snapshot: {received} bytes"),
        Log::Stale { term } => format!("stale: {term:?} began"),
    }
}

const fn asks(request: &Request) -> &'static str {
    match request {
        Request::Read { query: Query::Get { .. }, .. } => "get",
        Request::Read { .. } => "read",
        Request::Change(_) => "change the members",
        Request::HandOver { .. } => "hand-over",
        Request::Replicas => "question how far the replicas are",
        Request::AwaitLevel { .. } => "wait for copies",
        Request::WriteStatus { .. } => "question what became of a write",
        Request::Write { command, .. } => match command.op {
            Op::Set { .. } => "set",
            Op::Delete { .. } => "delete",
            Op::CompareAndSwap { .. } => "cas",
            Op::OpenSession { .. } => "open session",
            _ => "write",
        },
    }
}

const fn gossip(body: &Body) -> &'static str {
    match body {
        Body::Announce { .. } => "announce",
        Body::Welcome { .. } => "welcome",
        Body::Ping { .. } => "ping",
        Body::Ack { .. } | Body::AckAt { .. } => "ack",
        Body::PingReq { .. } => "ping for me",
        Body::Nack { .. } => "no answer yet",
        Body::Gossip { .. } => "gossip",
        Body::Observe { .. } => "do you reach it",
        Body::Refused { .. } => "refused",
        Body::Digest { .. } => "digest",
        Body::Pull { .. } => "pull",
        Body::Foreign { .. } => "foreign",
        Body::Page { .. } => "page",
    }
}

/// What a client asks of `key`.
pub(super) fn call(key: u8, access: &Access<u64>) -> String {
    let value = |value: &Option<u64>| value.map_or_else(|| "nothing".to_owned(), name);
    match access {
        Access::Read => format!("get k{key}"),
        Access::Write(new) => format!("set k{key} = {}", name(*new)),
        Access::Delete => format!("delete k{key}"),
        Access::Cas { expected, new } => {
            format!("cas k{key} from {} to {}", value(expected), value(new))
        }
        Access::Append(value) => format!("append {} to k{key}", name(*value)),
    }
}

/// A value: those of the calm phase have numbers of their own.
fn name(value: u64) -> String {
    match value.checked_sub(FIRST_ID) {
        Some(number) => format!("final {number}"),
        None => value.to_string(),
    }
}

/// What a client was told.
pub(super) fn told(answer: &Answer<u64>) -> String {
    match answer {
        Answer::Value(Some(value)) => format!("found {}", name(*value)),
        Answer::Value(None) => "found nothing".to_owned(),
        Answer::Done => "done".to_owned(),
        Answer::Swapped(true) => "swapped".to_owned(),
        Answer::Swapped(false) => "not swapped".to_owned(),
        Answer::Deleted(true) => "deleted".to_owned(),
        Answer::Deleted(false) => "was not there".to_owned(),
    }
}
