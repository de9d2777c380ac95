//! What a campaign showed, as tables.

use comfy_table::{ContentArrangement, Table, presets};
use quorate_sim::FaultKind;
use quorate_sim::cluster::Summary;

use super::campaign::Campaign;
use crate::sh::say;

/// Prints what the campaign showed.
pub(super) fn tell(campaign: &Campaign) {
    let summary = &campaign.summary;
    say(&format!("{}\n", figures(campaign)));
    say("faults that struck");
    say(&columns(FaultKind::ALL.iter().map(|kind| {
        let count = match kind.awaits() {
            Some(_) => "n/a".to_owned(),
            None => summary.tally.faults.of(*kind).to_string(),
        };
        (format!("{} {}", kind.id(), kind.name()), count)
    })));
    say("\ninvariants, and how often each was checked");
    say(&columns(summary.checked.iter().map(|(id, count)| ((*id).to_owned(), count.to_string()))));
    say("\nrare situations that were reached");
    say(&columns(
        summary.tally.marks.iter().map(|(mark, count)| ((*mark).to_owned(), count.to_string())),
    ));
    if !summary.tally.rare.is_empty() {
        say("\nbranches that are rare in earnest and were taken here");
        let rare = summary.tally.rare.iter();
        say(&columns(rare.map(|(branch, count)| ((*branch).to_owned(), count.to_string()))));
    }
    say(&format!("\n{}", coverage(summary)));
}

/// The figures of a campaign, one on a line.
fn figures(campaign: &Campaign) -> Table {
    let summary = &campaign.summary;
    let seconds = campaign.took.as_secs_f64().max(0.001);
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let mut row = |name: &str, value: String| _ = table.add_row([name, value.as_str()]);
    row("seeds", format!("{} ({:.0} a second)", summary.seeds, summary.seeds as f64 / seconds));
    row("simulated hours", format!("{:.1}", summary.hours()));
    row("events", format!("{} ({:.0} a second)", summary.events, campaign.rate()));
    row("undecided histories", summary.undecided.to_string());
    row("runs beyond every promise", summary.beyond.to_string());
    row("failover", failover(summary));
    table
}

/// How long clients waited for a new leader.
fn failover(summary: &Summary) -> String {
    let time = |percent| summary.failover(percent).map(|nanos| nanos as f64 / 1e6);
    match (time(50), time(95), time(99), time(100)) {
        (Some(half), Some(most), Some(nearly), Some(all)) => format!(
            "{half:.0} ms in half of the cases, {most:.0} ms in 95 %, {nearly:.0} ms in 99 %, {all:.0} ms at most, of {}",
            summary.failovers.len()
        ),
        _ => "none seen".to_owned(),
    }
}

/// What should be met, and what is missing.
fn coverage(summary: &Summary) -> String {
    let (met, all) = summary.pairs();
    let share = 100.0 * met as f64 / all.max(1) as f64;
    let mut text = format!("pairs of a fault and an operation met: {met} of {all} ({share:.0} %)");
    let missing = summary.missing_pairs();
    if !missing.is_empty() {
        let named: Vec<String> =
            missing.iter().map(|(kind, name)| format!("{} x {name}", kind.id())).collect();
        text += &format!("\n  missing: {}", few(&named));
    }
    let wanted = Summary::marks();
    let unreached: Vec<String> = wanted
        .iter()
        .filter(|mark| !summary.tally.marks.contains_key(*mark))
        .map(|mark| (*mark).to_owned())
        .collect();
    text += &format!("\nmarks reached: {} of {}", wanted.len() - unreached.len(), wanted.len());
    if !unreached.is_empty() {
        text += &format!("\n  missing: {}", few(&unreached));
    }
    let unchecked: Vec<String> = Summary::invariants()
        .iter()
        .filter(|id| summary.checked.get(*id).copied().unwrap_or_default() == 0)
        .map(|id| (*id).to_owned())
        .collect();
    if !unchecked.is_empty() {
        text += &format!("\ninvariants never checked: {}", few(&unchecked));
    }
    text
}

/// A list that a person still reads.
fn few(items: &[String]) -> String {
    const SHOWN: usize = 20;
    let mut text = items.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if items.len() > SHOWN {
        text += &format!(" and {} more", items.len() - SHOWN);
    }
    text
}

/// Names and counts, three pairs on a line.
fn columns(items: impl Iterator<Item = (String, String)>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let items: Vec<(String, String)> = items.collect();
    for row in items.chunks(3) {
        table.add_row(row.iter().flat_map(|(name, count)| [name.clone(), count.clone()]));
    }
    for place in [1, 3, 5] {
        if let Some(column) = table.column_mut(place) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
    table.to_string()
}
