//! What the bench tells a person.

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};

use crate::load::{Work, histogram};
use crate::probe::Probe;
use crate::system::Measured;

/// One kind of load, and what each system made of it, round by round.
pub(crate) struct Row {
    pub(crate) work: Work,
    pub(crate) clients: usize,
    /// By contestant; equally many rounds each.
    pub(crate) rounds: Vec<Vec<Measured>>,
}

impl Row {
    /// The rate of a system: the median of its rounds.
    fn rate(&self, system: usize) -> f64 {
        median(self.rounds[system].iter().map(|round| round.sample.per_second))
    }

    /// All latencies of a system.
    fn latency(&self, system: usize) -> Histogram<u64> {
        let mut all = histogram();
        for round in &self.rounds[system] {
            all.add(&round.sample.latency).expect("all have the same bounds");
        }
        all
    }

    /// The first system's rate over another one's: median, least and most of the pairs.
    fn ratio(&self, other: usize) -> [f64; 3] {
        let pairs = self.rounds[0].iter().zip(&self.rounds[other]);
        let ratios: Vec<f64> =
            pairs.map(|(a, b)| a.sample.per_second / b.sample.per_second).collect();
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = ratios.iter().copied().fold(0.0, f64::max);
        [median(ratios.iter().copied()), least, most]
    }

    fn what(&self) -> String {
        let what = match self.work {
            Work::Put => "put",
            Work::Get => "linearizable get",
            Work::Swap => "compare-and-swap",
        };
        let clients = if self.clients == 1 { "client" } else { "clients" };
        format!("{what}, {} {clients}", self.clients)
    }

    const fn waited(&self) -> &'static str {
        match self.work {
            Work::Put | Work::Swap => "yes: a majority's fdatasync",
            Work::Get => "no: a read asks a majority, in memory",
        }
    }
}

/// The median; zero of nothing.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    let at = |place: usize| values.get(place).copied().unwrap_or(0.0);
    f64::midpoint(at(low), at(high))
}

/// The tables.
pub(crate) fn print(names: &[String], rows: &[Row]) {
    let mut table = table(&[
        "load",
        "system",
        "per second",
        "p50",
        "p99",
        "quorate over it (pairs)",
        "waited for the disk",
    ]);
    for row in rows {
        for (system, name) in names.iter().enumerate() {
            let latency = row.latency(system);
            let [median, least, most] = row.ratio(system);
            let ratio = if system == 0 {
                String::new()
            } else {
                format!("{median:.2} ({least:.2} to {most:.2})")
            };
            table.add_row([
                row.what(),
                name.clone(),
                thousands(row.rate(system)),
                millis(latency.value_at_quantile(0.5)),
                millis(latency.value_at_quantile(0.99)),
                ratio,
                row.waited().to_owned(),
            ]);
        }
    }
    align_right(&mut table, 2..=4);
    say(&table.to_string());
    print_costs(names, rows);
}

/// What it took.
fn print_costs(names: &[String], rows: &[Row]) {
    let mut table = table(&[
        "load",
        "system",
        "memory of the largest node",
        "processor time per answer: nodes",
        "clients",
    ]);
    for row in rows {
        for (system, name) in names.iter().enumerate() {
            let of = |what: fn(&Measured) -> f64| median(row.rounds[system].iter().map(what));
            table.add_row([
                row.what(),
                name.clone(),
                format!("{:.0} MiB", of(|round| round.memory_mib)),
                format!("{:.1} us", of(|round| round.nodes_cpu)),
                format!("{:.1} us", of(|round| round.clients_cpu)),
            ]);
        }
    }
    align_right(&mut table, 2..=4);
    say(&table.to_string());
}

/// How long writes stopped at each loss of a leader of one system, in microseconds.
pub(crate) struct Stops {
    pub(crate) name: String,
    pub(crate) stops: Histogram<u64>,
}

/// The table; the first system's median over the others', too.
pub(crate) fn print_stops(what: &str, systems: &[Stops]) {
    let mut table =
        table(&["system", what, "least", "p50", "p90", "p99", "most", "quorate over it (p50)"]);
    let p50 = |system: &Stops| system.stops.value_at_quantile(0.5);
    for (place, system) in systems.iter().enumerate() {
        let stops = &system.stops;
        let ratio = |first: &Stops| format!("{:.2}", p50(first) as f64 / p50(system).max(1) as f64);
        table.add_row([
            system.name.clone(),
            stops.len().to_string(),
            millis(stops.min()),
            millis(p50(system)),
            millis(stops.value_at_quantile(0.9)),
            millis(stops.value_at_quantile(0.99)),
            millis(stops.max()),
            systems.first().filter(|_| place > 0).map_or_else(String::new, ratio),
        ]);
    }
    align_right(&mut table, 1..=7);
    say(&table.to_string());
}

/// Shows how much of `steps` is done, and what is going on.
pub(crate) fn progress(steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    let style = ProgressStyle::with_template("{bar:30} {pos:>3}/{len} {elapsed:>4} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// What the machine can do by itself.
pub(crate) fn print_probe(probe: &Probe) {
    let p50 = |found: &Histogram<u64>| found.value_at_quantile(0.5);
    let per_second = |found: &Histogram<u64>| thousands(1e6 / found.mean().max(1.0));
    say(&format!(
        "the machine: {} cores; a write with fdatasync takes {} ({}/s), {} each with three writers \
         at once ({}/s each); a loopback round trip takes {}",
        std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        millis(p50(&probe.sync)),
        per_second(&probe.sync),
        millis(p50(&probe.three_syncs)),
        per_second(&probe.three_syncs),
        millis(p50(&probe.round_trip)),
    ));
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(header);
    table
}

fn align_right(table: &mut Table, columns: std::ops::RangeInclusive<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn millis(micros: u64) -> String {
    format!("{:.2} ms", micros as f64 / 1_000.0)
}

/// A whole number with its thousands set apart.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Prints a line for the person at the terminal.
#[expect(clippy::print_stdout, reason = "the bench talks to a person")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_lies_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0].into_iter()), 2.5);
        assert_eq!(median(std::iter::empty()), 0.0);
    }

    #[test]
    fn thousands_are_set_apart() {
        let texts = [0.4, 999.0, 1_000.0, 1_234_567.8].map(thousands);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,568"]);
    }
}
