//! The cluster as a world of the engine.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use quorate::{Answer, Failure, Request};
use quorate_core::{LogView as _, Rng};
use quorate_lin::{Budget, Register, Undecided, Verdict};
use quorate_membership::Packet;
use quorate_wire::{Limit, decode_datagram, encode_datagram};

use super::checks::{Checks, majority, misjudged};
use super::clients::Clients;
use super::failover::Failovers;
use super::finale::{FIRST_ID, Finale};
use super::hindsight::hindsight;
use super::observe;
use super::operation::KvOperation;
use super::operator;
use super::program::{KvRequest, NodeProgram};
use super::settings::Settings;
use crate::{
    Boot, BootRefused, Carrier, Context, DiskLoss, Effects, Fault, FaultKind, Label, MemberAct,
    Observation, Plan, Program as _, Seat, SeatSet, TraceEvent, Violation, World,
};

/// Shipped nodes, clients of their key-value store, and all that must hold.
#[derive(Debug)]
pub(super) struct Cluster {
    settings: Rc<Settings>,
    pub(super) checks: Checks,
    clients: Clients,
    finale: Option<Finale>,
    keys: BTreeSet<u8>,
    /// Nodes that lead, as they think, and until when they keep the lead, if they do.
    leading: Vec<(Seat, bool)>,
    /// Who lives in the calm phase, once it began.
    calm_core: Option<SeatSet>,
    /// Whether a change that a leader began as the calm did, before it noticed who is gone, needs
    /// one of those: its guard cannot know better, and nobody can go on until they are back.
    stranded: bool,
    /// Nodes of the core that have the final write.
    arrived: SeatSet,
    /// Leaders that know, in the calm phase, how far each of the core is.
    informed: SeatSet,
    /// Whether gossip is to settle, too.
    wants_views: bool,
    /// Nodes that miss somebody, or take somebody who is gone for alive.
    misjudged: Vec<(Seat, (SeatSet, SeatSet))>,
    /// Whether the cluster was left alone for long.
    was_quiet: bool,
    found: Option<Violation>,
    /// How many changes of the members operators asked for.
    changes: u64,
    pub(super) failovers: Failovers,
    pub(super) is_undecided: bool,
}

/// After so long without trouble nobody may be taken for dead who lives: beyond every patience.
const QUIET: u64 = 20_000_000_000;

/// The first id of an operator's request.
const CHANGE_ID: u64 = 1 << 60;

/// Work that the linearizability checker may do for a run.
const LIN_STEPS: u64 = 300_000;

impl Cluster {
    pub(super) fn new(plan: &Plan<KvOperation>) -> Self {
        let steady = plan.faults.iter().all(|planned| keeps_clocks(&planned.fault));
        let mut settings = Settings::draw(plan.seed, plan.nodes, steady);
        // Where nobody ever changes the members by hand, they do not change at all.
        let is_operated = plan.faults.iter().any(|it| it.fault.kind() == FaultKind::Members);
        settings.autopilot = settings.autopilot.filter(|_| is_operated);
        if is_operated {
            settings.leave_one_out();
        }
        let settings = Rc::new(settings);
        Self {
            checks: Checks::new(&settings),
            clients: Clients::new(Rc::clone(&settings), plan),
            settings,
            finale: None,
            keys: plan.operations.iter().map(|planned| planned.operation.key).collect(),
            leading: Vec::new(),
            calm_core: None,
            stranded: false,
            arrived: SeatSet::NONE,
            informed: SeatSet::NONE,
            wants_views: false,
            misjudged: Vec::new(),
            was_quiet: false,
            found: None,
            changes: 0,
            failovers: Failovers::default(),
            is_undecided: false,
        }
    }

    /// Gossip did not settle.
    fn unsettled(&self, finale: &Finale) -> Violation {
        let core = |seat: &Seat| finale.core().contains(seat);
        let list = |seats: SeatSet| {
            let names: Vec<String> = seats.iter().map(|seat| seat.to_string()).collect();
            names.join(", ")
        };
        match self.misjudged.iter().find(|(seat, _)| core(seat)) {
            Some((seat, (missed, _))) if !missed.is_empty() => {
                Violation::new("M8", format!("{seat} does not know that {} live", list(*missed)))
            }
            Some((seat, (_, undead))) => {
                Violation::new("M6", format!("{seat} takes {} for alive", list(*undead)))
            }
            None => Violation::new("M8", "gossip did not settle"),
        }
    }

