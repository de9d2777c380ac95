//! Two small worlds: nodes that ping each other, and counters that write down how far they got.

use std::time::Duration;

use quorate_core::{Disk, DiskFile, Instant, Lane, Rng};
use quorate_sim::{
    Boot, BootRefused, Context, Copies, Effects, Halt, Input, Program, Report, Seat, SeatSet, Sim,
    Swarm, Violation, World,
};
use serde::{Deserialize, Serialize};

pub(crate) const MILLISECOND: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000_000_000;
/// Set in the numbers that travel as datagrams.
pub(crate) const DATAGRAM: u64 = 1 << 63;

/// Sends a number to everyone every 10 ms or so, and answers what it hears.
pub(crate) struct Pinger {
    me: Seat,
    nodes: u8,
    rng: Rng,
    next: Instant,
    sent: u64,
    /// What was heard since the world looked last, and the moment of its own clock.
    heard: Vec<(Seat, u64, Instant)>,
    connected: SeatSet,
    woken: Vec<(Instant, Instant)>,
}

impl Program for Pinger {
    type Request = u64;
    type Answer = u64;

    fn input(&mut self, now: Instant, input: Input<'_, u64>, out: &mut Effects<u64>) {
        match input {
            Input::Message { from, bytes } => {
                // Cut off on its way?
                let Ok(bytes) = bytes.try_into() else { return };
                let number = u64::from_le_bytes(bytes);
                self.heard.push((from, number, now));
                if number % 2 == 0 {
                    self.send(from, number + 1, out);
                }
            }
            Input::Datagram { from, bytes } => {
                // Cut off on its way?
                let Ok(bytes) = bytes.try_into() else { return };
                let number = u64::from_le_bytes(bytes);
                self.heard.push((from, number, now));
            }
            Input::PeerConnected(peer) => self.connected = self.connected.with(peer),
            Input::PeerLost { peer, .. } => {
                self.connected = self.connected.minus(SeatSet::only(peer));
            }
            Input::Persisted | Input::Stop => {}
            Input::Request { id, request } => out.reply(id, request + 1),
        }
    }

    fn wake(&mut self, now: Instant, out: &mut Effects<u64>) {
        if now < self.next {
            return;
        }
        self.woken.push((self.next, now));
        self.next = now + self.rng.duration(Duration::from_millis(5), Duration::from_millis(15));
        self.sent += 2;
        for seat in self.connected.iter() {
            self.send(seat, self.sent, out);
        }
        // Needs no stream: also across what cut the last one.
        let number = self.sent | DATAGRAM;
        out.datagram(Seat(0), |bytes| bytes.extend_from_slice(&number.to_le_bytes()));
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.next)
    }

    fn leads(&self) -> bool {
        self.me == Seat(0)
    }
}

impl Pinger {
    fn send(&self, to: Seat, number: u64, out: &mut Effects<u64>) {
        assert!(to.0 < self.nodes);
        out.send(to, Lane::Urgent, Copies::Any, |bytes| bytes.extend(number.to_le_bytes()));
    }
}

/// Watches pingers.
#[derive(Default)]
pub(crate) struct Pings {
    /// Moment of the run, target, sender, number.
    pub(crate) heard: Vec<(u64, Seat, Seat, u64)>,
    /// Moment of the run, what the node's clock showed.
    pub(crate) clocks: Vec<(u64, Seat, Instant)>,
    /// Moment of the run at which a node was woken later than it had wished.
    pub(crate) late: Vec<u64>,
    pub(crate) crashed: Vec<(u64, Seat)>,
    pub(crate) answers: Vec<(u64, u64)>,
    pub(crate) core: Option<SeatSet>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AskOne {
    pub(crate) seat: Seat,
}

impl World for Pings {
    type Program = Pinger;
    type Operation = AskOne;
    const OPERATIONS: &'static [&'static str] = &["ask"];

    fn boot(&mut self, boot: Boot, _: &mut Effects<u64>) -> Result<Pinger, BootRefused> {
        Ok(Pinger {
            me: boot.seat,
            nodes: boot.nodes,
            rng: Rng::seeded(boot.seed),
            next: boot.now + Duration::from_millis(10),
            sent: 0,
            heard: Vec::new(),
            connected: SeatSet::NONE,
            woken: Vec::new(),
        })
    }

