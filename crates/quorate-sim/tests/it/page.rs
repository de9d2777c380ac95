//! The page that teaches the simulator says what the code does.

use quorate_sim::{FaultKind, Plan};
use serde::{Deserialize, Serialize};

const PAGE: &str = include_str!("../../../../docs/SIMULATION.md");

#[test]
fn every_kind_of_fault_has_a_line_that_says_what_it_waits_for() {
    for kind in FaultKind::ALL {
        let begin = format!("| {} |", kind.id());
        let mut lines = PAGE.lines().filter(|line| line.starts_with(&begin));
        let line = lines.next().unwrap_or_else(|| panic!("{} has no line", kind.id()));
        assert_eq!(lines.next(), None, "{} has two", kind.id());
        match kind.awaits() {
            Some(part) => assert!(line.contains(&format!("n/a: waits for {part}")), "{line}"),
            None => assert!(!line.contains("n/a"), "{line}"),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct AnyOperation {
    client: u8,
    act: String,
    key: u8,
    wait_ms: u32,
    retries: u8,
}

#[test]
fn the_plan_in_the_page_is_a_plan() {
    let (_, rest) = PAGE.split_once("```toml\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    let plan: Plan<AnyOperation> = Plan::from_toml(text).unwrap();
    assert_eq!((plan.faults.len(), plan.operations.len()), (2, 1));
}
