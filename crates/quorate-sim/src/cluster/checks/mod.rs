//! What must hold after every event.

mod birth;
mod disks;
mod election;
mod lag;
mod levels;
mod log;
mod members;
mod twin;
mod views;

use std::collections::BTreeSet;
use std::rc::Rc;

use quorate::ConsistencyLevel;
use quorate_core::{Configuration, DiskId, LogId, LogView as _, Member, NodeId, Recovered, Term};

use super::atlas::Atlas;
use super::clients::Acknowledged;
use super::program::{NodeProgram, Seen};
use super::settings::Settings;
use crate::{Fault, Seat, SeatSet, Violation};
use birth::BirthCheck;
use disks::Disks;
use election::ElectionCheck;
use log::LogCheck;
use members::MembersCheck;
pub(in crate::cluster) use members::misjudged;
use views::{View, Views};

/// All checks over all nodes. Each looks only at what changed in a step.
#[derive(Debug)]
pub(super) struct Checks {
    election: ElectionCheck,
    log: LogCheck,
    birth: BirthCheck,
    members: MembersCheck,
    disks: Disks,
    views: Views,
    /// Who led at its last step.
    leading: SeatSet,
    pub(super) atlas: Atlas,
    /// The numbers under which each node passed requests on.
    forwarded: BTreeSet<(Seat, u64)>,
    /// Entries that somebody called overwritten.
    overwritten: BTreeSet<LogId>,
    /// Found where no violation can be returned.
    found: Option<Violation>,
    /// How many times something was checked, by invariant, in the order of [`CHECKED`].
    counts: [u64; CHECKED.len()],
}

/// The invariants that are checked, as reports name them.
pub(super) const CHECKED: [&str; 38] = [
    "E1", "E2", "E3", "E4", "E5", "E6", "E7", "E8", "E9", "E10", "E11", "E12", "R1", "R2", "R3",
    "R4", "R5", "R6", "R10", "S9", "K1", "K5", "K3", "M1", "M2", "M3", "M4", "M5", "M6", "M7",
    "M8", "X1", "X4", "X5", "X6", "X8", "X9", "F1",
];

/// Rare situations that a step can show.
pub(super) type Mark = &'static str;

/// Counts that these invariants are checked; where they stand is found when this is compiled, since
/// it happens at every step.
macro_rules! count {
    ($checks:ident, $($invariant:literal),+) => {
        $({
            const PLACE: usize = place($invariant);
            $checks.counts[PLACE] += 1;
        })+
    };
}

/// The place of an invariant in [`CHECKED`].
const fn place(invariant: &str) -> usize {
    let mut at = 0;
    while at < CHECKED.len() {
        if is_equal(CHECKED[at].as_bytes(), invariant.as_bytes()) {
            return at;
        }
        at += 1;
    }
    panic!("this invariant is not in the list")
}

