//! What one node does, step by step.

use std::sync::Arc;
use std::time::Duration;

use expect_test::{Expect, expect};
use quorate_core::{ClusterId, Instant};
use quorate_membership::{Accusation, Body, Config, Input, Output, Packet, State, Tags, Update};

use crate::hostile::{hear, node, packet};
use crate::script::{announce, gossip, welcome};

use crate::net::{address_of, id};
use crate::script::{Script, claim};

fn check(script: &mut Script, expected: &Expect) {
    expected.assert_eq(&script.take());
}

#[test]
fn a_joiner_asks_its_seed_and_pulls_what_it_does_not_know() {
    let mut script = Script::new(&["10.0.0.1:7946"]);
    script.until(0);
    let (seq, alive) = (script.seq(1), claim("b", State::Alive, 1, 0));
    let mut welcome = script.packet("b", welcome(seq), &[alive]);
    welcome.view = 1;
    script.receive("b", welcome);
    let page = [claim("c", State::Alive, 1, 4), claim("d", State::Dead, 1, 0)];
    script.hear("b", Body::Page { left: 0 }, &page);
    check(
        &mut script,
        &expect![[r#"
        0ms wake
          -> b announce #1 [a alive 2.0]
        0ms <- b welcome [b alive 1.0]
          joined: b
          -> b digest of 64 parts [b alive 1.0]
        0ms <- b page, 0 parts left [c alive 1.4, d dead 1.0]
          joined: c
    "#]],
    );
    let seeds = script.node.seeds();
    assert_eq!(seeds[0].node, Some(id("b")));
}

#[test]
fn a_silent_member_is_unreachable_soon_and_dead_later() {
    let mut script = Script::knowing(&["b", "c", "d"]);
    script.lively = vec!["b", "d"];
    // Its successor is probed first.
    script.until(2_500);
    let text = script.take();
    let of_c: Vec<_> = text.lines().filter(|line| line.contains(": c")).collect();
    assert_eq!(of_c, ["  unreachable: c", "  dead: c"], "{text}");
    // From the accusation to the death, the suspect is told again and again.
    assert!(text.matches("ping c").count() > 10, "{text}");
}

#[test]
fn a_probe_asks_again_and_asks_others_before_it_accuses() {
    let mut script = Script::knowing(&["b", "c", "d"]);
    script.lively = vec!["b", "d"];
    script.until(1_000);
    check(
        &mut script,
        &expect![[r#"
            487ms wake
              -> c ping c #1
            587ms wake
              -> c ping c #2
            687ms wake
              -> c ping c #3
              -> b please ping c #1
              -> d please ping c #1
            687ms <- b nack
            687ms <- d nack
            787ms wake
              -> c ping c #4
              -> c ping c #4
            887ms wake
              -> d do you reach c #5
              -> b do you reach c #5
              -> d ping d #6
            887ms <- d nack
              unreachable: c
            887ms <- b nack
              -> c ping c #7 [c suspect 1.0]
            887ms <- d ack
            927ms wake
              -> b gossip [c suspect 1.0]
              -> d gossip [c suspect 1.0]
            967ms wake
              -> b gossip [c suspect 1.0]
              -> d gossip [c suspect 1.0]
        "#]],
    );
}

#[test]
fn a_suspicion_is_told_to_the_suspect_and_refuted_by_a_higher_incarnation() {
    let mut script = Script::knowing(&["b", "c"]);
    script.hear("c", gossip(), &[claim("b", State::Suspect, 1, 0)]);
    script.hear("b", Body::ping(9, &id("a")), &[]);
    script.hear("c", gossip(), &[claim("b", State::Alive, 1, 1)]);
    // The old suspicion, on its way for long, changes nothing.
    script.hear("c", gossip(), &[claim("b", State::Suspect, 1, 0)]);
    check(
        &mut script,
        &expect![[r#"
        400ms <- c gossip [b suspect 1.0]
          unreachable: b
        400ms <- b ping a
          -> b ack [b suspect 1.0]
        400ms <- c gossip [b alive 1.1]
          reachable: b
        400ms <- c gossip [b suspect 1.0]
    "#]],
    );
}

#[test]
fn an_accusation_of_this_node_is_refuted_at_once() {
    let mut script = Script::knowing(&["b", "c"]);
    let ping = Body::ping(9, &id("a"));
    script.hear("b", ping, &[claim("a", State::Suspect, 2, 0)]);
    script.hear("c", gossip(), &[claim("a", State::Dead, 2, 3)]);
    // Old news, but whoever believes them should know better.
    script.hear("c", gossip(), &[claim("a", State::Dead, 1, 7)]);
    check(
        &mut script,
        &expect![[r#"
        400ms <- b ping a [a suspect 2.0]
          -> b ack [a alive 2.1]
        400ms <- c gossip [a dead 2.3]
          -> c gossip [a alive 2.4]
        400ms <- c gossip [a dead 1.7]
          -> c gossip [a alive 2.4]
    "#]],
    );
}

#[test]
fn a_death_told_by_others_counts_after_the_minimum_suspicion() {
    let mut script = Script::knowing(&["b", "c", "d"]);
    script.hear("c", gossip(), &[claim("b", State::Dead, 1, 0)]);
    let told = script.take();
    for step in 5..21 {
        script.until(step * 100).hear("c", gossip(), &[]).take();
        let state = script.node.member(&id("b")).map(|member| member.state);
        let dead = step * 100 >= 400 + 1_000;
        assert_eq!(state, Some(if dead { State::Dead } else { State::Suspect }), "{step}");
    }
    expect![[r#"
        400ms <- c gossip [b dead 1.0]
          unreachable: b
          -> b ping b #1 [b suspect 1.0]
    "#]]
    .assert_eq(&told);
}

#[test]
fn nobody_is_judged_before_what_came_in_a_pause_is_read() {
    let mut script = Script::knowing(&["b", "c", "d"]);
    script.lively = vec!["c", "d"];
    script.hear("c", gossip(), &[claim("b", State::Dead, 1, 0)]);
    // The suspicion ends at 1400 ms; the refutation came a moment before, while this node stood
    // still for half a second.
    script.until(1_350).take();
    script.stall(1_850);
    script.hear("b", gossip(), &[claim("b", State::Alive, 1, 1)]);
    script.until(2_000);
    let text = script.take();
    assert!(!text.contains("dead: b"), "{text}");
    assert!(text.contains("reachable: b"), "{text}");
    // And one that is silent dies all the same.
    script.hear("c", gossip(), &[claim("b", State::Dead, 1, 1)]);
    script.until(2_950).take();
    script.stall(3_150).until(3_400);
    assert!(script.take().contains("dead: b"));
}

#[test]
fn one_whose_name_is_nowhere_is_accused_of_nothing() {
    let mut script = Script::knowing(&["c", "d"]);
    script.lively = vec!["c", "d"];
    let mut named = claim("b", State::Alive, 1, 0);
    Arc::make_mut(&mut named.info).address = "b.example:7946".to_owned();
    script.hear("c", gossip(), &[named.clone()]);
    script.until(6_000);
    let text = script.take();
    assert!(text.contains("unreachable: b") && !text.contains("b suspect"), "{text}");
    // The others may be able to look it up.
    assert!(text.contains("please ping b"), "{text}");
    let addresses = vec![address_of(1)];
    script.input(Input::Resolved { name: named.info.address.clone(), addresses });
    script.until(12_000);
    assert!(script.take().contains("b suspect"));
}

#[test]
fn a_restarted_member_replaces_its_dead_self_at_a_new_address() {
    let mut script = Script::knowing(&["b", "c"]);
    script.hear("c", gossip(), &[claim("b", State::Left, 1, 0)]);
    script.hear("b", Body::ping(9, &id("a")), &[]);
    let mut again = claim("b", State::Alive, 2, 0);
    Arc::make_mut(&mut again.info).address = address_of(7).to_string();
    script.hear("b", announce(1, 1), std::slice::from_ref(&again));
    Arc::make_mut(&mut again.info).incarnation.boot = again.info.incarnation.boot.next();
    script.hear("b", announce(2, 1), &[again]);
    check(
        &mut script,
        &expect![[r#"
        400ms <- c gossip [b left 1.0]
          left: b
        400ms <- b ping a
          -> b ack [b left 1.0]
        400ms <- b announce [b alive 2.0]
          joined: b
          -> b welcome [a alive 2.0, b alive 2.0]
        400ms <- b announce [b alive 3.0]
          restarted: b
          -> b welcome [a alive 2.0, b alive 3.0]
    "#]],
    );
}

#[test]
fn a_twin_with_a_higher_epoch_stops_this_node() {
    let mut script = Script::knowing(&["b"]);
    let announce = announce(1, 1);
    let mut twin = script.packet("a", announce, &[claim("a", State::Alive, 3, 0)]);
    script.receive("g", twin.clone());
    twin.incarnation.boot = quorate_core::BootEpoch(3);
    script.receive("g", twin.clone());
    script.receive("g", twin);
    check(
        &mut script,
        &expect![[r#"
        400ms <- g announce [a alive 3.0]
          -> g refused, it is at 10.0.0.0:7946
        400ms <- g announce [a alive 3.0]
          duplicate id: g 3
        400ms <- g announce [a alive 3.0]
    "#]],
    );
    assert_eq!(script.node.counters().twins, 3);
}

#[test]
fn a_twin_is_reported_whatever_else_is() {
    let mut script = Script::knowing(&["b"]);
    script.input(Input::SetTags(Tags { cluster: ClusterId(5), ..Tags::default() }));
    for index in 0..200 {
        let mut foreign = script.packet("c", gossip(), &[]);
        (foreign.from, foreign.cluster) = (id(&format!("x{index}")), 6);
        script.receive("c", foreign);
    }
    script.take();
    script.hear("b", gossip(), &[claim("a", State::Alive, 3, 0)]);
    check(
        &mut script,
        &expect![[r#"
        400ms <- b gossip [a alive 3.0]
          duplicate id: b 3
    "#]],
    );
}

#[test]
fn a_twin_of_the_same_epoch_is_counted() {
    let mut script = Script::knowing(&["b"]);
    let mut twin = claim("a", State::Alive, 2, 0);
    script.hear("b", gossip(), std::slice::from_ref(&twin));
    assert_eq!(script.node.counters().twins, 0);
    Arc::make_mut(&mut twin.info).address = address_of(9).to_string();
    script.hear("b", gossip(), &[twin]);
    assert_eq!(script.node.counters().twins, 1);
}

#[test]
fn a_node_finds_its_own_address_among_the_seeds() {
    let mut script = Script::new(&["10.0.0.0:7946", "10.0.0.1:7946", "b.example:7946"]);
    script.until(0);
    let own = announce(script.seq(1), 7);
    script.hear("a", own, &[]);
    script.input(Input::Resolved { name: "b.example:7946".to_owned(), addresses: Vec::new() });
    let text: Vec<_> = (script.node.seeds().iter())
        .map(|seed| format!("{} {:?} {:?}", seed.name, seed.address, seed.node))
        .collect();
    expect![[r#"
        10.0.0.0:7946 Some(10.0.0.0:7946) Some(a)
        10.0.0.1:7946 Some(10.0.0.1:7946) None
        b.example:7946 None None"#]]
    .assert_eq(&text.join("\n"));
    // Both addresses of a name count; the one that was there already counts once.
    let addresses = vec![address_of(1), address_of(2)];
    script.input(Input::Resolved { name: "b.example:7946".to_owned(), addresses });
    assert_eq!(script.node.seeds().len(), 3);
    script.until(6_000);
    check(
        &mut script,
        &expect![[r#"
            0ms wake
              -> a announce #1 [a alive 2.0]
              -> b announce #2 [a alive 2.0]
              resolve b.example:7946
            0ms <- a announce
            0ms b.example:7946 is at []
            0ms b.example:7946 is at [10.0.0.1:7946, 10.0.0.2:7946]
            0ms wake
              -> c announce #3 [a alive 2.0]
            842ms wake
              -> b announce #4 [a alive 2.0]
            1243ms wake
              -> c announce #5 [a alive 2.0]
            2000ms wake
              -> a announce #6 [a alive 2.0]
            2438ms wake
              -> b announce #7 [a alive 2.0]
            2786ms wake
              -> a announce #8 [a alive 2.0]
            3663ms wake
              -> c announce #9 [a alive 2.0]
            3814ms wake
              -> a announce #10 [a alive 2.0]
            4696ms wake
              -> a announce #11 [a alive 2.0]
            5526ms wake
              -> a announce #12 [a alive 2.0]
            5617ms wake
              -> b announce #13 [a alive 2.0]
        "#]],
    );
}

#[test]
fn a_name_that_cannot_be_looked_up_is_asked_for_again_soon() {
    let mut script = Script::new(&["b.example:7946"]);
    let mut asked = Vec::new();
    for second in 0..60 {
        script.until(second * 1_000);
        if script.take().contains("resolve b.example") {
            asked.push(second);
        }
    }
    assert_eq!(asked, [0, 1, 3, 7, 15, 25, 35, 45, 55]);
    // Once it is known it is only looked after.
    let addresses = vec![address_of(1)];
    script.input(Input::Resolved { name: "b.example:7946".to_owned(), addresses });
    script.until(125_000);
    let looked_up = script.take().matches("resolve b.example").count();
    assert!((6..=7).contains(&looked_up), "{looked_up}");
}

#[test]
fn a_known_peer_is_announced_to_until_it_answers() {
    let mut script = Script::new(&[]);
    script.input(Input::Known { id: id("b"), address: address_of(1).to_string() });
    script.until(9_000);
    script.hear("b", welcome(1), &[claim("b", State::Alive, 1, 0)]);
    let told = script.take();
    script.until(9_400);
    let after = script.take();
    assert!(!after.contains("announce"), "{after}");
    expect![[r#"
        0ms known: b at 10.0.0.1:7946
        0ms wake
          -> b announce #1 [a alive 2.0]
        1123ms wake
          -> b announce #2 [a alive 2.0]
        3369ms wake
          -> b announce #3 [a alive 2.0]
        7550ms wake
          -> b announce #4 [a alive 2.0]
        9000ms <- b welcome [b alive 1.0]
          joined: b
          -> b digest of 64 parts [b alive 1.0]
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_known_peer_is_looked_for_where_it_was_last() {
    let mut script = Script::knowing(&["b", "c"]);
    let mut moved = claim("b", State::Alive, 2, 0);
    Arc::make_mut(&mut moved.info).address = address_of(6).to_string();
    script.hear("c", gossip(), &[moved.clone()]);
    moved.state = State::Dead;
    script.hear("c", gossip(), &[moved]);
    script.lively = vec!["c"];
    script.until(4_000).take();
    assert_eq!(script.node.member(&id("b")).map(|member| member.state), Some(State::Dead));
    // The log still has the address of its first life.
    script.input(Input::Known { id: id("b"), address: address_of(1).to_string() });
    script.until(10_000);
    let text = script.take();
    assert!(text.contains("-> g announce"), "{text}");
    assert!(!text.contains("-> b announce"), "{text}");
}

#[test]
fn many_lost_peers_are_announced_to_at_the_pace_of_few() {
    let mut script = Script::new(&[]);
    let dead = |index: u32| {
        let mut update = claim("b", State::Dead, 1, 0);
        update.id = id(&format!("b{index}"));
        update
    };
    for page in 0..20_u32 {
        let page: Vec<_> = (0..20).map(|index| dead(page * 20 + index)).collect();
        script.hear("z", Body::Page { left: 0 }, &page);
    }
    script.take();
    let mut rates = Vec::new();
    for minute in 1..=30 {
        script.until(minute * 60_000);
        rates.push(script.take().matches(" announce").count());
    }
    // Eight a second at first (give or take a quarter), one in the end.
    assert!(rates.iter().all(|rate| *rate <= 8 * 60 * 5 / 4), "{rates:?}");
    let late: usize = rates[10..].iter().sum();
    assert!((20 * 30..20 * 90).contains(&late), "{rates:?}");
}

#[test]
fn strangers_are_refused() {
    let mut script = Script::knowing(&["b"]);
    script.input(Input::SetTags(Tags { cluster: ClusterId(5), ..Tags::default() }));
    let other = claim("c", State::Alive, 1, 0);
    let foreign =
        Packet { name: 1, ..script.packet("c", announce(1, 1), std::slice::from_ref(&other)) };
    script.receive("c", foreign.clone()).receive("c", foreign);
    let (seq, instance, seeds, cluster) = (1, 1, 0, ClusterId(6));
    let body = Body::Announce { seq, instance, seeds, cluster };
    let foreign = Packet { cluster: 6, ..script.packet("c", body, &[other]) };
    script.receive("c", foreign.clone()).receive("c", foreign);
    check(
        &mut script,
        &expect![[r#"
            400ms tags  100
            400ms <- c announce [c alive 1.0]
              -> c of another cluster: test
              foreign name: c ?
            400ms <- c announce [c alive 1.0]
            400ms <- c announce [c alive 1.0]
              -> c of another cluster: test
              foreign cluster: c 6
            400ms <- c announce [c alive 1.0]
        "#]],
    );
    assert!(script.node.member(&id("c")).is_none());
}

#[test]
fn a_leave_ends_when_all_know_it() {
    let mut script = Script::knowing(&["b", "c"]);
    script.input(Input::Leave);
    // An answer to an older ping proves nothing.
    script.hear("b", Body::Ack { seq: 0 }, &[]);
    script.hear("b", Body::Ack { seq: script.seq(1) }, &[]);
    script.until(550);
    script.hear("c", Body::Ack { seq: script.seq(2) }, &[]);
    check(
        &mut script,
        &expect![[r#"
            400ms leave
              -> b ping b #1 [a left 2.0]
              -> c ping c #2 [a left 2.0]
            400ms <- b ack
            400ms <- b ack
            440ms wake
              -> c gossip [a left 2.0]
              -> b gossip [a left 2.0]
            480ms wake
              -> c gossip [a left 2.0]
              -> b gossip [a left 2.0]
            500ms wake
              -> c ping c #2 [a left 2.0]
            520ms wake
              -> c gossip [a left 2.0]
              -> b gossip [a left 2.0]
            550ms <- c ack
              leave spread
        "#]],
    );
}

#[test]
fn a_node_of_that_name_in_another_cluster_is_no_twin() {
    let mut script = Script::knowing(&["b"]);
    script.input(Input::SetTags(Tags { cluster: ClusterId(5), ..Tags::default() })).take();
    let mut other = claim("a", State::Alive, 9, 0);
    Arc::make_mut(&mut other.info).tags.cluster = ClusterId(6);
    let mut foreign = script.packet("a", announce(1, 1), std::slice::from_ref(&other));
    (foreign.cluster, foreign.incarnation) = (6, other.info.incarnation);
    script.receive("g", foreign);
    // One that has no cluster yet may know both.
    script.hear("b", gossip(), &[other]);
    check(
        &mut script,
        &expect![[r#"
            400ms <- g announce [a alive 9.0]
              -> g of another cluster: test
              foreign cluster: a 0
            400ms <- b gossip [a alive 9.0]
        "#]],
    );
}

#[test]
fn a_node_that_hears_nobody_accuses_nobody() {
    let mut script = Script::knowing(&["b", "c", "d"]);
    // Nobody answers, neither those it probes nor those it asks.
    script.until(10_000);
    let text = script.take();
    for name in ["b", "c", "d"] {
        assert!(text.contains(&format!("unreachable: {name}")), "{text}");
        assert!(!text.contains(&format!("{name} suspect")), "{text}");
    }
    // It is heard again, and so are the others.
    script.lively = vec!["b", "c", "d"];
    script.hear("b", gossip(), &[]).until(12_000);
    let text = script.take();
    assert!(!text.contains("suspect") && !text.contains("dead"), "{text}");
    for name in ["b", "c", "d"] {
        assert!(text.contains(&format!("reachable: {name}")), "{text}");
    }
}

#[test]
fn an_observer_that_stood_still_votes_after_it_has_read_the_answer() {
    let mut script = Script::knowing(&["b", "c", "d"]);
    script.hear("b", Body::Observe { seq: 9, target: id("c") }, &[]).until(510).take();
    script.stall(760);
    script.hear("c", Body::Ack { seq: script.seq(1) }, &[]);
    let text = script.take();
    assert!(!text.contains("nack"), "{text}");
    assert!(text.contains("-> b ack"), "{text}");
}

#[test]
fn the_successor_is_looked_at_regularly_again_once_others_reached_it() {
    let mut script = Script::knowing(&["b", "c", "d"]);
    script.lively = vec!["b", "d"];
    // Its successor is `c`: silent once, but not to its observers.
    script.until(850).take();
    script.helpful = true;
    script.until(1_000);
    let text = script.take();
    assert!(text.contains("do you reach c"), "{text}");
    script.lively.push("c");
    // Nothing changes in the view, and somebody is heard all the time.
    let mut looks = 0;
    for step in 0..80 {
        script.until(1_000 + step * 300).hear("b", gossip(), &[]);
        looks += script.take().matches("-> c ping c").count();
    }
    assert!(looks >= 18, "{looks} in 40 periods");
}

#[test]
fn a_peer_that_is_made_known_is_an_acquaintance() {
    let mut script = Script::new(&[]);
    let before = script.node.acquaintances_version();
    let known = Input::Known { id: id("b"), address: address_of(1).to_string() };
    script.input(known.clone());
    let after = script.node.acquaintances_version();
    assert!(after != before && script.node.acquaintances().count() == 1);
    script.input(known);
    assert_eq!(script.node.acquaintances_version(), after, "nothing changed");
}

#[test]
fn a_tombstone_gets_older_at_every_hop_whatever_the_horizon() {
    let tombstone_horizon = Duration::from_millis(20_900);
    let mut node = node(Config { tombstone_horizon, ..Config::lan() });
    let left = vec![claim("b", State::Left, 1, 0)];
    hear(&mut node, Instant::ZERO, packet("c", gossip(), left));
    // `b` itself is told what is claimed of it.
    let ping = packet("b", Body::ping(9, &id("a")), vec![claim("b", State::Alive, 1, 0)]);
    let told = hear(&mut node, Instant::from_millis(800), ping);
    let updates = told.iter().find_map(|output| match output {
        Output::Send { packet, .. } => packet.updates.first(),
        _ => None,
    });
    assert_eq!(updates.map(|update| (update.state, update.gone_secs)), Some((State::Left, 1)));
}

#[test]
fn whom_this_node_alone_does_not_reach_is_looked_at_again_soon() {
    const NAMES: [&str; 22] = [
        "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s",
        "t", "u", "v", "w",
    ];
    let mut script = Script::knowing(&NAMES);
    // All speak, and no answer arrives.
    let pass = |script: &mut Script, but: &str| {
        script.until(script.millis() + 50);
        for name in NAMES.iter().filter(|name| **name != but) {
            script.hear(name, Body::Nack { seq: 0 }, &[]);
        }
        let text = script.take();
        let question = text.lines().find_map(|line| line.split_once("do you reach "));
        question.and_then(|(_, rest)| rest.split_whitespace().next()).map(str::to_owned)
    };
    let silent = (0..100).find_map(|_| pass(&mut script, "")).expect("somebody is asked after");
    let state = |script: &Script| script.node.member(&id(&silent)).expect("it is known").state;
    for _ in 0..20 {
        pass(&mut script, &silent);
    }
    assert_eq!(state(&script), State::Suspect);
    assert_eq!(script.node.counters().accusations, 0, "it spoke meanwhile");
    // Now it answers, and says nothing of its own accord.
    script.lively = NAMES.to_vec();
    script.until(script.millis() + 2_000);
    assert_eq!(state(&script), State::Alive);
}

#[test]
fn whoever_sees_another_view_than_all_asks_before_it_buries_one() {
    let mut script = Script::knowing(&["b", "c", "d", "e", "f", "g"]);
    script.lively = vec!["c", "d", "e", "f", "g"];
    let mut accused = claim("b", State::Suspect, 1, 0);
    accused.accusation = Some(Accusation { by: 7, corroborated: true });
    script.hear("c", gossip(), &[accused]);
    // All but this node know already that it refuted.
    let tell = |script: &mut Script, name: &str, millis: u64| {
        script.until(millis);
        let mut ping = script.packet(name, Body::ping(9, &id("a")), &[]);
        ping.view = 1;
        script.receive(name, ping);
    };
    tell(&mut script, "d", 800);
    tell(&mut script, "e", 1_100);
    script.take();
    script.until(1_450);
    let text = script.take();
    assert!(!text.contains("dead: b"), "{text}");
    let asks = |line: &&str| line.contains("-> ") && line.ends_with("[b suspect 1.0]");
    let asked: Vec<_> = text.lines().filter(asks).filter(|line| !line.contains("-> b")).collect();
    assert_eq!(asked.len(), 3, "{text}");
    script.hear("f", Body::Page { left: 0 }, &[claim("b", State::Alive, 1, 1)]);
    script.until(2_000);
    let text = script.take();
    assert!(text.contains("reachable: b") && !text.contains("dead: b"), "{text}");
}

#[test]
fn whoever_asks_with_a_refuted_suspicion_is_told_by_the_answer() {
    let mut script = Script::knowing(&["b", "c"]);
    script.lively = vec!["b", "c"];
    script.hear("b", gossip(), &[claim("b", State::Alive, 1, 1)]);
    script.until(1_500);
    script.take();
    script.hear("c", Body::ping(9, &id("a")), &[claim("b", State::Suspect, 1, 0)]);
    script.hear("c", gossip(), &[claim("b", State::Suspect, 1, 0)]);
    check(
        &mut script,
        &expect![[r#"
            1500ms <- c ping a [b suspect 1.0]
              -> c ack [b alive 1.1]
            1500ms <- c gossip [b suspect 1.0]
        "#]],
    );
}

#[test]
fn of_many_that_are_to_be_buried_only_a_few_are_asked_about() {
    const SUSPECTS: [&str; 12] = ["b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m"];
    const WELL: [&str; 5] = ["n", "o", "p", "q", "r"];
    let mut script = Script::knowing(&[SUSPECTS.as_slice(), &WELL].concat());
    script.lively = WELL.to_vec();
    for name in SUSPECTS {
        let accusation = Some(Accusation { by: 0, corroborated: true });
        let accused = Update { accusation, ..claim(name, State::Suspect, 1, 0) };
        script.hear("n", gossip(), &[accused]);
    }
    script.until(1_100);
    let mut ping = script.packet("o", Body::ping(9, &id("a")), &[]);
    ping.view = 1;
    script.receive("o", ping);
    script.take();
    script.until(1_420);
    let text = script.take();
    let dead = text.matches("dead: ").count();
    assert_eq!(dead, SUSPECTS.len() - 8, "{text}");
}

#[test]
fn one_that_missed_the_same_does_not_hide_what_all_others_know() {
    let ping_of = |script: &mut Script, name: &str, view: Option<u64>| {
        let mut ping = script.packet(name, Body::ping(9, &id("a")), &[]);
        ping.view = view.unwrap_or(ping.view);
        script.receive(name, ping);
    };
    // `b` agrees whenever it is probed, and so often that the difference never lasts.
    let mut script = Script::knowing(&["b", "c", "d", "e"]);
    script.lively = vec!["b"];
    for (turn, name) in ["c", "d", "e"].iter().cycle().take(12).enumerate() {
        script.until(500 + turn as u64 * 250);
        ping_of(&mut script, name, Some(1));
        if turn % 3 == 2 {
            ping_of(&mut script, "b", None);
        }
    }
    let text = script.take();
    assert!(text.contains("digest"), "{text}");
    // Once most agree it is over: what differs then is news, and may be under way.
    let mut script = Script::knowing(&["b", "c", "d", "e"]);
    script.lively = vec!["b", "c", "d", "e"];
    script.until(500);
    ping_of(&mut script, "c", Some(1));
    ping_of(&mut script, "b", None);
    script.until(3_000);
    ping_of(&mut script, "e", Some(1));
    let text = script.take();
    assert!(!text.contains("digest"), "{text}");
}
