//! Writes that want every copy, and waits for a level: who still has to hold what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quorate_core::{
    Configuration, DiskId, Instant, LogId, LogIndex, LogView as _, NodeId, Outbox, mutant,
};
use quorate_replication::{ConsistencyLevel, Holder, WriteState, WriteStatus};

use super::clients::reply;
use super::node::NodeMachine;
use super::pending::{Origin, Stage};
use crate::{Answer, Doubt, Effect, Failure};

/// So many waits for a level may be open at a leader.
const AWAITED_MAX: usize = 1_024;

/// So many requests may wait for every copy, of all that a leader keeps open: those that want less
/// always find room beside them.
const STRONG_MAX: usize = 4_096;

/// What a leader waits for on behalf of others.
#[derive(Debug, Default)]
pub(super) struct Levels {
    /// Requests that want every copy, by the place of their entry and their number, with those who
    /// must hold it: as the members were when the entry was appended, since the log may be compacted
    /// before the last of them has it.
    ///
    /// They are answered in this order. An earlier one never waits for anybody that a later one can
    /// do without: who is not among the members at the later place was removed by then, and that is
    /// committed before the later entry is.
    strong: BTreeMap<(LogIndex, u64), Arc<[Holder]>>,
    /// Waits for entries that this log does not hold yet, or that are not committed, by index.
    undecided: BTreeSet<(LogIndex, u64)>,
    /// What was committed at the last look at them.
    looked_at: LogId,
    /// The waits, and perhaps some that are over.
    waits: BTreeSet<u64>,
    /// Those who must hold an entry by the newest configuration, and which that is.
    newest: Option<(u64, Arc<[Holder]>)>,
    /// When this node began to lead: before an election timeout is over, silence means nothing.
    led_at: Instant,
}

impl Levels {
    /// This node leads from now on.
    pub(super) const fn led(&mut self, now: Instant) {
        self.led_at = now;
    }

    /// It leads no longer.
    pub(super) fn clear(&mut self) {
        self.strong.clear();
        self.undecided.clear();
        self.looked_at = LogId::ZERO;
        self.waits.clear();
        self.newest = None;
    }

    /// The request `number` waits no longer for all copies of the entry at `index`.
    pub(super) fn wants_no_more(&mut self, index: LogIndex, number: u64) {
        self.strong.remove(&(index, number));
    }

    /// The configuration at `index` is committed: whom it removed nobody waits for any more.
    pub(super) fn members_changed(&mut self, index: LogIndex, configuration: &Configuration) {
        for ((at, _), holders) in &mut self.strong {
            if *at < index && holders.iter().any(|holder| !holder.remains_in(configuration)) {
                let remain = holders.iter().filter(|holder| holder.remains_in(configuration));
                *holders = remain.cloned().collect();
            }
        }
    }
}

impl NodeMachine {
    /// The write or change `number` stands at `at` in the log.
    pub(super) fn placed(&mut self, number: u64, at: LogId) {
        if self.pending.placed(number, at) == Some(ConsistencyLevel::Strong) {
            self.want_all(number, at.index);
        }
    }

    /// The request `number` wants all that must hold the entry at `index`.
    fn want_all(&mut self, number: u64, index: LogIndex) {
        let log = self.replicator.log();
        let changes = log.configuration_changes();
        let is_newest = log.configured_at() <= index;
        let known = self.levels.newest.as_ref().filter(|(known, _)| is_newest && *known == changes);
        let holders = match known {
            Some((_, holders)) => holders.clone(),
            None => {
                // Where nobody can tell who must hold it, nobody says that all do: it waits in vain.
                let Some(holders) = self.replicator.strong_holders(index) else { return };
                let holders: Arc<[Holder]> = holders.into();
                if is_newest {
                    self.levels.newest = Some((changes, holders.clone()));
                }
                holders
            }
        };
        self.levels.strong.insert((index, number), holders);
    }

