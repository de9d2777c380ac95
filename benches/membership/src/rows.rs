//! From runs to the rows of a table.

use std::time::Duration;

use quorate_sim::crowd::{Figures, Scenario, Stall};
use serde::Serialize;

use crate::group::Group;
use crate::job::{Outcome, Subject, Topic};

/// A row: one figure, of all subjects.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) nodes: u32,
    pub(crate) unit: &'static str,
    /// Whether it is one of many that are summed up in a row of their own.
    #[serde(skip)]
    pub(crate) is_cell: bool,
    /// At most this is aimed at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) goal: Option<f64>,
    /// Infinite if it never came to pass, which JSON tells as `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quorate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) foca: Option<f64>,
}

impl Row {
    /// Whether the goal is met; `None` if there is none, or quorate was not measured.
    pub(crate) fn is_met(&self) -> Option<bool> {
        Some(self.quorate? <= self.goal?)
    }
}

/// All rows of what was measured.
pub(crate) fn rows(outcomes: &[Outcome], overhead: f64) -> Vec<Row> {
    let mut rows = Vec::new();
    for (topic, scenario, nodes) in kinds(outcomes) {
        let group = |subject| Group::of(outcomes, overhead, (subject, scenario, nodes));
        let mut part = Part {
            nodes,
            quorate: group(Subject::Quorate),
            foca: group(Subject::Foca),
            rows: &mut rows,
        };
        match (topic, scenario) {
            (Topic::Crash, _) => part.crash(),
            (Topic::MassCrash, _) => part.mass_crash(),
            (Topic::Join, _) => part.join(),
            (Topic::Leave, _) => part.leave(),
            (Topic::ColdBoot, _) => part.cold_boot(),
            (Topic::Heal, Scenario::Split(time)) => part.heal(time),
            (Topic::Quiet, _) => part.quiet(),
            (Topic::Loss, Scenario::Loss(percent @ (10 | 25), _)) => part.loss(percent),
            (Topic::Stalls, Scenario::Stalls(count, time, how)) => part.stalls(count, time, how),
            // The other losses are for the plot alone.
            _ => {}
        }
    }
    rows.extend(all_stalls(&rows));
    rows
}

