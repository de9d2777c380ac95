//! Small plans, each of which once showed a bug: `tests/plans`.
//!
//! Those named after a seeded bug were cut down from a run that found it, by
//! `cargo xtask sim --mutants --minimise --plans crates/quorate-sim/tests/plans`.

use std::fs;
use std::path::{Path, PathBuf};

use quorate_sim::Plan;
use quorate_sim::cluster::{KvOperation, Profile, run_plan, trace_plan};

use crate::tell;

/// The plans, by the name of their file.
fn plans() -> Vec<(String, Plan<KvOperation>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|file| file.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    let read = |file: &PathBuf| {
        let text = fs::read_to_string(file).expect("the file can be read");
        let plan = Plan::from_toml(&text).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        (file.file_stem().unwrap_or_default().to_string_lossy().into_owned(), plan)
    };
    files.iter().map(read).collect()
}

#[test]
fn every_plan_that_once_broke_a_promise_keeps_it() {
    let plans = plans();
    assert!(plans.len() >= 15, "{} plans", plans.len());
    for (name, plan) in plans {
        assert!(tell(&run_plan(&plan, &Profile::short())), "{name}");
    }
}

#[test]
fn a_traced_run_is_the_run() {
    for (name, plan) in plans().into_iter().take(5) {
        let (traced, trace) = trace_plan(&plan, &Profile::short());
        assert_eq!(traced.hash, run_plan(&plan, &Profile::short()).hash, "{name}");
        assert!(!trace.is_empty() && trace.is_sorted_by_key(|event| event.at));
    }
}

/// With its own dice or with others: what the engine draws changes as it grows, and then the plan
/// still says what matters.
#[cfg(mutants)]
#[test]
fn every_plan_named_after_a_seeded_bug_shows_it() {
    use quorate_sim::cluster::MUTANTS;

    const DICE: u64 = 500;
    let shows = |name: &str, plan: &Plan<KvOperation>| {
        quorate_core::choose_mutant(Some(name));
        let mut dice = (0..DICE).map(|dice| if dice == 0 { plan.dice } else { dice });
        let shows = dice.any(|dice| {
            let plan = Plan { dice, ..plan.clone() };
            run_plan(&plan, &Profile::short()).failure.is_some()
        });
        quorate_core::choose_mutant(None);
        shows
    };
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let named = |name: &str| MUTANTS.iter().any(|mutant| mutant.name == name);
    let hidden: Vec<String> = plans()
        .into_iter()
        .filter(|(name, plan)| named(name) && !shows(name, plan))
        .map(|(name, _)| name)
        .collect();
    std::panic::set_hook(hook);
    assert!(hidden.is_empty(), "these no longer show their bug: {hidden:?}");
}