const fn is_equal(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

impl Checks {
    pub(super) fn new(settings: &Settings) -> Self {
        let nodes = settings.ids.len();
        Self {
            election: ElectionCheck::new(settings),
            log: LogCheck::new(nodes, settings.limits.clone()),
            birth: BirthCheck::new(nodes),
            members: MembersCheck::new(settings),
            disks: Disks::new(nodes),
            views: Views::new(nodes),
            leading: SeatSet::NONE,
            atlas: Atlas::default(),
            forwarded: BTreeSet::new(),
            overwritten: BTreeSet::new(),
            found: None,
            counts: [0; CHECKED.len()],
        }
    }

    /// How often each invariant was checked.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        CHECKED.into_iter().zip(self.counts)
    }

    pub(super) fn count(&mut self, invariant: &str) {
        if let Some(place) = CHECKED.iter().position(|known| *known == invariant) {
            self.counts[place] += 1;
        }
    }

    /// A node started on what its disk held.
    pub(super) fn booted(&mut self, seat: Seat, program: &NodeProgram, recovered: &Recovered) {
        self.views.booted(seat);
        let log = program.machine.log();
        if self.atlas.is_harmed(seat) && self.disks.has_lost(seat, recovered, log.commit()) {
            self.atlas.go_beyond();
            return;
        }
        let lost = self.disks.booted(seat, recovered, log.commit());
        let behind = self.election.booted(seat, program.machine.voter().term());
        if let Err(violation) = lost.and(behind) {
            self.found.get_or_insert(violation);
        }
        self.log.booted(seat);
        self.leading = self.leading.minus(SeatSet::only(seat));
        self.members.booted(seat);
        count!(self, "E5", "R5");
    }

    /// A node took a step.
    pub(super) fn stepped(
        &mut self,
        seat: Seat,
        program: &mut NodeProgram,
        quiet: Option<SeatSet>,
        mut mark: impl FnMut(Mark),
    ) -> Result<(), Violation> {
        if let Some(violation) = self.found.take() {
            return Err(violation);
        }
        // Before anything counts: what the log says of who counts.
        self.views.begin(seat);
        let mut news = Vec::new();
        let has_changed = self.log.has_changed(seat, program);
        if has_changed {
            count!(self, "R1", "X4", "X5", "X6");
            let (from, replaces) = self.log.entries(seat, program)?;
            if replaces {
                mark("entries that were not committed are replaced");
            }
            self.views.shown(seat, program, from)?;
            let committed = self.log.commits(seat, program)?;
            for id in committed.iter().copied() {
                count!(self, "R3", "R4", "X1");
                self.was_not_called_lost(seat, id)?;
                if let Some((before, view)) = self.views.committed(id) {
                    told(before.as_deref(), &view, &mut mark);
                }
            }
            if !committed.is_empty() {
                count!(self, "R2");
                self.log.counted(seat, program)?;
            }
            self.views.changed(seat, program, from, &mut mark)?;
            news = committed;
        }
        let mut seen = std::mem::take(&mut program.seen);
        for one in seen.drain(..) {
            self.see(seat, program, one, quiet, &mut mark)?;
        }
        program.seen = seen;
        count!(self, "F1");
        if let Some(id) = program.overdue() {
            return Err(Violation::new("F1", format!("{seat} let the deadline of r{id} pass")));
        }
        let view = self.views.of(seat).cloned();
        let since = self.views.since(seat);
        if self.election.stepped(seat, program, view.as_deref(), since)? {
            count!(self, "E11", "E7");
            self.views.leads(seat, program)?;
            self.leading = self.leading.with(seat);
        } else if self.leading.contains(seat) {
            self.leading = self.leading.minus(SeatSet::only(seat));
            if view.is_some_and(|view| !view.voters().contains(seat)) {
                mark("a leader left by its own change");
            }
        }
        if program.machine.replicator().lease_until().is_some_and(|until| program.now < until) {
            count!(self, "E2");
            mark("a leader holds a lease");
            self.log.nobody_committed_since(seat, program)?;
        }
        if let Some(failure) = program.machine.failure() {
            return Err(Violation::new("R6", format!("{seat} cannot restore: {failure}")));
        }
        if has_changed {
            self.counts_what_it_holds(seat, program)?;
            count!(self, "R5");
            for id in news {
                self.held_by_a_quorum(seat, program, id)?;
            }
            count!(self, "S9");
            self.knows_who_holds_what(seat, program)?;
            count!(self, "R6", "K5");
            self.log.applied(seat, program)?;
            if program.leads_term().is_some() {
                count!(self, "R10");
                self.reports_lag(seat, program)?;
            }
        }
        Ok(())
    }

    fn see(
        &mut self,
        seat: Seat,
        program: &NodeProgram,
        seen: Seen,
        quiet: Option<SeatSet>,
        mark: &mut impl FnMut(Mark),
    ) -> Result<(), Violation> {
        match seen {
            Seen::Granted { term, to } => {
                count!(self, "E3");
                self.election.granted((seat, program.disk()), term, to)
            }
            Seen::Ballot(ballot) => {
                count!(self, "E3", "E10");
                self.disks.ballot(seat, &ballot);
                self.election.ballot((seat, program.disk()), &ballot)
            }
            Seen::Led { term } => {
                count!(self, "E1", "E4", "E6", "E7", "S9");
                if self.election.another_leads(seat) {
                    mark("two nodes lead, in different terms");
                }
                let log = program.machine.log();
                if log.tip().index.0 > log.commit().0 + 1 {
                    mark("a leader begins with entries that may not be committed");
                }
                let view = self.views.of(seat).cloned();
                let may_lead = self.views.may_lead(seat, program);
                self.election.led(program, seat, term, view.as_deref(), may_lead)?;
                self.log.led(seat, term, program)
            }
            Seen::Born { cluster, members } => {
                count!(self, "E12");
                self.birth.born(seat, cluster, members)
            }
            Seen::Member(event) => {
                count!(self, "M1", "M2", "M3");
                self.members.changed(seat, program, &event, quiet)
            }
            Seen::Datagram { over: false } => {
                count!(self, "M5");
                Ok(())
            }
            Seen::Datagram { over: true } => {
                Err(Violation::new("M5", format!("{seat} sends a datagram that does not fit")))
            }
            Seen::Stranger { refused: true } => {
                count!(self, "M4");
                Ok(())
            }
            Seen::Stranger { refused: false } => {
                Err(Violation::new("M4", format!("{seat} heard a node of another cluster")))
            }
            Seen::Disturbed { term, to, ago } => {
                let told = program.seat_of(&to).is_some_and(|to| self.election.was_told(term, to));
                if told {
                    return Ok(());
                }
                let message =
                    format!("{seat} votes for {to} {ago:?} after it heard who leads {term:?}");
                Err(Violation::new("E10", message))
            }
            Seen::ToldToStand { term, to, tip } => {
                count!(self, "E9");
                mark("a leader told another to stand");
                self.election.told(term, to);
                let commit = program.machine.log().commit();
                let configuration = program.machine.log().configuration();
                let holds = self.atlas.is_harmed(to)
                    || self.holds_by_its_word(to, program, configuration, tip);
                if holds && commit >= tip.index {
                    return Ok(());
                }
                let message = format!("{seat} tells {to} to stand, which lacks some of {tip}");
                Err(Violation::new("E9", message))
            }
            Seen::HandingOver { to, why } => {
                count!(self, "E9");
                self.election.hands_over(seat, program, &to, why)
            }
            Seen::Entries(ids) => {
                self.disks.entries(seat, &ids);
                Ok(())
            }
            Seen::Snapshot(last) => {
                self.disks.snapshot(seat, last);
                Ok(())
            }
            Seen::Commit(index) => {
                self.disks.commit(seat, index);
                Ok(())
            }
            Seen::Told(status) => {
                count!(self, "X9");
                if status.reached == Some(ConsistencyLevel::Strong) {
                    count!(self, "X8");
                }
                self.told(seat, program, &status)
            }
            Seen::Installed => {
                mark("snapshot installed");
                Ok(())
            }
            Seen::Compacted => {
                mark("log compacted");
                Ok(())
            }
            // In all its lives: an answer may come after a crash.
            Seen::Forwarded(id) if !self.forwarded.insert((seat, id)) => {
                Err(Violation::new("F1", format!("{seat} passed two requests on as {id}")))
            }
            Seen::Forwarded(_) => Ok(()),
            Seen::AnsweredTwice(id) => {
                Err(Violation::new("F1", format!("{seat} answered r{id} twice")))
            }
            Seen::ServedRead { confirmed } => {
                count!(self, "K1");
                if confirmed {
                    return Ok(());
                }
                let message =
                    format!("{seat} served a read, and no majority had confirmed its lead");
                Err(Violation::new("K1", message))
            }
            Seen::Misplaced(error) => Err(Violation::new("R5", format!("{seat}: {error}"))),
        }
    }

    /// What is committed must survive the loss of any minority of disks. A leader counts by what
    /// was in force before it appended anything in this step: what it appends behind the commit of
    /// a joint configuration asks for less.
    fn held_by_a_quorum(
        &self,
        seat: Seat,
        program: &NodeProgram,
        id: LogId,
    ) -> Result<(), Violation> {
        let leads = program.leads_term().is_some();
        // What stands behind a joint one may be counted when that is left, in the same step.
        let counts =
            |before: &&Rc<View>| leads && !(before.halves.len() > 1 && id.index > before.at.index);
        let before = self.views.before(seat).filter(counts);
        let Some(view) = before.or_else(|| self.views.of(seat)) else { return Ok(()) };
        // The first configuration is no leader's: every node brings it along.
        let founding = id.term == Term::ZERO;
        let holds =
            |holder: &Seat| self.holds_by_its_word(*holder, program, &view.configuration, id);
        let holders: SeatSet = view.members.iter().filter(holds).collect();
        if founding || view.has_quorum(holders) {
            return Ok(());
        }
        let halves = &view.halves;
        let message =
            format!("{seat} calls {id} committed, but {holders:?} hold it, of {halves:?}");
        Err(Violation::new("R4", message))
    }

    /// Whether `holder` has the entry on the disk that speaks for it, or had it there until that
    /// was gone.
    fn holds_by_its_word(
        &self,
        holder: Seat,
        program: &NodeProgram,
        configuration: &Configuration,
        id: LogId,
    ) -> bool {
        match configuration.disk(program.id_of(holder)) {
            Some(named) if named != DiskId::NONE && named != program.disk_of(holder) => {
                self.disks.held(holder, named, id)
            }
            Some(_) | None => self.disks.holds(holder, id),
        }
    }

    /// S9: what a leader takes another to hold is on the disk that speaks for that one. Looked at
    /// as far as it is committed: the rest of a deposed leader may have been replaced.
    fn knows_who_holds_what(&self, seat: Seat, program: &NodeProgram) -> Result<(), Violation> {
        let machine = &program.machine;
        let (log, configuration) = (machine.log(), machine.log().configuration());
        for peer in machine.replicator().progress() {
            let Some(holder) = program.seat_of(&peer.id) else { continue };
            let index = peer.durable.min(log.commit());
            let term = log.term_at(index).filter(|term| *term != Term::ZERO);
            let Some(id) = term.map(|term| LogId { term, index }) else { continue };
            if configuration.disk(&peer.id).is_some()
                && !self.atlas.is_harmed(holder)
                && !self.holds_by_its_word(holder, program, configuration, id)
            {
                let message = format!("{seat} takes {holder} to hold {id}, and its disk does not");
                return Err(Violation::new("S9", message));
            }
        }
        Ok(())
    }

    /// What a node counts as its own durable copy must be on its disk: seen here, a quorum that
    /// counts it too early is found before it takes a crash to show.
    fn counts_what_it_holds(&self, seat: Seat, program: &NodeProgram) -> Result<(), Violation> {
        let log = program.machine.log();
        let durable = log.durable();
        // What a snapshot covers is committed; it may be installed before it is on the disk.
        let founding = durable.term == Term::ZERO;
        let covered = durable.index < log.first_index();
        if founding || covered || self.disks.holds(seat, durable) {
            return Ok(());
        }
        let message = format!("{seat} counts {durable} as durable, which its disk does not hold");
        Err(Violation::new("R4", message))
    }

    /// Whether every member knows that the cluster is born.
    fn is_founded(&self) -> bool {
        let knew = |seat| self.is_born(seat) || self.disks.was_replaced(seat);
        self.birth.members().iter().all(knew)
    }

    /// Whether `fault` may strike `seat` now.
    pub(super) fn permits(&self, settings: &Settings, seat: Seat, fault: &Fault) -> bool {
        let ever = self.birth.members().union(self.views.ever());
        self.atlas.permits(seat, fault, ever, &self.whole(settings), self.is_founded())
    }

    /// The disk of `seat` is replaced by an empty one, and `gone` is gone.
    pub(super) fn replaced(&mut self, seat: Seat, gone: DiskId) {
        self.disks.replaced(seat, gone);
        self.election.replaced(seat);
    }

    /// The voters of each half of every configuration that may count, and those of them whose disks
    /// are whole, and the ones that have their word.
    pub(super) fn whole(&self, settings: &Settings) -> Vec<(SeatSet, SeatSet)> {
        let mut halves = Vec::new();
        for view in self.views.in_force() {
            let speaks = |seat: &Seat| {
                let id = &settings.ids[seat.index()];
                view.configuration.speaks_for(id, settings.drives.of(*seat))
            };
            let whole = |half: &SeatSet| self.atlas.whole(half.iter().filter(speaks).collect());
            halves.extend(view.halves.iter().map(|half| (*half, whole(half))));
        }
        if halves.is_empty() {
            let all = self.birth.members();
            return vec![(all, self.atlas.whole(all))];
        }
        halves
    }

    /// Those who are members, or may be if a change that began goes on; all nodes before the
    /// cluster is born.
    pub(super) fn members(&self) -> SeatSet {
        let views = self.views.in_force().map(|view| view.members);
        views.reduce(SeatSet::union).unwrap_or_else(|| self.birth.members())
    }

    /// The newest configuration that is committed.
    pub(super) fn configuration(&self) -> Option<&Configuration> {
        self.views.newest().map(|view| &view.configuration)
    }

    /// Whether a change of the voters is under way at `seat`.
    pub(super) fn is_joint(&self, seat: Seat) -> bool {
        self.views.of(seat).is_some_and(|view| view.configuration.is_joint())
    }

    /// Whether the disk on `seat` holds the first configuration: its node knows that it is born.
    pub(super) fn is_born(&self, seat: Seat) -> bool {
        self.disks.holds_any(seat)
    }

    /// The highest revision that any node has applied: no later read may be older.
    pub(super) const fn revision(&self) -> u64 {
        self.log.revision()
    }

    /// The run is over: nothing may have gone unseen.
    pub(super) fn finished(&self) -> Result<(), Violation> {
        if self.log.has_seen_all() {
            return Ok(());
        }
        Err(Violation::new("R3", "an entry was committed that no log has shown"))
    }

    /// A client was told which entry holds its write, and which nodes hold that.
    pub(super) fn acknowledged(
        &mut self,
        write: &Acknowledged,
        settings: &Settings,
    ) -> Result<(), Violation> {
        count!(self, "R4");
        let Acknowledged { at, command, holders } = write;
        self.log.acknowledged(*at, *command)?;
        for seat in holders.iter().filter_map(|id| settings.seat(id)) {
            // A disk that was harmed may have lost it since.
            let may_lack = self.atlas.is_harmed(seat) || self.disks.was_replaced(seat);
            if !may_lack && !self.disks.holds(seat, *at) {
                let message = format!("{seat} is said to hold the write at {at}, and does not");
                return Err(Violation::new("R4", message));
            }
        }
        Ok(())
    }
}