    fn operation(&mut self, index: u32, op: &AskOne, cx: &mut Context<u64>) {
        cx.ask(op.seat, index.into(), u64::from(index) * 10);
    }

    fn answered(&mut self, id: u64, answer: u64, _: &mut Context<u64>) {
        self.answers.push((id, answer));
    }

    fn stepped(
        &mut self,
        seat: Seat,
        program: &mut Pinger,
        cx: &mut Context<u64>,
    ) -> Result<(), Violation> {
        for (from, number, now) in program.heard.drain(..) {
            self.heard.push((cx.time(), seat, from, number));
            self.clocks.push((cx.time(), seat, now));
        }
        for (wanted, now) in program.woken.drain(..) {
            if now < wanted {
                return Err(Violation::new("Y5", "woken too early"));
            }
            self.clocks.push((cx.time(), seat, now));
            self.late.extend((now > wanted).then_some(cx.time()));
        }
        Ok(())
    }

    fn crashed(&mut self, seat: Seat, cx: &mut Context<u64>) {
        self.crashed.push((cx.time(), seat));
    }

    fn calm(&mut self, core: SeatSet, _: &mut Context<u64>) {
        self.core = Some(core);
    }
}

/// Writes down a number, tells it only when it is durable, and goes on to the next.
pub(crate) struct Counter {
    file: Box<dyn DiskFile>,
    number: u64,
    /// Told to have been reached: `told <= durable`.
    told: u64,
    next: Instant,
}

impl Program for Counter {
    type Request = ();
    type Answer = ();

    fn input(&mut self, _: Instant, input: Input<'_, ()>, _: &mut Effects<()>) {
        if let Input::Persisted = input {
            self.told = self.number;
        }
    }

    fn wake(&mut self, now: Instant, out: &mut Effects<()>) {
        if self.told == self.number {
            self.number += 1;
            out.persist();
        }
        self.next = now + Duration::from_millis(3);
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.next)
    }

    fn write(&mut self) -> Result<(), Halt> {
        let written = self.file.write_at(0, &self.number.to_le_bytes());
        written.map_err(|error| Halt(error.to_string()))
    }

    fn sync(&mut self) -> Result<(), Halt> {
        self.file.sync().map_err(|error| Halt(error.to_string()))
    }
}

/// Watches counters: what was told must be there after any crash.
#[derive(Default)]
pub(crate) struct Counters {
    told: [u64; 8],
    pub(crate) lost: u64,
    pub(crate) boots: u64,
}

impl World for Counters {
    type Program = Counter;
    type Operation = ();

    fn boot(&mut self, boot: Boot, _: &mut Effects<()>) -> Result<Counter, BootRefused> {
        let later = |error: std::io::Error| BootRefused::Later(error.to_string());
        let mut disk: Box<dyn Disk> = boot.disk.attach();
        // Every life leaves a byte, so that none begins on a full disk.
        let mut lives = disk.open("lives").map_err(later)?;
        lives.write_at(boot.life.into(), b"*").map_err(later)?;
        let mut file = disk.open("count").map_err(later)?;
        let mut bytes = [0; 8];
        if file.size().map_err(later)? < 8 {
            file.write_at(0, &bytes).map_err(later)?;
            file.sync().map_err(later)?;
            disk.sync_names().map_err(later)?;
        }
        file.read_at(0, &mut bytes).map_err(later)?;
        let number = u64::from_le_bytes(bytes);
        let told = self.told[usize::from(boot.seat.0)];
        if number < told {
            return Err(BootRefused::Never(format!("told {told}, but the disk says {number}")));
        }
        self.lost += u64::from(boot.life > 0 && number == told);
        self.boots += 1;
        Ok(Counter { file, number, told: number, next: boot.now })
    }

    fn stepped(
        &mut self,
        seat: Seat,
        program: &mut Counter,
        _: &mut Context<()>,
    ) -> Result<(), Violation> {
        self.told[usize::from(seat.0)] = program.told;
        Ok(())
    }
}

/// A swarm of short runs.
pub(crate) fn short() -> Swarm {
    Swarm {
        calm_at: (2 * SECOND, 6 * SECOND),
        gap: (SECOND / 2, 4 * SECOND),
        calm_lasting: SECOND,
        ..Swarm::default()
    }
}

/// The run of a plan with pingers.
pub(crate) fn ping(plan: &quorate_sim::Plan<AskOne>) -> (Report, Pings) {
    Sim::new(Pings::default(), plan).run()
}
