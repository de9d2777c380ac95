//! Very many memberships: what every view keeps to at each step, and within which time all of them
//! learn what happened.

use std::time::Duration;

use quorate_sim::crowd::{
    Broken, Crowd, Figures, Member, Members, Promises, Scenario, Size, Stall, Weather,
};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn run(scenario: Scenario, seed: u64, nodes: u32, promises: Promises) -> Result<Figures, Broken> {
    scenario.run::<Member>(Members::default(), seed, Size { nodes, promises })
}

/// How it went, with all promises of the scenario kept.
fn kept(scenario: Scenario, seed: u64, nodes: u32, promises: Promises) -> Figures {
    let told = |broken: Broken| panic!("{scenario:?} of {nodes}: {broken}");
    run(scenario, seed, nodes, promises).unwrap_or_else(told)
}

/// Whether every one of `pairs` noticed, the last of them within `bound`.
fn all_within(times: &[Duration], pairs: u64, bound: Duration) -> bool {
    times.len() as u64 == pairs && times.last().is_some_and(|last| *last <= bound)
}

#[test]
fn m6_every_crash_is_known_to_all() {
    for (nodes, seeds) in [(2, 4), (3, 4), (32, 6), (150, 3)] {
        for seed in 0..seeds {
            let figures = kept(Scenario::Crash, seed, nodes, Promises::ALL);
            let (dead, pairs) = (&figures.dead, figures.pairs);
            assert!(all_within(dead, pairs, secs(5)), "{nodes} nodes, seed {seed}: {dead:?}");
            assert!(all_within(&figures.unreachable, pairs, secs(3)), "{nodes} nodes, seed {seed}");
        }
    }
}

#[test]
fn m6_a_tenth_that_crashes_at_once_is_known_to_all() {
    for seed in 0..3 {
        let figures = kept(Scenario::MassCrash, seed, 100, Promises::ALL);
        assert!(all_within(&figures.dead, figures.pairs, secs(6)), "seed {seed}");
    }
}

#[test]
fn a_newcomer_is_known_and_knows_at_once() {
    for seed in 0..5 {
        let figures = kept(Scenario::Join, seed, 100, Promises::ALL);
        assert!(all_within(&figures.alive, figures.pairs, Duration::from_millis(1_500)), "{seed}");
        assert!(figures.complete.is_some_and(|time| time <= secs(1)), "seed {seed}");
    }
}

#[test]
fn a_leaver_is_known_to_have_left_before_it_ends() {
    for seed in 0..5 {
        let figures = kept(Scenario::Leave, seed, 100, Promises::ALL);
        assert!(all_within(&figures.dead, figures.pairs, secs(2)), "seed {seed}");
        assert!(figures.settled.is_some_and(|time| time <= secs(3)), "seed {seed}");
    }
}

#[test]
fn one_that_comes_back_elsewhere_is_known_there() {
    for seed in 0..5 {
        let figures = kept(Scenario::Move, seed, 60, Promises::ALL);
        assert!(figures.settled.is_some_and(|time| time <= secs(5)), "seed {seed}");
    }
}

#[test]
fn a_cold_boot_from_one_seed_is_soon_over() {
    for seed in 0..3 {
        let figures = kept(Scenario::ColdBoot, seed, 200, Promises::ALL);
        assert!(figures.settled.is_some_and(|time| time <= secs(5)), "{:?}", figures.settled);
    }
}

#[test]
fn m7_nobody_is_declared_dead_at_ten_percent_loss() {
    for seed in 0..3 {
        kept(Scenario::Loss(10, secs(60)), seed, 60, Promises::ALL);
    }
}

#[test]
fn m8_halves_are_one_again_soon_after_a_split() {
    for (seed, time) in [(0, 60), (1, 60), (2, 3_600)] {
        let figures = kept(Scenario::Split(secs(time)), seed, 64, Promises::VIEWS);
        assert!(figures.settled.is_some_and(|time| time <= secs(5)), "{:?}", figures.settled);
        assert_eq!(figures.tally.renamed, 0);
    }
}

#[test]
fn m9_islands_with_a_common_seed_find_each_other() {
    for seed in 0..3 {
        let figures = kept(Scenario::Islands, seed, 60, Promises::VIEWS);
        assert!(figures.settled.is_some_and(|time| time <= secs(60)), "{:?}", figures.settled);
    }
}

#[test]
fn m1_to_m5_hold_in_storms_and_all_is_well_after() {
    for seed in 0..8 {
        let figures = kept(Scenario::Storm(secs(60)), seed, 32, Promises::VIEWS);
        assert!(figures.settled.is_some_and(|time| time <= secs(60)), "seed {seed}");
    }
}

#[test]
fn m4_clusters_of_other_names_never_mix() {
    for seed in 0..3 {
        let figures = kept(Scenario::Strangers, seed, 40, Promises::ALL);
        assert!(figures.settled.is_some(), "seed {seed}");
        assert!(figures.tally.packets > 0);
    }
}

#[test]
fn nodes_that_stall_bury_few_others() {
    for how in [Stall::Frozen, Stall::Blocked] {
        let scenario = Scenario::Stalls(8, Duration::from_millis(8_200), how);
        let figures = kept(scenario, 0, 64, Promises::VIEWS);
        assert!(figures.tally.healthy_deaths <= 5, "{how:?}: {}", figures.tally.healthy_deaths);
    }
}

#[test]
fn a_thousand_learn_of_a_crash() {
    let figures = kept(Scenario::Crash, 7, 1_000, Promises::ALL);
    assert!(all_within(&figures.dead, 999, secs(5)), "{:?}", figures.dead.last());
}

#[test]
fn equal_seeds_make_equal_crowds() {
    let storm = || kept(Scenario::Storm(secs(20)), 3, 24, Promises::VIEWS);
    assert_eq!(storm().tally, storm().tally);
    let other = kept(Scenario::Storm(secs(20)), 4, 24, Promises::VIEWS);
    assert_ne!(storm().tally, other.tally);
    // What is checked changes nothing in what happens.
    let unchecked = kept(Scenario::Storm(secs(20)), 3, 24, Promises::NONE);
    assert_eq!(storm().tally, unchecked.tally);
}

#[test]
fn what_is_counted_is_what_a_look_at_every_view_finds() -> Result<(), Broken> {
    let weather = Weather { replays: 5_000, ..Weather::LAN.with_loss(20) };
    let mut crowd: Crowd<Member> = Crowd::new(5, Members::default(), weather);
    crowd.warm_start(24);
    crowd.stall(3, Stall::Frozen, secs(4));
    crowd.crash(5);
    for step in 0..60 {
        crowd.run_for(Duration::from_millis(200))?;
        match step {
            10 => crowd.leave(7),
            20 => crowd.start(5, &[0, 1]),
            30 => crowd.split(|node| u8::from(node < 9)),
            _ => {}
        }
        let others = |node: u32| (0..crowd.nodes()).filter(move |other| *other != node);
        let mut astray = 0;
        for node in (0..crowd.nodes()).filter(|node| crowd.runs(*node)) {
            let Some(member) = crowd.node(node) else { continue };
            for other in others(node) {
                use quorate_sim::crowd::{Belief, Gossiper};
                let held = member.held(other).map_or(Belief::Unknown, |held| held.belief);
                assert_eq!(crowd.belief(node, other), held, "step {step}: {node} of {other}");
                let right =
                    if crowd.runs(other) { held == Belief::Alive } else { !held.is_live() };
                astray += u64::from(!right);
            }
        }
        assert_eq!(crowd.astray(), astray, "step {step}");
    }
    Ok(())
}
