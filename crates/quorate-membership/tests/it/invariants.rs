//! One property per invariant of the crate, each over small clusters with every fault at once.

use std::sync::OnceLock;
use std::time::Duration;

use quorate_core::{ClusterId, Rng};
use quorate_membership::{Config, Event, Input, State, Tags};

use crate::net::{Net, Weather, address_of, id};

/// Thirty seconds of faults, then calm: the first violation, if any.
pub(crate) fn stormy(seed: u64) -> Result<Marks, String> {
    let mut rng = Rng::stream(seed, "storm");
    let count = 2 + rng.index(8);
    let mut net = Net::warm(seed, Weather::CALM, Config::lan(), count);
    net.weather.loss = [0, 20_000, 250_000][rng.index(3)];
    net.weather.delay_micros = [(500, 1_500), (1_000, 80_000)][rng.index(2)];
    net.weather.replays = [0, 20_000][rng.index(2)];
    let said = |what| format!("seed {seed}: {what}");
    for _ in 0..20 {
        fault(&mut net, &mut rng, count);
        net.run(rng.between(100, 3_000)).map_err(said)?;
    }
    net.heal();
    net.weather = Weather::CALM;
    for index in 0..count {
        let name = format!("n{index:02}");
        if net.nodes[&id(&name)].machine.is_none() || rng.chance(100_000) {
            net.start(&name);
        }
    }
    // A lost peer is announced to every 37 s at the latest.
    if net.run_until(60_000, Net::is_converged).map_err(said)?.is_none() {
        return Err(said(format!(" M8: views differ a minute after all was well: {}", net.show())));
    }
    let (mut marks, events) = (Marks::default(), &net.events);
    for (_, _, event) in events {
        match event {
            Event::Unreachable { .. } => marks.unreachable += 1,
            Event::Dead { .. } => marks.deaths += 1,
            Event::Reachable { .. } => marks.returns += 1,
            Event::Restarted { .. } => marks.restarts += 1,
            Event::Left { .. } => marks.leaves += 1,
            _ => {}
        }
    }
    Ok(marks)
}

/// How often things happened that the runs should not miss.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Marks {
    unreachable: u64,
    deaths: u64,
    returns: u64,
    restarts: u64,
    leaves: u64,
}

fn fault(net: &mut Net, rng: &mut Rng, count: usize) {
    let index = rng.index(count);
    let name = format!("n{index:02}");
    let runs = net.nodes[&id(&name)].machine.is_some();
    match rng.index(10) {
        0 | 1 if runs => net.crash(&name),
        0..=2 => net.start(&name),
        3 => {
            let cut = rng.next_u64();
            net.split(|index| (cut >> index & 1) as u32);
        }
        4 | 5 => net.heal(),
        6 if runs => net.pause(&name, rng.between(100, 8_000)),
        7 if runs && rng.chance(500_000) => net.input(&name, Input::Leave),
        9 if runs => {
            let zone = format!("z{}", rng.index(100));
            net.input(&name, Input::SetTags(Tags { zone, ..Tags::default() }));
        }
        8 => {
            let deaf = net.nodes[&id(&name)].address;
            let others: Vec<_> = net.nodes.values().map(|node| node.address).collect();
            let cut = rng.next_u64();
            let heard = |index: &usize| cut >> index & 1 == 1;
            let lost = others.into_iter().enumerate().filter(|(index, _)| heard(index));
            net.one_way.extend(lost.map(|(_, from)| (from, deaf)));
        }
        // One seed stays where it is: if all moved at once, nobody could find anybody.
        _ if !runs && index > 0 && rng.chance(300_000) => {
            net.crash(&name);
            net.relocate(&name);
            net.start(&name);
        }
        _ => {}
    }
}

/// The runs are made once and serve every invariant: each fails on its own id.
fn assert_never_broken(invariant: &str) {
    static RUNS: OnceLock<Vec<Result<Marks, String>>> = OnceLock::new();
    let runs = RUNS.get_or_init(|| (0..SEEDS).map(stormy).collect());
    let broken: Vec<_> = runs.iter().filter_map(|run| run.as_ref().err()).collect();
    let of_this = |what: &&&String| what.contains(&format!(" {invariant}: "));
    assert_eq!(broken.iter().find(of_this), None);
}

