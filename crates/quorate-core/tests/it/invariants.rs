//! One property per invariant of the crate.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use quorate_core::{
    Configuration, DiskId, Hold, Kind, LogId, LogIndex, LogView, Member, NodeId, Tally, Term,
    TermGate, Token, VoteCertificate,
};

fn id(n: usize) -> NodeId {
    NodeId::new(&format!("n{n}")).expect("letters and digits make an id")
}

fn half(kinds: &[Kind]) -> BTreeMap<NodeId, Member> {
    let member = |kind| Member { kind, priority: 100, address: String::new(), disk: DiskId::NONE };
    kinds.iter().enumerate().map(|(n, kind)| (id(n), member(*kind))).collect()
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => Just(Kind::Voter),
        1 => Just(Kind::Learner),
        1 => Just(Kind::Observer),
        1 => Just(Kind::Witness)
    ]
}

fn configuration() -> impl Strategy<Value = Configuration> {
    let kinds = || prop::collection::vec(kind(), 0..6);
    (kinds(), prop::option::of(kinds())).prop_map(|(new, old)| Configuration {
        members: half(&new),
        outgoing: old.map(|old| half(&old)),
        removed: Vec::new(),
    })
}

fn subset() -> impl Strategy<Value = BTreeSet<NodeId>> {
    prop::collection::btree_set((0..6_usize).prop_map(id), 0..6)
}

struct Log {
    tip: LogId,
    configuration: Configuration,
}

impl LogView for Log {
    fn tip(&self) -> LogId {
        self.tip
    }

    fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    fn commit(&self) -> LogIndex {
        LogIndex::ZERO
    }
}

proptest! {
    #[test]
    fn q1_two_quorums_share_a_voter(config in configuration(), a in subset(), b in subset()) {
        if config.has_quorum(|id| a.contains(id)) && config.has_quorum(|id| b.contains(id)) {
            let shared = a.intersection(&b).any(|id| config.votes(id));
            prop_assert!(shared);
        }
    }

    #[test]
    fn q2_the_committed_index_is_the_highest_that_a_quorum_reached(
        config in configuration(),
        marks in prop::collection::vec(0..5_u64, 6),
    ) {
        let mark = |id: &NodeId| {
            marks.iter().enumerate().find(|(n, _)| self::id(*n) == *id).map_or(0, |(_, m)| *m)
        };
        let committed = config.committed(|id| LogIndex(mark(id))).0;
        if committed > 0 {
            prop_assert!(config.has_quorum(|id| mark(id) >= committed));
        }
        prop_assert!(!config.has_quorum(|id| mark(id) > committed));
    }

    #[test]
    fn q3_a_mandate_needs_a_quorum_of_tips_not_above_the_own(
        config in configuration(),
        votes in prop::collection::vec((0..6_usize, 1..3_u64, 0..3_u64), 0..8),
    ) {
        let log = Log { tip: LogId::new(1, 1), configuration: config };
        let mut tally = Tally::new(Term(1), id(0));
        let mut counted = BTreeMap::new();
        for (voter, term, index) in votes {
            let tip = LogId::new(1, index);
            if term == 1 {
                counted.insert(id(voter), tip <= log.tip);
            }
            let (voter, term, candidate) = (id(voter), Term(term), id(0));
            tally.grant(VoteCertificate { voter, term, candidate, tip });
        }
        let enough = log.configuration.has_quorum(|id| counted.get(id) == Some(&true))
            && log.configuration.kind(&id(0)) == Some(Kind::Voter);
        prop_assert_eq!(tally.finish(&log).is_ok(), enough);
    }

    #[test]
    fn q4_a_gate_never_falls(terms in prop::collection::vec(0..9_u64, 0..20)) {
        let mut gate = TermGate::default();
        for term in terms {
            let before = gate.current();
            let news = gate.raise(Term(term));
            prop_assert_eq!(news, Term(term) > before);
            prop_assert_eq!(gate.current(), before.max(Term(term)));
            prop_assert!(gate.admits(gate.current()));
        }
    }

    #[test]
    fn q5_what_is_held_leaves_in_order_once_durable(script in prop::collection::vec(0..3_u8, 0..40)) {
        let (mut hold, mut issued, mut durable) = (Hold::new(Token(0)), 0, 0);
        let (mut pushed, mut left) = (0, Vec::new());
        let mut rests_on = Vec::new();
        for step in script {
            match step {
                0 => {
                    issued += 1;
                    hold.rest_on(Token(issued));
                }
                1 => {
                    rests_on.push(issued);
                    hold.push(pushed, |e| left.push(e));
                    pushed += 1;
                }
                _ => {
                    durable = (durable + 1).min(issued);
                    hold.release(Token(durable), |e| left.push(e));
                }
            }
            let expected = rests_on.iter().take_while(|token| **token <= durable).count();
            prop_assert_eq!(&left, &(0..expected).collect::<Vec<_>>());
        }
    }
}