/// What became of the members, in marks.
fn told(before: Option<&View>, view: &View, mark: &mut impl FnMut(Mark)) {
    let Some(before) = before else { return };
    let (old, new) = (&before.configuration, &view.configuration);
    if new.is_joint() {
        return;
    }
    let old = old.outgoing.as_ref().unwrap_or(&old.members);
    let votes = |id: &NodeId| new.members.get(id).is_some_and(|member| member.kind.votes());
    let voted = old.iter().filter(|(_, member)| member.kind.votes());
    let came = new.members.keys().any(|id| !old.contains_key(id));
    let promoted = old.iter().any(|(id, member)| !member.kind.votes() && votes(id));
    let left = voted.clone().any(|(id, _)| !votes(id));
    let moved = |id: &NodeId, member: &Member| {
        new.members.get(id).is_some_and(|now| now.disk != member.disk)
    };
    let rejoined = old.iter().any(|(id, member)| moved(id, member));
    let regained =
        |id: &NodeId, member: &Member| !member.kind.votes() && votes(id) && member.disk.0 >> 8 > 0;
    let regained = old.iter().any(|(id, member)| regained(id, member));
    for (what, is_so) in [
        ("a node joined a cluster that runs", came),
        ("a learner became a voter", promoted),
        ("a member that lost its disk joined anew", rejoined),
        ("a member that lost its disk votes again", regained),
        ("a voter left", left && !promoted && !rejoined),
        ("a voter was replaced", left && promoted),
    ] {
        if is_so {
            mark(what);
        }
    }
}

/// How many of `members` are more than half.
pub(super) const fn majority(members: SeatSet) -> usize {
    members.len() / 2 + 1
}