const SEEDS: u64 = 150;

#[test]
fn m1_an_incarnation_never_decreases_in_a_view() {
    assert_never_broken("M1");
}

#[test]
fn m2_nobody_dies_before_the_minimum_suspicion() {
    assert_never_broken("M2");
}

#[test]
fn m3_a_dead_incarnation_never_returns() {
    assert_never_broken("M3");
}

/// Two clusters of different names share a list of seeds.
pub(crate) fn of_two_names(seed: u64) -> Result<(), String> {
    let mut net = Net::new(seed, Weather::CALM, Config::lan());
    let seeds = [address_of(0).to_string(), address_of(4).to_string()];
    for index in 0..8 {
        let config = Config {
            cluster_name: ["shop", "bank"][index / 4].to_owned(),
            address: address_of(index).to_string(),
            seeds: seeds.to_vec(),
            ..Config::lan()
        };
        net.add_with(&format!("n{index:02}"), address_of(index), config, Tags::default());
    }
    net.run(20_000)?;
    apart(&net)?;
    let warned = |(_, _, event): &&_| matches!(event, Event::ForeignName { .. });
    let warnings = net.events.iter().filter(warned).count();
    // Each of eight nodes hears of the four others at most once a minute.
    assert!((1..=32).contains(&warnings), "seed {seed}: {warnings}");
    Ok(())
}

#[test]
fn m4_two_clusters_never_mix() {
    for seed in 0..20 {
        of_two_names(seed).unwrap();
    }
}

#[test]
fn m4_two_clusters_of_one_name_never_mix() {
    for seed in 0..20 {
        let mut net = Net::new(seed, Weather::CALM, Config::lan());
        let seeds = [address_of(0).to_string(), address_of(4).to_string()];
        for index in 0..9 {
            // The ninth has no cluster yet and hears both; it must not carry one into the other.
            let cluster = ClusterId(if index < 8 { 1 + index as u128 / 4 } else { 0 });
            let tags = Tags { cluster, ..Tags::default() };
            let address = address_of(index).to_string();
            let config = Config { address, seeds: seeds.to_vec(), ..net.template.clone() };
            net.add_with(&format!("n{index:02}"), address_of(index), config, tags);
        }
        net.run(20_000).unwrap();
        apart(&net).unwrap();
        assert_eq!(net.node("n08").members().count(), 9, "seed {seed}");
        let cluster = ClusterId(1);
        net.input("n08", Input::SetTags(Tags { cluster, ..Tags::default() }));
        net.run(5_000).unwrap();
        assert_eq!(net.node("n08").members().count(), 5, "seed {seed}: it belongs to one now");
        assert!(net.events.iter().any(|(_, _, e)| matches!(e, Event::ForeignCluster { .. })));
    }
}

#[test]
fn m4_nodes_that_met_before_their_clusters_were_born_part() {
    let mut net = Net::warm(1, Weather::CALM, Config::lan(), 8);
    for index in 0..8 {
        let cluster = ClusterId(1 + index / 4);
        net.input(&format!("n{index:02}"), Input::SetTags(Tags { cluster, ..Tags::default() }));
    }
    net.run(10_000).unwrap();
    apart(&net).unwrap();
}

/// Whether each of two times four nodes sees its own four, and none of the others.
fn apart(net: &Net) -> Result<(), String> {
    for index in 0..8 {
        let members = net.node(&format!("n{index:02}")).members();
        let members = members.filter(|(_, member)| member.state.is_live());
        let seen: Vec<_> = members.map(|(id, _)| id.as_str()[1..].parse::<usize>()).collect();
        let foreign = |other: &usize| *other < 8 && other / 4 != index / 4;
        if seen.iter().flatten().any(foreign) || seen.len() < 4 {
            return Err(format!(" M4: {index} sees {seen:?}"));
        }
    }
    Ok(())
}

