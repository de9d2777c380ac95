//! What happened in a run, as records: for a trace in words, a file, a timeline.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{DiskLoss, FaultKind, Seat, SeatSet};

/// Something that happened. As JSON it is one flat object, `{"at":..,"event":"crashed",..}`, and a
/// `trace.ndjson` has one on each line, in order of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEvent {
    /// When, in nanoseconds of the run.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub what: TraceKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant's sentence names its fields")]
pub enum TraceKind {
    /// The process on `seat` begins its `life`, counted from 1.
    Started { seat: Seat, life: u32 },
    /// Its disk does not let the process on `seat` start yet.
    CannotStart { seat: Seat, reason: String },
    /// The process on `seat` found its disk damaged, and stays away for good.
    Damaged { seat: Seat, reason: String },
    /// The process on `seat` ended, and is started again `down` nanoseconds later (`None` for
    /// never); `disk` says what became of writes that were not synced.
    Crashed { seat: Seat, life: u32, disk: DiskLoss, down: Option<u64> },
    /// The process on `seat` ends itself; its crash follows.
    Halted { seat: Seat, reason: String },
    /// The process on `seat` stands still, until this moment (`None` for ever).
    Paused { seat: Seat, until: Option<u64> },
    /// The process on `seat` goes on.
    Resumed { seat: Seat },
    /// A message leaves. `number` names it; `label` is short, `text` is longer.
    Sent {
        number: u64,
        from: Seat,
        to: Seat,
        way: String,
        label: String,
        text: String,
        routine: bool,
        fate: MessageFate,
    },
    /// The message `number`, which left at `sent`, reaches its target.
    Arrived { number: u64, from: Seat, to: Seat, sent: u64, label: String },
    /// The message `number`, which left at `sent`, finds nobody, or a cut, or another life.
    Missed { number: u64, from: Seat, to: Seat, sent: u64 },
    /// The stream of `from` to `to` is up.
    Connected { from: Seat, to: Seat },
    /// The stream of `from` to `to` is down; a live host refused or reset it, or fell silent.
    Disconnected { from: Seat, to: Seat, refused: bool },
    /// The fault in place `index` of the plan begins; `seats` are those it strikes, `until` is
    /// when it ends by itself, if it lasts.
    FaultBegan {
        index: u32,
        kind: FaultKind,
        name: String,
        seats: SeatSet,
        until: Option<u64>,
        text: String,
    },
    /// That fault is over.
    FaultEnded { index: u32, kind: FaultKind },
    /// The disk of `seat` did a piece of its work.
    Disk { seat: Seat, did: DiskWork },
    /// A client's request reaches `seat`.
    Asked { seat: Seat, request: u64 },
    /// Nobody listens on `seat`.
    Refused { seat: Seat, request: u64 },
    /// The answer of `seat` reaches its client.
    Answered { seat: Seat, request: u64 },
    /// The client `client` begins something; `operation` names it.
    Began { operation: u64, client: String, label: String },
    /// What became of `operation`.
    Ended { operation: u64, outcome: Ending, label: String },
    /// Seen afterwards: `operation` may have taken effect at this moment, as the one in place
    /// `order` on its `object`. Stands in order of its moment, like all others.
    TookEffect { operation: u64, order: u64, object: String },
    /// Seen afterwards: no order of the operations on `object` allows the answer to `operation`.
    NoOrder { operation: u64, object: String },
    /// What the world sees of the node on `seat` changed.
    Observed {
        seat: Seat,
        #[serde(flatten)]
        now: Observation,
    },
    /// Faults end inside `core`, of which progress is demanded.
    Calm { core: SeatSet },
    /// The calm phase leaves `seat` out of its core, with a fault for good.
    LeftOut { seat: Seat, text: String },
    /// A promise is found broken, after a step of `seat` if one of its steps shows it.
    Violated { invariant: String, message: String, seat: Option<Seat> },
    /// Anything else, in words.
    Note { text: String },
}

/// What the network made of a message when it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageFate {
    /// On its way: its arrival at `at` follows, and perhaps a second one.
    Travels {
        /// When it will be there, as long as nothing holds it up.
        at: u64,
    },
    /// Kept until a partition ends.
    Held,
    /// Lost, by a fault, a cut, or because there was no stream.
    Lost,
}

/// A piece of a disk's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskWork {
    /// Records were handed to the file system.
    Written,
    /// They were made durable.
    Synced,
    /// The node heard of it.
    Told,
    /// It failed.
    Failed,
}

/// What became of a client's operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It was answered.
    Ok,
    /// It had no effect.
    Failed,
    /// It may have had an effect, then or later.
    Unknown,
}

/// What a world sees of a node: kept when it changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Observation {
    /// A word for what it is, as `leader`: a timeline colours by it.
    pub role: String,
    /// Whether it believes to lead.
    pub leads: bool,
    /// Its term, or epoch, if it has such a thing.
    pub term: Option<u64>,
    /// Whatever else helps to understand it: names and values.
    pub state: Vec<(String, String)>,
}

