//! The exchange in quorate's own simulator: programs that send datagrams.

use std::sync::Arc;

use quorate_core::Instant;
use quorate_sim::{
    Boot, BootRefused, Effects, Fault, Input, Latency, Plan, PlannedFault, Program, Seat, SeatSet,
    Sim, World,
};

use super::{Counters, LATENCY, LOSS, NODES, Node, Setting, Tally};

/// Runs the exchange.
pub(crate) fn run(setting: &Setting) -> Tally {
    let counters = Arc::new(Counters::default());
    let plan = plan(setting);
    let nodes = Nodes { setting: *setting, counters: Arc::clone(&counters) };
    let (report, _) = Sim::new(nodes, &plan).run();
    assert_eq!(report.violation, None);
    counters.tally()
}

fn plan(setting: &Setting) -> Plan<()> {
    let lasting = setting.lasting().as_nanos() as u64;
    let all = SeatSet::first(NODES);
    let loss = Fault::Loss { from: all, to: all, chance: FAULT_LOSS, lasting };
    let latency = Latency::Exponential { low: 0, mean: LATENCY.as_nanos() as u64 };
    Plan {
        seed: setting.seed,
        dice: 0,
        rare: false,
        nodes: NODES,
        calm_at: lasting,
        calm_lasting: 1,
        latency,
        disk: latency,
        faults: vec![PlannedFault { at: 0, fault: loss }],
        operations: Vec::new(),
    }
}

struct Nodes {
    setting: Setting,
    counters: Arc<Counters>,
}

impl World for Nodes {
    type Program = Pinger;
    type Operation = ();

    fn boot(&mut self, boot: Boot, _: &mut Effects<()>) -> Result<Pinger, BootRefused> {
        Ok(Pinger {
            me: boot.seat,
            node: Node::new(Arc::clone(&self.counters)),
            setting: self.setting,
            left: self.setting.times,
            next: boot.now + self.setting.every,
        })
    }
}

struct Pinger {
    me: Seat,
    node: Node,
    setting: Setting,
    /// How often it still pings.
    left: u32,
    next: Instant,
}

impl Program for Pinger {
    type Request = ();
    type Answer = ();

    fn input(&mut self, _: Instant, input: Input<'_, ()>, out: &mut Effects<()>) {
        if let Input::Datagram { from, bytes } = input
            && let Some(pong) = self.node.hear(bytes)
        {
            out.datagram(from, |buffer| pong.encode(buffer));
        }
    }

    fn wake(&mut self, now: Instant, out: &mut Effects<()>) {
        if self.left == 0 || now < self.next {
            return;
        }
        self.left -= 1;
        self.next += self.setting.every;
        self.node.wake();
        for peer in (0..NODES).map(Seat).filter(|peer| *peer != self.me) {
            out.datagram(peer, |buffer| self.node.ping(buffer));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        (self.left > 0).then_some(self.next)
    }
}

/// In millionths: two in a thousand datagrams are lost in fair weather, and of the others so many
/// that it is [`LOSS`] together.
const FAULT_LOSS: u32 = ((LOSS - 0.002) / (1.0 - 0.002) * 1e6) as u32;