/// Members that say as much of themselves as they may, so that two claims fill a packet.
pub(crate) fn wordy(seed: u64) -> Result<(), String> {
    let long = |byte: &str| byte.repeat(64);
    let mut net = Net::new(seed, Weather::CALM, Config::lan());
    let name = |index: usize| format!("{}{index:02}", "n".repeat(62));
    for index in 0..20 {
        net.add(&name(index), address_of(index), &[address_of(0).to_string()]);
    }
    for index in 0..20 {
        let extra = [("k".to_owned(), "v".repeat(Tags::EXTRA_MAX - 5))].into();
        let api_address = format!("{}:8080", long("a").repeat(3));
        let cluster = ClusterId(u128::MAX);
        let tags = Tags { api_address, zone: long("z"), cluster, extra, ..Tags::default() };
        net.input(&name(index), Input::SetTags(tags));
    }
    let took = net.run_until(20_000, Net::is_converged)?;
    took.map(|_| ()).ok_or_else(|| format!("seed {seed}: {}", net.show()))
}

#[test]
fn m5_every_packet_fits_into_a_datagram() {
    assert_never_broken("M5");
    wordy(1).unwrap();
}

#[test]
fn m6_every_live_node_knows_a_crash_within_three_seconds() {
    for count in [2, 3, 5, 10, 30] {
        let (mut soft, mut hard) = (Vec::new(), Vec::new());
        for seed in 0..30 {
            let mut net = Net::warm(seed, Weather::CALM, Config::lan(), count);
            let moment = net.rng.below(1_000);
            net.run(moment).unwrap();
            net.crash("n01");
            soft.push(known_after(&mut net, |state| state != State::Alive));
            hard.push(soft[soft.len() - 1] + known_after(&mut net, |state| state == State::Dead));
        }
        soft.sort_unstable();
        hard.sort_unstable();
        println!(
            "{count}: unreachable {:?} {:?}, dead {:?} {:?}",
            soft[15], soft[29], hard[15], hard[29]
        );
        assert!(soft[29] <= Duration::from_secs(3));
    }
}

#[test]
fn m6_several_crashes_at_once_are_found_by_the_few_that_are_left() {
    for (count, gone, limit) in [(3, 2, 3), (5, 2, 3), (5, 3, 4), (5, 4, 3), (9, 5, 4), (9, 7, 10)]
    {
        let mut took: Vec<_> = (0..30).map(|seed| crash(seed, count, gone)).collect();
        took.sort_unstable();
        println!("{gone} of {count}: {:?} {:?}", took[15], took[29]);
        assert!(took[29] <= Duration::from_secs(limit), "{gone} of {count}: {:?}", took[29]);
    }
}

#[test]
fn m6_one_that_stood_still_while_all_others_crashed_finds_out() {
    for (count, limit) in [(3, 3_000), (5, 3_000), (9, 4_000)] {
        let took = (0..30).map(|seed| {
            let mut net = Net::warm(seed, Weather::CALM, Config::lan(), count);
            net.pause("n00", 1_500);
            let names: Vec<_> = (1..count).map(|index| format!("n{index:02}")).collect();
            names.iter().for_each(|name| net.crash(name));
            net.run(1_500).expect("no invariant is broken");
            let known =
                |net: &Net| names.iter().all(|name| net.state("n00", name) != Some(State::Alive));
            let took = net.run_until(60_000, known).expect("no invariant is broken");
            took.unwrap_or(Duration::MAX)
        });
        let worst = took.max().expect("there were runs");
        println!("{count}: {worst:?}");
        assert!(worst <= Duration::from_millis(limit), "{count}: {worst:?}");
    }
}

/// How long until all that are left know that the first `gone` are.
fn crash(seed: u64, count: usize, gone: usize) -> Duration {
    let mut net = Net::warm(seed, Weather::CALM, Config::lan(), count);
    let moment = net.rng.below(1_000);
    net.run(moment).expect("no invariant is broken");
    let names: Vec<_> = (0..gone).map(|index| format!("n{index:02}")).collect();
    names.iter().for_each(|name| net.crash(name));
    let known = |net: &Net| {
        let silent = |by: &str, name: &String| net.state(by, name) != Some(State::Alive);
        net.running().iter().all(|by| names.iter().all(|name| silent(by.as_str(), name)))
    };
    net.run_until(120_000, known).expect("no invariant is broken").unwrap_or(Duration::MAX)
}

/// How long until every node that runs sees `n01` so.
fn known_after(net: &mut Net, wanted: impl Fn(State) -> bool) -> Duration {
    let known = |net: &Net| {
        let seen = |observer: &_| net.state(&format!("{observer}"), "n01");
        net.running().iter().all(|observer| seen(observer).is_some_and(&wanted))
    };
    let took = net.run_until(20_000, known).expect("no invariant is broken");
    took.expect("a crash is found")
}

