//! A run as a page that a person can look at.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{DiskWork, Plan, TraceEvent, TraceKind};

/// A run to look at: see [`Timeline::to_html`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeline<'a> {
    /// The seed of the run.
    pub seed: u64,
    /// How many nodes it has.
    pub nodes: u8,
    /// How many faults its plan has.
    pub faults: usize,
    /// How many operations of clients its plan has.
    pub operations: usize,
    /// The broken promise in plain words; empty if there are none.
    pub meaning: &'a str,
    /// The command that runs it again; empty if there is none.
    pub replay: &'a str,
    /// All records of the run: see [`crate::Sim::with_trace`].
    pub trace: &'a [TraceEvent],
}

impl<'a> Timeline<'a> {
    /// The run of `plan` that left `trace`.
    #[must_use]
    pub const fn new<O>(plan: &Plan<O>, trace: &'a [TraceEvent]) -> Self {
        Self {
            seed: plan.seed,
            nodes: plan.nodes,
            faults: plan.faults.len(),
            operations: plan.operations.len(),
            meaning: "",
            replay: "",
            trace,
        }
    }

    /// One file that needs no other: a lane for each node, what was done to it, who said what to
    /// whom, what clients asked, and what every node knew at each moment.
    ///
    /// Of a long trace it leaves out what counts least, and says so: first heartbeats, gossip and
    /// the work of disks, then the oldest messages.
    ///
    /// # Panics
    ///
    /// Never: records can be written as JSON.
    #[must_use]
    pub fn to_html(&self) -> String {
        let data = serde_json::to_string(&Data::from(*self)).expect("records are plain data");
        // Nothing in the data may end the element that it stands in.
        let data = data.replace('<', "\\u003c");
        let mut page = PAGE.to_owned();
        // One script of three parts, which share their names.
        let script = [RECORDS, DRAW, MOVE].concat();
        let title = format!("seed {}: what happened", self.seed);
        // The data last: it may hold the marks of the others.
        for (mark, text) in
            [("{{title}}", title.as_str()), ("{{style}}", STYLE), ("{{script}}", script.as_str())]
        {
            page = page.replacen(mark, text, 1);
        }
        page.replacen("{{data}}", &data, 1)
    }
}

/// What the page reads.
#[derive(Serialize, Deserialize)]
struct Data<T> {
    seed: String,
    nodes: u8,
    faults: usize,
    operations: usize,
    meaning: String,
    replay: String,
    /// What the page does not show, in words; empty if it shows all.
    left_out: String,
    trace: T,
}

impl<'a> From<Timeline<'a>> for Data<Vec<&'a TraceEvent>> {
    fn from(timeline: Timeline<'a>) -> Self {
        let (trace, left_out) = shortened(timeline.trace, RECORDS_MAX);
        Self {
            // As text: numbers of this size are not exact everywhere.
            seed: timeline.seed.to_string(),
            nodes: timeline.nodes,
            faults: timeline.faults,
            operations: timeline.operations,
            meaning: timeline.meaning.to_owned(),
            replay: timeline.replay.to_owned(),
            left_out,
            trace,
        }
    }
}

/// At most `most` records if that is possible without what became of nodes and clients, and what
/// was left out, in words.
fn shortened(trace: &[TraceEvent], most: usize) -> (Vec<&TraceEvent>, String) {
    let mut kept: Vec<&TraceEvent> = trace.iter().collect();
    if kept.len() <= most {
        return (kept, String::new());
    }
    let routine: BTreeSet<u64> = trace.iter().filter_map(routine_number).collect();
    kept.retain(|event| match &event.what {
        TraceKind::Disk { did, .. } => matches!(did, DiskWork::Failed),
        what => message_number(what).is_none_or(|number| !routine.contains(&number)),
    });
    let mut left_out = "heartbeats, gossip and the work of disks".to_owned();
    let surplus = kept.len().saturating_sub(most);
    if surplus > 0 {
        let number = |event: &&TraceEvent| message_number(&event.what);
        // So many records of messages are the oldest ones: one arrives after it left.
        let last = kept.iter().filter_map(number).take(surplus).max();
        let last_at = kept.iter().rfind(|event| number(event) == last).map_or(0, |event| event.at);
        kept.retain(|event| number(event).is_none_or(|number| Some(number) > last));
        left_out += &format!(", and messages of the first {:.1} s", last_at as f64 / 1e9);
    }
    let count = trace.len() - kept.len();
    (kept, format!("{count} of {} records: {left_out}", trace.len()))
}

