//! Faults of the plan: how each begins and ends.

use quorate_storage::Fault as DiskFault;

use super::Sim;
use super::node::{Cut, Starved};
use crate::agenda::Event;
use crate::plan::STOP_LASTING;
use crate::{
    CutPoint, DiskLoss, Fault, FaultKind, FaultSet, Input, Program, Seat, SeatSet, Shape, Target,
    TraceKind, Way, World,
};

/// A lasting fault that has begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct Active {
    index: u32,
    /// Whom it struck, if it strikes one node.
    seat: Option<Seat>,
}

impl<W: World> Sim<'_, W> {
    pub(super) fn fault(&mut self, index: u32) {
        let plan = self.plan;
        let Some(planned) = plan.faults.get(index as usize) else { return };
        if self.context.is_calm {
            return;
        }
        let fault = &planned.fault;
        let seat = match fault.target() {
            Some(target) => match self.resolve(target) {
                Some(seat) => Some(seat),
                None => return,
            },
            None => None,
        };
        if let Some(seat) = seat
            && fault.harms_disk()
            && !self.world.permits(seat, fault)
            && !matches!(fault, Fault::Crash { .. } | Fault::Cut { .. })
        {
            return;
        }
        self.record_fault(index, fault, seat);
        self.world.struck(fault, seat, &mut self.context);
        if !fault.is_mild() {
            let until = self.time.saturating_add(fault.extent(self.plan.nodes));
            self.context.troubled_until = self.context.troubled_until.max(until);
        }
        if let Some(lasting) = fault.lasting() {
            self.active.push(Active { index, seat });
            self.agenda.add(self.time.saturating_add(lasting), Event::End { index });
        }
        self.apply(index, fault, seat);
        self.mark_active();
    }

    pub(super) fn fault_ends(&mut self, index: u32) {
        let Some(place) = self.active.iter().position(|active| active.index == index) else {
            return;
        };
        let Active { seat, .. } = self.active.remove(place);
        let fault = &self.plan.faults[index as usize].fault;
        let kind = fault.kind();
        self.record(|_| TraceKind::FaultEnded { index, kind });
        match (fault, seat) {
            (Fault::Full { .. }, Some(seat)) => self.nodes[seat.index()].disk.set_capacity(None),
            (Fault::Busy { .. }, Some(seat)) => {
                self.nodes[seat.index()].cost = 0;
                self.catch_up(seat);
            }
            (Fault::Starve { .. }, Some(seat)) => {
                self.nodes[seat.index()].starved_of = None;
                self.catch_up(seat);
            }
            (Fault::Freeze { .. } | Fault::Suspend { .. }, Some(seat)) => {
                self.nodes[seat.index()].clock.thaw(self.time);
                self.clock_changed(seat);
            }
            // A pause and a stall end by their own time.
            (Fault::Pause { .. } | Fault::Stall { .. }, _) => {}
            _ => self.renew_network(),
        }
        self.mark_active();
    }

    /// A crash of all reaches the next one.
    pub(super) fn roll(&mut self, index: u32, seat: Seat) {
        let fault = self.plan.faults.get(index as usize).map(|planned| &planned.fault);
        if let Some(Fault::CrashAll { disk, down, .. }) = fault
            && !self.context.is_calm
        {
            self.crash(seat, *disk, *down);
        }
    }

    /// A clock that stands still makes up for it, and stands again.
    pub(super) fn strobe(&mut self, index: u32, seat: Seat) {
        let is_active = self.active.iter().any(|active| active.index == index);
        if let Some(Fault::Freeze { strobe, .. }) =
            self.plan.faults.get(index as usize).map(|planned| &planned.fault)
            && is_active
        {
            self.nodes[seat.index()].clock.jump(self.time, *strobe);
            self.clock_changed(seat);
            self.agenda.add(self.time + (*strobe).max(1), Event::Strobe { index, seat });
        }
    }

    fn mark_active(&mut self) {
        let kinds = self
            .active
            .iter()
            .map(|active| FaultSet::only(self.plan.faults[active.index as usize].fault.kind()));
        let active = kinds.fold(self.clocks_off, FaultSet::union);
        self.context.tally.set_active(active);
    }

    fn resolve(&mut self, target: Target) -> Option<Seat> {
        let leads = |seat: &Seat| self.nodes[seat.index()].program.as_ref().map(Program::leads);
        let seats = (0..self.plan.nodes).map(Seat);
        let fitting: Vec<Seat> = match target {
            Target::Seat(seat) => seats.filter(|known| *known == seat).collect(),
            Target::Leader => seats.filter(|seat| leads(seat) == Some(true)).collect(),
            Target::Follower => seats.filter(|seat| leads(seat) == Some(false)).collect(),
        };
        self.rngs.targets.pick(&fitting).copied()
    }

    fn apply(&mut self, index: u32, fault: &Fault, seat: Option<Seat>) {
        match (fault, seat) {
            // Counted for each message whose course they change.
            (Fault::Loss { .. } | Fault::Reorder { .. } | Fault::Copies { .. }, _) => {
                self.renew_network();
            }
            (Fault::Corrupt { .. } | Fault::Overflow { .. }, _) => self.renew_network(),
            (Fault::Delay { .. } | Fault::SlowLink { .. } | Fault::Clog { .. }, _) => {
                self.context.tally.struck(fault.kind());
                self.renew_network();
            }
            (Fault::Partition { .. }, _) => {
                self.context.tally.struck(FaultKind::Partition);
                self.renew_network();
                self.watch_cuts();
            }
            // The world plays it.
            (Fault::Members { .. }, _) => {}
            (Fault::CrashAll { gap, .. }, _) => {
                self.context.tally.struck(FaultKind::CrashAll);
                for seat in self.seats().iter() {
                    let moment = self.time.saturating_add(gap.saturating_mul(seat.0.into()));
                    self.agenda.add(moment, Event::Roll { index, seat });
                }
            }
            (Fault::Freeze { strobe, .. }, Some(seat)) => {
                if *strobe > 0 {
                    self.agenda.add(self.time + strobe, Event::Strobe { index, seat });
                }
                self.apply_to(fault, seat);
            }
            (_, Some(seat)) => self.apply_to(fault, seat),
            (_, None) => {}
        }
    }

    /// A fault of one node. It strikes no process that is down already.
    fn apply_to(&mut self, fault: &Fault, seat: Seat) {
        let leads = match &self.nodes[seat.index()].program {
            Some(program) => program.leads(),
            None => return,
        };
        let time = self.time;
        let node = &mut self.nodes[seat.index()];
        match fault {
            Fault::Crash { down, .. } => {
                let disk = self.permitted(seat, fault);
                self.context.tally.struck(FaultKind::Crash);
                if leads {
                    self.context.mark("crash of a leader");
                }
                return self.crash(seat, disk, *down);
            }
            Fault::Restart { down, .. } => {
                let (life, down) = (node.life, *down);
                self.agenda.add(time + STOP_LASTING, Event::Stopped { seat, life, down });
                self.context.mark("a process was asked to stop");
                if !self.nodes[seat.index()].is_paused() {
                    self.step(seat, |program, now, out| program.input(now, Input::Stop, out));
                }
                return;
            }
            Fault::Move { down, .. } => {
                if !self.world.permits(seat, fault) {
                    return;
                }
                self.context.tally.struck(FaultKind::Move);
                self.world.moved(seat, &mut self.rngs.harm);
                return self.crash(seat, DiskLoss::Nothing, *down);
            }
            // Counted when its point is reached.
            Fault::Cut { point, down, .. } => {
                let disk = self.permitted(seat, fault);
                let node = &mut self.nodes[seat.index()];
                if let CutPoint::DiskChanges { count } = point {
                    node.disk.cut_power_after(u64::from(*count));
                }
                node.cut = Some(Cut { point: *point, disk, down: *down });
                return;
            }
            Fault::Pause { lasting, .. } => {
                let until = time.saturating_add(*lasting).max(time + 1);
                self.agenda.add(until, Event::Resume { seat });
                self.pause(seat, until);
                if leads {
                    self.context.mark("pause of a leader");
                }
            }
            Fault::Busy { cost, .. } => node.cost = *cost,
            Fault::Starve { timers, .. } => {
                node.starved_of = Some(if *timers { Starved::Timers } else { Starved::Messages });
            }
            Fault::Suspend { lasting, counted, .. } => {
                let until = time.saturating_add(*lasting).max(time + 1);
                if !counted {
                    node.clock.freeze(time);
                }
                self.agenda.add(until, Event::Resume { seat });
                self.pause(seat, until);
            }
            Fault::Freeze { .. } => node.clock.freeze(time),
            Fault::Reset { half: true, .. } => {
                for peer in self.seats().iter().filter(|peer| *peer != seat) {
                    self.half_open(seat, peer);
                    self.half_open(peer, seat);
                }
            }
            Fault::Reset { half: false, .. } => {
                for peer in self.seats().iter().filter(|peer| *peer != seat) {
                    self.break_stream(time, seat, peer, true);
                    self.break_stream(time, peer, seat, true);
                }
            }
            Fault::Rot { bits, .. } => {
                for _ in 0..*bits {
                    node.disk.flip_random_bit(&mut self.rngs.harm);
                }
                self.world.harmed(seat);
            }
            // The rest is counted when it strikes. A disk whose fault is still to come counts as
            // harmed already, or too many would be.
            Fault::Misdirect { to, .. } => {
                node.disk.inject(DiskFault::WriteMisdirected { to: *to });
                return self.world.harmed(seat);
            }
            Fault::SyncLies { .. } => {
                node.disk.inject(DiskFault::SyncLies);
                return self.world.harmed(seat);
            }
            Fault::SyncFails { .. } => return node.disk.inject(DiskFault::SyncFails),
            Fault::NamesFail { .. } => return node.disk.inject(DiskFault::NameSyncFails),
            Fault::IoFails { reading: false, .. } => {
                return node.disk.inject(DiskFault::WriteFails);
            }
            Fault::IoFails { reading: true, .. } => {
                node.fails_reading = true;
                return;
            }
            Fault::Full { room, .. } => {
                let used = node.disk.used();
                node.disk.set_capacity(Some(used + room));
            }
            Fault::Stall { lasting, .. } => {
                node.stalled_until = node.stalled_until.max(time.saturating_add(*lasting));
                if leads {
                    self.context.mark("stalled disk of a leader");
                }
            }
            Fault::Skew { by, .. } | Fault::Jump { by, .. } => {
                node.clock.jump(time, *by);
                self.clock_changed(seat);
            }
            Fault::Drift { millionths, .. } => {
                node.clock.drift(time, *millionths);
                self.clock_changed(seat);
            }
            Fault::Loss { .. }
            | Fault::Delay { .. }
            | Fault::Reorder { .. }
            | Fault::Copies { .. }
            | Fault::Partition { .. }
            | Fault::Clog { .. }
            | Fault::SlowLink { .. }
            | Fault::Corrupt { .. }
            | Fault::Overflow { .. }
            | Fault::Members { .. }
            | Fault::CrashAll { .. } => return,
        }
        if let Fault::Skew { .. } | Fault::Drift { .. } = fault {
            self.clocks_off = self.clocks_off.union(FaultSet::only(fault.kind()));
        }
        self.context.tally.struck(fault.kind());
    }

    /// What a crash may do to the disk of `seat`.
    fn permitted(&self, seat: Seat, fault: &Fault) -> DiskLoss {
        match fault {
            Fault::Crash { disk, .. } | Fault::Cut { disk, .. }
                if !disk.harms() || self.world.permits(seat, fault) =>
            {
                *disk
            }
            _ => DiskLoss::All,
        }
    }

    /// The wake that was asked for may now come too late: whatever the clock showed when it was
    /// asked for, the next step asks for it anew.
    fn clock_changed(&mut self, seat: Seat) {
        self.nodes[seat.index()].wake_at = u64::MAX;
        if self.nodes[seat.index()].is_paused() {
            return;
        }
        self.step(seat, |_, _, _| {});
    }

    /// Derives the state of the network from the faults that are active.
    fn renew_network(&mut self) {
        let plan = self.plan;
        let all = self.seats();
        self.network.clear();
        for place in 0..self.active.len() {
            let Active { index, seat } = self.active[place];
            match &plan.faults[index as usize].fault {
                Fault::Loss { from, to, chance, .. } => self.network.set_loss(*from, *to, *chance),
                Fault::Overflow { from, to, room, .. } => self.network.set_room(*from, *to, *room),
                Fault::Corrupt { chance, harm, .. } => {
                    self.network.corrupt = Some((*chance, *harm));
                }
                Fault::Clog { way, .. } => {
                    let seat = seat.map_or(SeatSet::NONE, SeatSet::only);
                    if *way != Way::In {
                        self.network.clogged_from = self.network.clogged_from.union(seat);
                    }
                    if *way != Way::Out {
                        self.network.clogged_to = self.network.clogged_to.union(seat);
                    }
                }
                Fault::Delay { from, to, latency, .. } | Fault::SlowLink { from, to, latency } => {
                    self.network.set_latency(*from, *to, *latency);
                }
                Fault::Reorder { chance, by, .. } => self.network.reorder = Some((*chance, *by)),
                Fault::Copies { chance, by, .. } => self.network.copies = Some((*chance, *by)),
                Fault::Partition { shape, way, hold, .. } => {
                    self.network.holds |= hold;
                    self.cut_along(*shape, *way, seat, all);
                }
                _ => {}
            }
        }
        self.release_held();
    }

    fn cut_along(&mut self, shape: Shape, way: Way, seat: Option<Seat>, all: SeatSet) {
        match (shape, seat) {
            (Shape::Halves { left }, _) => self.cut_between(left, all.minus(left), way),
            (Shape::One { .. }, Some(one)) => {
                let one = SeatSet::only(one);
                self.cut_between(one, all.minus(one), way);
            }
            (Shape::Bridge { left, .. }, Some(bridge)) => {
                let bridge = SeatSet::only(bridge);
                self.cut_between(left.minus(bridge), all.minus(left).minus(bridge), way);
            }
            (Shape::Ring, _) => {
                let count = self.plan.nodes;
                for seat in all.iter() {
                    let next = Seat((seat.0 + 1) % count);
                    let before = Seat((seat.0 + count - 1) % count);
                    self.network.block(seat, all.minus(SeatSet::only(next).with(before)));
                }
            }
            (Shape::Clients { cut }, _) => {
                if way != Way::Out {
                    self.network.clients_in = self.network.clients_in.union(cut);
                }
                if way != Way::In {
                    self.network.clients_out = self.network.clients_out.union(cut);
                }
            }
            (Shape::One { .. } | Shape::Bridge { .. }, None) => {}
        }
    }

    /// Cuts what goes between the two sets; `way` is seen from the first.
    pub(super) fn cut_between(&mut self, one: SeatSet, other: SeatSet, way: Way) {
        let all = self.seats();
        let (one, other) = (one.within(all), other.within(all));
        if way != Way::In {
            one.iter().for_each(|seat| self.network.block(seat, other));
        }
        if way != Way::Out {
            other.iter().for_each(|seat| self.network.block(seat, one));
        }
    }

    /// Ends every fault of the plan.
    pub(super) fn end_faults(&mut self) {
        let active = std::mem::take(&mut self.active);
        for index in active.into_iter().map(|active| active.index) {
            let kind = self.plan.faults[index as usize].fault.kind();
            self.record(|_| TraceKind::FaultEnded { index, kind });
        }
        self.clocks_off = FaultSet::NONE;
        self.mark_active();
        self.network.clear();
        for seat in self.seats().iter() {
            let node = &mut self.nodes[seat.index()];
            node.disk.set_capacity(None);
            node.disk.disarm();
            node.stalled_until = 0;
            node.cost = 0;
            node.starved_of = None;
            node.fails_reading = false;
            node.clock.thaw(self.time);
            // The power is off already for one that waits for this.
            match node.cut.take() {
                Some(cut) if matches!(cut.point, CutPoint::DiskChanges { .. }) => {
                    self.crash(seat, cut.disk, cut.down);
                }
                _ => {}
            }
            if !self.nodes[seat.index()].is_paused() {
                self.catch_up(seat);
            }
        }
    }
}
