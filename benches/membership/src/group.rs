//! The runs of one subject in one scenario, and what they come to.

use std::time::Duration;

use quorate_sim::crowd::{Figures, Scenario, Tally};

use crate::job::{Outcome, Subject};

/// Runs that differ in their seeds alone. What never came to pass is infinite.
pub(crate) struct Group<'a> {
    pub(crate) outcomes: Vec<&'a Outcome>,
    /// What a clock around nothing measures, in nanoseconds.
    overhead: f64,
}

impl<'a> Group<'a> {
    pub(crate) fn of(
        outcomes: &'a [Outcome],
        overhead: f64,
        (subject, scenario, nodes): (Subject, Scenario, u32),
    ) -> Self {
        let wanted = |outcome: &&Outcome| {
            let job = outcome.job;
            (job.subject, job.scenario, job.nodes) == (subject, scenario, nodes)
        };
        Self { outcomes: outcomes.iter().filter(wanted).collect(), overhead }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }

    /// How many pairs should have noticed.
    pub(crate) fn pairs(&self) -> u64 {
        self.outcomes.iter().map(|outcome| outcome.figures.pairs).sum()
    }

    /// Of all pairs that noticed in all runs, in order.
    pub(crate) fn pooled(&self, times: impl Fn(&Figures) -> &[Duration]) -> Vec<f64> {
        let all = self.outcomes.iter().flat_map(|outcome| times(&outcome.figures));
        let mut all: Vec<f64> = all.map(Duration::as_secs_f64).collect();
        all.sort_by(f64::total_cmp);
        all
    }

    /// When half of all pairs had noticed.
    pub(crate) fn median(&self, times: impl Fn(&Figures) -> &[Duration]) -> f64 {
        let half = (self.pairs() / 2) as usize;
        self.pooled(times).get(half).copied().unwrap_or(f64::INFINITY)
    }

    /// When every pair had noticed.
    pub(crate) fn last(&self, times: impl Fn(&Figures) -> &[Duration]) -> f64 {
        let all = self.pooled(times);
        let complete = all.len() as u64 >= self.pairs();
        all.last().copied().filter(|_| complete).unwrap_or(f64::INFINITY)
    }

    /// The worst of the runs.
    pub(crate) fn worst(&self, time: impl Fn(&Figures) -> Option<Duration>) -> f64 {
        self.sorted(time).last().copied().unwrap_or(f64::INFINITY)
    }

    /// The middle one of the runs.
    pub(crate) fn middle(&self, time: impl Fn(&Figures) -> Option<Duration>) -> f64 {
        let times = self.sorted(time);
        times.get(times.len() / 2).copied().unwrap_or(f64::INFINITY)
    }

    fn sorted(&self, time: impl Fn(&Figures) -> Option<Duration>) -> Vec<f64> {
        let time = |outcome: &&Outcome| {
            time(&outcome.figures).map_or(f64::INFINITY, |time| time.as_secs_f64())
        };
        let mut times: Vec<f64> = self.outcomes.iter().map(time).collect();
        times.sort_by(f64::total_cmp);
        times
    }

    pub(crate) fn sum(&self, count: impl Fn(&Tally) -> u64) -> f64 {
        self.outcomes.iter().map(|outcome| count(&outcome.figures.tally)).sum::<u64>() as f64
    }

    /// The mean of the runs.
    pub(crate) fn mean(&self, count: impl Fn(&Tally) -> u64) -> f64 {
        self.sum(count) / self.outcomes.len() as f64
    }

    pub(crate) fn node_seconds(&self) -> f64 {
        self.outcomes.iter().map(|outcome| outcome.figures.tally.node_seconds()).sum()
    }

    pub(crate) fn per_node_second(&self, count: impl Fn(&Tally) -> u64) -> f64 {
        self.sum(count) / self.node_seconds()
    }

    pub(crate) fn per_node_hour(&self, count: impl Fn(&Tally) -> u64) -> f64 {
        self.per_node_second(count) * 3_600.0
    }

    /// Processor time of the protocol and its codec, in microseconds.
    pub(crate) fn cpu(&self) -> f64 {
        let nanos = self.outcomes.iter().map(|outcome| {
            let tally = &outcome.figures.tally;
            (tally.busy_nanos as f64 - tally.calls as f64 * self.overhead).max(0.0) * outcome.share
        });
        nanos.sum::<f64>() / self.node_seconds() / 1e3
    }
}
