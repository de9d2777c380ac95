//! How far replicas are said to be: R10.

use quorate::{Lag, Replica};
use quorate_core::{Entry, LogId, LogIndex, LogView as _};

use super::Checks;
use crate::cluster::program::NodeProgram;
use crate::{Seat, SeatSet, Violation};

impl Checks {
    /// R10: no position that a leader reports is ahead of the replica's own, and each lag is what the
    /// leader's log holds beyond.
    pub(super) fn reports_lag(&self, seat: Seat, program: &NodeProgram) -> Result<(), Violation> {
        let machine = &program.machine;
        let (log, now) = (machine.log(), program.now);
        let (tip, commit) = (log.tip().index, log.commit());
        let clock = machine.replicator().cluster_time(now).0;
        for replica in machine.replicator().replicas(now) {
            let Some(holder) = program.seat_of(&replica.id) else { continue };
            let wrong = |what: &str| {
                let message = format!("{seat} reports of {holder} {what}: {replica:?}");
                Err(Violation::new("R10", message))
            };
            let Replica { sent, received, durable, applied, .. } = &replica;
            let in_order = sent.index >= received.index && received.index >= durable.index;
            if !in_order || sent.index > tip || applied.index > commit {
                return wrong("positions that make no sense");
            }
            let positions = [(sent, tip), (received, tip), (durable, tip), (applied, commit)];
            for (position, target) in positions {
                // What is compacted away has no size and no date in the log any more.
                if position.index.next() < log.first_index() {
                    continue;
                }
                let missing = || log.entries(position.index.next()..=target);
                let age = missing().next().map_or(0, |oldest| clock.saturating_sub(oldest.time.0));
                let truth = Lag {
                    entries: missing().count() as u64,
                    bytes: missing().map(Entry::size_bytes).sum::<usize>() as u64,
                    age: std::time::Duration::from_micros(age),
                };
                if position.lag != truth {
                    return wrong("another lag than there is");
                }
            }
            // What a lost disk held is judged by S9; and what is not committed may be replaced.
            if self.atlas.is_harmed(holder) || self.disks.was_replaced(holder) {
                continue;
            }
            if applied.index > self.log.ever_applied(holder) {
                return wrong("as applied what it never applied");
            }
            let index = durable.index.min(commit);
            let id = log.term_at(index).map(|term| LogId { term, index });
            let lacks = |id: LogId| id.index > LogIndex(1) && !self.disks.holds(holder, id);
            if id.is_some_and(lacks) {
                return wrong("as durable what it does not hold");
            }
        }
        Ok(())
    }

    /// R10, once there is calm: whether what the leader reports of the nodes of `core` is where they
    /// are, and nothing is missing.
    pub(in crate::cluster) fn reports_truth(&self, program: &NodeProgram, core: SeatSet) -> bool {
        let replicas = program.machine.replicator().replicas(program.now);
        let in_core = replicas.iter().filter_map(|replica| {
            let seat = program.seat_of(&replica.id)?;
            core.contains(seat).then_some((seat, replica))
        });
        let mut all = in_core;
        all.all(|(seat, replica)| {
            let positions = [replica.sent, replica.received, replica.durable, replica.applied];
            positions.iter().all(|position| position.lag == Lag::default())
                && replica.applied.index == self.log.applied_by(seat)
        })
    }
}
