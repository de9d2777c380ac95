//! What is still to happen, earliest first.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::Seat;

/// Something that happens at a moment of the run. Small, because the heap moves it around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A message reaches its target.
    Deliver { slot: u32 },
    /// A client's request reaches a node.
    Ask { slot: u32 },
    /// A node's answer reaches its client.
    Answer { slot: u32 },
    /// A node's deadline may have come.
    Wake { seat: Seat },
    /// A node's disk is ready for the next stage of its work.
    Disk { seat: Seat, life: u32 },
    /// A node tries to open its stream to a peer.
    Dial { from: Seat, to: Seat, life: u32 },
    /// The stream is up.
    Connected { from: Seat, to: Seat, stream: u32 },
    /// The stream is down.
    Lost { from: Seat, to: Seat, stream: u32, refused: bool },
    /// A stream across a cut: is it still cut?
    Stalled { from: Seat, to: Seat, stream: u32 },
    /// A client begins an operation of the plan.
    Operation { index: u32 },
    /// A moment that the world asked for.
    Timer { token: u64 },
    /// A fault of the plan begins.
    Fault { index: u32 },
    /// A fault of the plan ends.
    End { index: u32 },
    /// A rolling fault of the plan reaches a node.
    Roll { index: u32, seat: Seat },
    /// A clock that stands still makes up for it.
    Strobe { index: u32, seat: Seat },
    /// A crashed node is started again.
    Restart { seat: Seat, life: u32 },
    /// A process that was asked to stop has had its time.
    Stopped { seat: Seat, life: u32, down: u64 },
    /// A paused node goes on.
    Resume { seat: Seat },
    /// Faults end; progress is demanded.
    Calm,
    /// The run is over.
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    time: u64,
    sequence: u64,
    event: Event,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.time, self.sequence).cmp(&(other.time, other.sequence))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A heap keyed by time, then by the order in which events were added. What a plan holds stands
/// apart, in order already: so the heap stays as small as what is under way.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    heap: BinaryHeap<Reverse<Entry>>,
    /// The last comes first.
    planned: Vec<Entry>,
    sequence: u64,
}

impl Agenda {
    /// Adds `event` at `time`, behind all others of that time.
    pub(crate) fn add(&mut self, time: u64, event: Event) {
        self.sequence += 1;
        self.heap.push(Reverse(Entry { time, sequence: self.sequence, event }));
    }

    /// Adds what is known from the start. Call it once, before the first [`Self::next`].
    pub(crate) fn plan(&mut self, events: impl IntoIterator<Item = (u64, Event)>) {
        for (time, event) in events {
            self.sequence += 1;
            self.planned.push(Entry { time, sequence: self.sequence, event });
        }
        self.planned.sort_unstable_by_key(|entry| Reverse((entry.time, entry.sequence)));
    }

    /// Takes the next event and its time.
    pub(crate) fn next(&mut self) -> Option<(u64, Event)> {
        let entry = match (self.planned.last(), self.heap.peek()) {
            (Some(planned), Some(Reverse(added))) if added < planned => self.heap.pop()?.0,
            (Some(_), _) => self.planned.pop()?,
            (None, _) => self.heap.pop()?.0,
        };
        Some((entry.time, entry.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_one_moment_happen_in_the_order_they_were_added() {
        let mut agenda = Agenda::default();
        agenda.plan([(4, Event::Timer { token: 6 }), (3, Event::Timer { token: 5 })]);
        for (time, token) in [(5, 1), (3, 2), (5, 3), (3, 4)] {
            agenda.add(time, Event::Timer { token });
        }
        let order: Vec<_> = std::iter::from_fn(|| agenda.next()).collect();
        let expected = [(3, 5), (3, 2), (3, 4), (4, 6), (5, 1), (5, 3)];
        assert_eq!(order, expected.map(|(time, token)| (time, Event::Timer { token })));
        assert!(size_of::<Event>() <= 16, "the heap moves events by value");
    }
}
