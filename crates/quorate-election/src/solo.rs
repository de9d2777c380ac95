//! Election alone: no log, a fixed configuration, the term as fencing token.

use quorate_core::{
    Ballot, Configuration, Instant, LogId, LogIndex, LogView, Machine, NodeId, Outbox, Rng,
};

use crate::{Config, Input, Output, Voter};

/// A log without entries under a configuration that never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmptyLog {
    configuration: Configuration,
}

impl EmptyLog {
    /// The empty log of the members of `configuration`.
    #[must_use]
    pub const fn new(configuration: Configuration) -> Self {
        Self { configuration }
    }
}

impl LogView for EmptyLog {
    fn tip(&self) -> LogId {
        LogId::ZERO
    }

    fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    fn commit(&self) -> LogIndex {
        LogIndex::ZERO
    }
}

/// A [`Voter`] over an [`EmptyLog`], as a machine.
#[derive(Debug)]
pub struct Solo {
    voter: Voter,
    log: EmptyLog,
}

impl Solo {
    /// The voter `me` of `configuration`, as [`Voter::new`].
    ///
    /// # Panics
    ///
    /// If `config` does not [`validate`](Config::validate).
    #[must_use]
    pub fn new(
        me: NodeId,
        config: Config,
        configuration: Configuration,
        ballot: Ballot,
        rng: Rng,
        now: Instant,
    ) -> Self {
        Self { voter: Voter::new(me, config, ballot, rng, now), log: EmptyLog::new(configuration) }
    }

    /// The voter.
    #[must_use]
    pub const fn voter(&self) -> &Voter {
        &self.voter
    }
}

impl Machine for Solo {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input, out: &mut Outbox<Output>) {
        // Without a log there is nothing to catch up with.
        let heir = match &input {
            Input::HandOver { to } => Some(to.clone()),
            _ => None,
        };
        self.voter.step(now, input, &self.log, out);
        if let Some(peer) = heir.filter(|heir| self.voter.handing_over() == Some(heir)) {
            self.voter.step(now, Input::CaughtUp { peer }, &self.log, out);
        }
    }

    fn wake(&mut self, now: Instant, out: &mut Outbox<Output>) {
        self.voter.wake(now, &self.log, out);
    }

    fn deadline(&self) -> Option<Instant> {
        self.voter.deadline()
    }
}