    /// The highest priority in the core.
    fn best(&self, finale: &Finale) -> u8 {
        let priorities = finale.core().iter().map(|seat| self.settings.priorities[seat.index()]);
        priorities.max().unwrap_or(0)
    }

    /// Whether one of the highest priority leads, or one that has learnt not to give the lead away.
    fn is_well_led(&self, finale: &Finale) -> bool {
        let best = self.best(finale);
        self.leading.iter().any(|(seat, keeps)| {
            let priority = self.settings.priorities[seat.index()];
            finale.core().contains(seat) && (priority == best || (*keeps && priority > 0))
        })
    }

    fn ill_led(&self, finale: &Finale) -> Violation {
        let led = self.leading.iter().find(|(seat, _)| finale.core().contains(seat));
        let Some((seat, _)) = led else {
            return Violation::new("E8", "nobody leads at the end of the calm phase");
        };
        let (priority, best) = (self.settings.priorities[seat.index()], self.best(finale));
        let invariant = if priority == 0 { "E7" } else { "E9" };
        let message = format!("{seat} leads on with priority {priority}; another has {best}");
        Violation::new(invariant, message)
    }

    /// Checks what clients were told meanwhile.
    fn acknowledged(&mut self, now: Option<u64>) -> Result<(), Violation> {
        for write in self.clients.acknowledged.drain(..) {
            if let Some(now) = now {
                self.failovers.acknowledged(write.at, now);
            }
            self.checks.acknowledged(&write, &self.settings)?;
        }
        Ok(())
    }
}

impl Cluster {
    /// An operator changes the members, by way of some node.
    fn operate(&mut self, act: MemberAct, seat: Option<Seat>, cx: &mut Context<KvRequest>) {
        let live: Vec<Seat> = cx.alive().iter().collect();
        let Some(configuration) = self.checks.configuration() else { return };
        let change = operator::change(&self.settings, configuration, act, seat, cx.rng());
        let (Some(change), Some(asked)) = (change, cx.rng().pick(&live).copied()) else { return };
        self.changes += 1;
        cx.struck(FaultKind::Members);
        let request = KvRequest { request: Request::Change(change), wait: Duration::from_secs(2) };
        cx.ask(asked, CHANGE_ID + self.changes, request);
    }

    /// An operator was answered.
    fn changed(&mut self, answer: &Answer, cx: &mut Context<KvRequest>) {
        cx.mark(match answer {
            Answer::Changed { .. } => "an operator changed the members",
            Answer::Failed(Failure::Change(_)) => "an operator was refused a change",
            Answer::Failed(_) => return,
            Answer::Unknown(_) => "an operator does not know whether the members changed",
            Answer::Written { .. }
            | Answer::Found { .. }
            | Answer::HandedOver { .. }
            | Answer::Replicas { .. }
            | Answer::Status(_) => {
                let message = format!("a change of the members was answered by {answer:?}");
                self.found.get_or_insert_with(|| Violation::new("F1", message));
                return;
            }
        });
    }

    /// Whether `core` alone can commit whatever configuration may count.
    fn can_go_on(&self, core: SeatSet) -> bool {
        let halves = self.checks.whole(&self.settings);
        halves.iter().all(|(half, whole)| core.within(*whole).len() >= majority(*half))
    }
}

