//! What a trace says of messages, faults and nodes.

use quorate_core::Lane;

use super::{Message, Sim};
use crate::recorder::shorten;
use crate::words::words;
use crate::{Carrier, Fault, MessageFate, Seat, SeatSet, Shape, TraceKind, World};

impl<W: World> Sim<'_, W> {
    /// A message leaves; its number.
    pub(super) fn record_sent(
        &mut self,
        from: Seat,
        to: Seat,
        way: &str,
        carrier: Carrier,
        bytes: &[u8],
        fate: MessageFate,
    ) -> u64 {
        self.sent += 1;
        let number = self.sent;
        self.record(|world| {
            let label = world.describe(bytes, carrier);
            TraceKind::Sent {
                number,
                from,
                to,
                way: way.to_owned(),
                label: label.short,
                text: shorten(label.text),
                routine: label.is_routine,
                fate,
            }
        });
        number
    }

    /// A message reaches its target, or nobody.
    pub(super) fn record_arrival(&mut self, message: &Message, reached: bool) {
        let Message { from, to, sent, number, .. } = *message;
        self.record(|world| {
            if reached {
                let carrier = if message.is_datagram { Carrier::Datagram } else { Carrier::Stream };
                let label = world.describe(&message.bytes, carrier).short;
                TraceKind::Arrived { number, from, to, sent, label }
            } else {
                TraceKind::Missed { number, from, to, sent }
            }
        });
    }

    /// A fault begins, on `seat` if it strikes one node.
    pub(super) fn record_fault(&mut self, index: u32, fault: &Fault, seat: Option<Seat>) {
        let (all, time) = (self.seats(), self.time);
        self.record(|_| TraceKind::FaultBegan {
            index,
            kind: fault.kind(),
            name: fault.kind().name().to_owned(),
            seats: struck(fault, seat, all).within(all),
            until: fault.lasting().map(|lasting| time.saturating_add(lasting)),
            text: words(fault, seat, all),
        });
    }

    /// Looks at the node on `seat`, if a trace is kept.
    pub(super) fn observe(&mut self, seat: Seat) {
        if let Some(recorder) = &mut self.recorder
            && let Some(program) = &self.nodes[seat.index()].program
            && let Some(now) = self.world.observe(seat, program)
        {
            recorder.observe(self.time, seat, now);
        }
    }
}

/// Whom a fault strikes.
const fn struck(fault: &Fault, seat: Option<Seat>, all: SeatSet) -> SeatSet {
    match (fault, seat) {
        (Fault::Partition { shape: Shape::Bridge { left, .. }, .. }, Some(bridge)) => {
            left.minus(SeatSet::only(bridge))
        }
        (_, Some(seat)) => SeatSet::only(seat),
        (Fault::Loss { from, to, .. } | Fault::Delay { from, to, .. }, None) => from.union(*to),
        (Fault::Partition { shape: Shape::Halves { left }, .. }, None) => *left,
        (Fault::Partition { shape: Shape::Clients { cut }, .. }, None) => *cut,
        (_, None) => all,
    }
}

/// The lane of a stream in a word.
pub(super) const fn lane_name(lane: Lane) -> &'static str {
    match lane {
        Lane::Urgent => "urgent",
        Lane::Ack => "ack",
        Lane::Live => "live",
        Lane::CatchUp => "catch up",
        Lane::Snapshot => "snapshot",
    }
}
