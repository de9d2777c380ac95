//! What a campaign showed, as tables of at most 80 columns.

use quorate_sim::FaultKind;
use quorate_sim::cluster::Summary;

use super::campaign::Campaign;
use crate::sh::say;

/// Prints what the campaign showed.
pub(super) fn tell(campaign: &Campaign) {
    let summary = &campaign.summary;
    say(&format!("{}\n", figures(campaign)));
    say("faults, and how often each struck (n/a: what it strikes is not built yet)");
    say(&columns(FaultKind::ALL.iter().map(|kind| {
        let count = match kind.awaits() {
            Some(_) => "n/a".to_owned(),
            None => grouped(summary.tally.faults.of(*kind)),
        };
        (format!("{} {}", kind.id(), kind.name()), count)
    })));
    say("\ninvariants, and how often each was checked (E election, F answers, M membership,");
    say("K what clients see, R log, X sessions)");
    say(&columns(summary.checked.iter().map(|(id, count)| ((*id).to_owned(), grouped(*count)))));
    say("\nrare situations, and how often each was met");
    let marks = summary.tally.marks.iter();
    say(&columns(marks.map(|(mark, count)| ((*mark).to_owned(), grouped(*count)))));
    if !summary.tally.rare.is_empty() {
        say("\nbranches that nodes seldom take, and how often the simulator made them");
        let rare = summary.tally.rare.iter();
        say(&columns(rare.map(|(branch, count)| ((*branch).to_owned(), grouped(*count)))));
    }
    say(&format!("\n{}", coverage(summary)));
}

/// The figures of a campaign, one on a line.
fn figures(campaign: &Campaign) -> String {
    let summary = &campaign.summary;
    let seconds = campaign.took.as_secs_f64().max(0.001);
    let rows = [
        (
            "seeds",
            format!("{} ({:.0} a second)", grouped(summary.seeds), summary.seeds as f64 / seconds),
        ),
        ("simulated hours", format!("{:.1}", summary.hours())),
        (
            "events",
            format!("{} ({} a second)", grouped(summary.events), grouped(campaign.rate() as u64)),
        ),
        ("undecided", format!("{} histories too hard to check", grouped(summary.undecided))),
        (
            "beyond",
            format!("{} runs ended: disks lost more than is promised", grouped(summary.beyond)),
        ),
        ("failover", failover(summary)),
    ];
    let line = |(name, value): (&str, String)| format!("  {name:<16} {value}");
    rows.map(line).join("\n")
}

/// How long clients waited for a new leader.
fn failover(summary: &Summary) -> String {
    let time = |percent| summary.failover(percent).map(|nanos| nanos as f64 / 1e6);
    match (time(50), time(95), time(99), time(100)) {
        (Some(half), Some(most), Some(nearly), Some(all)) => format!(
            "{half:.0} ms in half of {} cases, {most:.0} in 95 %, {nearly:.0} in 99 %\n{:19}at most \
             {all:.0} ms from the loss of a leader to the next confirmed write",
            grouped(summary.failovers.len() as u64),
            ""
        ),
        _ => "none seen".to_owned(),
    }
}

/// What should be met, and what is missing.
fn coverage(summary: &Summary) -> String {
    let (met, all) = summary.pairs();
    let share = 100.0 * met as f64 / all.max(1) as f64;
    let (met, all) = (grouped(met as u64), grouped(all as u64));
    let mut text = format!("operations under each fault: {met} of {all} pairs met ({share:.0} %)");
    let missing = summary.missing_pairs();
    if !missing.is_empty() {
        let named: Vec<String> =
            missing.iter().map(|(kind, name)| format!("{} x {name}", kind.id())).collect();
        text += &format!("\n{}", few(&named));
    }
    let wanted = Summary::marks();
    let unreached: Vec<String> = wanted
        .iter()
        .filter(|mark| !summary.tally.marks.contains_key(*mark))
        .map(|mark| (*mark).to_owned())
        .collect();
    let reached = wanted.len() - unreached.len();
    text += &format!("\nrare situations to meet in every campaign: {reached} of {}", wanted.len());
    if !unreached.is_empty() {
        text += &format!("\n{}", few(&unreached));
    }
    let unchecked: Vec<String> = Summary::invariants()
        .iter()
        .filter(|id| summary.checked.get(*id).copied().unwrap_or_default() == 0)
        .map(|id| (*id).to_owned())
        .collect();
    if !unchecked.is_empty() {
        text += &format!("\ninvariants that were never checked\n{}", few(&unchecked));
    }
    text
}

