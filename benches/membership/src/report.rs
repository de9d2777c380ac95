//! What the bench tells a person.

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

use crate::rows::Row;

/// The table.
pub(crate) fn print(rows: &[Row]) {
    let mut table = Table::new();
    table
        .load_preset(UTF8_FULL_CONDENSED)
        .set_header(["figure", "N", "foca", "quorate", "goal", ""]);
    for row in rows {
        let met = row.goal.map(|goal| row.quorate.is_some_and(|value| value <= goal));
        let met = met.map_or("", |met| if met { "met" } else { "MISSED" });
        let goal = row.goal.map_or_else(String::new, |goal| format!("<= {}", number(goal, "")));
        let cells = [
            row.what.clone(),
            row.nodes.to_string(),
            value(row.foca, row.unit),
            value(row.quorate, row.unit),
            goal,
            met.to_owned(),
        ];
        table.add_row(cells);
    }
    for column in 1..=4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    say(&table.to_string());
}

fn value(value: Option<f64>, unit: &str) -> String {
    value.map_or_else(|| "never".to_owned(), |value| number(value, unit))
}

fn number(value: f64, unit: &str) -> String {
    let places = match value {
        value if value == value.trunc() => 0,
        value if value < 0.1 => 4,
        value if value < 10.0 => 2,
        value if value < 1_000.0 => 1,
        _ => 0,
    };
    let gap = if unit.is_empty() { "" } else { " " };
    format!("{value:.places$}{gap}{unit}")
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
