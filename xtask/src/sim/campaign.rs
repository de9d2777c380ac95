//! Seed after seed, on all threads, with a bar that shows how fast.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use quorate_sim::cluster::{Failure, Outcome, Summary, run_parallel};
use quorate_tests::now;

use super::{Sim, choose};
use crate::sh::say;

/// What a campaign came to.
pub(super) struct Campaign {
    pub(super) summary: Summary,
    pub(super) failure: Option<Failure>,
    pub(super) took: Duration,
    /// One more than the highest seed that was run.
    pub(super) next_seed: u64,
}

impl Campaign {
    /// Events a second.
    pub(super) fn rate(&self) -> f64 {
        self.summary.events as f64 / self.took.as_secs_f64().max(0.001)
    }
}

impl Sim {
    /// Runs seeds from `start` on until the budget, the seeds or the promises end.
    pub(super) fn campaign(&self, mutant: Option<&str>, start: u64, visible: bool) -> Campaign {
        let begun = now();
        let end = self.seeds.as_ref().map_or(u64::MAX, |seeds| seeds.end);
        let (next, last) = (AtomicU64::new(start), AtomicU64::new(start));
        let failure: Mutex<Option<Failure>> = Mutex::new(None);
        let progress = Progress::new(self, start, visible);
        let summary = run_parallel(
            &self.profile(mutant),
            self.jobs,
            || choose(mutant),
            || {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                let goes_on = seed < end && (self.seeds.is_some() || now() - begun < self.budget);
                goes_on.then_some(seed)
            },
            |outcome: &Outcome| {
                last.fetch_max(outcome.seed + 1, Ordering::Relaxed);
                progress.add(outcome);
                if self.hashes {
                    say(&format!("{} {:032x}", outcome.seed, outcome.hash));
                }
                let Some(found) = &outcome.failure else { return true };
                let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert_with(|| found.clone());
                false
            },
        );
        progress.bar.finish_and_clear();
        Campaign {
            summary,
            failure: failure.into_inner().unwrap_or_else(PoisonError::into_inner),
            took: now() - begun,
            next_seed: last.into_inner(),
        }
    }
}

/// A bar of seeds, or of the time that is left.
struct Progress {
    bar: ProgressBar,
    begun: Instant,
    /// Whether the bar counts time rather than seeds.
    counts_time: bool,
    seeds: AtomicU64,
    events: AtomicU64,
    nanos: AtomicU64,
}

impl Progress {
    fn new(sim: &Sim, start: u64, visible: bool) -> Self {
        let counts_time = sim.seeds.is_none();
        let length = sim
            .seeds
            .as_ref()
            .map_or_else(|| sim.budget.as_millis() as u64, |seeds| seeds.end.saturating_sub(start));
        let bar = if visible { ProgressBar::new(length) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{elapsed} {bar:16} {percent:>3} %  {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let zero = || AtomicU64::new(0);
        Self { bar, begun: now(), counts_time, seeds: zero(), events: zero(), nanos: zero() }
    }

    fn add(&self, outcome: &Outcome) {
        let seeds = self.seeds.fetch_add(1, Ordering::Relaxed) + 1;
        let events = self.events.fetch_add(outcome.events, Ordering::Relaxed) + outcome.events;
        let nanos = self.nanos.fetch_add(outcome.nanos, Ordering::Relaxed) + outcome.nanos;
        if self.bar.is_hidden() {
            return;
        }
        let passed = now() - self.begun;
        let seconds = passed.as_secs_f64().max(0.001);
        self.bar.set_position(if self.counts_time { passed.as_millis() as u64 } else { seeds });
        self.bar.set_message(format!(
            "{seeds} seeds, {:.0}/s, {:.2} M events/s, {:.1} h simulated",
            seeds as f64 / seconds,
            events as f64 / seconds / 1e6,
            nanos as f64 / 3.6e12,
        ));
    }
}
