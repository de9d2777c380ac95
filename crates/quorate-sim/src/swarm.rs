//! From a seed to a plan: which faults, how often, and when.

use quorate_core::Rng;

use crate::{
    CutPoint, DiskLoss, Fault, FaultKind, FaultSet, Harm, Latency, MemberAct, Plan, PlannedFault,
    Seat, SeatSet, Shape, Target, Way,
};

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// Draws plans. Each seed switches every kind of fault off with probability 1/2, then draws how
/// often the others strike (Groce et al. 2012, swarm testing): a run with all faults at once
/// seldom gets far enough to find what two of them do together.
#[derive(Debug, Clone)]
pub struct Swarm {
    /// The fewest nodes and the most.
    pub nodes: (u8, u8),
    /// The shortest time until the calm phase and the longest, in nanoseconds.
    pub calm_at: (u64, u64),
    /// How long progress may take in the calm phase, in nanoseconds.
    pub calm_lasting: u64,
    /// The kinds that may strike.
    pub kinds: FaultSet,
    /// The highest chance that a message is lost, in millionths.
    pub loss_max: u32,
    /// The shortest mean time between two faults of one kind and the longest, in nanoseconds.
    pub gap: (u64, u64),
}

impl Default for Swarm {
    fn default() -> Self {
        Self {
            nodes: (3, 5),
            calm_at: (20 * SECOND, 60 * SECOND),
            calm_lasting: 30 * SECOND,
            kinds: FaultSet::ALL,
            loss_max: 500_000,
            gap: (2 * SECOND, 30 * SECOND),
        }
    }
}

impl Swarm {
    /// The plan of `seed`, without operations.
    #[must_use]
    pub fn plan<O>(&self, seed: u64) -> Plan<O> {
        let mut rng = Rng::stream(seed, "plan");
        let nodes = rng.between(self.nodes.0.into(), self.nodes.1.into()) as u8;
        let calm_at = rng.between(self.calm_at.0, self.calm_at.1);
        let latency = match rng.below(3) {
            0 => Latency::Exponential { low: 20 * MICROSECOND, mean: 100 * MICROSECOND },
            1 => Latency::Exponential { low: 200 * MICROSECOND, mean: MILLISECOND },
            _ => Latency::Exponential { low: MILLISECOND, mean: 5 * MILLISECOND },
        };
        let disk = match rng.below(3) {
            0 => Latency::Exponential { low: 50 * MICROSECOND, mean: 150 * MICROSECOND },
            1 => Latency::Exponential { low: 300 * MICROSECOND, mean: MILLISECOND },
            _ => Latency::Exponential { low: MILLISECOND, mean: 8 * MILLISECOND },
        };
        let kinds = self.draw_kinds(seed);
        let mut faults = Vec::new();
        for kind in kinds.iter() {
            let mut draw = Draw { rng: Rng::stream(seed, kind.id()), nodes, kinds };
            let gap = draw.rng.between(self.gap.0, self.gap.1);
            for _ in 0..(calm_at / gap).max(1) {
                let at = draw.rng.below(calm_at);
                if let Some(mut fault) = draw.fault(kind) {
                    if let Fault::Loss { chance, .. } = &mut fault {
                        *chance = (*chance).min(self.loss_max);
                    }
                    let at = if kind == FaultKind::Skew { 0 } else { at };
                    draw.again(at, &fault, &mut faults);
                    faults.push(PlannedFault { at, fault });
                }
            }
        }
        faults.sort_by_key(|planned| planned.at);
        let operations = Vec::new();
        let calm_lasting = self.calm_lasting;
        Plan {
            seed,
            dice: 0,
            rare: true,
            nodes,
            calm_at,
            calm_lasting,
            latency,
            disk,
            faults,
            operations,
        }
    }

    /// The kinds that `seed` leaves on.
    #[must_use]
    pub fn draw_kinds(&self, seed: u64) -> FaultSet {
        let mut rng = Rng::stream(seed, "swarm");
        let drawn = FaultKind::ALL.iter().filter(|_| rng.chance(500_000));
        let drawn: FaultSet =
            drawn.fold(FaultSet::NONE, |all, kind| all.union(FaultSet::only(*kind)));
        drawn.minus(FaultSet::ALL.minus(self.kinds))
    }
}

