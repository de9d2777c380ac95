//! The shipped node in the engine.
#![cfg(feature = "cluster")]

mod plans;
mod replicas;
mod scenarios;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use quorate_sim::cluster::{
    KvOperation, MUTANTS, Outcome, Profile, Summary, run_parallel, run_plan, run_seed, run_seeds,
};
use quorate_sim::{FaultKind, Plan};

fn tell(outcome: &Outcome) -> bool {
    if let Some(failure) = &outcome.failure {
        let tail = failure.tail.join("\n");
        panic!("seed {}: {}: {}\n{tail}", failure.seed, failure.invariant, failure.message);
    }
    true
}

fn seeds(profile: &Profile, range: std::ops::Range<u64>) -> Summary {
    let mut range = range;
    run_seeds(profile, || range.next(), tell)
}

#[test]
fn in_fair_weather_every_promise_holds() {
    let summary = seeds(&Profile::fair(), 0..20);
    assert_eq!((summary.seeds, summary.undecided), (20, 0));
}

#[test]
fn under_faults_every_promise_holds_and_every_kind_of_fault_strikes() {
    let summary = seeds(&Profile::mixed(), 0..192);
    for kind in FaultKind::played() {
        assert!(summary.tally.faults.of(kind) > 0, "{} never struck", kind.id());
    }
    for invariant in Summary::invariants() {
        assert!(summary.checked[invariant] > 0, "{invariant} was never checked");
    }
    let (met, all) = summary.pairs();
    assert!(met * 100 >= all * 95, "{met} of {all} pairs of a fault and an operation met");
    for mark in Summary::marks() {
        assert!(summary.tally.marks.contains_key(mark), "never reached: {mark}");
    }
}

#[test]
fn one_and_two_nodes_keep_every_promise_too() {
    let mut profile = Profile::short();
    profile.swarm.nodes = (1, 2);
    assert_eq!(seeds(&profile, 0..60).seeds, 60);
}

#[test]
fn one_cluster_is_born_whatever_strikes_at_its_birth() {
    let summary = seeds(&Profile::birth(), 0..150);
    assert!(summary.checked["E12"] > 150, "births must happen: {:?}", summary.checked);
}

#[test]
fn a_seed_runs_alike_twice_and_its_plan_runs_alike_from_its_text() {
    let profile = Profile::short();
    for seed in [3, 1_000_003] {
        let first = run_seed(seed, &profile);
        assert_eq!(first, run_seed(seed, &profile));
        let text = profile.plan(seed).to_toml().unwrap();
        let plan: Plan<KvOperation> = Plan::from_toml(&text).unwrap();
        assert_eq!(plan, profile.plan(seed));
        assert_eq!(first.hash, run_plan(&plan, &profile).hash);
    }
}

#[test]
fn threads_share_the_seeds_and_change_nothing() {
    let profile = Profile::short();
    let (next, sum) = (AtomicU64::new(40), AtomicU64::new(0));
    let hash = |outcome: &Outcome| outcome.hash as u64;
    let parallel = run_parallel(
        &profile,
        3,
        || {},
        || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < 50),
        |outcome| {
            sum.fetch_add(hash(outcome), Ordering::Relaxed);
            true
        },
    );
    let alone: u64 =
        (40..50).fold(0, |sum, seed| sum.wrapping_add(hash(&run_seed(seed, &profile))));
    assert_eq!((parallel.seeds, sum.into_inner()), (10, alone));
}

#[test]
fn every_seeded_bug_of_the_tree_is_listed_and_every_listed_one_exists() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = BTreeSet::new();
    for member in fs::read_dir(crates).unwrap() {
        let member = member.unwrap().path();
        let mut bugs = BTreeSet::new();
        collect(&member.join("src"), &mut bugs);
        // What a crate's own tests must find is listed there; here, what the whole node shows.
        let hunted = hunted_by_its_own_tests(&member);
        bugs.retain(|name| !hunted.contains(&format!("\"{name}\"")) || is_listed(name));
        found.append(&mut bugs);
    }
    let listed: BTreeSet<String> = MUTANTS.iter().map(|mutant| mutant.name.to_owned()).collect();
    assert_eq!(listed.len(), MUTANTS.len(), "a name is listed twice");
    assert_eq!(found, listed);
}

fn is_listed(name: &str) -> bool {
    MUTANTS.iter().any(|mutant| mutant.name == name)
}

/// The tests of a crate that hunt seeded bugs, as text.
fn hunted_by_its_own_tests(member: &Path) -> String {
    let Ok(files) = fs::read_dir(member.join("tests/it")) else { return String::new() };
    let texts =
        files.map(|file| fs::read_to_string(file.expect("an entry").path()).unwrap_or_default());
    texts.filter(|text| text.contains("choose_mutant")).collect()
}

/// The names in all calls of the macro below `folder`.
fn collect(folder: &Path, found: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("the file can be read");
            let calls = text.split("mutant!(\"").skip(1);
            found.extend(calls.filter_map(|rest| rest.split('"').next()).map(str::to_owned));
        }
    }
}
