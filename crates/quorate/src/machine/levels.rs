//! Writes that want every copy, and waits for a level: who still has to hold what.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_core::{
    Configuration, DiskId, Instant, LogId, LogIndex, LogView as _, NodeId, Outbox, mutant,
};
use quorate_replication::{ConsistencyLevel, Holder, WriteState, WriteStatus};

use super::clients::reply;
use super::node::NodeMachine;
use super::pending::{Origin, Stage};
use crate::{Answer, Doubt, Effect, Failure};

/// So many waits for a level may be open at a leader: each is looked at with every commit.
const AWAITED_MAX: usize = 1_024;

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
    /// Waits for entries that this log does not hold yet, or that are not committed.
    undecided: Vec<u64>,
    /// The commit at the last look at them.
    looked_at: LogIndex,
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
        self.looked_at = LogIndex::ZERO;
        self.newest = None;
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
                let holders: Arc<[Holder]> =
                    self.replicator.strong_holders(index).unwrap_or_default().into();
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
        let holders = self.replicator.strong_holders(tip).unwrap_or_default();
        let missing = holders.into_iter().filter(|holder| !is_reached(holder));
        let missing: Vec<NodeId> = missing.map(|holder| holder.id).collect();
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
        let status = self.replicator.write_status(at);
        if status.settles(level) {
            return reply(origin, Answer::Status(status), out);
        }
        if self.levels.undecided.len() >= AWAITED_MAX {
            return reply(origin, Answer::Failed(Failure::Overloaded), out);
        }
        let number = self.pending.add(origin, deadline, Stage::Awaiting { at, level });
        self.wait_on(number, &status, level);
    }

    /// A wait that is not over goes on, for copies or for the commit.
    fn wait_on(&mut self, number: u64, status: &WriteStatus, level: ConsistencyLevel) {
        let is_here = self.replicator.log().holds(status.log_id);
        if is_here && level == ConsistencyLevel::Strong {
            self.want_all(number, status.log_id.index);
        } else {
            self.levels.undecided.push(number);
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
            let (reached, acked) = (ConsistencyLevel::Strong, self.replicator.known_holders(index));
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
        let commit = self.replicator.log().commit();
        if self.levels.undecided.is_empty() || commit == self.levels.looked_at {
            return;
        }
        self.levels.looked_at = commit;
        for number in std::mem::take(&mut self.levels.undecided) {
            let Some(&Stage::Awaiting { at, level }) = self.pending.stage(number) else { continue };
            let status = self.replicator.write_status(at);
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
        let lacks = |holder: &&Holder| !self.replicator.is_held_by(holder, index) && counts(holder);
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
        self.levels.undecided.retain(|waits| *waits != number);
        let mut status = self.replicator.write_status(at);
        if let Some(holders) = holders {
            // The log may not show any more what is known here.
            status.missing = self.missing(&holders, at.index);
            status.acked = self.replicator.known_holders(at.index);
        }
        let reached = status.reached.max(is_applied.then_some(ConsistencyLevel::Quorum));
        let WriteStatus { acked, missing, .. } = status;
        let doubt = Doubt::Indeterminate { log_id: at, wanted, reached, acked, missing };
        Answer::Unknown(doubt)
    }
}
