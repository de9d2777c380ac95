//! A run as a page that a person can look at.

use serde::{Deserialize, Serialize};

use crate::{Plan, TraceEvent};

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
    trace: T,
}

impl<'a> From<Timeline<'a>> for Data<&'a [TraceEvent]> {
    fn from(timeline: Timeline<'a>) -> Self {
        Self {
            // As text: numbers of this size are not exact everywhere.
            seed: timeline.seed.to_string(),
            nodes: timeline.nodes,
            faults: timeline.faults,
            operations: timeline.operations,
            meaning: timeline.meaning.to_owned(),
            replay: timeline.replay.to_owned(),
            trace: timeline.trace,
        }
    }
}

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const RECORDS: &str = include_str!("records.js");
const DRAW: &str = include_str!("draw.js");
const MOVE: &str = include_str!("move.js");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TraceKind;

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
