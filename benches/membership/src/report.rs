//! What the bench tells a person, and a program.

use std::fs;
use std::path::Path;

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;

use crate::rows::Row;

/// The table.
pub(crate) fn print(rows: &[Row]) {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header(["figure", "N", "foca", "quorate", "goal", ""]);
    // The cells of the stalls are in the plot and the JSON; their sums are enough here.
    for row in rows.iter().filter(|row| !row.is_cell) {
        let met = row.is_met().map_or("", |met| if met { "met" } else { "MISSED" });
        let goal = row.goal.map_or_else(String::new, |goal| format!("<= {}", number(goal, "")));
        table.add_row([
            row.what.clone(),
            row.nodes.to_string(),
            value(row.foca, row.unit),
            value(row.quorate, row.unit),
            goal,
            met.to_owned(),
        ]);
    }
    for column in 1..=4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    say(&table.to_string());
    let met = rows.iter().filter(|row| row.is_met() == Some(true)).count();
    let missed = rows.iter().filter(|row| row.is_met() == Some(false)).count();
    say(&format!("goals: {met} met, {missed} missed"));
}

/// The same for programs: `membership.json`.
pub(crate) fn write_json(folder: &Path, rows: &[Row], clock_nanos: f64) -> Result<(), String> {
    #[derive(Serialize)]
    struct Report<'a> {
        /// What a clock around nothing measures; it is taken off.
        clock_nanos: f64,
        rows: &'a [Row],
    }
    let text = serde_json::to_string_pretty(&Report { clock_nanos, rows });
    let text = text.map_err(|error| error.to_string())?;
    let file = folder.join("membership.json");
    fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
}

fn value(value: Option<f64>, unit: &str) -> String {
    match value {
        None => String::new(),
        Some(value) if value.is_finite() => number(value, unit),
        Some(_) => "never".to_owned(),
    }
}

/// Three digits that mean something.
fn number(value: f64, unit: &str) -> String {
    let gap = if unit.is_empty() { "" } else { " " };
    let text = match value {
        value if value == value.trunc() || value >= 1_000.0 => thousands(value),
        value if value < 0.1 => format!("{value:.4}"),
        value if value < 10.0 => format!("{value:.2}"),
        value => format!("{value:.1}"),
    };
    format!("{text}{gap}{unit}")
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

/// Prints a line for the person who asked.
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
    fn figures_are_told_with_the_digits_that_count() {
        let texts = [0.0044, 2.0, 2.54, 12.34, 1_423.4].map(|value| number(value, "s"));
        assert_eq!(texts, ["0.0044 s", "2 s", "2.54 s", "12.3 s", "1,423 s"]);
        assert_eq!(value(Some(f64::INFINITY), "s"), "never");
        assert_eq!(value(None, "s"), "");
    }
}
