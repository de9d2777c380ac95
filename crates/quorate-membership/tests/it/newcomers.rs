//! Nodes that come under an id that is taken, and that go and come back.

use std::sync::Arc;
use std::time::Duration;

use quorate_core::{BootEpoch, ClusterId, Instant, Machine, Outbox};
use quorate_membership::{
    Body, Config, Event, Input, Membership, Output, Packet, State, Tags, Update,
};

use crate::hostile::{hear, node, packet};
use crate::net::{Net, Weather, address_of, id};
use crate::script::{Script, announce, claim, gossip};

/// A second process of the same folder is refused, and harms nobody.
pub(crate) fn copied(seed: u64) -> Result<(), String> {
    let mut net = Net::warm(seed, Weather::CALM, Config::lan(), 3);
    net.add_twin("copy", "n02", address_of(50));
    net.run(3_000)?;
    let told = |event: &Event| matches!(event, Event::Refused { .. });
    if !net.events.iter().any(|(_, by, event)| *by == id("copy") && told(event)) {
        return Err(format!("the copy was not refused: {:?}", net.events));
    }
    let known = net.node("n00").member(&id("n02")).ok_or("n02 is no member")?.info;
    if known.address != address_of(2).to_string() {
        return Err(format!("n02 is taken to be at {}", known.address));
    }
    Ok(())
}

#[test]
fn a_copy_of_a_folder_is_refused_while_the_original_answers() {
    (0..20).for_each(|seed| copied(seed).unwrap());
}

#[test]
fn a_node_killed_and_started_elsewhere_is_back_at_once() {
    for seed in 0..20 {
        let mut net = Net::warm(seed, Weather::CALM, Config::lan(), 5);
        net.crash("n03");
        net.relocate("n03");
        net.start("n03");
        let there = net.nodes[&id("n03")].address.to_string();
        let back = |net: &Net| {
            net.running().iter().filter(|by| **by != id("n03")).all(|by| {
                let known = net.node(by.as_str()).member(&id("n03"));
                known.is_some_and(|m| m.state == State::Alive && m.info.address == there)
            })
        };
        let took = net.run_until(5_000, back).unwrap().expect("it comes back");
        // Its old port refuses, so nobody waits for an answer from there.
        assert!(took <= Duration::from_millis(300), "{seed}: {took:?}");
    }
}

#[test]
fn a_node_started_elsewhere_is_taken_once_its_old_address_was_silent_for_half_a_second() {
    for seed in 0..20 {
        let config = Config { streams: false, ..Config::lan() };
        let mut net = Net::warm(seed, Weather::CALM, config, 5);
        net.crash("n03");
        net.relocate("n03");
        net.start("n03");
        let there = net.nodes[&id("n03")].address.to_string();
        let known = |net: &Net, address: &str| {
            net.running().iter().filter(|by| **by != id("n03")).all(|by| {
                let member = net.node(by.as_str()).member(&id("n03"));
                member.is_some_and(|member| member.info.address == address)
            })
        };
        net.run(450).unwrap();
        assert!(known(&net, &address_of(3).to_string()), "{seed}");
        let took = net.run_until(5_000, |net| known(net, &there)).unwrap();
        assert!(took.is_some_and(|took| took < Duration::from_millis(500)), "{seed}: {took:?}");
    }
}

#[test]
fn a_node_that_left_joins_again_without_a_new_process() {
    for seed in 0..10 {
        let mut net = Net::warm(seed, Weather::CALM, Config::lan(), 4);
        // The net would end a process whose leave is known; this one stays.
        net.input("n02", Input::Leave);
        net.run(30).unwrap();
        net.input("n02", Input::Join);
        net.run(5_000).unwrap();
        assert!(net.is_converged(), "{seed}: {}", net.show());
    }
}

/// What `b` says of itself in its second life, at another address.
fn moved() -> Update {
    let mut moved = claim("b", State::Alive, 2, 0);
    Arc::make_mut(&mut moved.info).address = address_of(7).to_string();
    moved
}

/// A packet of the second life of `b`.
fn of_moved(body: Body, updates: Vec<Update>) -> Packet {
    let packet = packet("b", body, updates);
    Packet { incarnation: moved().info.incarnation, ..packet }
}

/// A node that knows `b` in its first life, and was just told of the second.
fn told_of_moved(moved: Update) -> (Membership, Vec<Output>) {
    let mut node = node(Config::lan());
    hear(&mut node, Instant::ZERO, packet("b", gossip(), vec![claim("b", State::Alive, 1, 0)]));
    let sent = hear(&mut node, Instant::ZERO, of_moved(announce(1, 1), vec![moved]));
    (node, sent)
}