impl World for Cluster {
    type Program = NodeProgram;
    type Operation = KvOperation;
    const OPERATIONS: &'static [&'static str] = &[
        "get",
        "set",
        "delete",
        "cas",
        "peek",
        "list",
        "keep-alive",
        "close",
        "hand-over",
        "follow",
        "open",
    ];

    fn boot(&mut self, boot: Boot, out: &mut Effects<Answer>) -> Result<NodeProgram, BootRefused> {
        let (seat, is_harmed) = (boot.seat, self.checks.atlas.is_harmed(boot.seat));
        let booted = NodeProgram::boot(&boot, Rc::clone(&self.settings), out);
        let (program, recovered) = booted.map_err(|refused| match refused {
            BootRefused::Damaged(reason) if !is_harmed => {
                BootRefused::Never(format!("nothing harmed the disk of {seat}: {reason}"))
            }
            refused => refused,
        })?;
        self.checks.booted(boot.seat, &program, &recovered);
        Ok(program)
    }

    fn operation(&mut self, index: u32, op: &KvOperation, cx: &mut Context<KvRequest>) {
        self.clients.begin(index, op, cx);
    }

    fn answered(&mut self, id: u64, answer: Answer, cx: &mut Context<KvRequest>) {
        if id >= CHANGE_ID {
            self.changed(&answer, cx);
        } else if id >= FIRST_ID {
            if let Some(finale) = &mut self.finale {
                finale.heard(id, Some(answer), &mut self.clients.history, cx);
            }
        } else if let Err(violation) = self.clients.answered(id, answer, self.checks.revision(), cx)
        {
            self.found.get_or_insert(violation);
        }
    }

    fn refused(&mut self, id: u64, cx: &mut Context<KvRequest>) {
        // Nobody in the core refuses for long: the finale waits for its own time to run out.
        if id < FIRST_ID {
            self.clients.refused(id, cx);
        }
    }

    fn timer(&mut self, token: u64, cx: &mut Context<KvRequest>) {
        match &mut self.finale {
            Some(finale) if (FIRST_ID..1 << 63).contains(&token) => {
                finale.timer(token, &mut self.clients.history, cx);
            }
            _ => self.clients.timer(token, cx),
        }
    }

    fn stepped(
        &mut self,
        seat: Seat,
        program: &mut NodeProgram,
        cx: &mut Context<KvRequest>,
    ) -> Result<(), Violation> {
        let quiet = (cx.quiet_for() >= QUIET).then(|| cx.alive());
        self.was_quiet |= quiet.is_some();
        self.checks.stepped(seat, program, quiet, |mark| cx.mark(mark))?;
        if program.leads() && self.checks.is_joint(seat) && cx.is_active(FaultKind::Partition) {
            cx.mark("a joint configuration during a partition");
        }
        if let Some(violation) = self.found.take() {
            return Err(violation);
        }
        self.leading.retain(|(known, _)| *known != seat);
        if program.leads() {
            let keeps = program.machine.keeps_lead_until() > program.now;
            self.leading.push((seat, keeps));
        }
        self.failovers.stepped(seat, program.leads(), program.machine.voter().term());
        self.acknowledged(Some(cx.time()))?;
        if let Some(finale) = &mut self.finale
            && let Some(write) = finale.acknowledged.take()
        {
            self.failovers.acknowledged(write.at, cx.time());
            self.checks.acknowledged(&write, &self.settings)?;
        }
        self.clients.revision = self.checks.revision();
        if program.leads() && self.calm_core.is_some_and(|core| !self.can_go_on(core)) {
            cx.mark("a change needs one that stays away");
            self.stranded = true;
        }
        if let Some(finale) = &mut self.finale {
            finale.narrow(self.checks.members());
        }
        if let Some(written) = self.finale.as_ref().and_then(|finale| finale.written)
            && program.machine.log().commit() >= written.index
        {
            self.arrived = self.arrived.with(seat);
        }
        if let Some(finale) = &self.finale {
            self.informed = self.informed.minus(SeatSet::only(seat));
            if program.leads() {
                let core: SeatSet = finale.core().iter().copied().collect();
                if finale.is_done() && self.checks.reports_truth(program, core) {
                    self.informed = self.informed.with(seat);
                }
            }
        }
        if let Some(finale) = &self.finale
            && self.wants_views
        {
            let core: SeatSet = finale.core().iter().copied().collect();
            let gone = SeatSet::first(self.settings.ids.len() as u8).minus(cx.alive());
            let wrong = misjudged(program, core, gone);
            let settled = (SeatSet::NONE, SeatSet::NONE);
            self.misjudged.retain(|(known, _)| *known != seat);
            if wrong != settled || !core.contains(seat) {
                self.misjudged.push((seat, wrong));
            }
        }
        Ok(())
    }

    fn crashed(&mut self, seat: Seat, cx: &mut Context<KvRequest>) {
        self.failovers.crashed(seat, cx.time());
    }

    fn struck(&mut self, fault: &Fault, seat: Option<Seat>, cx: &mut Context<KvRequest>) {
        self.failovers.struck(fault, seat, cx.time());
        if let Fault::Members { act, .. } = fault {
            self.operate(*act, seat, cx);
        }
    }

    fn permits(&self, seat: Seat, fault: &Fault) -> bool {
        // Before others tell a seed that lost its disk of the cluster, it may help to found another.
        let is_seed = self.settings.founders.is_none() && self.settings.seeds().contains(seat);
        let wipes = matches!(
            fault,
            Fault::Crash { disk: DiskLoss::Wiped, .. } | Fault::Cut { disk: DiskLoss::Wiped, .. }
        );
        !(is_seed && wipes) && self.checks.permits(&self.settings, seat, fault)
    }

    fn harmed(&mut self, seat: Seat) {
        self.checks.atlas.harm(seat);
    }

    fn wiped(&mut self, seat: Seat) {
        let gone = self.settings.drives.replace(seat);
        self.checks.replaced(seat, gone);
    }

    fn moved(&mut self, seat: Seat, rng: &mut Rng) {
        self.settings.addresses.renew(seat, rng);
    }

    fn estrange(&mut self, datagram: &mut Vec<u8>) {
        estrange(datagram);
    }

    fn is_beyond(&self) -> bool {
        self.checks.atlas.is_beyond()
    }

    fn is_recoverable(&self) -> bool {
        let halves = self.checks.whole(&self.settings);
        halves.iter().all(|(half, whole)| whole.len() >= majority(*half))
    }

    fn core(&mut self, nodes: u8, rng: &mut Rng) -> SeatSet {
        let halves = self.checks.whole(&self.settings);
        let voters = halves.iter().fold(SeatSet::NONE, |all, (_, whole)| all.union(*whole));
        let mut seats: Vec<Seat> = voters.iter().collect();
        rng.shuffle(&mut seats);
        // As few as make a majority of each half.
        let mut core = SeatSet::NONE;
        for seat in seats {
            let lacks = |(half, whole): &(SeatSet, SeatSet)| {
                whole.contains(seat) && core.within(*whole).len() < majority(*half)
            };
            if halves.iter().any(lacks) {
                core = core.with(seat);
            }
        }
        // Before all have spoken there is no cluster that could live on without the others.
        let is_born = core.iter().any(|seat| self.checks.is_born(seat));
        if is_born { core } else { SeatSet::first(nodes) }
    }

    fn calm(&mut self, core: SeatSet, cx: &mut Context<KvRequest>) {
        self.checks.count("E7");
        self.checks.count("E8");
        self.checks.count("E9");
        // Whoever starts anew finds the others through a seed, if one of those lives. And who hears
        // nobody at all gives nobody up: the last voter of a cluster that shrank may be left alone.
        let seeds = self.settings.seeds().within(core);
        self.wants_views = self.settings.wants_views && !seeds.is_empty() && core.len() > 1;
        if self.wants_views {
            self.checks.count("M6");
            self.checks.count("M8");
        }
        self.clients.drain();
        self.calm_core = Some(core);
        let mut finale = Finale::new(Rc::clone(&self.settings), core, self.keys.iter().copied());
        finale.go_on(&mut self.clients.history, cx);
        self.finale = Some(finale);
    }

    fn is_satisfied(&self) -> bool {
        let Some(finale) = &self.finale else { return false };
        let core = || finale.core().iter();
        if self.stranded {
            return true;
        }
        finale.is_done()
            && core().all(|seat| self.arrived.contains(*seat))
            && self.is_well_led(finale)
            && core().any(|seat| self.informed.contains(*seat))
            && !core().any(|seat| self.misjudged.iter().any(|(known, _)| known == seat))
    }

    fn unsatisfied(&self) -> Violation {
        let Some(finale) = &self.finale else {
            return Violation::new("E8", "the calm phase did not begin");
        };
        let missing: Vec<String> = finale
            .core()
            .iter()
            .filter(|seat| !self.arrived.contains(**seat))
            .map(ToString::to_string)
            .collect();
        let message = match finale.written {
            None => "no write was acknowledged in the calm phase".to_owned(),
            Some(at) if !missing.is_empty() => {
                format!("the write at {at} of the calm phase did not reach {missing:?}")
            }
            Some(_) if finale.is_done() && !self.is_well_led(finale) => {
                return self.ill_led(finale);
            }
            Some(_)
                if finale.is_done()
                    && !finale.core().iter().any(|seat| self.informed.contains(*seat)) =>
            {
                let message = "the leader does not report how far each of the core is";
                return Violation::new("R10", message);
            }
            Some(_) if finale.is_done() => {
                return self.unsettled(finale);
            }
            Some(_) => "a read of the calm phase was not answered".to_owned(),
        };
        Violation::new("E8", message)
    }

    fn finished(&mut self) -> Result<(), Violation> {
        if let Some(violation) = self.found.take() {
            return Err(violation);
        }
        self.acknowledged(None)?;
        self.checks.finished()?;
        self.checks.count("K1");
        self.checks.count("K3");
        if self.was_quiet {
            self.checks.count("M7");
        }
        let mut budget = Budget::steps(LIN_STEPS);
        let verdict = quorate_lin::check(&Register::new(), &self.clients.history, &mut budget);
        let judged = judge(&verdict);
        self.is_undecided = judged.is_ok() && !verdict.is_linearizable();
        judged
    }

    fn hindsight(&self, trace: &[TraceEvent]) -> Vec<TraceEvent> {
        hindsight(&self.clients.history, trace)
    }

    fn describe(&self, bytes: &[u8], _: Carrier) -> Label {
        observe::describe(bytes)
    }

    fn observe(&self, _: Seat, program: &NodeProgram) -> Option<Observation> {
        Some(observe::observe(program))
    }
}