/// Draws the arguments of faults.
struct Draw {
    rng: Rng,
    nodes: u8,
    kinds: FaultSet,
}

impl Draw {
    /// A fault of `kind`; `None` for kinds that only accompany others.
    fn fault(&mut self, kind: FaultKind) -> Option<Fault> {
        Some(match kind {
            FaultKind::Loss => {
                let (from, to) = self.link();
                let chance = [10_000, 50_000, 200_000, 500_000][self.rng.index(4)];
                Fault::Loss { from, to, chance, lasting: self.lasting() }
            }
            FaultKind::Delay => {
                let (from, to) = self.link();
                Fault::Delay { from, to, latency: self.slow(), lasting: self.lasting() }
            }
            FaultKind::Reorder => {
                let chance = [10_000, 100_000, 400_000][self.rng.index(3)];
                let by = [5 * MILLISECOND, 50 * MILLISECOND, SECOND][self.rng.index(3)];
                Fault::Reorder { chance, by, lasting: self.lasting() }
            }
            FaultKind::Copies => {
                let chance = [5_000, 50_000, 300_000][self.rng.index(3)];
                let by = [SECOND, 10 * SECOND, 180 * SECOND][self.rng.index(3)];
                Fault::Copies { chance, by, lasting: self.lasting() }
            }
            FaultKind::Partition => self.partition(),
            FaultKind::Clog => {
                Fault::Clog { target: self.target(), way: self.way(), lasting: self.lasting() }
            }
            FaultKind::SlowLink => {
                let (from, to) = self.link();
                Fault::SlowLink { from, to, latency: self.slow() }
            }
            FaultKind::Corrupt => {
                let chance = [1_000, 20_000, 200_000][self.rng.index(3)];
                let harm = [Harm::Flip, Harm::Cut, Harm::Stray, Harm::Foreign][self.rng.index(4)];
                Fault::Corrupt { chance, harm, lasting: self.lasting() }
            }
            FaultKind::Overflow => {
                let (from, to) = self.link();
                let room = self.rng.below(8) as u32;
                Fault::Overflow { from, to, room, lasting: self.lasting() }
            }
            FaultKind::Reset => {
                Fault::Reset { target: self.target(), half: self.rng.chance(400_000) }
            }
            FaultKind::Move => Fault::Move { target: self.target(), down: self.down() },
            FaultKind::Crash => {
                Fault::Crash { target: self.target(), disk: self.disk_loss(), down: self.down() }
            }
            FaultKind::Cut => {
                let (target, point) = (self.target(), self.cut_point());
                Fault::Cut { target, point, disk: self.disk_loss(), down: self.down() }
            }
            FaultKind::Pause => Fault::Pause { target: self.target(), lasting: self.lasting() },
            FaultKind::Busy => {
                let cost =
                    [200 * MICROSECOND, 2 * MILLISECOND, 20 * MILLISECOND][self.rng.index(3)];
                Fault::Busy { target: self.target(), cost, lasting: self.lasting() }
            }
            FaultKind::Starve => {
                let timers = self.rng.chance(500_000);
                Fault::Starve { target: self.target(), timers, lasting: self.lasting() }
            }
            FaultKind::CrashAll => {
                let rolling = self.rng.chance(500_000);
                let gap = if rolling { self.rng.below(2 * SECOND) + 1 } else { 0 };
                Fault::CrashAll { gap, disk: self.power_loss(), down: self.down() }
            }
            FaultKind::Rot => {
                let bits = [1, 1, 4, 64][self.rng.index(4)];
                Fault::Rot { target: self.target(), bits }
            }
            FaultKind::Misdirect => {
                let to = self.rng.below(16 << 10);
                Fault::Misdirect { target: self.target(), to }
            }
            FaultKind::SyncLies => Fault::SyncLies { target: self.target() },
            FaultKind::SyncFails => Fault::SyncFails { target: self.target() },
            FaultKind::IoFails => {
                let reading = self.rng.chance(400_000);
                Fault::IoFails { target: self.target(), reading }
            }
            FaultKind::Names => Fault::NamesFail { target: self.target() },
            FaultKind::Full => {
                let bits = self.rng.between(1, 20);
                let room = self.rng.below(1 << bits);
                Fault::Full { target: self.target(), room, lasting: self.lasting() }
            }
            FaultKind::Stall => Fault::Stall { target: self.target(), lasting: self.lasting() },
            FaultKind::Skew => Fault::Skew {
                target: Target::Seat(self.seat()),
                by: self.rng.below(3_600 * SECOND),
            },
            FaultKind::Drift => {
                let millionths = self.rng.below(100_001) as i32 - 50_000;
                Fault::Drift { target: self.target(), millionths }
            }
            FaultKind::Jump => {
                let most = [SECOND, 10 * SECOND, 3_600 * SECOND][self.rng.index(3)];
                let by = self.rng.below(most);
                Fault::Jump { target: self.target(), by }
            }
            FaultKind::Freeze => {
                let strobe = [0, 0, 5 * MILLISECOND, 100 * MILLISECOND][self.rng.index(4)];
                Fault::Freeze { target: self.target(), strobe, lasting: self.lasting() }
            }
            FaultKind::Suspend => {
                let counted = self.rng.chance(500_000);
                Fault::Suspend { target: self.target(), counted, lasting: self.lasting() }
            }
            FaultKind::Members => {
                use MemberAct::{Add, Promote, Remove, Replace};
                // In this order, so that a run gets from one to the next.
                let acts = [Add, Add, Add, Promote, Promote, Promote, Remove, Remove, Replace];
                Fault::Members { act: acts[self.rng.index(acts.len())], target: self.target() }
            }
            FaultKind::Restart => Fault::Restart { target: self.target(), down: self.down() },
            FaultKind::Unsynced
            | FaultKind::Torn
            | FaultKind::Burst
            | FaultKind::Clients
            | FaultKind::Twin
            | FaultKind::Reconfigure
            | FaultKind::Versions
            | FaultKind::HandOver
            | FaultKind::Force => return None,
        })
    }