    /// Whether all that must hold a write of `level` can be reached, if all must.
    ///
    /// # Errors
    ///
    /// [`Failure::Unavailable`], before anything is written.
    pub(super) fn reaches_all(&self, now: Instant, level: ConsistencyLevel) -> Result<(), Failure> {
        if level != ConsistencyLevel::Strong {
            return Ok(());
        }
        // A stream on which nothing comes back is none. A new leader has not asked yet.
        let is_new = now < self.levels.led_at + self.election.election_min;
        let is_reached = |holder: &Holder| {
            let disk = self.connected.get(&holder.id);
            let is_there = |disk: &DiskId| holder.disk == DiskId::NONE || *disk == holder.disk;
            holder.id == self.me
                || (disk.is_some_and(is_there) && (is_new || self.voter.hears(&holder.id)))
        };
        let tip = self.replicator.log().tip().index;
        let holders = self.replicator.strong_holders(tip);
        let missing = holders.into_iter().flatten().filter(|holder| !is_reached(holder));
        let missing: Vec<NodeId> = missing.map(|holder| holder.id).collect();
        if self.levels.strong.len() >= STRONG_MAX {
            return Err(Failure::Overloaded);
        }
        if missing.is_empty() { Ok(()) } else { Err(Failure::Unavailable { level, missing }) }
    }

    /// Somebody wants to wait until the write at `at` has reached `level`.
    pub(super) fn await_level(
        &mut self,
        origin: Origin,
        deadline: Instant,
        at: LogId,
        level: ConsistencyLevel,
        out: &mut Outbox<Effect>,
    ) {
        if level == ConsistencyLevel::Eventual {
            return reply(origin, Answer::Failed(Failure::LevelNotOffered { level }), out);
        }
        let status = self.write_status(at);
        if status.settles(level) {
            return reply(origin, Answer::Status(status), out);
        }
        if self.levels.waits.len() >= AWAITED_MAX {
            let pending = &self.pending;
            self.levels.waits.retain(|number| pending.stage(*number).is_some());
        }
        if self.levels.waits.len() >= AWAITED_MAX || self.levels.strong.len() >= STRONG_MAX {
            return reply(origin, Answer::Failed(Failure::Overloaded), out);
        }
        let number = self.pending.add(origin, deadline, Stage::Awaiting { at, level });
        self.levels.waits.insert(number);
        self.wait_on(number, &status, level);
    }

    /// What became of the write at `at`, as far as this node knows. Whoever answers from another disk
    /// than the one that counts holds nothing, whatever was heard from that one before.
    pub(super) fn write_status(&self, at: LogId) -> WriteStatus {
        let mut status = self.replicator.write_status(at);
        let holders = self.replicator.strong_holders(at.index);
        for holder in holders.iter().flatten().filter(|holder| self.is_elsewhere(holder)) {
            status.acked.retain(|id| *id != holder.id);
            if !status.missing.contains(&holder.id) {
                status.missing.push(holder.id.clone());
            }
            status.reached = status.reached.min(Some(ConsistencyLevel::Quorum));
        }
        status
    }

    /// Whether `holder` is known to be on another disk now.
    fn is_elsewhere(&self, holder: &Holder) -> bool {
        let there = self.connected.get(&holder.id);
        holder.disk != DiskId::NONE && there.is_some_and(|disk| *disk != holder.disk)
    }

    /// Who is known to hold the entry at `index`, and has not come back on another disk.
    pub(super) fn known_holders(&self, index: LogIndex) -> Vec<NodeId> {
        let mut known = self.replicator.known_holders(index);
        let configuration = self.replicator.log().configuration();
        known.retain(|id| {
            let there = self.connected.get(id);
            *id == self.me || there.is_none_or(|disk| configuration.speaks_for(id, *disk))
        });
        known
    }

    /// The stream to `peer` broke: nobody hears any more what came of its waits.
    pub(super) fn drop_waits_of(&mut self, peer: &NodeId) {
        for number in self.pending.drop_waits_of(peer) {
            self.levels.waits.remove(&number);
        }
    }

    /// A wait that is not over goes on, for copies or for the commit.
    fn wait_on(&mut self, number: u64, status: &WriteStatus, level: ConsistencyLevel) {
        let is_here = self.replicator.log().holds(status.log_id);
        if is_here && level == ConsistencyLevel::Strong {
            self.want_all(number, status.log_id.index);
        } else {
            self.levels.undecided.insert((status.log_id.index, number));
        }
    }