/// Whether clocks stay within the bound of the leases under `fault`: they may be off, and drift.
const fn keeps_clocks(fault: &Fault) -> bool {
    !matches!(
        fault,
        Fault::Jump { .. } | Fault::Freeze { .. } | Fault::Suspend { counted: false, .. }
    )
}

/// What a verdict means for K1. One that came too late to name the operation at fault is one all
/// the same; only a history of which nothing is known is left open.
fn judge(verdict: &Verdict<u8>) -> Result<(), Violation> {
    match verdict {
        Verdict::Linearizable(_) | Verdict::Undecided(Undecided { illegal: None, .. }) => Ok(()),
        Verdict::NotLinearizable(example) => Err(Violation::new("K1", example.to_string())),
        Verdict::Undecided(Undecided { illegal: Some(key), .. }) => {
            let message = format!("what was done with k{key} has no legal order: {verdict}");
            Err(Violation::new("K1", message))
        }
    }
}

/// Makes a datagram one of a cluster that nobody here belongs to.
fn estrange(datagram: &mut Vec<u8>) {
    let Ok(content) = decode_datagram(datagram) else { return };
    let Ok(mut packet) = Limit::Datagram.decode::<Packet>(content) else { return };
    packet.cluster = STRANGERS;
    datagram.clear();
    let encoded = encode_datagram(&packet, datagram);
    encoded.expect("a packet is as long with another cluster");
}