    /// A process that crashed may crash again soon after its start, with what its former life left
    /// at others still under way. A clog may be the first of several, which end in another order.
    /// And soon after a leader is back from being cut off, its successor may be cut off: what the
    /// first has to give up is still fresh then.
    fn again(&mut self, at: u64, fault: &Fault, faults: &mut Vec<PlannedFault>) {
        if let Fault::Clog { lasting, .. } = fault
            && self.rng.chance(300_000)
        {
            for seat in self.subset().iter() {
                let at = at + self.rng.below(lasting / 2 + 1);
                let (target, way) = (Target::Seat(seat), self.way());
                let fault = Fault::Clog { target, way, lasting: self.lasting() };
                faults.push(PlannedFault { at, fault });
            }
        }
        if let Fault::Partition { shape: Shape::One { target: Target::Leader }, lasting, .. } =
            fault
            && self.rng.chance(300_000)
        {
            let at = at.saturating_add(*lasting) + self.rng.below(SECOND);
            faults.push(PlannedFault { at, fault: fault.clone() });
        }
        // A change is seldom alone: what was added is to vote, and what left comes back.
        if let Fault::Members { .. } = fault {
            for _ in 0..self.rng.below(5) {
                let at = at + self.rng.below(2 * SECOND);
                if let Some(fault) = self.fault(FaultKind::Members) {
                    faults.push(PlannedFault { at, fault });
                }
            }
            // And it takes two steps, between which the most can go wrong.
            if self.kinds.contains(FaultKind::Partition) && self.rng.chance(500_000) {
                let at = at + self.rng.below(30 * MILLISECOND);
                faults.push(PlannedFault { at, fault: self.partition() });
            }
        }
        if let Fault::Crash { target: Target::Seat(_), down, .. } = fault
            && self.rng.chance(500_000)
        {
            let at = at + down + self.rng.below(2 * SECOND);
            faults.push(PlannedFault { at, fault: fault.clone() });
        }
    }