/// What is missing, in a list that a person still reads.
fn few(items: &[String]) -> String {
    const SHOWN: usize = 20;
    let more = items.len().saturating_sub(SHOWN);
    let shown = items.iter().take(SHOWN).cloned();
    let more = (more > 0).then(|| format!("and {more} more"));
    let mut lines = vec!["  missing:".to_owned()];
    let items: Vec<String> = shown.chain(more).collect();
    for (place, item) in items.iter().enumerate() {
        let comma = if place + 1 < items.len() { "," } else { "" };
        let last = lines.last_mut().map_or(0, |line| line.len());
        if last + item.len() + 2 > WIDTH {
            lines.push("   ".to_owned());
        }
        if let Some(line) = lines.last_mut() {
            *line += &format!(" {item}{comma}");
        }
    }
    lines.join("\n")
}

/// Names and counts in columns, as many as there is room for, to be read down.
fn columns(items: impl Iterator<Item = (String, String)>) -> String {
    let items: Vec<(String, String)> = items.collect();
    let split = |count: usize| items.chunks(items.len().div_ceil(count).max(1));
    // The widest name and the widest count of each column.
    let widths = |count: usize| -> Vec<(usize, usize)> {
        let widest = |column: &[(String, String)]| {
            column.iter().fold((0, 0), |(wide, high), (name, count)| {
                (wide.max(name.chars().count()), high.max(count.len()))
            })
        };
        split(count).map(widest).collect()
    };
    let width = |count: &usize| -> usize {
        widths(*count).iter().map(|(name, count)| GAP + name + 1 + count).sum()
    };
    let count = (2..=COLUMNS_MAX).rev().find(|count| width(count) <= WIDTH).unwrap_or(1);
    let mut lines = vec![String::new(); items.len().div_ceil(count)];
    for (column, (wide, high)) in split(count).zip(widths(count)) {
        for ((name, count), line) in column.iter().zip(&mut lines) {
            *line += &format!("{:GAP$}{name:<wide$} {count:>high$}", "");
        }
    }
    lines.join("\n")
}

/// A number with a comma for every thousand.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Columns of a terminal that everybody has.
const WIDTH: usize = 80;
/// Blanks before each name.
const GAP: usize = 2;
/// The most pairs on a line.
const COLUMNS_MAX: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_fit_into_a_narrow_terminal() {
        let pair = |name: &str, count: &str| (name.to_owned(), count.to_owned());
        let table = |items: &[(String, String)]| columns(items.iter().cloned());
        assert_eq!(table(&[]), "");
        assert_eq!(table(&[pair("E1", "5")]), "  E1 5");
        let few = [pair("E1", "5"), pair("E10", "1,200"), pair("E2", "70")];
        assert_eq!(table(&few), "  E1 5  E10 1,200  E2 70");
        let long = pair(&"x".repeat(60), "1");
        let many = [long.clone(), pair("y", "22"), long, pair("z", "1")];
        assert_eq!(table(&many[..2]), format!("  {} 1  y 22", "x".repeat(60)));
        for count in 0..30 {
            let items = [&many[..], &few].concat().into_iter().cycle().take(count);
            let table = columns(items);
            assert!(table.lines().all(|line| line.len() <= WIDTH), "{table}");
            assert_eq!(table.split_whitespace().count(), 2 * count, "{table}");
        }
        assert_eq!([0, 999, 1_000, 16_943_537].map(grouped), ["0", "999", "1,000", "16,943,537"]);
    }
}