/// The mark of a cluster that nobody in the run belongs to, but for a chance of 2^-32.
pub(super) const STRANGERS: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use quorate_lin::{Access, Answer};

    use super::*;

    /// Rounds of writes at once, and a read at the end of what one of the first put.
    #[test]
    fn a_history_that_is_certainly_wrong_breaks_k1_even_if_the_budget_ends_first() {
        let mut history = quorate_lin::History::new();
        for round in 0..300 {
            let writes: Vec<_> =
                (0..5).map(|n| history.invoke(n, 7, Access::Write(round * 5 + n))).collect();
            writes.into_iter().for_each(|pending| history.ok(pending, Answer::Done));
        }
        let read = history.invoke(9, 7, Access::Read);
        history.ok(read, Answer::Value(Some(3)));
        let verdict = |steps| {
            let mut budget = Budget::steps(steps);
            (quorate_lin::check(&Register::new(), &history, &mut budget), budget.spent())
        };
        let (whole, spent) = verdict(LIN_STEPS);
        assert!(matches!(whole, Verdict::NotLinearizable(_)), "{whole}");
        assert!(judge(&whole).is_err());
        let mut judged = [0, 0];
        for steps in (1..40).map(|part| spent * part / 40) {
            let (verdict, _) = verdict(steps);
            let Verdict::Undecided(undecided) = &verdict else { panic!("{verdict}") };
            assert_eq!(judge(&verdict).is_err(), undecided.illegal.is_some(), "{verdict}");
            judged[usize::from(undecided.illegal.is_some())] += 1;
        }
        assert!(judged.iter().all(|count| *count > 0), "{judged:?}");
    }
}
