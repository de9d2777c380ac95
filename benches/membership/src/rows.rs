//! From runs to the rows of a table.

use std::time::Duration;

use quorate_sim::crowd::{Figures, Scenario, Tally};
use serde::Serialize;

use crate::job::{Outcome, Subject, Topic};

/// A row: one figure, of all subjects.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) nodes: u32,
    pub(crate) unit: &'static str,
    /// At most this is aimed at.
    pub(crate) goal: Option<f64>,
    /// `None` if it never came to pass, or was not measured.
    pub(crate) quorate: Option<f64>,
    /// The same of foca.
    pub(crate) foca: Option<f64>,
}

/// Figures of one subject, scenario and size.
pub(crate) struct Group<'a> {
    outcomes: Vec<&'a Outcome>,
    overhead: f64,
}

impl<'a> Group<'a> {
    fn of(outcomes: &'a [Outcome], overhead: f64, wanted: impl Fn(&Outcome) -> bool) -> Self {
        let outcomes = outcomes.iter().filter(|outcome| wanted(outcome)).collect();
        Self { outcomes, overhead }
    }

    fn pooled(&self, times: impl Fn(&Figures) -> &[Duration]) -> Vec<f64> {
        let all = self.outcomes.iter().flat_map(|outcome| times(&outcome.figures));
        let mut all: Vec<f64> = all.map(Duration::as_secs_f64).collect();
        all.sort_by(f64::total_cmp);
        all
    }

    /// Of all pairs; `None` if half of them or more never noticed.
    fn median(&self, times: impl Fn(&Figures) -> &[Duration]) -> Option<f64> {
        let pairs: u64 = self.outcomes.iter().map(|outcome| outcome.figures.pairs).sum();
        self.pooled(times).get((pairs / 2) as usize).copied()
    }

    /// `None` if a pair never noticed.
    fn last(&self, times: impl Fn(&Figures) -> &[Duration]) -> Option<f64> {
        let pairs: u64 = self.outcomes.iter().map(|outcome| outcome.figures.pairs).sum();
        let all = self.pooled(times);
        if (all.len() as u64) < pairs { None } else { all.last().copied() }
    }

    /// The worst of the runs; `None` if one never got there.
    fn worst(&self, time: impl Fn(&Figures) -> Option<Duration>) -> Option<f64> {
        let times = self.outcomes.iter().map(|outcome| time(&outcome.figures));
        let times: Option<Vec<Duration>> = times.collect();
        times?.into_iter().max().map(|time| time.as_secs_f64())
    }

    fn middle(&self, time: impl Fn(&Figures) -> Option<Duration>) -> Option<f64> {
        let times = self.outcomes.iter().map(|outcome| time(&outcome.figures));
        let mut times: Vec<Duration> = times.map(|time| time.unwrap_or(Duration::MAX)).collect();
        times.sort_unstable();
        let middle = times.get(times.len() / 2).filter(|time| **time < Duration::MAX);
        middle.map(Duration::as_secs_f64)
    }

    fn sum(&self, count: impl Fn(&Tally) -> u64) -> f64 {
        self.outcomes.iter().map(|outcome| count(&outcome.figures.tally)).sum::<u64>() as f64
    }

    fn runs(&self) -> f64 {
        self.outcomes.len() as f64
    }

    fn node_seconds(&self) -> f64 {
        self.outcomes.iter().map(|outcome| outcome.figures.tally.node_seconds()).sum()
    }

    fn per_node_second(&self, count: impl Fn(&Tally) -> u64) -> Option<f64> {
        self.some(self.sum(count) / self.node_seconds())
    }

    fn per_node_hour(&self, count: impl Fn(&Tally) -> u64) -> Option<f64> {
        self.some(self.sum(count) * 3_600.0 / self.node_seconds())
    }

    fn some(&self, value: f64) -> Option<f64> {
        (!self.outcomes.is_empty()).then_some(value)
    }

    /// In microseconds.
    fn cpu_per_node_second(&self) -> Option<f64> {
        let nanos = self.outcomes.iter().map(|outcome| {
            let tally = &outcome.figures.tally;
            (tally.busy_nanos as f64 - tally.calls as f64 * self.overhead).max(0.0) * outcome.share
        });
        self.some(nanos.sum::<f64>() / self.node_seconds() / 1e3)
    }
}

