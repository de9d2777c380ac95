//! What a run of a scenario showed.

use std::collections::BTreeMap;

use super::Profile;
use super::operation::KvOperation;
use super::runner::{Outcome, trace_plan};
use crate::{Ending, FaultKind, Plan, TraceKind};

/// What a run of a scenario showed.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) outcome: Outcome,
    pub(super) nodes: u8,
    /// How the operations of clients ended before the calm phase, and how long each took.
    ended: Vec<(Ending, u64)>,
}

impl Seen {
    pub(super) fn of(plan: &Plan<KvOperation>, profile: &Profile) -> Self {
        let (outcome, trace) = trace_plan(plan, profile);
        let (mut begun, mut ended) = (BTreeMap::new(), Vec::new());
        for event in trace.iter().take_while(|event| event.at < plan.calm_at) {
            match &event.what {
                TraceKind::Began { operation, .. } => _ = begun.insert(*operation, event.at),
                TraceKind::Ended { operation, outcome, .. } => {
                    let since = begun.remove(operation).unwrap_or(event.at);
                    ended.push((*outcome, event.at - since));
                }
                _ => {}
            }
        }
        Self { outcome, nodes: plan.nodes, ended }
    }

    pub(super) fn checked(&self, invariant: &str) -> u64 {
        let found = self.outcome.checked.iter().find(|(id, _)| *id == invariant);
        found.map_or(0, |(_, count)| *count)
    }

    pub(super) const fn struck(&self, kind: FaultKind) -> u64 {
        self.outcome.tally.faults.of(kind)
    }

    pub(super) fn at_least(&self, what: &str, count: u64, least: u64) -> Result<(), String> {
        let seed = self.outcome.seed;
        if count >= least {
            return Ok(());
        }
        Err(format!("{what}: {count}, not {least} (seed {seed} of the plan)"))
    }

    pub(super) fn failovers_within(&self, most: u64) -> Result<(), String> {
        let longest = self.outcome.failovers.iter().max().copied().unwrap_or_default();
        within("a failover", longest, most)
    }

    /// Every answer came within `most` of the first try.
    pub(super) fn answered_within(&self, most: u64) -> Result<(), String> {
        let longest = self.ended.iter().map(|(_, took)| *took).max().unwrap_or_default();
        within("an operation", longest, most)
    }

    /// So many of a million operations were answered.
    pub(super) fn answered_at_least(&self, share: u64) -> Result<(), String> {
        let all = self.ended.len() as u64;
        let answered = self.ended.iter().filter(|(ending, _)| *ending == Ending::Ok).count() as u64;
        if all >= OPERATIONS_MIN && answered * 1_000_000 >= all * share {
            return Ok(());
        }
        Err(format!("{answered} of {all} operations were answered"))
    }
}

fn within(what: &str, took: u64, most: u64) -> Result<(), String> {
    if took <= most {
        return Ok(());
    }
    Err(format!("{what} took {:.2} s, more than {} s", took as f64 / 1e9, most / 1_000_000_000))
}

/// Fewer say nothing.
const OPERATIONS_MIN: u64 = 50;
