//! Keeps what happened, if that is wanted.

use std::collections::VecDeque;

use crate::{Observation, Seat, TraceEvent, TraceKind, World};

/// The records of a run, all or the last few.
#[derive(Debug)]
pub(crate) struct Recorder {
    events: VecDeque<TraceEvent>,
    max: usize,
    /// What was seen of each node last.
    seen: Vec<Observation>,
}

impl Recorder {
    pub(crate) fn new(nodes: u8, max: usize) -> Self {
        let seen = vec![Observation::default(); nodes.into()];
        Self { events: VecDeque::new(), max: max.max(1), seen }
    }

    pub(crate) fn add(&mut self, at: u64, what: TraceKind) {
        if self.events.len() >= self.max {
            self.events.pop_front();
        }
        self.events.push_back(TraceEvent { at, what });
    }

    /// Adds what is seen of a node, if it is not what was seen before.
    pub(crate) fn observe(&mut self, at: u64, seat: Seat, now: Observation) {
        let seen = &mut self.seen[seat.index()];
        if *seen != now {
            seen.clone_from(&now);
            self.add(at, TraceKind::Observed { seat, now });
        }
    }

    /// A new life begins: nothing is known of it.
    pub(crate) fn forget(&mut self, seat: Seat) {
        self.seen[seat.index()] = Observation::default();
    }

    /// The records in order of time, with what `world` knows only now.
    pub(crate) fn into_events<W: World>(self, world: &W) -> Vec<TraceEvent> {
        let mut events: Vec<TraceEvent> = self.events.into();
        events.extend(world.hindsight(&events));
        events.sort_by_key(|event| event.at);
        events
    }
}

/// The longest text of a message in a record, in bytes.
const TEXT_MAX: usize = 400;

/// `text`, cut where it is too long to help.
pub(crate) fn shorten(mut text: String) -> String {
    if text.len() > TEXT_MAX {
        let end = (0..=TEXT_MAX).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text.push_str(" ..");
    }
    text
}
