//! Claims of the papers, one test each.

use quorate_core::{Kind, LogId, Term};
use quorate_election::{Config, Message, Role};

use crate::script::{Script, ballot, id};

/// Ongaro and Ousterhout 2014, 5.2: "a follower increments its current term and transitions to
/// candidate state. It then votes for itself".
#[test]
fn section_5_2_a_candidate_raises_its_term_and_votes_for_itself() {
    let mut script = Script::new(&["a", "b", "c"], 4, Config { pre_vote: false, ..Config::lan() });
    script.until(300);
    assert_eq!(script.voter.role(), Role::Candidate);
    assert_eq!(*script.voter.ballot(), ballot(5, Some("a")));
}

/// 5.2: "if the leader's term is at least as large as the candidate's current term, then the
/// candidate recognizes the leader as legitimate".
#[test]
fn section_5_2_a_candidate_yields_to_a_leader_of_its_term() {
    let mut script = Script::new(&["a", "b", "c"], 4, Config { pre_vote: false, ..Config::lan() });
    script.until(300).heartbeat("b", 4);
    assert_eq!(script.voter.role(), Role::Candidate);
    script.heartbeat("b", 5);
    assert_eq!((script.voter.role(), script.voter.leader()), (Role::Follower, Some(&id("b"))));
}

/// 5.2: "to prevent split votes in the first place, election timeouts are chosen randomly".
#[test]
fn section_5_2_a_split_vote_is_tried_again() {
    let mut script = Script::three(0);
    script.until(299).would_grant("b", 0).persisted();
    let no = |term| Message::VoteReply { term: Term(term), granted: false, tip: LogId::ZERO };
    script.receive("b", no(1)).receive("c", no(1));
    assert_eq!(script.voter.role(), Role::Follower);
    script.until(299 + 150).would_grant("b", 1);
    assert_eq!((script.voter.role(), script.voter.term()), (Role::Candidate, Term(2)));
}

/// 5.4.1: "the voter denies its vote if its own log is more up-to-date than that of the
/// candidate": the later last term wins, then the longer log.
#[test]
fn section_5_4_1_the_newer_log_wins_by_term_then_by_length() {
    for (tip, granted) in [((3, 7), true), ((4, 1), true), ((3, 6), false), ((2, 99), false)] {
        let mut script = Script::three(4);
        script.log.tip = LogId::new(3, 7);
        script.receive("b", Message::Vote { term: Term(5), tip: LogId::new(tip.0, tip.1) });
        let vote = granted.then_some("b");
        assert_eq!(*script.voter.ballot(), ballot(5, vote), "{tip:?}");
    }
}

/// Ongaro 2014, 9.6: "a candidate only increments its term if it first learns from a majority of
/// the cluster that they would be willing to grant the candidate their votes".
#[test]
fn thesis_9_6_the_term_rises_only_after_a_majority_would_vote() {
    let mut script = Script::new(&["a", "b", "c", "d", "e"], 4, Config::lan());
    script.until(299).would_grant("b", 4);
    assert_eq!((script.voter.role(), script.voter.term()), (Role::PreCandidate, Term(4)));
    script.would_grant("c", 4);
    assert_eq!((script.voter.role(), script.voter.term()), (Role::Candidate, Term(5)));
}

/// 9.6: the pre-vote changes nothing in the voter that answers it.
#[test]
fn thesis_9_6_answering_a_pre_vote_binds_nobody() {
    let mut script = Script::three(4);
    let due = script.voter.deadline();
    script.receive("b", Message::PreVote { term: Term(70), tip: LogId::new(9, 9) });
    assert_eq!(*script.voter.ballot(), ballot(4, None));
    assert_eq!(script.voter.deadline(), due);
}

/// 4.2.2: a server grants its vote to one that is not part of its own latest configuration, and
/// does so even if it is not a voter there itself.
#[test]
fn thesis_4_2_2_voters_judge_the_request_and_not_their_own_configuration() {
    let mut script = Script::three(4);
    script.log.configuration.members.get_mut(&id("a")).expect("the test made it so").kind =
        Kind::Learner;
    script.receive("stranger", Message::Vote { term: Term(5), tip: LogId::ZERO });
    assert_eq!(*script.voter.ballot(), ballot(5, Some("stranger")));
}
