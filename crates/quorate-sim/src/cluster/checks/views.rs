//! Who counts, by the entries of each log: X5, X6, and what all other checks count by.
//!
//! Nothing here asks a node for its configuration: it is read from the entries that the node shows,
//! so that a node which counts by another one is found.

use std::collections::BTreeMap;
use std::rc::Rc;

use quorate_core::{
    Configuration, Instant, LogId, LogIndex, LogView as _, Member, NodeId, Payload, Term,
};

use super::{Mark, majority};
use crate::cluster::program::NodeProgram;
use crate::{Seat, SeatSet, Violation};

/// A configuration, as sets of seats.
#[derive(Debug)]
pub(super) struct View {
    pub(super) at: LogId,
    pub(super) configuration: Configuration,
    /// Everybody in either half.
    pub(super) members: SeatSet,
    /// The voters of the new half and, while it is joint, of the old one.
    pub(super) halves: Vec<SeatSet>,
}

impl View {
    /// Whether `seats` hold a majority of each half.
    pub(super) fn has_quorum(&self, seats: SeatSet) -> bool {
        self.halves.iter().all(|half| seats.within(*half).len() >= majority(*half))
    }

    /// Those who vote in either half.
    pub(super) fn voters(&self) -> SeatSet {
        self.halves.iter().fold(SeatSet::NONE, |all, half| all.union(*half))
    }
}

/// What the log of one node says of the members.
#[derive(Debug, Default)]
struct Known {
    /// Ascending.
    views: Vec<Rc<View>>,
    /// The one in force at the end of the step before.
    before: Option<Rc<View>>,
    /// Since when the newest is in force, on the node's clock.
    since: Instant,
    /// How often the node says that it was replaced.
    changes: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Views {
    nodes: Vec<Known>,
    /// Every configuration that any log has shown.
    seen: BTreeMap<LogId, Rc<View>>,
    committed: BTreeMap<LogIndex, Rc<View>>,
    /// Up to here entries are committed.
    commit: LogIndex,
    /// All that were ever members.
    ever: SeatSet,
}

impl Views {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            nodes: (0..nodes).map(|_| Known::default()).collect(),
            seen: BTreeMap::new(),
            committed: BTreeMap::new(),
            commit: LogIndex::ZERO,
            ever: SeatSet::NONE,
        }
    }

    pub(super) fn booted(&mut self, seat: Seat) {
        self.nodes[seat.index()] = Known::default();
    }

    /// What counts for the node on `seat`.
    pub(super) fn of(&self, seat: Seat) -> Option<&Rc<View>> {
        self.nodes[seat.index()].views.last()
    }

    /// What counted for it before this step.
    pub(super) fn before(&self, seat: Seat) -> Option<&Rc<View>> {
        self.nodes[seat.index()].before.as_ref()
    }

    /// Since when that is so, on its own clock.
    pub(super) fn since(&self, seat: Seat) -> Instant {
        self.nodes[seat.index()].since
    }

    /// All that were ever members.
    pub(super) const fn ever(&self) -> SeatSet {
        self.ever
    }

    /// The newest that is committed.
    pub(super) fn newest(&self) -> Option<&Rc<View>> {
        self.committed.last_key_value().map(|(_, view)| view)
    }

    /// The one in force at `index`, if that is committed.
    pub(super) fn committed_at(&self, index: LogIndex) -> Option<&Rc<View>> {
        self.committed.range(..=index).next_back().map(|(_, view)| view)
    }

    /// Those that are committed behind `index`.
    pub(super) fn committed_after(&self, index: LogIndex) -> impl Iterator<Item = &Rc<View>> {
        self.committed.range(index.next()..).map(|(_, view)| view)
    }

    /// All that may count for whoever leads next: the newest that is committed, and those that
    /// may follow it.
    pub(super) fn in_force(&self) -> impl Iterator<Item = &Rc<View>> {
        let later = self.seen.values().filter(|view| view.at.index > self.commit);
        self.newest().into_iter().chain(later)
    }

    /// The step of `seat` begins to be looked at.
    pub(super) fn begin(&mut self, seat: Seat) {
        let known = &mut self.nodes[seat.index()];
        known.before = known.views.last().cloned();
    }

    /// The log of `seat` shows entries from `from` on that it did not show before. Ask before what
    /// is committed is noted.
    pub(super) fn shown(
        &mut self,
        seat: Seat,
        program: &NodeProgram,
        from: LogIndex,
    ) -> Result<(), Violation> {
        let log = program.machine.log();
        let views = &self.nodes[seat.index()].views;
        let mut before = views.iter().rfind(|view| view.at.index < from).cloned();
        for entry in log.entries(from..=log.tip().index) {
            let Payload::Configuration(configuration) = &entry.payload else { continue };
            let view = match self.seen.get(&entry.id) {
                Some(view) => Rc::clone(view),
                None => {
                    let view = Rc::new(view_of(entry.id, configuration, program));
                    follows(seat, before.as_deref(), &view)?;
                    in_order(seat, program, before.as_deref(), &view)?;
                    self.ever = self.ever.union(view.members);
                    self.seen.insert(entry.id, Rc::clone(&view));
                    view
                }
            };
            before = Some(view);
        }
        Ok(())
    }

    /// X5: what counts for `seat`, whose log is new from `from` on, is what its log says. Ask when
    /// what is committed was noted.
    pub(super) fn changed(
        &mut self,
        seat: Seat,
        program: &NodeProgram,
        from: LogIndex,
        mut mark: impl FnMut(Mark),
    ) -> Result<(), Violation> {
        let log = program.machine.log();
        let base = log.first_index().previous();
        let known = &mut self.nodes[seat.index()];
        let top = known.views.last().map(|view| view.at);
        if known.views.iter().any(|view| view.at.index >= from) {
            mark("a configuration was taken back");
        }
        known.views.retain(|view| view.at.index < from && view.at.index > base);
        // What a snapshot covers is committed, so one node at least has shown it; if not, it came
        // and was compacted in one step.
        if let Some((_, view)) = self.committed.range(..=base).next_back() {
            known.views.insert(0, Rc::clone(view));
            if top.is_some_and(|top| top.index < view.at.index) {
                mark("members came with a snapshot");
            }
        } else if let Some(snapshot) = log.snapshot().filter(|_| base > LogIndex::ZERO) {
            let view = Rc::new(view_of(LogId::new(0, 1), &snapshot.configuration, program));
            self.ever = self.ever.union(view.members);
            known.views.insert(0, Rc::clone(&view));
            self.committed.insert(LogIndex(1), view);
        }
        for entry in log.entries(from..=log.tip().index) {
            known.views.extend(self.seen.get(&entry.id).cloned());
        }
        let now = known.views.last().map(|view| view.at);
        if now != top {
            known.since = program.now;
        }
        let changes = Some(log.configuration_changes());
        if now == top && changes == known.changes {
            return Ok(());
        }
        known.changes = changes;
        let none = Configuration::default();
        let truth = known.views.last().map_or(&none, |view| &view.configuration);
        if log.configuration() != truth {
            let message =
                format!("{seat} does not count by the configuration at {now:?} of its log");
            return Err(Violation::new("X5", message));
        }
        Ok(())
    }

    /// The entry `id` is committed.
    pub(super) fn committed(&mut self, id: LogId) -> Option<(Option<Rc<View>>, Rc<View>)> {
        self.commit = self.commit.max(id.index);
        let view = Rc::clone(self.seen.get(&id)?);
        let before = self.newest().cloned();
        self.committed.insert(id.index, Rc::clone(&view));
        Some((before, view))
    }

    /// Whether `seat` may lead: it votes, from the disk it is on, by what is in force in its log or,
    /// as long as that is not committed, by what may still count.
    pub(super) fn may_lead(&self, seat: Seat, program: &NodeProgram) -> bool {
        let commit = program.machine.log().commit();
        let newest_first = self.nodes[seat.index()].views.iter().rev();
        for view in newest_first {
            let speaks = view.configuration.speaks_for(program.id(), program.disk());
            if view.voters().contains(seat) && speaks {
                return true;
            }
            if view.at.index <= commit {
                break;
            }
        }
        false
    }

    /// E7: whoever has no vote in what is committed leads no longer.
    pub(super) fn leads(&self, seat: Seat, program: &NodeProgram) -> Result<(), Violation> {
        let Some(view) = self.of(seat) else { return Ok(()) };
        let settled = view.halves.len() == 1 && view.at.index <= program.machine.log().commit();
        if settled && !view.voters().contains(seat) {
            let message = format!("{seat} leads on, and has no vote since {}", view.at);
            return Err(Violation::new("E7", message));
        }
        Ok(())
    }
}

