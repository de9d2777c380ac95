//! Scripts and their transcripts.

use std::time::Duration;

use expect_test::{Expect, expect};
use quorate_core::{Ballot, Configuration, Instant, Kind, LogId, NodeId, Rng, Term, check_laws};
use quorate_election::{Config, Input, Message, Role, Solo};

use crate::script::{Script, ballot, id};

fn check(script: &mut Script, expected: &Expect) {
    expected.assert_eq(&script.take());
}

fn elected(term: u64) -> Script {
    let mut script = Script::three(term - 1);
    script.until(299).would_grant("b", term - 1).persisted().granted("b", term);
    assert_eq!(script.voter.role(), Role::Leader);
    script.take();
    script
}

#[test]
fn an_election_from_silence_to_the_first_heartbeat() {
    let mut script = Script::three(0);
    script.until(299).would_grant("b", 0).persisted().granted("c", 1);
    check(
        &mut script,
        &expect![[r#"
        271ms wake
          -> b pre-vote t0 tip 0-0
          -> c pre-vote t0 tip 0-0
        299ms <- b pre-vote yes, t0 asked t0 tip 0-0
          persist t1 for a
          stands t1
          -> b vote t1 tip 0-0
          -> c vote t1 tip 0-0
        299ms durable t1 for a
        299ms <- c vote yes, t1 tip 0-0
          elected t1
          leads t1
          -> b heartbeat t1 (overtakes)
          -> c heartbeat t1 (overtakes)
    "#]],
    );
}

#[test]
fn grants_count_only_once_the_own_vote_is_durable() {
    let mut script = Script::three(0);
    script.until(299).would_grant("b", 0).take();
    // Two votes of three, but a crash now would forget that this node ever stood.
    script.granted("b", 1).granted("c", 1);
    assert_eq!(script.voter.role(), Role::Candidate);
    check(
        &mut script,
        &expect![[r#"
        299ms <- b vote yes, t1 tip 0-0
        299ms <- c vote yes, t1 tip 0-0
    "#]],
    );
    script.persisted();
    check(
        &mut script,
        &expect![[r#"
        299ms durable t1 for a
          elected t1
          leads t1
          -> b heartbeat t1 (overtakes)
          -> c heartbeat t1 (overtakes)
    "#]],
    );
}

#[test]
fn a_single_voter_leads_once_its_own_vote_is_durable() {
    let mut script = Script::new(&["a"], 3, Config::fast());
    script.until(149);
    assert_eq!(script.voter.role(), Role::Candidate);
    script.persisted().until(700);
    check(
        &mut script,
        &expect![[r#"
        135ms wake
          persist t4 for a
          stands t4
        149ms durable t4 for a
          elected t4
          leads t4
    "#]],
    );
    assert_eq!(script.voter.role(), Role::Leader);
}

#[test]
fn a_voter_that_hears_its_leader_refuses_every_other() {
    let mut script = Script::three(4);
    let (term, tip) = (Term(9), LogId::new(9, 9));
    script.heartbeat("b", 4).until(100);
    script.receive("c", Message::PreVote { term, tip });
    script.receive("c", Message::Vote { term, tip });
    check(
        &mut script,
        &expect![[r#"
        0ms <- b heartbeat t4
          follows b t4
          -> b heard t4 (overtakes)
        100ms <- c pre-vote t9 tip 9-9
          -> c pre-vote no, t4 asked t9 tip 0-0
        100ms <- c vote t9 tip 9-9
    "#]],
    );
    // Silent for the shortest timeout: now the request counts.
    script.until(150).receive("c", Message::PreVote { term, tip });
    script.receive("c", Message::Vote { term, tip });
    check(
        &mut script,
        &expect![[r#"
        150ms <- c pre-vote t9 tip 9-9
          -> c pre-vote yes, t4 asked t9 tip 0-0
        150ms <- c vote t9 tip 9-9
          follows nobody t9
          persist t9 for c
          -> c vote yes, t9 tip 0-0
    "#]],
    );
}

#[test]
fn a_leader_that_hears_a_quorum_refuses_to_be_replaced() {
    let mut script = elected(5);
    let (term, tip) = (Term(9), LogId::new(9, 9));
    script.receive("c", Message::PreVote { term, tip }).receive("c", Message::Vote { term, tip });
    check(
        &mut script,
        &expect![[r#"
        299ms <- c pre-vote t9 tip 9-9
          -> c pre-vote no, t5 asked t9 tip 0-0
        299ms <- c vote t9 tip 9-9
    "#]],
    );
}

#[test]
fn a_higher_term_in_an_answer_deposes_and_the_deposed_tries_again_soon() {
    let mut script = elected(5);
    script.receive("c", Message::HeartbeatReply { term: Term(8) });
    check(
        &mut script,
        &expect![[r#"
        299ms <- c heard t8
          follows nobody t8
          persist t8 for nobody
    "#]],
    );
    script.persisted().until(450);
    check(
        &mut script,
        &expect![[r#"
        299ms durable t8 for nobody
        423ms wake
          -> b pre-vote t8 tip 0-0
          -> c pre-vote t8 tip 0-0
    "#]],
    );
}

#[test]
fn a_stale_leader_learns_the_term_that_ended_its_own() {
    let mut script = Script::three(7);
    script.heartbeat("b", 6);
    check(
        &mut script,
        &expect![[r#"
        0ms <- b heartbeat t6
          -> b heard t7 (overtakes)
    "#]],
    );
}

#[test]
fn a_voter_grants_one_candidate_and_repeats_itself() {
    let mut script = Script::three(2);
    let vote = |tip| Message::Vote { term: Term(3), tip };
    script.log.tip = LogId::new(2, 4);
    script.receive("b", vote(LogId::new(2, 3))).receive("c", vote(LogId::new(2, 4)));
    script.receive("b", vote(LogId::new(2, 9))).receive("c", vote(LogId::new(2, 4)));
    check(
        &mut script,
        &expect![[r#"
        0ms <- b vote t3 tip 2-3
          persist t3 for nobody
          -> b vote no, t3 tip 2-4
        0ms <- c vote t3 tip 2-4
          persist t3 for c
          -> c vote yes, t3 tip 2-4
        0ms <- b vote t3 tip 2-9
          -> b vote no, t3 tip 2-4
        0ms <- c vote t3 tip 2-4
          -> c vote yes, t3 tip 2-4
    "#]],
    );
}

#[test]
fn a_reply_to_a_heartbeat_waits_for_the_ballot_of_its_term() {
    let mut script = Script::three(2);
    script.heartbeat("b", 3).persisted().heartbeat("b", 3);
    check(
        &mut script,
        &expect![[r#"
        0ms <- b heartbeat t3
          persist t3 for nobody
          follows b t3
          -> b heard t3
        0ms durable t3 for nobody
        0ms <- b heartbeat t3
          -> b heard t3 (overtakes)
    "#]],
    );
}

#[test]
fn a_cut_off_follower_asks_again_and_says_that_the_quorum_is_lost() {
    let mut script = Script::three(2);
    script.heartbeat("b", 2).until(800).heartbeat("b", 2);
    check(
        &mut script,
        &expect![[r#"
            0ms <- b heartbeat t2
              follows b t2
              -> b heard t2 (overtakes)
            271ms wake
              follows nobody t2
              -> b pre-vote t2 tip 0-0
              -> c pre-vote t2 tip 0-0
            321ms wake
              -> b pre-vote t2 tip 0-0
              -> c pre-vote t2 tip 0-0
            371ms wake
              -> b pre-vote t2 tip 0-0
              -> c pre-vote t2 tip 0-0
            421ms wake
              -> b pre-vote t2 tip 0-0
              -> c pre-vote t2 tip 0-0
            471ms wake
              -> b pre-vote t2 tip 0-0
              -> c pre-vote t2 tip 0-0
            521ms wake
              -> b pre-vote t2 tip 0-0
              -> c pre-vote t2 tip 0-0
            533ms wake
              quorum lost
              -> b pre-vote t2 tip 0-0
              -> c pre-vote t2 tip 0-0
            583ms wake
              -> b pre-vote t2 tip 0-0
              -> c pre-vote t2 tip 0-0
            633ms wake
              -> b pre-vote t2 tip 0-0
              -> c pre-vote t2 tip 0-0
            683ms wake
              -> b pre-vote t2 tip 0-0
              -> c pre-vote t2 tip 0-0
            698ms wake
              -> b pre-vote t2 tip 0-0
              -> c pre-vote t2 tip 0-0
            748ms wake
              -> b pre-vote t2 tip 0-0
              -> c pre-vote t2 tip 0-0
            798ms wake
              -> b pre-vote t2 tip 0-0
              -> c pre-vote t2 tip 0-0
            800ms <- b heartbeat t2
              follows b t2
              quorum regained
              -> b heard t2 (overtakes)
        "#]],
    );
    assert_eq!(script.voter.term(), Term(2));
}

#[test]
fn a_leader_that_resigns_sits_out_a_timeout() {
    let mut script = elected(2);
    script.input(Input::Resign).until(299 + 300 + 149);
    check(
        &mut script,
        &expect![[r#"
        299ms resign
          follows nobody t2
    "#]],
    );
}

#[test]
fn a_node_whose_disk_does_not_answer_does_not_stand_again() {
    let mut script = Script::three(0);
    script.until(299).would_grant("b", 0).take();
    script.until(5_000);
    check(
        &mut script,
        &expect![[r#"
        464ms wake
          quorum lost
          follows nobody t1
    "#]],
    );
}

#[test]
fn a_voter_of_priority_zero_gives_way_to_any_that_has_its_log() {
    let reluctant = |voters: &[&str]| {
        let mut script = Script::new(voters, 0, Config { priority: 0, ..Config::lan() });
        let members = &mut script.log.configuration.members;
        members.get_mut(&id("a")).expect("the test made it so").priority = 0;
        members.get_mut(&id("c")).expect("the test made it so").kind = Kind::Witness;
        script.until(599);
        assert_eq!(script.take(), "");
        script.until(899).take();
        assert_eq!(script.voter.role(), Role::PreCandidate);
        script
    };
    // The electable voter has the same log: it is to lead, however late it is.
    let mut script = reluctant(&["a", "b", "c"]);
    script.would_grant("c", 0);
    assert_eq!(script.voter.role(), Role::PreCandidate);
    script.would_grant("b", 0);
    assert_eq!(script.voter.role(), Role::Follower);
    // It does not answer at all.
    let mut script = reluctant(&["a", "b", "c"]);
    script.would_grant("c", 0).until(1_200);
    assert_eq!(script.voter.role(), Role::Candidate);
    // Nobody is electable: then somebody must.
    let mut script = Script::new(&["a"], 0, Config { priority: 0, ..Config::lan() });
    script.until(300);
    assert_eq!(script.voter.role(), Role::Candidate);
}

#[test]
fn a_configuration_that_does_not_fit_names_the_inequality_and_the_fix() {
    let broken = |change: fn(&mut Config)| {
        let mut config = Config::lan();
        change(&mut config);
        config.validate().unwrap_err().to_string()
    };
    for preset in [Config::fast(), Config::lan(), Config::wan()] {
        assert_eq!(preset.validate(), Ok(()));
    }
    expect!["heartbeat > 0 does not hold: set heartbeat to 50ms, or use a preset"]
        .assert_eq(&broken(|config| config.heartbeat = Duration::ZERO));
    expect!["election_min >= 3 x heartbeat does not hold: 100ms < 3 x 50ms; raise election_min to 150ms or more, or shorten heartbeat"].assert_eq(&broken(|config| config.election_min = Duration::from_millis(100)));
    expect!["election_max >= election_min + heartbeat does not hold: 160ms < 150ms + 50ms; raise election_max to 200ms or more"].assert_eq(&broken(|config| config.election_max = Duration::from_millis(160)));
}

#[test]
fn the_laws_of_a_machine_hold() {
    let inputs = |seed: u64| -> Vec<(Instant, Input)> {
        let mut rng = Rng::seeded(seed);
        let mut now = 0;
        let mut script = Vec::new();
        for _ in 0..200 {
            now += rng.below(120);
            let from: NodeId = id(["a", "b", "c", "x"][rng.index(4)]);
            // The largest term as well: a peer may say anything.
            let term = Term([rng.below(4), rng.below(4), u64::MAX][rng.index(3).min(rng.index(9))]);
            let tip = LogId::new(rng.below(3), rng.below(3));
            let granted = rng.chance(500_000);
            let message = match rng.below(8) {
                0 => Message::PreVote { term, tip },
                1 => Message::PreVoteReply { term, asked: term, granted, tip },
                2 => Message::Vote { term, tip },
                3 => Message::VoteReply { term, granted, tip },
                4 => Message::Heartbeat { term },
                5 => Message::StandNow { term, tip },
                6 => Message::VoteAtOnce { term, tip },
                _ => Message::HeartbeatReply { term },
            };
            let input = match rng.below(15) {
                0 => Input::TermSeen { term, from },
                1 => Input::LeaderHeard { leader: from, term },
                2 => Input::PeerHeard { peer: from },
                3 => Input::Resign,
                12 => Input::HandOver { to: from },
                13 => Input::CaughtUp { peer: from },
                14 => Input::LeaderLost { leader: from },
                4 | 5 => Input::Persisted(ballot(rng.below(4), granted.then_some("a"))),
                _ => Input::Received { from, message },
            };
            script.push((Instant::from_millis(now), input));
        }
        script
    };
    for seed in 0..200 {
        let make = || {
            let configuration = Configuration::of_voters(["a", "b", "c"].map(id));
            let ballot = Ballot::default();
            Solo::new(id("a"), Config::lan(), configuration, ballot, Rng::seeded(9), Instant::ZERO)
        };
        check_laws(make, inputs(seed)).expect("the test made it so");
    }
}

fn hand_over(to: &str) -> Input {
    Input::HandOver { to: id(to) }
}

#[test]
fn a_leader_hands_over_to_one_that_has_all_and_tells_it_until_it_leads() {
    let mut script = elected(3);
    script.input(hand_over("b")).input(Input::CaughtUp { peer: id("b") });
    script.until(360).receive("b", Message::VoteAtOnce { term: Term(4), tip: LogId::ZERO });
    script.persisted().heartbeat("b", 4);
    check(
        &mut script,
        &expect![[r#"
        299ms hand over to b
          hands over to b
        299ms b has all
          -> b stand now t3 tip 0-0 (overtakes)
        349ms wake
          -> b stand now t3 tip 0-0 (overtakes)
          -> b heartbeat t3 (overtakes)
          -> c heartbeat t3 (overtakes)
        360ms <- b vote at once t4 tip 0-0
          follows nobody t4
          persist t4 for b
          -> b vote yes, t4 tip 0-0
        360ms durable t4 for b
        360ms <- b heartbeat t4
          follows b t4
          b took over t4
          -> b heard t4 (overtakes)
    "#]],
    );
}

#[test]
fn a_hand_over_that_takes_longer_than_an_election_timeout_is_given_up() {
    let mut script = elected(3);
    script.input(hand_over("b")).take();
    script.until(598);
    assert_eq!(script.voter.handing_over(), Some(&id("b")));
    script.heartbeat("b", 2).until(600);
    assert_eq!(script.voter.handing_over(), None);
    assert!(script.take().contains("b did not take over"));
}

#[test]
fn only_an_electable_voter_gets_the_lead() {
    for (name, kind, priority) in
        [("a", Kind::Voter, 100), ("b", Kind::Voter, 0), ("b", Kind::Witness, 100)]
    {
        let mut script = elected(3);
        let member = script.log.configuration.members.get_mut(&id("b")).expect("it is one");
        (member.kind, member.priority) = (kind, priority);
        script.input(hand_over(name));
        assert!(script.take().ends_with("did not take over\n"), "{name} {kind:?} {priority}");
        assert_eq!(script.voter.handing_over(), None);
    }
}

#[test]
fn one_that_is_told_to_stand_does_so_without_asking_around() {
    let mut script = Script::three(3);
    script.heartbeat("b", 3).take();
    let told = Message::StandNow { term: Term(3), tip: LogId::ZERO };
    script.receive("b", told).persisted();
    check(
        &mut script,
        &expect![[r#"
        0ms <- b stand now t3 tip 0-0
          follows nobody t3
          persist t4 for a
          stands t4
          -> b vote at once t4 tip 0-0
          -> c vote at once t4 tip 0-0
        0ms durable t4 for a
    "#]],
    );
}

#[test]
fn one_that_lacks_entries_or_is_told_by_another_than_the_leader_does_not_stand() {
    let told = |term, tip| Message::StandNow { term: Term(term), tip };
    let mut script = Script::three(3);
    script.heartbeat("b", 3);
    script.receive("b", told(3, LogId::new(3, 1)));
    script.receive("c", told(3, LogId::ZERO)).receive("b", told(2, LogId::ZERO));
    assert_eq!((script.voter.role(), script.voter.term()), (Role::Follower, Term(3)));
}

#[test]
fn a_voter_that_has_more_than_the_heir_keeps_its_leader() {
    let mut script = Script::three(3);
    script.log.tip = LogId::new(3, 8);
    script.heartbeat("b", 3).take();
    script.receive("c", Message::VoteAtOnce { term: Term(4), tip: LogId::new(3, 7) });
    assert_eq!(script.voter.term(), Term(3));
    script.receive("c", Message::VoteAtOnce { term: Term(4), tip: LogId::new(3, 8) });
    assert_eq!(script.voter.term(), Term(4));
}

#[test]
fn a_leader_whose_host_refuses_is_replaced_within_a_heartbeat() {
    let mut script = Script::three(3);
    script.until(20).heartbeat("b", 3).until(40).take();
    script.input(Input::LeaderLost { leader: id("c") });
    script.receive("c", Message::PreVote { term: Term(3), tip: LogId::ZERO });
    assert!(script.take().contains("pre-vote no"), "another than the leader is lost");
    script.input(Input::LeaderLost { leader: id("b") });
    script.receive("c", Message::PreVote { term: Term(3), tip: LogId::ZERO });
    assert!(script.take().contains("pre-vote yes"));
    script.until(40 + 50);
    assert_eq!(script.voter.role(), Role::PreCandidate);
}
