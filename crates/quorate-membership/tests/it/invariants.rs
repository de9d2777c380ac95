//! One property per invariant of the crate, each over small clusters with faults.

use quorate_membership::{Config, State};

use crate::net::{Net, Weather, id};

#[test]
fn a_cluster_finds_itself_from_its_seeds() {
    for (seed, count) in [2, 3, 5, 10, 30].into_iter().enumerate() {
        let mut net = Net::cluster(seed as u64, Weather::CALM, Config::lan(), count);
        let took = net.run_until(6_000, Net::is_converged).unwrap();
        println!("{count}: {took:?}");
        assert!(took.is_some());
    }
}

#[test]
fn m6_every_live_node_knows_a_crash_within_three_seconds() {
    for count in [2, 3, 5, 10, 30] {
        let (mut soft, mut hard) = (Vec::new(), Vec::new());
        for seed in 0..20 {
            let mut net = Net::warm(seed, Weather::CALM, Config::lan(), count);
            let warm_up = net.rng.below(1_000);
            net.run(warm_up).unwrap();
            net.crash("n01");
            let start = net.now;
            let known = |net: &Net, gone: bool| {
                net.running().iter().all(|observer| match net.state(observer.as_str(), "n01") {
                    Some(State::Suspect) => !gone,
                    state => state == Some(State::Dead),
                })
            };
            net.run_until(20_000, |net| known(net, false)).unwrap().expect("found");
            soft.push(net.now.since(start).as_millis());
            net.run_until(20_000, |net| known(net, true)).unwrap().expect("dead");
            hard.push(net.now.since(start).as_millis());
            assert!(net.node("n00").member(&id("n01")).is_some());
        }
        soft.sort_unstable();
        hard.sort_unstable();
        println!("{count}: unreachable {soft:?}\n    dead {hard:?}");
        assert!(soft.last().is_some_and(|worst| *worst <= 3_000));
    }
}