/// All rows of what was measured.
pub(crate) fn rows(outcomes: &[Outcome], overhead: f64) -> Vec<Row> {
    let mut kinds: Vec<(Topic, Scenario, u32)> =
        outcomes.iter().map(|o| (o.job.topic, o.job.scenario, o.job.nodes)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut rows = Vec::new();
    for (topic, scenario, nodes) in kinds {
        let group = |subject: Subject| {
            Group::of(outcomes, overhead, move |o| {
                (o.job.subject, o.job.scenario, o.job.nodes) == (subject, scenario, nodes)
            })
        };
        let (quorate, foca) = (group(Subject::Quorate), group(Subject::Foca));
        let mut add = |what: String, unit, goal, figure: &dyn Fn(&Group<'_>) -> Option<f64>| {
            let (quorate, foca) = (figure(&quorate), figure(&foca));
            rows.push(Row { what, nodes, unit, goal, quorate, foca });
        };
        match topic {
            Topic::Crash => {
                let goal = Some(if nodes <= 100 {
                    3.0
                } else if nodes <= 1_000 {
                    3.5
                } else {
                    4.0
                });
                add("crash: dead to the median observer".into(), "s", goal, &|g| {
                    g.median(|f| &f.dead)
                });
                add("crash: dead to the last observer, worst seed".into(), "s", Some(5.0), &|g| {
                    g.last(|f| &f.dead)
                });
                add("crash: unreachable to the median observer".into(), "s", None, &|g| {
                    g.median(|f| &f.unreachable)
                });
                add("crash: unreachable to the last observer".into(), "s", None, &|g| {
                    g.last(|f| &f.unreachable)
                });
                add("crash: bytes per node-second meanwhile".into(), "B", None, &|g| {
                    g.per_node_second(|t| t.bytes)
                });
            }
            Topic::MassCrash => {
                add("10 % crash: dead to the median pair".into(), "s", None, &|g| {
                    g.median(|f| &f.dead)
                });
                add("10 % crash: every pair informed, worst seed".into(), "s", Some(6.0), &|g| {
                    g.last(|f| &f.dead)
                });
                add("10 % crash: false deaths".into(), "", Some(0.0), &|g| {
                    g.some(g.sum(|t| t.healthy_deaths))
                });
                add("10 % crash: bytes per node-second meanwhile".into(), "B", None, &|g| {
                    g.per_node_second(|t| t.bytes)
                });
            }
            Topic::Join => {
                add("join: known by all, worst".into(), "s", Some(1.5), &|g| g.last(|f| &f.alive));
                add("join: the joiner's view is complete, worst".into(), "s", Some(1.0), &|g| {
                    g.worst(|f| f.complete)
                });
            }
            Topic::Leave => {
                add("leave: known by all, worst".into(), "s", None, &|g| g.last(|f| &f.dead));
                add("leave: the process may end, worst".into(), "s", None, &|g| {
                    g.worst(|f| f.settled)
                });
            }
            Topic::ColdBoot => {
                add("cold boot from one seed: all pairs, worst".into(), "s", Some(5.0), &|g| {
                    g.worst(|f| f.settled)
                });
                add("cold boot: bytes per node-second meanwhile".into(), "B", None, &|g| {
                    g.per_node_second(|t| t.bytes)
                });
            }
            Topic::Heal => {
                let Scenario::Split(time) = scenario else { continue };
                let of = if time < Duration::from_secs(3_600) { "60 s" } else { "1 h" };
                add(format!("{of} even split: healed, median"), "s", None, &|g| {
                    g.middle(|f| f.settled)
                });
                add(format!("{of} even split: healed, worst"), "s", Some(5.0), &|g| {
                    g.worst(|f| f.settled)
                });
                add(format!("{of} even split: changed identities"), "", Some(0.0), &|g| {
                    g.some(g.sum(|t| t.renamed))
                });
            }
            Topic::Quiet => {
                let cpu = if nodes <= 1_000 { 2.5 } else { 3.0 };
                add("quiet: bytes per node-second".into(), "B", Some(130.0), &|g| {
                    g.per_node_second(|t| t.bytes)
                });
                add("quiet: packets per node-second".into(), "", None, &|g| {
                    g.per_node_second(|t| t.packets)
                });
                add("quiet: CPU per node-second".into(), "us", Some(cpu), &|g| {
                    g.cpu_per_node_second()
                });
            }
            Topic::Loss => {
                let Scenario::Loss(percent, _) = scenario else { continue };
                let heavy = percent == 25;
                let bytes = heavy.then_some(if nodes <= 100 { 800.0 } else { 1_000.0 });
                let cpu = (heavy && nodes >= 1_000).then_some(20.0);
                add(format!("{percent} % loss: bytes per node-second"), "B", bytes, &|g| {
                    g.per_node_second(|t| t.bytes)
                });
                add(format!("{percent} % loss: CPU per node-second"), "us", cpu, &|g| {
                    g.cpu_per_node_second()
                });
                add(format!("{percent} % loss: node-hours"), "h", None, &|g| {
                    g.some(g.node_seconds() / 3_600.0)
                });
                add(
                    format!("{percent} % loss: false deaths, each observer counts"),
                    "",
                    Some(0.0),
                    &|g| g.some(g.sum(|t| t.false_deaths)),
                );
                add(
                    format!("{percent} % loss: nodes taken for dead, per node-hour"),
                    "",
                    None,
                    &|g| {
                        let nodes: usize = g.outcomes.iter().map(|o| o.figures.buried_alive).sum();
                        g.some(nodes as f64 * 3_600.0 / g.node_seconds())
                    },
                );
                add(
                    format!("{percent} % loss: forced identities per node-hour"),
                    "",
                    Some(0.0),
                    &|g| g.per_node_hour(|t| t.renamed),
                );
                add(
                    format!("{percent} % loss: unreachable in error, per node-hour"),
                    "",
                    None,
                    &|g| g.per_node_hour(|t| t.false_alarms),
                );
            }
            Topic::Stalls => {
                let Scenario::Stalls(count, time) = scenario else { continue };
                let what = format!("{count} stalled for {:.1} s: false deaths", time.as_secs_f64());
                add(what, "", None, &|g| g.some(g.sum(|t| t.healthy_deaths) / g.runs()));
            }
        }
    }
    rows.extend(all_stalls(&rows));
    rows
}

/// The sum over all cells.
fn all_stalls(rows: &[Row]) -> Option<Row> {
    let cells: Vec<&Row> = rows.iter().filter(|row| row.what.contains(" stalled for ")).collect();
    let nodes = cells.first()?.nodes;
    let quorate = cells.iter().map(|row| row.quorate).sum();
    let foca = cells.iter().map(|row| row.foca).sum();
    let what = format!("{} cells of stalls: false deaths", cells.len());
    Some(Row { what, nodes, unit: "", goal: Some(100.0), quorate, foca })
}
