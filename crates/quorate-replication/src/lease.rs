//! Reads without a round trip: the log is the lease (`LeaseGuard`, arXiv 2512.15659).
//!
//! A leader may answer by itself for [`Config::lease`](crate::Config::lease) after it *appended* the
//! newest committed entry of its own term. A new leader has that entry, and commits nothing of its own
//! before the same time has passed, stretched by the drift between two clocks, since it received the
//! last entry of an earlier term. So until then no write can be acknowledged that such a read would
//! miss. Votes know nothing of it, and no clock is compared with another.

use quorate_core::{Entry, Instant, LeaseTerms, LogView as _, Outbox, Payload, mutant};

use crate::config::Config;
use crate::io::{Output, ReadId};
use crate::replicator::Replicator;

impl Config {
    /// The leases by which this replicator goes.
    #[must_use]
    pub fn lease_terms(&self) -> LeaseTerms {
        LeaseTerms::new(self.lease, self.drift_millionths)
    }
}

impl Replicator {
    /// When a leader that begins now may commit: once no earlier one can hold a lease.
    pub(crate) fn others_may_hold_until(&self) -> Instant {
        let ended = self.log.entry(self.log.tip().index).is_some_and(is_end);
        if self.config.lease.is_zero() || ended || mutant!("new-leader-does-not-wait") {
            return Instant::ZERO;
        }
        self.tip_seen + self.config.lease_terms().over_after()
    }

    /// Until when this leader may answer reads by itself; `None` if it may not.
    #[must_use]
    pub fn lease_until(&self) -> Option<Instant> {
        let leading = self.leading.as_ref()?;
        let commit = self.log.commit();
        let given_away = leading.handing.is_some() || commit <= leading.lease_ended;
        if self.config.lease.is_zero() || commit < leading.first || given_away {
            return None;
        }
        let appended = leading.appended_at(self.log.time_at(commit)?);
        // Of the append: the commit comes later, and its moment says nothing about other logs.
        let from = if mutant!("lease-from-last-look") { self.now } else { appended };
        Some(from + self.config.lease)
    }

    /// A read that the lease may serve; else it is confirmed by a quorum, as any other.
    pub(crate) fn lease_read(&mut self, id: ReadId, out: &mut Outbox<Output>) {
        let until = self.lease_until();
        if self.wants_renewal(until) {
            // As often as reads ask for it: an idle leader's log is silent.
            self.append_own(Payload::Noop);
        }
        if until.is_some_and(|until| self.now < until) {
            out.push(Output::ReadAt { id, index: self.log.commit() });
        } else {
            self.read(id, out);
        }
    }

    /// Whether the lease ends soon, and nothing is under way that would renew it.
    fn wants_renewal(&self, until: Option<Instant>) -> bool {
        let Some(leading) = &self.leading else { return false };
        let idle = self.log.tip().index == self.log.commit() && leading.handing.is_none();
        let soon = until.is_none_or(|until| until.since(self.now) < self.config.lease / 2);
        !self.config.lease.is_zero() && idle && soon
    }

    /// The leader hands over and answers no more by itself: its heir need not wait.
    ///
    /// Not before something of the own term is committed: else an earlier leader may hold a lease
    /// still, and whoever finds this word at the end of its log would not wait for that one's end.
    pub(crate) fn end_lease(&mut self) {
        let Some(leading) = &self.leading else { return };
        if self.config.lease.is_zero() || self.log.commit() < leading.first {
            return;
        }
        let ended = self.append_own(Payload::LeaseEnded);
        if let (Some(leading), Some(id)) = (&mut self.leading, ended) {
            leading.lease_ended = id.index;
        }
    }
}

fn is_end(entry: &Entry) -> bool {
    entry.payload == Payload::LeaseEnded
}
