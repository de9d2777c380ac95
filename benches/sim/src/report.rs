//! What the bench tells a person.

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

use crate::measure::Measured;
use crate::subject::Subject;

/// One subject in one rhythm, round by round.
pub(crate) struct Row {
    pub(crate) subject: Subject,
    /// The time between two pings to the same node.
    pub(crate) every_ms: u64,
    pub(crate) rounds: Vec<Measured>,
}

impl Row {
    fn median(&self, what: fn(&Measured) -> f64) -> f64 {
        spread(self.rounds.iter().map(what))[1]
    }

    /// The processor time of an event over that of the other row: least, median and most of the
    /// pairs.
    fn over(&self, other: &Self) -> [f64; 3] {
        let pairs = self.rounds.iter().zip(&other.rounds);
        spread(pairs.map(|(own, theirs)| own.event_nanos() / theirs.event_nanos()))
    }
}

/// The tables.
pub(crate) fn print(rows: &[Row]) {
    let mut table = table(&[
        "pings every",
        "the exchange in",
        "events",
        "lost",
        "events per CPU-second",
        "CPU time per event",
        "simulated s per CPU-second",
        "CPU time over quorate-sim's (pairs)",
    ]);
    for row in rows.iter().filter(|row| Subject::EXCHANGES.contains(&row.subject)) {
        let same = |other: &&Row| other.every_ms == row.every_ms;
        let base = rows.iter().find(|other| same(other) && other.subject == Subject::Quorate);
        let ratio = match base {
            Some(base) if row.subject != Subject::Quorate => {
                let [least, median, most] = row.over(base);
                format!("{median:.2} ({least:.2} to {most:.2})")
            }
            _ => String::new(),
        };
        table.add_row([
            format!("{} ms", row.every_ms),
            row.subject.name().to_owned(),
            thousands(row.median(|round| round.events as f64)),
            format!("{:.2} %", row.median(|round| round.loss * 100.0)),
            millions(row.median(Measured::events_per_second)),
            format!("{:.0} ns", row.median(Measured::event_nanos)),
            match row.subject {
                Subject::Messages => String::new(),
                _ => thousands(row.median(Measured::pace)),
            },
            ratio,
        ]);
    }
    align_right(&mut table, 2..=6);
    say(&table.to_string());
    print_clusters(rows);
}

/// The whole node.
fn print_clusters(rows: &[Row]) {
    let mut table = table(&[
        "five whole nodes, all faults and invariants",
        "seeds",
        "events",
        "events per CPU-second (rounds)",
        "simulated hours per CPU-second",
    ]);
    for row in rows.iter().filter(|row| Subject::CLUSTERS.contains(&row.subject)) {
        let [least, median, most] = spread(row.rounds.iter().map(Measured::events_per_second));
        table.add_row([
            row.subject.name().to_owned(),
            thousands(row.median(|round| round.runs as f64)),
            thousands(row.median(|round| round.events as f64)),
            format!("{} ({} to {})", millions(median), millions(least), millions(most)),
            format!("{:.2}", row.median(|round| round.pace() / 3_600.0)),
        ]);
    }
    align_right(&mut table, 1..=4);
    say(&table.to_string());
}

/// Least, median and most; zeros of nothing.
fn spread(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |place: usize| values.get(place).copied().unwrap_or(0.0);
    let last = values.len().saturating_sub(1);
    [at(0), f64::midpoint(at(last / 2), at(values.len() / 2)), at(last)]
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

fn millions(value: f64) -> String {
    format!("{:.2} M", value / 1e6)
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

/// Prints a line for the person, or the process, that asked.
#[expect(clippy::print_stdout, reason = "the bench talks to a person")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// Says why there is nothing to say.
pub(crate) fn complain(line: &str) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_its_median_in_the_middle() {
        assert_eq!(spread([3.0, 1.0, 2.0].into_iter()), [1.0, 2.0, 3.0]);
        assert_eq!(spread([4.0, 1.0].into_iter()), [1.0, 2.5, 4.0]);
        assert_eq!(spread(std::iter::empty()), [0.0; 3]);
    }

    #[test]
    fn thousands_are_set_apart() {
        let texts = [0.4, 999.0, 1_000.0, 1_234_567.8].map(thousands);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,568"]);
    }
}
