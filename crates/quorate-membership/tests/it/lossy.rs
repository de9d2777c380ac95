//! Where packets are lost: nobody is accused by chance, and streams help out.

use quorate_membership::{Config, Event, State};

use crate::net::{Net, Weather, address_of, id};

/// Loss alone makes hardly an accusation: others are asked first.
pub(crate) fn rumours(seed: u64) -> Result<(), String> {
    let weather = Weather { loss: 300_000, delay_micros: (500, 20_000), replays: 0 };
    let config = Config { streams: false, ..Config::lan() };
    let mut net = Net::warm(seed, weather, config, 10);
    net.no_false_deaths = true;
    net.run(60_000)?;
    let sum = |count: fn(&quorate_membership::Counters) -> u64| -> u64 {
        net.running().iter().map(|by| count(net.node(by.as_str()).counters())).sum()
    };
    let (failed, accused) = (sum(|c| c.probes_failed), sum(|c| c.accusations));
    if failed == 0 || accused * 5 > failed {
        return Err(format!("{failed} probes failed, {accused} accusations"));
    }
    Ok(())
}

#[test]
fn loss_alone_accuses_hardly_anybody() {
    (0..12).for_each(|seed| rumours(seed).unwrap());
}

#[test]
fn where_no_datagram_gets_through_streams_do() {
    let mut net = Net::warm(1, Weather::CALM, Config::lan(), 4);
    // No datagram of or to n02 arrives any more: a firewall was changed.
    for index in (0..4).filter(|index| *index != 2) {
        net.one_way.insert((address_of(2), address_of(index)));
        net.one_way.insert((address_of(index), address_of(2)));
    }
    net.no_false_deaths = true;
    net.run(60_000).unwrap();
    for by in ["n00", "n01", "n03"] {
        let member = net.node(by).member(&id("n02")).expect("it is a member");
        assert_eq!(member.state, State::Alive, "{by}: {member:?}");
    }
    let by_stream =
        |net: &Net, by: &str| net.node(by).member(&id("n02")).is_some_and(|m| m.by_stream);
    assert!(["n00", "n01", "n03"].iter().any(|by| by_stream(&net, by)), "{}", net.show());
    // And back, when datagrams do.
    net.heal();
    net.run(20_000).unwrap();
    assert!(!["n00", "n01", "n03"].iter().any(|by| by_stream(&net, by)), "{}", net.show());
    let silent = net.events.iter().filter(|(_, _, e)| matches!(e, Event::Unreachable { .. }));
    assert!(silent.count() <= 6, "{:?}", net.events);
}

#[test]
fn one_where_only_streams_work_joins() {
    let mut net = Net::warm(2, Weather::CALM, Config::lan(), 3);
    for index in 0..3 {
        net.one_way.insert((address_of(3), address_of(index)));
        net.one_way.insert((address_of(index), address_of(3)));
    }
    net.add("n03", address_of(3), &[address_of(0).to_string()]);
    let seen = |net: &Net| {
        ["n00", "n01", "n02"].iter().all(|by| net.state(by, "n03") == Some(State::Alive))
    };
    let took = net.run_until(30_000, seen).unwrap();
    assert!(took.is_some(), "{}", net.show());
    net.run(30_000).unwrap();
    assert!(net.is_converged(), "{}", net.show());
}

#[test]
fn one_whose_own_packets_are_lost_gives_up_nobody() {
    for (seed, count) in [3, 5, 8].into_iter().enumerate() {
        let config = Config { streams: false, ..Config::lan() };
        let mut net = Net::warm(seed as u64, Weather::CALM, config, count);
        for index in 1..count {
            net.one_way.insert((address_of(0), address_of(index)));
        }
        net.run(60_000).unwrap();
        let dead = |(_, by, event): &&(_, _, Event)| {
            *by == id("n00") && matches!(event, Event::Dead { .. })
        };
        assert_eq!(net.events.iter().find(dead), None, "{count}");
        assert_eq!(net.state("n01", "n00"), Some(State::Dead), "{count}");
        net.no_false_deaths = true;
        net.heal();
        let took = net.run_until(40_000, Net::is_converged).unwrap();
        assert!(took.is_some(), "{count}: {}", net.show());
    }
}
