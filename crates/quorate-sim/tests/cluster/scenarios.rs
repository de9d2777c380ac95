//! Every named scenario, in twenty variations.

use quorate_sim::cluster::{KvOperation, Profile, Scenario, scenarios};
use quorate_sim::{FaultKind, Plan};

fn shows_what_it_must(name: &str) {
    let scenario = Scenario::named(name).expect("it is listed");
    for seed in 0..20 {
        if let Err(error) = scenario.try_out(seed, scenario.nodes) {
            panic!("{name}, seed {seed}: {error}");
        }
    }
}

macro_rules! each {
    ($($test:ident $name:literal,)*) => {
        $(#[test] fn $test() { shows_what_it_must($name); })*

        #[test]
        fn every_scenario_is_played_or_says_what_it_awaits() {
            let played: Vec<&str> = vec![$($name),*];
            for scenario in scenarios() {
                let can = scenario.plan(1, scenario.nodes).is_some();
                assert_eq!(can, scenario.awaits.is_none(), "{}", scenario.name);
                assert_eq!(can, played.contains(&scenario.name), "{}", scenario.name);
            }
        }
    };
}

each! {
    nodes_that_start_at_random_times_form_one_cluster "formation",
    a_leader_that_is_killed_again_and_again_is_replaced_in_time "leader-crash",
    a_network_that_breaks_in_every_shape_costs_no_promise "partition",
    a_link_that_flaps_does_not_keep_clients_from_their_work "flapping",
    an_upgrade_node_by_node_fails_no_request "rolling-upgrade",
    a_deployment_makes_nobody_wait_for_long "zero-downtime-deploy",
    a_zone_that_is_lost_and_heals_is_borne "geo",
    power_that_fails_everywhere_takes_nothing_confirmed_away "disaster-recovery",
    disks_that_fail_in_every_way_are_borne "disk",
    clocks_that_go_wrong_in_every_way_are_borne "clock",
    whatever_strikes_is_borne "swarm",
}

#[test]
fn scenarios_run_with_other_numbers_of_nodes() {
    for scenario in scenarios().iter().filter(|scenario| scenario.awaits.is_none()) {
        for nodes in [1, 2, 3, 7] {
            let plan = scenario.plan(5, nodes).unwrap();
            assert_eq!((plan.nodes, scenario.plan(5, nodes).as_ref()), (nodes, Some(&plan)));
            let text = plan.to_toml().unwrap();
            assert_eq!(Plan::<KvOperation>::from_toml(&text).unwrap(), plan);
            let profile = scenario.profile(nodes).unwrap();
            let failure = quorate_sim::cluster::run_plan(&plan, &profile).failure;
            assert_eq!(failure.map(|failure| failure.message), None, "{} {nodes}", scenario.name);
        }
    }
}

#[test]
fn drawn_scenarios_play_all_of_their_faults() {
    for (name, letter) in [("disk", "D"), ("clock", "C")] {
        let scenario = Scenario::named(name).unwrap();
        let profile = scenario.profile(scenario.nodes).unwrap();
        let mut seeds = 0..60;
        let summary = quorate_sim::cluster::run_seeds(&profile, || seeds.next(), |_| true);
        for kind in FaultKind::played().filter(|kind| kind.id().starts_with(letter)) {
            assert!(summary.tally.faults.of(kind) > 0, "{name}: {} never struck", kind.id());
        }
    }
}

#[test]
fn the_page_names_every_scenario_and_its_plan_breaks_no_promise() {
    const PAGE: &str = include_str!("../../../../docs/SIMULATION.md");
    for scenario in scenarios() {
        assert!(PAGE.contains(&format!("`{}`", scenario.name)), "{}", scenario.name);
    }
    let (_, rest) = PAGE.split_once("```toml\n").unwrap();
    let plan: Plan<KvOperation> = Plan::from_toml(rest.split_once("```").unwrap().0).unwrap();
    let outcome = quorate_sim::cluster::run_plan(&plan, &Profile::short());
    assert_eq!(outcome.failure.map(|failure| failure.message), None);
    assert_eq!(outcome.tally.faults.of(FaultKind::Partition), 1);
}