/// What was measured, in order.
pub(crate) fn kinds(outcomes: &[Outcome]) -> Vec<(Topic, Scenario, u32)> {
    let mut kinds: Vec<_> =
        outcomes.iter().map(|o| (o.job.topic, o.job.scenario, o.job.nodes)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// The rows of one scenario and size.
struct Part<'a, 'b> {
    nodes: u32,
    quorate: Group<'a>,
    foca: Group<'a>,
    rows: &'b mut Vec<Row>,
}

impl Part<'_, '_> {
    fn row(
        &mut self,
        what: &str,
        unit: &'static str,
        goal: impl Into<Option<f64>>,
        figure: impl Fn(&Group<'_>) -> f64,
    ) {
        let of = |group: &Group<'_>| (!group.is_empty()).then(|| figure(group));
        let (quorate, foca) = (of(&self.quorate), of(&self.foca));
        let (what, nodes, goal) = (what.to_owned(), self.nodes, goal.into());
        self.rows.push(Row { what, nodes, unit, is_cell: false, goal, quorate, foca });
    }

    fn crash(&mut self) {
        let goal = match self.nodes {
            ..=100 => 3.0,
            101..=1_000 => 3.5,
            _ => 4.0,
        };
        self.row("crash: dead to the median observer", "s", goal, |g| g.median(dead));
        self.row("crash: dead to the last observer, worst seed", "s", 5.0, |g| g.last(dead));
        self.row("crash: unreachable to the median observer", "s", None, |g| g.median(unreachable));
        self.row("crash: unreachable to the last observer", "s", None, |g| g.last(unreachable));
        self.row("crash: bytes per node-second meanwhile", "B", None, bytes);
    }

    fn mass_crash(&mut self) {
        self.row("10 % crash: dead to the median pair", "s", None, |g| g.median(dead));
        self.row("10 % crash: every pair informed, worst seed", "s", 6.0, |g| g.last(dead));
        self.row("10 % crash: false deaths", "", 0.0, |g| g.sum(|tally| tally.healthy_deaths));
        self.row("10 % crash: bytes per node-second meanwhile", "B", None, bytes);
    }

    fn join(&mut self) {
        self.row("join: known by all, worst seed", "s", 1.5, |g| g.last(alive));
        self.row("join: the joiner's view is complete, worst seed", "s", 1.0, |g| {
            g.worst(|figures| figures.complete)
        });
    }

    fn leave(&mut self) {
        self.row("leave: known by all, worst seed", "s", None, |g| g.last(dead));
        self.row("leave: all know and the process ended, worst seed", "s", None, |g| {
            g.worst(|figures| figures.settled)
        });
    }

    fn cold_boot(&mut self) {
        self.row("cold boot from one seed: all pairs, worst seed", "s", 5.0, |g| {
            g.worst(|figures| figures.settled)
        });
        self.row("cold boot: bytes per node-second meanwhile", "B", None, bytes);
    }

    fn heal(&mut self, time: Duration) {
        let of = if time < Duration::from_secs(3_600) { "60 s" } else { "1 h" };
        self.row(&format!("{of} even split: healed, median seed"), "s", None, |g| {
            g.middle(|figures| figures.settled)
        });
        self.row(&format!("{of} even split: healed, worst seed"), "s", 5.0, |g| {
            g.worst(|figures| figures.settled)
        });
        self.row(&format!("{of} even split: forced identities, a run"), "", 0.0, |g| {
            g.mean(|tally| tally.renamed)
        });
    }

    fn quiet(&mut self) {
        let cpu = if self.nodes <= 1_000 { 2.5 } else { 3.0 };
        self.row("quiet: bytes per node-second", "B", 130.0, bytes);
        self.row("quiet: packets per node-second", "", None, |g| {
            g.per_node_second(|tally| tally.packets)
        });
        self.row("quiet: CPU per node-second", "us", cpu, |g| g.cpu());
    }

    fn loss(&mut self, percent: u32) {
        let what = |text: &str| format!("{percent} % loss: {text}");
        let heavy = percent == 25;
        let goal = heavy.then_some(if self.nodes <= 100 { 800.0 } else { 1_000.0 });
        self.row(&what("bytes per node-second"), "B", goal, bytes);
        let goal = (heavy && self.nodes >= 1_000).then_some(20.0);
        self.row(&what("CPU per node-second"), "us", goal, |g| g.cpu());
        self.row(&what("node-hours"), "h", None, |g| g.node_seconds() / 3_600.0);
        self.row(&what("false deaths, each observer counts"), "", 0.0, |g| {
            g.sum(|tally| tally.false_deaths)
        });
        self.row(&what("false deaths, per node-hour"), "", 0.0, |g| {
            g.per_node_hour(|tally| tally.false_deaths)
        });
        self.row(&what("forced identities, per node-hour"), "", 0.0, |g| {
            g.per_node_hour(|tally| tally.renamed)
        });
        self.row(&what("unreachable in error, per node-hour"), "", None, |g| {
            g.per_node_hour(|tally| tally.false_alarms)
        });
    }

    fn stalls(&mut self, count: u32, time: Duration, how: Stall) {
        let word = word(how);
        let what = format!("{count:>2} {word} for {:.1} s: false deaths", time.as_secs_f64());
        self.row(&what, "", None, |g| g.mean(|tally| tally.healthy_deaths));
        self.rows.iter_mut().rev().take(1).for_each(|row| row.is_cell = true);
    }
}

fn dead(figures: &Figures) -> &[Duration] {
    &figures.dead
}

fn unreachable(figures: &Figures) -> &[Duration] {
    &figures.unreachable
}

fn alive(figures: &Figures) -> &[Duration] {
    &figures.alive
}

fn bytes(group: &Group<'_>) -> f64 {
    group.per_node_second(|tally| tally.bytes)
}

/// The sums over all cells, with a goal where the paper's are.
fn all_stalls(rows: &[Row]) -> Vec<Row> {
    let sum = |how: Stall| {
        let ours = format!(" {} for ", word(how));
        let cells: Vec<&Row> = rows.iter().filter(|row| row.what.contains(&ours)).collect();
        let nodes = cells.first()?.nodes;
        let quorate = cells.iter().map(|row| row.quorate).sum();
        let foca = cells.iter().map(|row| row.foca).sum();
        let what = format!("all {} with {} nodes: false deaths", cells.len(), word(how));
        let goal = (how == Stall::Blocked).then_some(100.0);
        Some(Row { what, nodes, unit: "", is_cell: false, goal, quorate, foca })
    };
    [Stall::Blocked, Stall::Frozen].into_iter().filter_map(sum).collect()
}

pub(crate) const fn word(how: Stall) -> &'static str {
    match how {
        Stall::Blocked => "blocked",
        Stall::Frozen => "frozen",
    }
}
