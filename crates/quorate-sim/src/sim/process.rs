//! Processes: how they start, take steps, end, stand still and go on.

use quorate_core::{Instant, Lane};
use quorate_storage::CrashMode;

use super::node::{Cut, DiskStage, Starved};
use super::tracing::lane_name;
use super::{Message, Sim};
use crate::agenda::Event;
use crate::effects::{Copies, Effect, Effects};
use crate::network::Fate;
use crate::trace::digest;
use crate::world::Answer;
use crate::{
    Boot, BootRefused, Carrier, CutPoint, DiskLoss, Fault, FaultKind, Harm, Input, MessageFate,
    Program, Seat, SeatSet, Target, TraceKind, Violation, World,
};

/// How long a supervisor waits before it starts a process again that ended itself.
const SUPERVISOR_DELAY: u64 = 1_000_000_000;

impl<W: World> Sim<'_, W> {
    pub(super) fn boot(&mut self, seat: Seat, life: u32) {
        let node = &mut self.nodes[seat.index()];
        if node.program.is_some() || node.life != life || node.is_gone {
            return;
        }
        node.life += 1;
        let boot = Boot {
            seat,
            nodes: self.plan.nodes,
            disk: node.disk.clone(),
            life,
            seed: self.rngs.boot.next_u64(),
            now: node.clock.show(self.time),
        };
        if std::mem::take(&mut node.fails_reading) {
            node.disk.inject(quorate_storage::Fault::ReadFails);
        }
        if self.keeps_images {
            node.image = Some(node.disk.image());
        }
        if life > 0 {
            self.context.tally.struck(FaultKind::Restart);
        }
        let life = node.life;
        let booted = self.world.boot(boot, &mut self.effects);
        self.count_disk_faults(seat);
        match booted {
            Ok(program) => {
                self.record(|_| TraceKind::Started { seat, life });
                if let Some(recorder) = &mut self.recorder {
                    recorder.forget(seat);
                }
                self.nodes[seat.index()].program = Some(program);
                self.context.alive = self.context.alive.with(seat);
                self.dial_all(seat);
                self.reset_stale(seat);
                self.settle(seat);
            }
            Err(BootRefused::Later(reason)) => {
                self.record(|_| TraceKind::CannotStart { seat, reason });
                self.effects.items.clear();
                self.agenda.add(self.time + SUPERVISOR_DELAY, Event::Restart { seat, life });
            }
            Err(BootRefused::Damaged(reason)) => {
                self.record(|_| TraceKind::Damaged { seat, reason });
                self.effects.items.clear();
                self.context.mark("a damaged disk was refused");
                self.nodes[seat.index()].is_gone = true;
            }
            Err(BootRefused::Never(reason)) => {
                self.violation = Some(Violation::new("boot", format!("{seat}: {reason}")));
            }
        }
    }

    /// Lets the program on `seat` take a step, and carries out what it wants. Time passes first,
    /// as with every driver.
    pub(super) fn step(
        &mut self,
        seat: Seat,
        act: impl FnOnce(&mut W::Program, Instant, &mut Effects<Answer<W>>),
    ) {
        self.step_at_once(seat, act);
        let node = &mut self.nodes[seat.index()];
        if node.cost > 0 && node.program.is_some() && !node.is_paused() {
            node.paused_until = self.time + node.cost;
            self.agenda.add(node.paused_until, Event::Resume { seat });
        }
    }

    /// As [`Self::step`], without what a slow process takes for it.
    fn step_at_once(
        &mut self,
        seat: Seat,
        act: impl FnOnce(&mut W::Program, Instant, &mut Effects<Answer<W>>),
    ) {
        let node = &mut self.nodes[seat.index()];
        let Some(program) = &mut node.program else { return };
        let now = node.clock.show(self.time);
        if node.due.is_some_and(|due| due <= now) {
            program.wake(now, &mut self.effects);
        }
        act(program, now, &mut self.effects);
        self.settle(seat);
    }

    /// After a step: lets the world check, carries out its effects, asks for the next wake.
    pub(super) fn settle(&mut self, seat: Seat) {
        // First, so that a step that a crash cuts short is seen as well.
        self.check(seat);
        self.observe(seat);
        let mut items = std::mem::take(&mut self.effects.items);
        for effect in items.drain(..) {
            if self.nodes[seat.index()].program.is_some() && !self.is_cut(seat) {
                self.carry_out(seat, effect);
            } else if let Effect::Send { bytes, .. } | Effect::Datagram { bytes, .. } = effect {
                self.effects.give_back(bytes);
            }
        }
        self.effects.items = items;
        let node = &mut self.nodes[seat.index()];
        let Some(program) = &node.program else { return };
        node.due = program.deadline();
        let Some(deadline) = node.due else { return };
        if node.wake_at != u64::MAX && node.wake_for == deadline {
            return;
        }
        if let Some(moment) = node.clock.when(deadline) {
            // A deadline that has passed is due now; one that moved away is asked for again then.
            let moment = moment.max(self.time);
            if moment < node.wake_at {
                node.wake_at = moment;
                node.wake_for = deadline;
                self.agenda.add(moment, Event::Wake { seat });
            }
        }
    }

    /// Lets the world check the program on `seat`.
    pub(super) fn check(&mut self, seat: Seat) {
        if let Some(program) = &mut self.nodes[seat.index()].program
            && let Err(violation) = self.world.stepped(seat, program, &mut self.context)
        {
            if self.violation.is_none() {
                self.culprit = Some(seat);
            }
            self.violation.get_or_insert(violation);
        }
    }

    fn carry_out(&mut self, seat: Seat, effect: Effect<Answer<W>>) {
        match effect {
            Effect::Persist => self.want_disk(seat),
            Effect::Send { to, lane, copies, bytes } => {
                self.send(seat, to, lane, copies, bytes);
            }
            Effect::Datagram { to, bytes } => {
                self.send_datagram(seat, to, bytes);
            }
            Effect::Reply { id, answer } => self.reply(seat, id, answer),
            Effect::Hang { from } => {
                let moment = self.time + self.network.delay(seat, from);
                self.break_stream(moment, from, seat, true);
            }
        }
    }

    fn send_datagram(&mut self, from: Seat, to: Seat, bytes: Vec<u8>) {
        self.trace.mix(digest(&bytes));
        let tally = &mut self.context.tally;
        let (at, again) =
            self.network.send_datagram(self.time, from, to, |kind| tally.struck(kind));
        let fate = at.map_or(MessageFate::Lost, |at| MessageFate::Travels { at });
        let number = self.record_sent(from, to, "datagram", Carrier::Datagram, &bytes, fate);
        let Some(at) = at else { return self.effects.give_back(bytes) };
        if let Some(again) = again {
            let mut copy = self.effects.spare.pop().unwrap_or_default();
            copy.extend_from_slice(&bytes);
            self.datagram_arrives(again, from, to, number, copy);
        }
        self.datagram_arrives(at, from, to, number, bytes);
    }

    fn datagram_arrives(&mut self, at: u64, from: Seat, to: Seat, number: u64, mut bytes: Vec<u8>) {
        let to = self.harm_datagram(to, &mut bytes);
        let (life, sent) = (None, self.time);
        let message = Message { from, to, life, is_datagram: true, sent, number, bytes };
        let slot = self.messages.put(message);
        self.agenda.add(at, Event::Deliver { slot });
    }

    /// Does to a datagram what a fault wants; where it goes then.
    fn harm_datagram(&mut self, to: Seat, bytes: &mut Vec<u8>) -> Seat {
        let Some(harm) = self.network.harm(bytes, true) else { return to };
        self.context.tally.struck(FaultKind::Corrupt);
        match harm {
            Harm::Flip | Harm::Cut => to,
            Harm::Stray => self.network.somewhere(),
            Harm::Foreign => {
                self.world.estrange(bytes);
                to
            }
        }
    }

    fn send(&mut self, from: Seat, to: Seat, lane: Lane, copies: Copies, mut bytes: Vec<u8>) {
        let stream = self.network.stream(from, to);
        if from == to || !stream.is_up || stream.is_half {
            return self.effects.give_back(bytes);
        }
        self.trace.mix(digest(&bytes));
        if self.network.harm(&mut bytes, false).is_some() {
            self.context.tally.struck(FaultKind::Corrupt);
        }
        let tally = &mut self.context.tally;
        let may_copy = copies == Copies::Any;
        let fate = self.network.send(self.time, from, to, may_copy, |kind| tally.struck(kind));
        let traced = match fate {
            Fate::Lost => MessageFate::Lost,
            Fate::Held => MessageFate::Held,
            Fate::Arrives { at, .. } => MessageFate::Travels { at },
        };
        let number = self.record_sent(from, to, lane_name(lane), Carrier::Stream, &bytes, traced);
        let (life, sent) = (Some(stream.life), self.time);
        let message = Message { from, to, life, is_datagram: false, sent, number, bytes };
        match fate {
            Fate::Lost => self.effects.give_back(message.bytes),
            Fate::Held => self.held.push(message),
            Fate::Arrives { at, again } => {
                if let Some(again) = again {
                    let mut bytes = self.effects.spare.pop().unwrap_or_default();
                    bytes.extend_from_slice(&message.bytes);
                    let (life, is_datagram) = (None, false);
                    let copy = Message { from, to, life, is_datagram, sent, number, bytes };
                    let slot = self.messages.put(copy);
                    self.agenda.add(again, Event::Deliver { slot });
                }
                let slot = self.messages.put(message);
                self.agenda.add(at, Event::Deliver { slot });
            }
        }
    }

    pub(super) fn wake(&mut self, seat: Seat) {
        let node = &mut self.nodes[seat.index()];
        if node.wake_at != self.time || node.program.is_none() {
            return;
        }
        node.wake_at = u64::MAX;
        if !node.is_paused() && node.starved_of != Some(Starved::Timers) {
            // `step` wakes what is due; if nothing is, the wake is asked for again.
            self.step(seat, |_, _, _| {});
        }
    }

    /// Whether the process ends here, by a crash that waited for an effect.
    fn is_cut(&mut self, seat: Seat) -> bool {
        let Some(cut) = &mut self.nodes[seat.index()].cut else { return false };
        let CutPoint::Effects { count } = &mut cut.point else { return false };
        if *count > 0 {
            *count -= 1;
            return false;
        }
        let cut = *cut;
        self.strike_cut(seat, cut, "crash between effects");
        true
    }

    pub(super) fn strike_cut(&mut self, seat: Seat, cut: Cut, mark: &'static str) {
        self.context.tally.struck(FaultKind::Cut);
        self.context.mark(mark);
        self.crash(seat, cut.disk, cut.down);
    }

    /// Ends the process on `seat`; it starts again after `down`.
    pub(super) fn crash(&mut self, seat: Seat, disk: DiskLoss, down: u64) {
        if self.nodes[seat.index()].program.take().is_none() {
            return;
        }
        self.lose(seat, disk);
        let node = &self.nodes[seat.index()];
        match node.stage {
            DiskStage::Sync => self.context.mark("crash between write and sync"),
            DiskStage::Tell => self.context.mark("crash between sync and the news of it"),
            DiskStage::Idle | DiskStage::Write => {}
        }
        let node = &mut self.nodes[seat.index()];
        node.stage = DiskStage::Idle;
        node.disk_wanted = false;
        node.wake_at = u64::MAX;
        node.paused_until = 0;
        node.cut = None;
        let backlog = std::mem::take(&mut node.backlog);
        for event in backlog {
            if let Event::Deliver { slot } = event
                && let Some(message) = self.take_message(slot)
            {
                self.effects.give_back(message.bytes);
            } else if let Event::Ask { slot } = event {
                self.asks.take(slot);
            }
        }
        let life = self.nodes[seat.index()].life;
        self.record(|_| {
            let down = Some(down).filter(|down| *down != u64::MAX);
            TraceKind::Crashed { seat, life, disk, down }
        });
        self.agenda.add(self.time.saturating_add(down), Event::Restart { seat, life });
        self.context.alive = self.context.alive.minus(SeatSet::only(seat));
        self.streams_end(seat, disk == DiskLoss::Nothing);
        self.world.crashed(seat, &mut self.context);
    }

    /// What the end of the process does to its disk.
    fn lose(&mut self, seat: Seat, disk: DiskLoss) {
        // Long after it was planned: others may have lost theirs meanwhile.
        let planned = Fault::Crash { target: Target::Seat(seat), disk, down: 0 };
        let permitted = !disk.harms() || self.world.permits(seat, &planned);
        let disk = if permitted { disk } else { DiskLoss::All };
        let node = &mut self.nodes[seat.index()];
        let names = node.disk.names();
        let had_unsynced = node.disk.has_unsynced();
        let mode = match disk {
            DiskLoss::Nothing => CrashMode::LoseNone,
            DiskLoss::All | DiskLoss::Older | DiskLoss::Wiped => CrashMode::LoseAll,
            DiskLoss::Some => CrashMode::LoseSubset,
            DiskLoss::Torn => CrashMode::Torn,
        };
        node.disk.crash(&mut self.rngs.crash, mode);
        let lost_names = node.disk.names() != names;
        match disk {
            // With nothing unsynced there is nothing to lose.
            DiskLoss::All | DiskLoss::Some if had_unsynced => {
                self.context.tally.struck(FaultKind::Unsynced);
            }
            DiskLoss::Torn if had_unsynced => self.context.tally.struck(FaultKind::Torn),
            DiskLoss::Nothing | DiskLoss::All | DiskLoss::Some | DiskLoss::Torn => {}
            DiskLoss::Older => {
                if let Some(image) = &node.image {
                    node.disk.restore(image);
                }
                self.context.mark("restart on an older copy of the disk");
                self.world.harmed(seat);
            }
            DiskLoss::Wiped => {
                node.disk.wipe();
                self.context.mark("restart on an empty disk");
                self.world.wiped(seat);
            }
        }
        if lost_names {
            self.context.tally.struck(FaultKind::Names);
        }
    }

    /// Counts the armed faults of a disk that struck meanwhile.
    pub(super) fn count_disk_faults(&mut self, seat: Seat) {
        use quorate_storage::Fault as DiskFault;
        for fault in self.nodes[seat.index()].disk.take_fired() {
            let kind = match fault {
                DiskFault::SyncFails => FaultKind::SyncFails,
                DiskFault::SyncLies => FaultKind::SyncLies,
                DiskFault::NameSyncFails => FaultKind::Names,
                DiskFault::WriteMisdirected { .. } => FaultKind::Misdirect,
                _ => FaultKind::IoFails,
            };
            self.context.tally.struck(kind);
        }
    }

    /// Takes a message off the network.
    fn take_message(&mut self, slot: u32) -> Option<Message> {
        let message = self.messages.take(slot)?;
        if message.life.is_some() {
            self.network.left(message.from, message.to);
        }
        Some(message)
    }

    /// The process ended itself, for its disk failed it.
    pub(super) fn halt(&mut self, seat: Seat, reason: &str) {
        self.record(|_| TraceKind::Halted { seat, reason: reason.to_owned() });
        self.context.mark("a process ended itself");
        self.crash(seat, DiskLoss::Nothing, SUPERVISOR_DELAY);
    }

    /// A process that was asked to stop has had its time.
    pub(super) fn stopped(&mut self, seat: Seat, life: u32, down: u64) {
        let node = &self.nodes[seat.index()];
        if node.life == life && node.program.is_some() {
            self.crash(seat, DiskLoss::Nothing, down);
        }
    }

    pub(super) fn pause(&mut self, seat: Seat, until: u64) {
        let node = &mut self.nodes[seat.index()];
        node.paused_until = node.paused_until.max(until);
        let until = Some(node.paused_until).filter(|until| *until != u64::MAX);
        self.record(|_| TraceKind::Paused { seat, until });
    }

    pub(super) fn resume(&mut self, seat: Seat) {
        let node = &mut self.nodes[seat.index()];
        if !node.is_paused() || node.paused_until > self.time {
            return;
        }
        node.paused_until = 0;
        if node.cost == 0 {
            self.record(|_| TraceKind::Resumed { seat });
        }
        self.catch_up(seat);
    }

    /// Lets the process on `seat` have what was put aside.
    pub(super) fn catch_up(&mut self, seat: Seat) {
        if self.nodes[seat.index()].starved_of == Some(Starved::Messages) {
            return self.step_at_once(seat, |_, _, _| {});
        }
        // A slow process takes one after the other.
        while self.nodes[seat.index()].cost > 0
            && !self.nodes[seat.index()].is_paused()
            && let Some(event) = self.nodes[seat.index()].backlog.pop_front()
        {
            self.happen(event);
        }
        let node = &mut self.nodes[seat.index()];
        if node.is_paused() {
            return;
        }
        for event in node.backlog.drain(..) {
            self.agenda.add(self.time, event);
        }
        self.step_at_once(seat, |_, _, _| {});
    }

    /// Puts `event` aside if the process on `seat` stands still.
    pub(super) fn set_aside(&mut self, seat: Seat, event: Event) -> bool {
        let node = &mut self.nodes[seat.index()];
        let starved = node.starved_of == Some(Starved::Messages);
        let aside = (node.is_paused() || starved) && node.program.is_some();
        if aside {
            node.backlog.push_back(event);
        }
        aside
    }

    pub(super) fn deliver(&mut self, slot: u32) {
        let Some(message) = self.messages.get(slot) else { return };
        let (from, to) = (message.from, message.to);
        if self.set_aside(to, Event::Deliver { slot }) {
            return;
        }
        let Some(message) = self.take_message(slot) else { return };
        // What a stream had under way when the cut began is sent again when that ends, by a
        // transport that holds on: an answer from before the cut may come long after it.
        if message.life.is_some() && self.network.holds && self.network.is_blocked(from, to) {
            return self.held.push(message);
        }
        let node = &self.nodes[to.index()];
        let reached = node.program.is_some()
            && message.life.is_none_or(|life| life == node.life)
            && !self.network.is_blocked(from, to);
        self.record_arrival(&message, reached);
        if reached {
            self.trace.mix(u64::from(from.0) << 8 | u64::from(to.0));
            // Its bytes were mixed in when it left.
            self.trace.mix(message.sent);
            let bytes = &message.bytes;
            let input = if message.is_datagram {
                Input::Datagram { from, bytes }
            } else {
                Input::Message { from, bytes }
            };
            self.step(to, |program, now, out| program.input(now, input, out));
        }
        self.effects.give_back(message.bytes);
    }
}