    fn seat(&mut self) -> Seat {
        Seat(self.rng.below(self.nodes.into()) as u8)
    }

    fn target(&mut self) -> Target {
        match self.rng.below(5) {
            0 | 1 => Target::Leader,
            2 => Target::Follower,
            _ => Target::Seat(self.seat()),
        }
    }

    fn subset(&mut self) -> SeatSet {
        let bits = self.rng.next_u64();
        (0..self.nodes).filter(|seat| bits >> seat & 1 == 1).map(Seat).collect()
    }

    /// Every link, those of one node, or those between two random sets.
    fn link(&mut self) -> (SeatSet, SeatSet) {
        let (all, one) = (SeatSet::first(self.nodes), SeatSet::only(self.seat()));
        match self.rng.below(5) {
            0 | 1 => (all, all),
            2 => (one, all),
            3 => (all, one),
            _ => (self.subset(), self.subset()),
        }
    }

    /// Mostly short, around the timeouts of protocols; sometimes long.
    const fn lasting(&mut self) -> u64 {
        let most = [200 * MILLISECOND, 2 * SECOND, 6 * SECOND, 20 * SECOND][self.rng.index(4)];
        self.rng.between(MILLISECOND, most)
    }

    const fn down(&mut self) -> u64 {
        let most = [MILLISECOND, 500 * MILLISECOND, 5 * SECOND, 15 * SECOND][self.rng.index(4)];
        self.rng.below(most)
    }

    const fn slow(&mut self) -> Latency {
        let time = [5 * MILLISECOND, 40 * MILLISECOND, 200 * MILLISECOND][self.rng.index(3)];
        if self.rng.chance(500_000) {
            Latency::Exponential { low: time / 4, mean: time }
        } else {
            let chance = [20_000, 200_000][self.rng.index(2)];
            Latency::Bimodal { fast: time / 10, slow: time * 5, chance }
        }
    }

    /// What a crash does to the disk of one node, if the world permits it.
    const fn disk_loss(&mut self) -> DiskLoss {
        match self.rng.below(20) {
            0 if self.kinds.contains(FaultKind::Restart) => DiskLoss::Older,
            1..=3 if self.kinds.contains(FaultKind::Restart) => DiskLoss::Wiped,
            _ => self.power_loss(),
        }
    }

    const fn power_loss(&mut self) -> DiskLoss {
        let unsynced = self.kinds.contains(FaultKind::Unsynced);
        let torn = self.kinds.contains(FaultKind::Torn);
        match self.rng.below(4) {
            0 if unsynced => DiskLoss::All,
            1 if unsynced => DiskLoss::Some,
            2 if torn => DiskLoss::Torn,
            _ => DiskLoss::Nothing,
        }
    }

    const fn cut_point(&mut self) -> CutPoint {
        // The last is the only one that leaves writes in the middle: a journal hands its records
        // over and syncs them in one go.
        match self.rng.below(6) {
            0 => CutPoint::Effects { count: self.rng.below(12) as u32 },
            1 => CutPoint::Write,
            2 => CutPoint::Sync,
            3 => CutPoint::Persisted { effects: self.rng.below(4) as u32 },
            _ => CutPoint::DiskChanges { count: self.rng.below(12) as u32 },
        }
    }

    const fn way(&mut self) -> Way {
        [Way::Both, Way::Both, Way::In, Way::Out][self.rng.index(4)]
    }

    fn partition(&mut self) -> Fault {
        let shape = match self.rng.below(8) {
            0 => Shape::Halves { left: self.subset() },
            1 => Shape::One { target: Target::Seat(self.seat()) },
            2..5 => Shape::One { target: Target::Leader },
            5 => Shape::Bridge { target: self.target(), left: self.subset() },
            6 => Shape::Ring,
            _ => Shape::Clients { cut: self.subset() },
        };
        let way = self.way();
        let hold = self.rng.chance(500_000);
        Fault::Partition { shape, way, hold, lasting: self.lasting() }
    }
}