#[test]
fn m7_no_false_death_at_a_tenth_lost_and_short_pauses() {
    for seed in 0..12 {
        let count = [2, 3, 5, 10, 20, 30][seed as usize % 6];
        let mut net = Net::warm(seed, Weather::LOSSY, Config::lan(), count);
        net.no_false_deaths = true;
        for _ in 0..120 {
            let name = format!("n{:02}", net.rng.index(count));
            let millis = net.rng.between(10, 500);
            net.pause(&name, millis);
            net.run(1_000).map_err(|what| format!("seed {seed}: {what}")).unwrap();
        }
    }
}

/// One node is cut off from all others, for a while.
pub(crate) fn cut_off(seed: u64) -> Result<(), String> {
    let count = 3 + seed as usize % 6;
    let mut net = Net::warm(seed, Weather::CALM, Config::lan(), count);
    net.split(|index| u32::from(index == 0));
    net.run(60_000)?;
    let gave_up =
        |(_, by, event): &&(_, _, _)| *by == id("n00") && matches!(event, Event::Dead { .. });
    if let Some(event) = net.events.iter().find(gave_up) {
        return Err(format!("seed {seed}: M7: a deaf node judges: {event:?}"));
    }
    let others = (1..count).map(|index| net.state("n00", &format!("n{index:02}")));
    assert!(others.flatten().all(|state| state == State::Suspect), "it sees that it is alone");
    net.no_false_deaths = true;
    net.heal();
    let took = net.run_until(5_000, Net::is_converged)?;
    took.map(|_| ()).ok_or_else(|| format!("seed {seed}: M8: {}", net.show()))
}

#[test]
fn m7_a_node_that_hears_nobody_gives_up_nobody() {
    for seed in 0..20 {
        cut_off(seed).unwrap();
    }
}

#[test]
fn m8_views_converge_after_a_split() {
    assert_never_broken("M8");
    for seed in 0..20 {
        let count = [3, 4, 10, 20][seed as usize % 4];
        let mut net = Net::warm(seed, Weather::CALM, Config::lan(), count);
        net.split(|index| (index % 2) as u32);
        net.run(60_000).unwrap();
        assert!(!net.is_converged());
        net.events.clear();
        net.no_false_deaths = true; // what each half thinks of the other must not spread
        net.heal();
        let took = net.run_until(40_000, Net::is_converged).unwrap();
        println!("{count} healed in {took:?}");
        assert!(took.is_some(), "seed {seed}: {}", net.show());
    }
}

#[test]
fn m9_islands_with_a_common_seed_find_each_other() {
    for seed in 0..10 {
        // Two islands that never met: the seed they share starts last, and both know it only by a
        // name that does not resolve before.
        let mut net = Net::new(seed, Weather::CALM, Config::lan());
        let shared = "seed.example:7946".to_owned();
        for index in 1..7 {
            let own = address_of(1 + (index - 1) / 3 * 3).to_string();
            net.add(&format!("n{index:02}"), address_of(index), &[own, shared.clone()]);
        }
        net.run(90_000).unwrap();
        assert_eq!(net.node("n01").members().count(), 3, "seed {seed}");
        net.names.insert(shared.clone(), vec![address_of(0)]);
        net.add("n00", address_of(0), &[address_of(0).to_string()]);
        let took = net.run_until(40_000, Net::is_converged).unwrap();
        println!("{took:?}");
        assert!(took.is_some(), "seed {seed}: {}", net.show());
    }
}

/// Islands without any seed: only what the nodes remember.
pub(crate) fn without_seeds(seed: u64) -> Result<(), String> {
    let mut net = Net::warm(seed, Weather::CALM, Config::lan(), 6);
    net.crash("n00");
    net.crash("n01");
    net.split(|index| u32::from(index < 4));
    net.run(10 * 60_000)?;
    net.heal();
    let survivors = |net: &Net| {
        let sees = |observer: &_| {
            let members = net.node(&format!("{observer}")).members();
            members.filter(|(_, member)| member.state == State::Alive).count() == 4
        };
        net.running().iter().all(sees)
    };
    let took = net.run_until(60_000, survivors)?;
    took.map(|_| ()).ok_or_else(|| format!("seed {seed}: M9: {}", net.show()))
}