    /// Answers those whose writes are where they are to be.
    pub(super) fn answer_levels(&mut self, out: &mut Outbox<Effect>) {
        self.look_at_undecided(out);
        while let Some(((index, number), holders)) = self.levels.strong.first_key_value() {
            let (index, number) = (*index, *number);
            let is_over = match self.pending.stage(number) {
                Some(Stage::Applied { .. }) => true,
                Some(Stage::Awaiting { .. }) => self.replicator.log().commit() >= index,
                Some(_) => false,
                None => {
                    self.levels.strong.remove(&(index, number));
                    continue;
                }
            };
            if !is_over || !self.missing(holders, index).is_empty() {
                return;
            }
            self.levels.strong.remove(&(index, number));
            let Some(open) = self.pending.remove(number) else { continue };
            let (reached, acked) = (ConsistencyLevel::Strong, self.known_holders(index));
            let answer = match open.stage {
                Stage::Applied { at, reply } => Answer::Written { reply, at, reached, acked },
                Stage::Awaiting { at: log_id, .. } => Answer::Status(WriteStatus {
                    log_id,
                    state: WriteState::Committed,
                    reached: Some(reached),
                    acked,
                    missing: Vec::new(),
                }),
                _ => continue,
            };
            reply(open.origin, answer, out);
        }
    }

    /// What waits for a commit is looked at when there is one.
    fn look_at_undecided(&mut self, out: &mut Outbox<Effect>) {
        let log = self.replicator.log();
        let index = log.commit();
        if self.levels.undecided.is_empty() || index == self.levels.looked_at.index {
            return;
        }
        let commit = LogId { term: log.term_at(index).unwrap_or_default(), index };
        // A commit of a later term may decide on what lies beyond it: none of an earlier follows.
        let all = commit.term != self.levels.looked_at.term;
        self.levels.looked_at = commit;
        let beyond = (index.next(), 0);
        let later = if all { BTreeSet::new() } else { self.levels.undecided.split_off(&beyond) };
        for (_, number) in std::mem::replace(&mut self.levels.undecided, later) {
            let Some(&Stage::Awaiting { at, level }) = self.pending.stage(number) else { continue };
            let status = self.write_status(at);
            if !status.settles(level) {
                self.wait_on(number, &status, level);
            } else if let Some(open) = self.pending.remove(number) {
                reply(open.origin, Answer::Status(status), out);
            }
        }
    }

    /// Those of `holders` that are not known to hold the entry at `index`.
    fn missing(&self, holders: &[Holder], index: LogIndex) -> Vec<NodeId> {
        if mutant!("strong-counts-majority") {
            return Vec::new();
        }
        let newest = self.replicator.log().configuration();
        let counts = |holder: &Holder| {
            if mutant!("strong-counts-connected-only") {
                return holder.id == self.me || self.connected.contains_key(&holder.id);
            }
            holder.remains_in(newest) || !mutant!("strong-by-newest-members")
        };
        let lacks = |holder: &&Holder| {
            let holds = self.replicator.is_held_by(holder, index) && !self.is_elsewhere(holder);
            !holds && counts(holder)
        };
        holders.iter().filter(lacks).map(|holder| holder.id.clone()).collect()
    }

    /// The deadline of request `number` passed, and the write at `at` has not reached `wanted`: how
    /// far it is.
    pub(super) fn indeterminate(
        &mut self,
        number: u64,
        at: LogId,
        wanted: ConsistencyLevel,
        is_applied: bool,
    ) -> Answer {
        let holders = self.levels.strong.remove(&(at.index, number));
        self.levels.undecided.remove(&(at.index, number));
        self.levels.waits.remove(&number);
        let mut status = self.write_status(at);
        if let Some(holders) = holders {
            // The log may not show any more what is known here.
            status.missing = self.missing(&holders, at.index);
            status.acked = self.known_holders(at.index);
        }
        let reached = status.reached.max(is_applied.then_some(ConsistencyLevel::Quorum));
        let WriteStatus { acked, missing, .. } = status;
        let doubt = Doubt::Indeterminate { log_id: at, wanted, reached, acked, missing };
        Answer::Unknown(doubt)
    }
}