/// The answer to the first ping among these.
fn ack(sent: &[Output]) -> Body {
    let asked = sent.iter().find_map(|output| match output {
        Output::Send { packet: Packet { body: Body::Ping { seq, .. }, .. }, .. } => Some(*seq),
        _ => None,
    });
    Body::Ack { seq: asked.expect("the holder is asked") }
}

fn bodies(sent: Vec<Output>) -> Vec<Body> {
    let body = |output| match output {
        Output::Send { packet, .. } => Some(packet.body),
        _ => None,
    };
    sent.into_iter().filter_map(body).collect()
}

#[test]
fn a_node_that_answers_at_its_old_address_too_is_not_taken_for_its_own_copy() {
    let (mut node, sent) = told_of_moved(moved());
    // The old address is another name of the same host: the new process answers there.
    let bodies = bodies(hear(&mut node, Instant::ZERO, of_moved(ack(&sent), Vec::new())));
    assert!(bodies.iter().any(|body| matches!(body, Body::Welcome { seq: 1, .. })), "{bodies:?}");
    let known = node.member(&id("b")).expect("it is a member").info;
    assert_eq!(known.address, moved().info.address);
}

#[test]
fn m4_a_newcomer_of_a_cluster_that_turned_out_foreign_is_not_taken() {
    let mut foreign = moved();
    Arc::make_mut(&mut foreign.info).tags.cluster = ClusterId(2);
    let (mut node, _) = told_of_moved(foreign);
    let mut out = Outbox::new();
    // While the holder of its id is asked, this node's cluster is born.
    let tags = Tags { cluster: ClusterId(1), ..Tags::default() };
    node.handle(Instant::ZERO, Input::SetTags(tags), &mut out);
    for millis in 1..1_000 {
        node.wake(Instant::from_millis(millis), &mut out);
    }
    let known = node.member(&id("b")).expect("it is a member").info;
    assert_eq!(known.tags.cluster, ClusterId::NONE);
    assert_eq!(known.incarnation.boot, BootEpoch(1));
}

#[test]
fn a_copy_that_knows_only_the_original_is_refused_by_it() {
    for seed in 0..20 {
        let mut net = Net::cluster(seed, Weather::CALM, Config::lan(), 1);
        net.run(3_000).unwrap();
        net.add_twin("copy", "n00", address_of(50));
        net.run(3_000).unwrap();
        let refused = |(_, by, event): &(_, _, Event)| {
            *by == id("copy")
                && matches!(event, Event::Refused { holder, .. }
                if *holder == address_of(0).to_string())
        };
        assert!(net.events.iter().any(refused), "{seed}: {:?}", net.events);
    }
}

#[test]
fn what_came_during_a_leave_does_not_outlast_it() {
    let mut script = Script::knowing(&["b", "c"]);
    script.lively = vec!["b", "c"];
    script.input(Input::Leave).input(Input::Refused { address: address_of(2) });
    let newcomer = script.packet("b", announce(1, 1), &[moved()]);
    script.receive("h", newcomer).until(2_000).input(Input::Join).take();
    script.until(8_000);
    let text = script.take();
    assert!(text.contains("ping c"), "{text}");
    script.lively.clear();
    let newcomer = script.packet("b", announce(2, 1), &[moved()]);
    script.receive("h", newcomer).until(9_000);
    let known = script.node.member(&id("b")).expect("it is a member").info;
    assert_eq!(known.address, moved().info.address);
}

#[test]
fn one_that_joins_again_says_so_at_once() {
    let mut script = Script::knowing(&["b", "c"]);
    script.lively = vec!["b", "c"];
    script.input(Input::Leave).until(2_000).input(Input::Join).take();
    script.until(2_050);
    let text = script.take();
    assert!(text.contains("gossip [a alive 2.1"), "{text}");
}

#[test]
fn a_refusal_answers_the_announce_whatever_else_was_said_meanwhile() {
    let (mut node, sent) = told_of_moved(moved());
    hear(&mut node, Instant::ZERO, of_moved(gossip(), vec![moved()]));
    let bodies = bodies(hear(&mut node, Instant::ZERO, packet("b", ack(&sent), Vec::new())));
    assert!(bodies.iter().any(|body| matches!(body, Body::Refused { seq: 1, .. })), "{bodies:?}");
}