#[test]
fn m9_islands_that_gave_each_other_up_find_each_other() {
    for seed in 0..25 {
        without_seeds(seed).unwrap();
    }
}

/// One member leaves while packets are lost.
pub(crate) fn leaving(seed: u64) -> Result<(), String> {
    let count = [2, 3, 8, 30][seed as usize % 4];
    let mut net = Net::warm(seed, Weather::LOSSY, Config::lan(), count);
    net.input("n01", Input::Leave);
    let gone = |net: &Net| net.running().len() < count;
    let took = net.run_until(4_000, gone)?;
    assert!(took.is_some(), "it may end at last");
    // At the moment its process ends.
    for observer in net.running() {
        let state = net.state(observer.as_str(), "n01");
        if state != Some(State::Left) {
            return Err(format!("seed {seed}: {observer} takes n01 for {state:?} when it is gone"));
        }
    }
    net.run(10_000)?;
    let dead = |(_, _, event): &&_| matches!(event, Event::Dead { .. });
    assert!(!net.events.iter().any(|event| dead(&event)), "seed {seed}: it left");
    // And it may come back at any time.
    net.start("n01");
    let took = net.run_until(5_000, Net::is_converged)?;
    took.map(|_| ()).ok_or_else(|| format!("seed {seed}: {}", net.show()))
}

#[test]
fn a_leave_is_known_to_all_before_the_process_ends() {
    for seed in 0..20 {
        leaving(seed).unwrap();
    }
}

#[test]
fn the_runs_reach_what_they_are_about() {
    let mut sum = Marks::default();
    for seed in 0..30 {
        let marks = stormy(seed).expect("the test made it so");
        sum.unreachable += marks.unreachable;
        sum.deaths += marks.deaths;
        sum.returns += marks.returns;
        sum.restarts += marks.restarts;
        sum.leaves += marks.leaves;
    }
    println!("{sum:?}");
    assert!(sum.unreachable > 300 && sum.deaths > 100 && sum.returns > 300, "{sum:?}");
    assert!(sum.restarts > 100 && sum.leaves > 20, "{sum:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    assert_eq!(stormy(3), stormy(3));
}

/// All links take that long one way. The events and the bytes per node-second of five minutes,
/// after the first.
fn slow(millis: u64, loss: u32, count: usize) -> (Net, u64) {
    let delay_micros = (millis * 1_000, millis * 1_000 + 5_000);
    let mut net = Net::warm(1, Weather { loss, delay_micros, replays: 0 }, Config::lan(), count);
    net.no_false_deaths = true;
    net.run(60_000).expect("no invariant is broken");
    net.events.clear();
    let before = net.bytes;
    net.run(300_000).expect("no invariant is broken");
    let rate = (net.bytes - before) / 300 / count as u64;
    (net, rate)
}

#[test]
fn a_slow_link_is_learnt_and_costs_no_more_than_a_fast_one() {
    for millis in [50, 100, 150, 250, 350] {
        for count in [2, 5, 10] {
            let (net, rate) = slow(millis, 0, count);
            println!("{millis} ms, {count}: {rate} bytes per node-second");
            assert_eq!(net.events, [], "{millis} ms, {count}");
            // Beyond a round trip of a whole period help is asked for each time.
            assert!(rate < 220 || millis * 2 >= 500, "{millis} ms, {count}: {rate}");
        }
    }
    // Where packets are lost as well, a probe fails by chance now and then.
    let (net, rate) = slow(150, 100_000, 10);
    let silent =
        net.events.iter().filter(|(_, _, e)| matches!(e, Event::Unreachable { .. })).count();
    println!("{silent}, {rate} bytes per node-second");
    assert!(silent < 20, "{silent}");
}

#[test]
fn a_pause_teaches_no_patience() {
    // Answers are late once, after a pause; a crash soon after is found as fast as ever.
    for seed in 0..20 {
        let mut net = Net::warm(seed, Weather::CALM, Config::lan(), 5);
        net.pause("n01", 350);
        net.run(2_000).unwrap();
        net.crash("n01");
        let took = known_after(&mut net, |state| state != State::Alive);
        assert!(took <= Duration::from_secs(2), "seed {seed}: {took:?}");
    }
}
