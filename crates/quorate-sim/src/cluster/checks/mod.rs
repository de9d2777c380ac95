//! What must hold after every event.

mod birth;
mod disks;
mod election;
mod log;
mod members;
mod twin;

use std::collections::BTreeSet;

use quorate_core::{LogId, LogView as _, Recovered, Term};

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

/// All checks over all nodes. Each looks only at what changed in a step.
#[derive(Debug)]
pub(super) struct Checks {
    election: ElectionCheck,
    log: LogCheck,
    birth: BirthCheck,
    members: MembersCheck,
    disks: Disks,
    pub(super) atlas: Atlas,
    /// The numbers under which each node passed requests on.
    forwarded: BTreeSet<(Seat, u64)>,
    /// Found where no violation can be returned.
    found: Option<Violation>,
    /// How many times something was checked, by invariant, in the order of [`CHECKED`].
    counts: [u64; CHECKED.len()],
}

/// The invariants that are checked, as reports name them.
pub(super) const CHECKED: [&str; 32] = [
    "E1", "E2", "E3", "E4", "E5", "E6", "E7", "E8", "E9", "E10", "E11", "E12", "R1", "R2", "R3",
    "R4", "R5", "R6", "K1", "K5", "K3", "M1", "M2", "M3", "M4", "M5", "M6", "M7", "M8", "X1", "X4",
    "F1",
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
            atlas: Atlas::default(),
            forwarded: BTreeSet::new(),
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
        let mut seen = std::mem::take(&mut program.seen);
        for one in seen.drain(..) {
            self.see(seat, program, one, quiet, &mut mark)?;
        }
        program.seen = seen;
        count!(self, "F1");
        if let Some(id) = program.overdue() {
            return Err(Violation::new("F1", format!("{seat} let the deadline of r{id} pass")));
        }
        if self.election.stepped(seat, program, self.members())? {
            count!(self, "E11");
        }
        if program.machine.replicator().lease_until().is_some_and(|until| program.now < until) {
            count!(self, "E2");
            mark("a leader holds a lease");
            self.log.nobody_committed_since(seat, program)?;
        }
        if let Some(failure) = program.machine.failure() {
            return Err(Violation::new("R6", format!("{seat} cannot restore: {failure}")));
        }
        if self.log.has_changed(seat, program) {
            count!(self, "R1", "X4");
            if self.log.entries(seat, program)? {
                mark("entries that were not committed are replaced");
            }
            self.counts_what_it_holds(seat, program)?;
            count!(self, "R5");
            let committed = self.log.commits(seat, program)?;
            for id in committed.iter().copied() {
                count!(self, "R3", "R4", "X1");
                self.held_by_a_quorum(seat, id)?;
            }
            if !committed.is_empty() {
                count!(self, "R2");
                self.log.counted(seat, program)?;
            }
            count!(self, "R6", "K5");
            self.log.applied(seat, program)?;
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
                self.election.granted(seat, term, to)
            }
            Seen::Ballot(ballot) => {
                count!(self, "E3", "E10");
                self.disks.ballot(seat, &ballot);
                self.election.ballot(seat, &ballot)
            }
            Seen::Led { term } => {
                count!(self, "E1", "E4", "E6", "E7");
                if self.election.another_leads(seat) {
                    mark("two nodes lead, in different terms");
                }
                let log = program.machine.log();
                if log.tip().index.0 > log.commit().0 + 1 {
                    mark("a leader begins with entries that may not be committed");
                }
                self.election.led(seat, term, program, self.members())?;
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
                let holds = self.atlas.is_harmed(to) || self.disks.holds(to, tip);
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

    /// What is committed must survive the loss of any minority of disks.
    fn held_by_a_quorum(&self, seat: Seat, id: LogId) -> Result<(), Violation> {
        // The first configuration is no leader's: every node brings it along.
        let founding = id.term == Term::ZERO;
        let holders = self.disks.holders(id, self.members());
        if founding || holders >= majority(self.members()) {
            return Ok(());
        }
        let message = format!("{seat} calls {id} committed, but {holders} disks hold it");
        Err(Violation::new("R4", message))
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
        self.members().iter().all(|seat| self.is_born(seat))
    }

    /// Whether `fault` may strike `seat` now.
    pub(super) fn permits(&self, seat: Seat, fault: &Fault) -> bool {
        self.atlas.permits(seat, fault, self.members(), self.is_founded())
    }

    /// Who counts: the members of the cluster, or all nodes before it is born.
    pub(super) const fn members(&self) -> SeatSet {
        self.birth.members()
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
            if !self.atlas.is_harmed(seat) && !self.disks.holds(seat, *at) {
                let message = format!("{seat} is said to hold the write at {at}, and does not");
                return Err(Violation::new("R4", message));
            }
        }
        Ok(())
    }
}

/// How many of `members` are more than half.
pub(super) const fn majority(members: SeatSet) -> usize {
    members.len() / 2 + 1
}
