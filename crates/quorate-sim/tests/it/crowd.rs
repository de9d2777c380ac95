//! Very many memberships: what every view keeps to at each step, and within which time all of them
//! learn what happened.

use std::time::Duration;

use quorate_sim::crowd::{
    Belief, Broken, Crowd, Figures, Gossiper, Member, Members, Promises, Scenario, Size, Stall,
    Weather,
};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn run(scenario: Scenario, seed: u64, nodes: u32) -> Result<Figures, Broken> {
    let size = Size { nodes, promises: scenario.promises() };
    scenario.run::<Member>(Members::default(), seed, size)
}

/// How it went, with all that the scenario promises kept.
fn kept(scenario: Scenario, seed: u64, nodes: u32) -> Figures {
    let told = |broken: Broken| panic!("{scenario:?} of {nodes}: {broken}");
    run(scenario, seed, nodes).unwrap_or_else(told)
}

#[test]
fn m6_every_crash_is_known_to_all() {
    for (nodes, seeds) in [(2, 4), (3, 8), (32, 6), (150, 3)] {
        for seed in 0..seeds {
            let figures = kept(Scenario::Crash, seed, nodes);
            let suspected = figures.unreachable.last();
            assert!(suspected.is_some_and(|last| *last <= secs(3)), "{nodes} nodes, seed {seed}");
        }
    }
}

#[test]
fn m6_a_tenth_that_crashes_at_once_is_known_to_all() {
    for seed in 0..3 {
        kept(Scenario::MassCrash, seed, 100);
    }
}

#[test]
fn m7_nobody_is_declared_dead_at_ten_percent_loss() {
    for seed in 0..3 {
        kept(Scenario::Loss(10, secs(60)), seed, 60);
    }
}

#[test]
fn m7_nodes_that_stall_bury_few_others() {
    for how in [Stall::Frozen, Stall::Blocked] {
        kept(Scenario::Stalls(6, Duration::from_millis(8_200), how), 0, 40);
    }
}

#[test]
fn m7_one_that_hears_nobody_gives_up_nobody() {
    for seed in 0..4 {
        kept(Scenario::CutOff(secs(60)), seed, 40);
    }
}

#[test]
fn m8_halves_are_one_again_soon_after_a_split() {
    for (seed, time) in [(0, 60), (1, 60), (2, 3_600)] {
        kept(Scenario::Split(secs(time)), seed, 40);
    }
}

#[test]
fn m8_who_comes_moves_and_goes_is_known_to_all() {
    for seed in 0..5 {
        for scenario in [Scenario::Join, Scenario::Move, Scenario::Leave] {
            kept(scenario, seed, 100);
        }
    }
}

#[test]
fn m8_a_cold_boot_from_one_seed_is_soon_over() {
    for seed in 0..2 {
        kept(Scenario::ColdBoot, seed, 120);
    }
}

#[test]
fn m9_islands_with_a_common_seed_find_each_other() {
    for seed in 0..3 {
        kept(Scenario::Islands, seed, 60);
    }
}

#[test]
fn m1_to_m5_hold_in_storms_and_all_is_well_after() {
    for seed in 0..8 {
        kept(Scenario::Storm(secs(60)), seed, 32);
    }
}

#[test]
fn m4_clusters_of_other_names_never_mix() {
    for seed in 0..3 {
        kept(Scenario::Strangers, seed, 40);
    }
}

#[test]
fn a_thousand_learn_of_a_crash() {
    kept(Scenario::Crash, 7, 1_000);
}

#[test]
fn equal_seeds_make_equal_crowds() {
    let storm = || kept(Scenario::Storm(secs(20)), 3, 24);
    assert_eq!(storm().tally, storm().tally);
    let other = kept(Scenario::Storm(secs(20)), 4, 24);
    assert_ne!(storm().tally, other.tally);
    // What is checked changes nothing in what happens.
    let size = Size { nodes: 24, promises: Promises::NONE };
    let unchecked = Scenario::Storm(secs(20)).run::<Member>(Members::default(), 3, size);
    assert_eq!(storm().tally, unchecked.unwrap().tally);
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
                let held = member.held(other).map_or(Belief::Unknown, |held| held.belief);
                assert_eq!(crowd.belief(node, other), held, "step {step}: {node} of {other}");
                let right = if crowd.runs(other) { held == Belief::Alive } else { !held.is_live() };
                astray += u64::from(!right);
            }
        }
        assert_eq!(crowd.astray(), astray, "step {step}");
    }
    Ok(())
}

/// Every seeded bug that a crowd can show breaks a promise.
#[cfg(mutants)]
#[test]
fn seeded_bugs_are_found_in_crowds() {
    for (name, scenario, nodes) in [
        ("membership-resurrects", Scenario::Storm(secs(60)), 24),
        ("suspect-dies-at-once", Scenario::Crash, 24),
        ("death-believed-at-once", Scenario::Storm(secs(60)), 24),
        ("packet-overfilled", Scenario::ColdBoot, 60),
        ("views-not-compared", Scenario::Join, 60),
        ("refutation-forgotten", Scenario::Split(secs(60)), 24),
        ("foreign-name-accepted", Scenario::Strangers, 24),
        ("leave-becomes-dead", Scenario::Leave, 24),
        ("deaf-node-accuses", Scenario::CutOff(secs(60)), 24),
    ] {
        quorate_core::choose_mutant(Some(name));
        let found = (0..40).find_map(|seed| run(scenario, seed, nodes).err());
        quorate_core::choose_mutant(None);
        let broken = found.unwrap_or_else(|| panic!("{name} was not found"));
        println!("{name}: {} with seed {}: {}", broken.invariant, broken.seed, broken.message);
    }
}