/// A message in words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Label {
    /// In a word or two, for an arrow.
    pub short: String,
    /// In full, for those who search.
    pub text: String,
    /// Whether it is one of many that say nothing new, as a heartbeat.
    pub is_routine: bool,
}

impl Label {
    /// A label that is not routine.
    #[must_use]
    pub fn new(short: impl Into<String>, text: impl Into<String>) -> Self {
        Self { short: short.into(), text: text.into(), is_routine: false }
    }
}

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// On a stream.
    Stream,
    /// As a datagram.
    Datagram,
}

/// A trace as text: one JSON object on each line.
///
/// # Panics
///
/// Never: records can be written as JSON.
#[must_use]
pub fn to_ndjson(trace: &[TraceEvent]) -> String {
    let mut text = String::new();
    for event in trace {
        text.push_str(&serde_json::to_string(event).expect("records are plain data"));
        text.push('\n');
    }
    text
}

impl fmt::Display for TraceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.at / 1_000_000_000, self.at % 1_000_000_000 / 1_000);
        write!(f, "{seconds:>4}.{micros:06} {}", self.what)
    }
}

impl fmt::Display for TraceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { seat, life } => write!(f, "{seat} starts, life {life}"),
            Self::Damaged { seat, reason } => write!(f, "{seat} refuses its disk: {reason}"),
            Self::CannotStart { seat, reason } => write!(f, "{seat} cannot start yet: {reason}"),
            Self::Crashed { seat, disk, .. } => write!(f, "{seat} crashes, disk loses {disk:?}"),
            Self::Halted { seat, reason } => write!(f, "{seat} ends itself: {reason}"),
            Self::Paused { seat, .. } => write!(f, "{seat} stands still"),
            Self::Resumed { seat } => write!(f, "{seat} goes on"),
            Self::Sent { from, to, way, text, fate, .. } => {
                let end = match fate {
                    MessageFate::Travels { .. } => "",
                    MessageFate::Held => " (held)",
                    MessageFate::Lost => " (lost)",
                };
                write!(f, "{from} -> {to} {way} {text}{end}")
            }
            Self::Arrived { from, to, label, .. } => write!(f, "{to} <- {from} {label}"),
            Self::Missed { number, from, to, .. } => {
                write!(f, "{to} misses message {number} of {from}")
            }
            Self::Connected { from, to } => write!(f, "{from} reaches {to}"),
            Self::Disconnected { from, to, refused } => {
                write!(f, "{from} loses {to}, refused: {refused}")
            }
            Self::FaultBegan { index, kind, text, .. } => {
                write!(f, "fault {index} ({}) begins: {text}", kind.id())
            }
            Self::FaultEnded { index, kind } => write!(f, "fault {index} ({}) ends", kind.id()),
            Self::Disk { seat, did } => write!(f, "{seat} disk {did:?}"),
            Self::Asked { seat, request } => write!(f, "{seat} is asked r{request}"),
            Self::Refused { seat, request } => write!(f, "{seat} refuses r{request}"),
            Self::Answered { seat, request } => write!(f, "{seat} answers r{request}"),
            Self::Began { operation, client, label } => {
                write!(f, "{client} begins o{operation}: {label}")
            }
            Self::Ended { operation, outcome, label } => {
                write!(f, "o{operation} ends {outcome:?}: {label}")
            }
            Self::TookEffect { operation, order, object } => {
                write!(f, "o{operation} takes effect as number {order} on {object}")
            }
            Self::NoOrder { operation, object } => {
                write!(f, "no order of what was done to {object} allows the answer to o{operation}")
            }
            Self::Observed { seat, now } => write!(f, "{seat} is now {now}"),
            Self::Calm { core } => {
                write!(f, "calm begins; the core is")?;
                core.iter().try_for_each(|seat| write!(f, " {seat}"))
            }
            Self::Violated { invariant, message, .. } => write!(f, "BROKEN {invariant}: {message}"),
            Self::LeftOut { text, .. } | Self::Note { text } => f.write_str(text),
        }
    }
}

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.role)?;
        if let Some(term) = self.term {
            write!(f, " term {term}")?;
        }
        self.state.iter().try_for_each(|(name, value)| write!(f, ", {name} {value}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_flat_object_and_can_be_read_back() {
        let now = Observation { role: "leader".to_owned(), leads: true, ..Observation::default() };
        let what = TraceKind::Observed { seat: Seat(1), now };
        let event = TraceEvent { at: 1_500_000, what };
        let line = serde_json::to_string(&event).unwrap();
        let expected = r#"{"at":1500000,"event":"observed","seat":"n1","role":"leader","leads":true,"term":null,"state":[]}"#;
        assert_eq!(line, expected);
        assert_eq!(serde_json::from_str::<TraceEvent>(&line).unwrap(), event);
        assert_eq!(event.to_string(), "   0.001500 n1 is now leader");
    }
}