fn view_of(at: LogId, configuration: &Configuration, program: &NodeProgram) -> View {
    let set = |members: &BTreeMap<NodeId, Member>, all: bool| {
        let some = members.iter().filter(|(_, member)| all || member.kind.votes());
        some.filter_map(|(id, _)| program.seat_of(id)).collect::<SeatSet>()
    };
    let halves = || std::iter::once(&configuration.members).chain(&configuration.outgoing);
    View {
        at,
        configuration: configuration.clone(),
        members: halves().fold(SeatSet::NONE, |all, half| all.union(set(half, true))),
        halves: halves().map(|half| set(half, false)).collect(),
    }
}

/// X6: voters change by way of a joint configuration only.
fn follows(seat: Seat, before: Option<&View>, view: &View) -> Result<(), Violation> {
    let Some(before) = before else { return Ok(()) };
    let (old, new) = (&before.configuration, &view.configuration);
    let lawful = match (&old.outgoing, &new.outgoing) {
        (None, Some(outgoing)) => *outgoing == old.members,
        (Some(_), None) => new.members == old.members,
        (None, None) => before.halves == view.halves,
        (Some(_), Some(_)) => false,
    };
    if lawful {
        return Ok(());
    }
    let message = format!("in the log of {seat} {} does not follow {}", view.at, before.at);
    Err(Violation::new("X6", message))
}

/// X6: a leader changes members one step at a time, and not before it committed an entry of its
/// own term.
fn in_order(
    seat: Seat,
    program: &NodeProgram,
    before: Option<&View>,
    view: &View,
) -> Result<(), Violation> {
    let log = program.machine.log();
    let is_own = program.leads_term() == Some(view.at.term) && view.at.term > Term::ZERO;
    let commit = log.commit();
    let late = before.is_some_and(|before| before.at.index > commit);
    if is_own && (late || log.term_at(commit) != Some(view.at.term)) {
        let message = format!("{seat} changes the members at {} and committed {commit}", view.at);
        return Err(Violation::new("X6", message));
    }
    Ok(())
}