/// The message that a record is about.
const fn message_number(what: &TraceKind) -> Option<u64> {
    match what {
        TraceKind::Sent { number, .. }
        | TraceKind::Arrived { number, .. }
        | TraceKind::Missed { number, .. } => Some(*number),
        _ => None,
    }
}

const fn routine_number(event: &TraceEvent) -> Option<u64> {
    match &event.what {
        TraceKind::Sent { number, routine: true, .. } => Some(*number),
        _ => None,
    }
}

/// More records make a page of more than 10 MB, at which browsers stumble.
const RECORDS_MAX: usize = 40_000;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const RECORDS: &str = include_str!("records.js");
const DRAW: &str = include_str!("draw.js");
const MOVE: &str = include_str!("move.js");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MessageFate, Seat};

    fn sent(number: u64, routine: bool) -> TraceEvent {
        let (from, to, text) = (Seat(0), Seat(1), String::new());
        let (way, label, fate) = (text.clone(), text.clone(), MessageFate::Lost);
        let what = TraceKind::Sent { number, from, to, way, label, text, routine, fate };
        TraceEvent { at: number * 1_000_000_000, what }
    }

    #[test]
    fn a_long_trace_loses_what_counts_least_and_says_so() {
        let seat = Seat(1);
        let note = |at| TraceEvent { at, what: TraceKind::Note { text: String::new() } };
        let synced = TraceEvent { at: 0, what: TraceKind::Disk { seat, did: DiskWork::Synced } };
        let mut trace = vec![note(0), synced];
        trace.extend((1..=10).map(|number| sent(number, number % 2 == 0)));
        assert_eq!(shortened(&trace, 12), (trace.iter().collect(), String::new()));
        let numbers = |kept: &[&TraceEvent]| -> Vec<u64> {
            kept.iter().filter_map(|event| message_number(&event.what)).collect()
        };
        let (kept, left_out) = shortened(&trace, 11);
        assert_eq!((kept.len(), numbers(&kept)), (6, vec![1, 3, 5, 7, 9]));
        assert_eq!(left_out, "6 of 12 records: heartbeats, gossip and the work of disks");
        let (kept, left_out) = shortened(&trace, 4);
        assert_eq!((kept.len(), numbers(&kept)), (4, vec![5, 7, 9]));
        assert!(left_out.ends_with(", and messages of the first 3.0 s"), "{left_out}");
        // What is no message stays, however little room there is.
        assert_eq!(shortened(&trace, 0).0, [&trace[0]]);
    }

    #[test]
    fn no_text_of_a_run_escapes_from_the_data() {
        let text = "</script><script>alert(1)</script> {{script}}".to_owned();
        let trace = [TraceEvent { at: 5, what: TraceKind::Note { text: text.clone() } }];
        let plan: Plan<()> = crate::Swarm::default().plan(1);
        let page = Timeline::new(&plan, &trace).to_html();
        assert!(!page.contains("<script>alert"));
        let (_, rest) = page.split_once("type=\"application/json\">").unwrap();
        let (data, _) = rest.split_once("</script>").unwrap();
        let data: Data<Vec<TraceEvent>> = serde_json::from_str(data).unwrap();
        assert_eq!(data.trace[0].what, TraceKind::Note { text });
        for outside in ["http:", "https:", "//cdn", "@import", "src="] {
            assert!(
                !page.contains(outside),
                "the page must need nothing from elsewhere: {outside}"
            );
        }
    }
}
