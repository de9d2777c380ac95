//! One property per invariant of the crate, each over clusters with every fault at once.

use std::sync::OnceLock;

use quorate_core::{Instant, Kind, NodeId, Rng};
use quorate_election::{Config, Preference, Standing};

use crate::cluster::{Cluster, Marks, Weather};
use crate::script::id;

/// The first violation under `seed`, if any, and what was reached.
pub(crate) fn stormy(seed: u64) -> Result<Marks, String> {
    let mut cluster = Cluster::drawn(seed);
    cluster.run(6_000).map_err(|what| format!("seed {seed}: {what}"))?;
    cluster.heal();
    cluster.run(6_000).map_err(|what| format!("seed {seed}: {what}"))?;
    if cluster.leader().is_none() {
        return Err(format!("seed {seed}: E8: healed for six seconds and nobody leads"));
    }
    Ok(cluster.marks)
}

/// The runs are made once and serve every invariant: each fails on its own id.
fn assert_never_broken(invariant: &str) {
    static RUNS: OnceLock<Vec<Result<Marks, String>>> = OnceLock::new();
    let runs = RUNS.get_or_init(|| (0..SEEDS).map(stormy).collect());
    let broken: Vec<_> = runs.iter().filter_map(|run| run.as_ref().err()).collect();
    let of_this = |what: &&&String| what.contains(&format!(" {invariant}: "));
    assert_eq!(broken.iter().find(of_this), None);
}

const SEEDS: u64 = 120;

#[test]
fn e1_one_leader_per_term() {
    assert_never_broken("E1");
}

#[test]
fn e3_one_vote_per_term_also_across_crashes() {
    assert_never_broken("E3");
}

#[test]
fn e4_the_leader_has_every_committed_entry() {
    assert_never_broken("E4");
    assert_never_broken("R2");
}

#[test]
fn e5_terms_never_decrease_across_restarts() {
    assert_never_broken("E5");
}

#[test]
fn e6_nobody_leads_without_the_votes_of_a_quorum() {
    assert_never_broken("E6");
}

#[test]
fn e7_only_voters_lead() {
    assert_never_broken("E7");
}

#[test]
fn e8_a_leader_stands_soon_after_the_network_heals() {
    assert_never_broken("E8");
}

#[test]
fn e11_a_leader_that_hears_no_quorum_steps_down_within_an_election_timeout() {
    assert_never_broken("E11");
}

#[test]
fn the_runs_reach_what_they_are_about() {
    let mut sum = Marks::default();
    for seed in 0..20 {
        let marks = stormy(seed).expect("the test made it so");
        sum.elections += marks.elections;
        sum.crashes_before_durable += marks.crashes_before_durable;
        sum.commits += marks.commits;
        sum.quorum_lost += marks.quorum_lost;
    }
    assert!(sum.elections > 100 && sum.commits > 500, "{sum:?}");
    assert!(sum.crashes_before_durable > 5 && sum.quorum_lost > 20, "{sum:?}");
}

#[test]
fn e9_the_best_voter_gets_the_lead_by_one_hand_over() {
    let own = Standing { priority: 100, unfit: false };
    let config = Config::lan();
    let mut rng = Rng::seeded(9);
    for _ in 0..200 {
        let mut preference = Preference::default();
        preference.begin(Instant::ZERO, &config);
        let (mut handed, mut better_since) = (Vec::new(), None);
        for now in (0..60_000).step_by(75).map(Instant::from_millis) {
            let best = rng.chance(990_000).then(|| (id("b"), [50, 100, 200][rng.index(3)]));
            let best = best.map(|(id, _)| (id, if rng.chance(995_000) { 200 } else { 100 }));
            match &best {
                Some((_, priority)) if *priority > own.priority => {
                    better_since.get_or_insert(now);
                }
                _ => better_since = None,
            }
            if preference.look(now, &config, own, best.as_slice()).is_some() {
                let since = better_since.expect("it is better");
                assert!(now >= since + config.stabilisation);
                handed.push(now);
                // It leads no longer.
                break;
            }
        }
        assert!(handed.len() <= 1);
    }
}

#[test]
fn e10_a_returning_node_disturbs_nobody() {
    for seed in 0..60 {
        let mut rng = Rng::stream(seed, "return");
        let names = ["a", "b", "c", "d", "e"];
        let members: Vec<(NodeId, Kind, Config)> = names[..3 + 2 * rng.index(2)]
            .iter()
            .map(|name| {
                let priority = [50, 100, 200][rng.index(3)];
                (id(name), Kind::Voter, Config { priority, ..Config::lan() })
            })
            .collect();
        let mut cluster = Cluster::new(seed, Weather::CALM, members, None);
        cluster.run(1_500).expect("the test made it so");
        let before = cluster.leader().expect("a calm cluster has a leader");
        let followers: Vec<_> = cluster.ids().into_iter().filter(|id| *id != before.0).collect();
        for round in 0..3 {
            // Deaf, mute, or both: a deaf one keeps asking for votes.
            let (hears, speaks) = [(false, false), (false, true), (true, false)][round];
            cluster.isolate(&followers[rng.index(followers.len())], hears, speaks);
            cluster.run(2_000).expect("the test made it so");
            assert_eq!(cluster.leader().as_ref(), Some(&before), "seed {seed}, cut off");
            cluster.mend();
            cluster.run(500).expect("the test made it so");
            assert_eq!(cluster.leader().as_ref(), Some(&before), "seed {seed}, back");
        }
        assert!(cluster.now >= Instant::from_millis(9_000));
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    assert_eq!(stormy(3), stormy(3));
}
