//! Measures what a check costs: `cargo run --example effort -p quorate-lin -- [NAME [LIMIT]]`.
//!
//! Each row is a kind of history, without and with one wrong answer near its end. Steps are the
//! same on every machine. NAME selects the rows that contain it, LIMIT is the budget in steps.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement reads a clock and prints its table"
)]

mod workload;

use quorate_lin::{Budget, Register, Verdict, check};
use std::time::Instant;
use workload::Workload;

fn main() {
    let usual = Workload::usual();
    let one = Workload { operations: 20_000, keys: 1, ..usual };
    let rows = [
        ("usual", usual),
        ("8 clients, 1 % unknown", Workload { processes: 8, unknown_permille: 10, ..usual }),
        ("20 clients, 5 % unknown", Workload { processes: 20, unknown_permille: 50, ..usual }),
        ("crowded", Workload { processes: 20, crowded: true, ..usual }),
        ("5 values", Workload { values: 5, ..usual }),
        (
            "5 values, 20 clients, 5 %",
            Workload { values: 5, processes: 20, unknown_permille: 50, ..usual },
        ),
        ("plain, 5 % unknown", Workload { plain: true, unknown_permille: 50, ..usual }),
        ("plain, mostly writes", Workload { plain: true, reads_percent: 10, ..usual }),
        ("one key, 4 clients", Workload { processes: 4, ..one }),
        ("one key, 8 clients, 5 %", Workload { processes: 8, unknown_permille: 50, ..one }),
        ("one key, 8 clients, 20 %", Workload { processes: 8, unknown_permille: 200, ..one }),
        ("one key, 16 clients", one),
        (
            "one key, plain, 8 clients, 5 %",
            Workload { plain: true, processes: 8, unknown_permille: 50, ..one },
        ),
        ("one key, plain, 16 clients", Workload { plain: true, ..one }),
        ("one key, 5 values, 4 clients", Workload { values: 5, processes: 4, ..one }),
        (
            "one key, 5 values, 8 clients, 5 %",
            Workload { values: 5, processes: 8, unknown_permille: 50, ..one },
        ),
        (
            "one key, plain, 5 values, 8 clients, 5 %",
            Workload { plain: true, values: 5, processes: 8, unknown_permille: 50, ..one },
        ),
    ];
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.next().unwrap_or_default();
    let limit = arguments.next().and_then(|limit| limit.parse().ok()).unwrap_or(10_000_000);
    println!(
        "{:42} {:>8} {:>12} {:>9} {:>7}  verdict",
        "history", "calls", "steps", "a call", "ms"
    );
    for (name, workload) in rows.into_iter().filter(|(name, _)| name.contains(&wanted)) {
        measure(name, workload, limit);
        let stale_at = Some(workload.operations * 9 / 10);
        measure("  with a stale read", Workload { stale_at, ..workload }, limit);
    }
}

fn measure(name: &str, workload: Workload, limit: u64) {
    let history = workload.history();
    let mut budget = Budget::steps(limit);
    let begin = Instant::now();
    let verdict = match check(&Register::new(), &history, &mut budget) {
        Verdict::Linearizable(_) => "linearizable",
        Verdict::NotLinearizable(_) => "not",
        Verdict::Undecided(_) => "UNDECIDED",
    };
    let calls = workload.operations;
    let each = budget.spent() as f64 / calls as f64;
    let time = begin.elapsed().as_millis();
    println!("{name:42} {calls:>8} {:>12} {each:>9.1} {time:>7}  {verdict}", budget.spent());
}
