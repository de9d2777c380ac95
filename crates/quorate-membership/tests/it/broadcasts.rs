//! Messages of users.

use std::collections::BTreeMap;

use quorate_membership::{Broadcast, Config, Event, Input, Tags};

use crate::net::{Net, Weather, id};

/// What is said is heard once, however much is lost and repeated; by all but one in a hundred.
pub(crate) fn told_once(seed: u64) -> Result<(), String> {
    let weather = Weather { loss: 150_000, delay_micros: (500, 20_000), replays: 50_000 };
    let mut net = Net::warm(seed, weather, Config::lan(), 8);
    let said = 20_u8;
    for number in 0..said {
        let by = format!("n{:02}", net.rng.index(8));
        net.input(&by, Input::Broadcast { payload: vec![number] });
        let pause = net.rng.below(200);
        net.run(pause)?;
    }
    net.run(20_000)?;
    let mut heard: BTreeMap<_, u32> = BTreeMap::new();
    for (_, by, event) in &net.events {
        if let Event::Broadcast { payload, .. } = event {
            *heard.entry((by.clone(), payload.clone())).or_default() += 1;
        }
    }
    if let Some((what, times)) = heard.iter().find(|(_, times)| **times > 1) {
        return Err(format!("{what:?} was reported {times} times"));
    }
    // The author is not told what it said itself.
    let expected = usize::from(said) * 7;
    if heard.len() * 100 < expected * 99 {
        return Err(format!("{} of {expected} were heard", heard.len()));
    }
    Ok(())
}

#[test]
fn all_hear_what_is_said_once() {
    (0..20).for_each(|seed| told_once(seed).unwrap());
}

#[test]
fn neither_news_of_members_nor_messages_of_users_starve() {
    let mut net = Net::warm(3, Weather::CALM, Config::lan(), 30);
    // All have news of themselves all the time, more than a packet holds.
    for round in 0..30_u8 {
        for index in 0..30 {
            let by = format!("n{index:02}");
            let tags = net.node(&by).own().tags.clone();
            if index % 3 == 0 {
                net.input(&by, Input::Broadcast { payload: vec![round; 20] });
            }
            net.input(&by, Input::SetTags(Tags { priority: round, ..tags }));
        }
        net.run(300).unwrap();
    }
    net.run(5_000).unwrap();
    assert!(net.is_converged(), "{}", net.show());
    let heard = net.events.iter().filter(|(_, _, event)| matches!(event, Event::Broadcast { .. }));
    let (heard, expected) = (heard.count(), 30 * 10 * 29);
    assert!(heard * 100 >= expected * 99, "{heard} of {expected}");
}

#[test]
fn what_nobody_may_say_is_not_told() {
    let mut net = Net::warm(1, Weather::CALM, Config::lan(), 3);
    net.input("n00", Input::Broadcast { payload: vec![0; Broadcast::BYTES_MAX + 1] });
    net.run(1_000).unwrap();
    assert_eq!(net.node("n00").counters().broadcasts_dropped, 1);
    assert!(!net.events.iter().any(|(_, _, event)| matches!(event, Event::Broadcast { .. })));
    assert!(net.node("n01").member(&id("n00")).is_some());
}

#[test]
fn long_messages_of_users_do_not_starve_either() {
    let mut net = Net::warm(3, Weather::CALM, Config::lan(), 10);
    // The zones fill what a packet holds.
    let zone = "z".repeat(Tags::ZONE_MAX);
    let extra = [("k".to_owned(), "v".repeat(200))].into();
    let tags = Tags { zone, extra, ..Tags::default() };
    for round in 0..100_u8 {
        for index in 0..10 {
            let by = format!("n{index:02}");
            if index == 0 && round % 10 == 0 {
                let payload = vec![round; Broadcast::BYTES_MAX];
                net.input(&by, Input::Broadcast { payload });
            }
            net.input(&by, Input::SetTags(Tags { priority: round, ..tags.clone() }));
        }
        net.run(100).unwrap();
    }
    let heard = net.events.iter().filter(|(_, _, event)| matches!(event, Event::Broadcast { .. }));
    assert_eq!(heard.count(), 9 * 10);
    net.run(5_000).unwrap();
    assert!(net.is_converged(), "{}", net.show());
}

#[test]
fn what_is_said_before_a_leave_is_heard() {
    for seed in 0..20 {
        let mut net = Net::warm(seed, Weather::CALM, Config::lan(), 8);
        net.input("n03", Input::Broadcast { payload: b"good bye".to_vec() });
        net.input("n03", Input::Leave);
        net.run(3_000).unwrap();
        let heard = |(_, _, event): &&(_, _, Event)| matches!(event, Event::Broadcast { .. });
        assert_eq!(net.events.iter().filter(heard).count(), 7, "{seed}");
    }
}
