//! E12: at most one birth, whatever is cut, lost, repeated or crashed; and one, once it is calm.

use std::collections::BTreeSet;

use std::time::Duration;

use quorate_core::{
    ClusterId, Configuration, DiskId, Instant, Kind, Machine as _, Member, NodeId, Outbox, Pledge,
    PledgeBallot, Proposal, Rng,
};
use quorate_election::{
    Bootstrap, BootstrapConfig, BootstrapInput, BootstrapMessage, BootstrapOutput, BootstrapStatus,
    Candidate, Sight,
};

use crate::birth::{Birth, Weather, id};

const CALM: Weather = Weather { loss: 0, repeats: 0, fault_millis: 0, disk_millis: 5 };

/// Runs on without faults until all first members know of their birth.
fn must_be_born(birth: &mut Birth, context: &str) {
    assert_eq!(birth.violation, None, "{context}");
    birth.heal();
    birth.run(30_000);
    assert_eq!(birth.violation, None, "{context}");
    let first = birth.first_members.clone().unwrap_or_default();
    assert!(!first.is_empty(), "{context}: none was born: {:?}", birth.statuses());
    assert_eq!(birth.formed(), first, "{context}: {:?}", birth.statuses());
}

/// All ways to part `count` nodes into groups, as the group of each.
fn partitions(count: usize) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for _ in 0..count {
        all = all
            .into_iter()
            .flat_map(|parts: Vec<usize>| {
                let groups = parts.iter().max().map_or(0, |most| most + 1);
                (0..=groups).map(move |group| [parts.clone(), vec![group]].concat())
            })
            .collect();
    }
    all
}

fn subset(bits: usize, count: usize) -> BTreeSet<usize> {
    (0..count).filter(|index| bits & (1 << index) != 0).collect()
}

#[test]
fn e12_at_most_one_cluster_is_born_under_every_partition() {
    for count in 2..=4 {
        for groups in partitions(count) {
            for bits in 1..1 << count {
                for min_nodes in 2..=count {
                    let seeds = subset(bits, count);
                    let mut birth = Birth::new(7, CALM, count, &seeds, min_nodes);
                    birth.partition(&groups);
                    birth.run(6_000);
                    let context = format!("{groups:?} seeds {seeds:?} min_nodes {min_nodes}");
                    must_be_born(&mut birth, &context);
                }
            }
        }
    }
}

fn stormy(seed: u64) -> Birth {
    let mut rng = Rng::stream(seed, "storm");
    let count = 2 + rng.index(6);
    let bits = 1 + rng.index((1 << count) - 1);
    let min_nodes = 2 + rng.index(count - 1);
    let weather = Weather {
        loss: [0, 50_000, 300_000][rng.index(3)],
        repeats: [0, 200_000][rng.index(2)],
        fault_millis: [40, 150, 600][rng.index(3)],
        disk_millis: [2, 30, 300][rng.index(3)],
    };
    Birth::new(seed, weather, count, &subset(bits, count), min_nodes)
}

#[test]
fn e12_at_most_one_cluster_is_born_in_any_storm() {
    let (mut born, mut crashes) = (0, 0);
    for seed in 0..400 {
        let mut birth = stormy(seed);
        birth.run(20_000);
        born += usize::from(!birth.born.is_empty());
        crashes += birth.crashes_while_writing;
        must_be_born(&mut birth, &format!("seed {seed}"));
    }
    assert!(born > 100, "storms must leave room for births: {born}");
    assert!(crashes > 100, "pledges must be lost in crashes: {crashes}");
}

/// Two nodes that no seed is among stand well with a part of the seeds each, and not with one
/// another: what each hears is more than half, and yet only one may found.
#[test]
fn two_callers_who_share_but_one_seed_found_one_cluster() {
    let seeds = BTreeSet::from([4, 5, 6]);
    for seed in 0..50 {
        let mut birth = Birth::new(seed, CALM, 7, &seeds, 2);
        for (a, b) in [(0, 2), (0, 3), (1, 2), (1, 3), (0, 6), (1, 6), (2, 4), (3, 4)] {
            birth.cut.insert((id(a), id(b)));
            birth.cut.insert((id(b), id(a)));
        }
        birth.run(10_000);
        must_be_born(&mut birth, &format!("seed {seed}"));
    }
}

/// `count` candidates, which are the seeds as well.
fn in_sight(count: usize, disk: DiskId) -> Sight {
    let candidate = |index: usize| {
        let address = format!("n{index}:1");
        (id(index), Candidate { priority: 100, address, disk, kind: Kind::Voter })
    };
    Sight {
        candidates: (0..count).map(candidate).collect(),
        seeds: (0..count).map(|index| Some(id(index))).collect(),
        cluster: None,
    }
}

/// A node that has pledged nothing yet and sees `sight`.
fn fresh(me: usize, sight: &Sight) -> Bootstrap {
    let config = BootstrapConfig::new(sight.candidates.len());
    let rng = Rng::seeded(1);
    let mut bootstrap = Bootstrap::new(id(me), config, Pledge::default(), None, rng, Instant::ZERO);
    let saw = BootstrapInput::Saw(sight.clone());
    bootstrap.handle(Instant::ZERO, saw, &mut Outbox::new());
    bootstrap
}

/// The best of `count` candidates, which has begun a round.
fn proposer(count: usize) -> Bootstrap {
    let mut bootstrap = fresh(0, &in_sight(count, DiskId(1)));
    let asked = drive(&mut bootstrap, Instant::from_millis(1_000));
    assert!(asked.iter().any(|(_, message)| matches!(message, BootstrapMessage::Prepare { .. })));
    bootstrap
}

/// Seed lists change over the years. Whoever hears of the old cluster does not found a new one.
#[test]
fn a_node_that_knows_of_a_cluster_founds_none_and_says_so() {
    let me = id(0);
    let sight = in_sight(2, DiskId::NONE);
    for known in [None, Some(ClusterId(7))] {
        let (config, rng) = (BootstrapConfig::new(2), Rng::seeded(1));
        let mut bootstrap =
            Bootstrap::new(me.clone(), config, Pledge::default(), None, rng, Instant::ZERO);
        let mut out = Outbox::new();
        let sight = Sight { cluster: known, ..sight.clone() };
        bootstrap.handle(Instant::ZERO, BootstrapInput::Saw(sight), &mut out);
        bootstrap.wake(Instant::from_millis(5_000), &mut out);
        assert_eq!(out.is_empty(), known.is_some(), "a round is begun: {:?}", out.as_slice());

        out.drain();
        let ballot = PledgeBallot { round: 9, priority: 100, proposer: Some(id(1)) };
        let message = BootstrapMessage::Prepare { ballot };
        let received = BootstrapInput::Received { from: id(1), message };
        bootstrap.handle(Instant::from_millis(5_001), received, &mut out);
        let pledged = BootstrapOutput::Persist(bootstrap.pledge().clone());
        let answer = known.map_or(pledged, |cluster| BootstrapOutput::Send {
            to: id(1),
            message: BootstrapMessage::Exists { cluster },
        });
        assert_eq!(out.as_slice().first(), Some(&answer));
    }
}

/// A round that could not be exceeded would keep every other from being begun.
#[test]
fn a_hostile_round_is_not_promised() {
    let (config, rng) = (BootstrapConfig::new(2), Rng::seeded(1));
    let mut bootstrap = Bootstrap::new(id(0), config, Pledge::default(), None, rng, Instant::ZERO);
    let mut out = Outbox::new();
    let ballot = PledgeBallot { round: u64::MAX, priority: 255, proposer: Some(id(1)) };
    let message = BootstrapMessage::Prepare { ballot };
    let received = BootstrapInput::Received { from: id(1), message };
    bootstrap.handle(Instant::ZERO, received, &mut out);
    assert!(out.is_empty());
    assert_eq!(*bootstrap.pledge(), Pledge::default());
}

/// The only one who knows of the decree is gone, and all that is left of it is a rumour of a
/// cluster. The others have accepted it, so they do not wait to be added to it: they ask for the
/// word of the one that is gone, say so, and are born when it is back.
#[test]
fn a_rumour_of_the_own_decree_keeps_nobody_from_making_it() {
    let mut lost = 0;
    for seed in 0..60 {
        let slow = Weather { disk_millis: 300, ..CALM };
        let mut birth = Birth::new(seed, slow, 3, &BTreeSet::from([0, 1, 2]), 3);
        while birth.born.is_empty() {
            birth.run(1);
        }
        let founders = birth.believers();
        // The others look around, and the word does not reach them in time.
        for _ in 0..250 {
            if birth.believers().len() == 1 {
                birth.run(1);
            }
        }
        if birth.believers().len() > 1 {
            continue;
        }
        let founder = founders.first().expect("somebody made the decree").clone();
        birth.lose(&founder);
        birth.heal();
        birth.run(1_000);
        // Nor is it on its way.
        if !birth.believers().is_empty() {
            continue;
        }
        lost += 1;
        let asked = format!("waiting for the word of {founder}");
        let mut was_asked = false;
        for _ in 0..300 {
            birth.run(100);
            was_asked |= format!("{:?}", birth.statuses()).contains(&asked);
        }
        assert!(was_asked, "seed {seed}: {:?}", birth.statuses());
        assert_eq!(birth.violation, None, "seed {seed}");
        assert_eq!(birth.formed().len(), 0, "seed {seed}: {:?}", birth.statuses());
        birth.bring_back(&founder);
        must_be_born(&mut birth, &format!("seed {seed}"));
    }
    assert!(lost > 5, "the founder must be lost in time: {lost}");
}

/// Lets `bootstrap` run until `until`, with a disk that is quick; what it sends.
fn drive(bootstrap: &mut Bootstrap, until: Instant) -> Vec<(NodeId, BootstrapMessage)> {
    let (mut out, mut sent) = (Outbox::new(), Vec::new());
    loop {
        for output in out.drain().collect::<Vec<_>>() {
            match output {
                BootstrapOutput::Persist(pledge) => {
                    bootstrap.handle(until, BootstrapInput::Persisted(pledge), &mut out);
                }
                BootstrapOutput::Send { to, message } => sent.push((to, message)),
                _ => {}
            }
        }
        match bootstrap.deadline().filter(|due| *due < until) {
            Some(due) => bootstrap.wake(due, &mut out),
            None if out.is_empty() => return sent,
            None => {}
        }
    }
}

/// The word of all first members makes the decree: one that would learn of the cluster days later
/// might found a second one with those that lost their disks meanwhile.
#[test]
fn e12_all_that_are_named_must_accept() {
    let mut bootstrap = proposer(3);
    let ballot = bootstrap.pledge().promised.clone();
    for other in 1..3 {
        let message = BootstrapMessage::Promise { ballot: ballot.clone(), accepted: None };
        received_from(&mut bootstrap, other, message);
    }
    let durable = BootstrapInput::Persisted(bootstrap.pledge().clone());
    bootstrap.handle(Instant::from_millis(2), durable, &mut Outbox::new());
    let accepted = || BootstrapMessage::Accepted { ballot: ballot.clone() };
    let founds = |outputs: &[BootstrapOutput]| {
        outputs.iter().any(|output| matches!(output, BootstrapOutput::Founded(_)))
    };
    assert!(!founds(&received_from(&mut bootstrap, 1, accepted())), "two of three");
    assert!(founds(&received_from(&mut bootstrap, 2, accepted())), "all three");
}

/// It would have no say from its new disk, and nobody could give it one.
#[test]
fn nobody_accepts_a_birth_that_needs_the_disk_it_lost() {
    for (count, answers) in [(2, false), (3, true)] {
        let sight = in_sight(count, DiskId(2));
        let mut bootstrap = fresh(0, &sight);
        let members = (0..count).map(|index| {
            let address = format!("n{index}:1");
            let disk = DiskId(1);
            (id(index), Member { kind: Kind::Voter, priority: 100, address, disk })
        });
        let configuration = Configuration::of_members(members.collect());
        let proposal = Proposal { cluster: ClusterId(7), configuration };
        let ballot = PledgeBallot { round: 1, priority: 100, proposer: Some(id(1)) };
        let message = BootstrapMessage::Accept { ballot, proposal };
        let said = received_from(&mut bootstrap, 1, message);
        assert_eq!(!said.is_empty(), answers, "{count} members: {said:?}");
    }
}

/// A node that only joins, or whose disk hangs, may be the best of all and never propose.
#[test]
fn the_next_one_proposes_when_the_best_does_not() {
    let mut bootstrap = fresh(1, &in_sight(3, DiskId::NONE));
    let mut out = Outbox::new();
    let mut asked_at = None;
    while let Some(due) = bootstrap.deadline().filter(|due| *due < Instant::from_millis(60_000)) {
        bootstrap.wake(due, &mut out);
        if !out.is_empty() {
            asked_at = Some(due);
            break;
        }
    }
    let asked_at = asked_at.expect("somebody else proposes");
    assert!(asked_at > Instant::from_millis(3_000), "the best has its time: {asked_at}");
}

fn received(bootstrap: &mut Bootstrap, message: BootstrapMessage) -> Vec<BootstrapOutput> {
    received_from(bootstrap, 1, message)
}

fn received_from(
    bootstrap: &mut Bootstrap,
    from: usize,
    message: BootstrapMessage,
) -> Vec<BootstrapOutput> {
    let mut out = Outbox::new();
    let received = BootstrapInput::Received { from: id(from), message };
    bootstrap.handle(Instant::from_millis(1), received, &mut out);
    out.drain().collect()
}

/// What no correct node says founds nothing, and blocks nothing.
#[test]
fn absurd_words_of_a_peer_change_nothing() {
    let ballot = PledgeBallot { round: 1, priority: 100, proposer: Some(id(1)) };
    let sound = Configuration::of_voters([id(0), id(1)]);
    let mut learners = sound.clone();
    for member in learners.members.values_mut() {
        member.kind = Kind::Learner;
    }
    let mut long = sound.clone();
    for member in long.members.values_mut() {
        member.address = "x".repeat(10_000);
    }
    let joint = Configuration { outgoing: Some(sound.members.clone()), ..sound.clone() };
    let crowd = Configuration::of_voters((0..1_000).map(id));
    let proposal = |cluster, configuration| Proposal { cluster, configuration };
    let absurd = [
        proposal(ClusterId::NONE, sound),
        proposal(ClusterId(7), Configuration::default()),
        proposal(ClusterId(7), learners),
        proposal(ClusterId(7), long),
        proposal(ClusterId(7), joint),
        proposal(ClusterId(7), crowd),
    ];
    for proposal in absurd {
        let (config, rng) = (BootstrapConfig::new(2), Rng::seeded(1));
        let mut bootstrap =
            Bootstrap::new(id(0), config, Pledge::default(), None, rng, Instant::ZERO);
        let before = bootstrap.status();
        let ballot = ballot.clone();
        for message in [
            BootstrapMessage::Accept { ballot: ballot.clone(), proposal: proposal.clone() },
            BootstrapMessage::Chosen { ballot: ballot.clone(), proposal: proposal.clone() },
            BootstrapMessage::Exists { cluster: ClusterId::NONE },
        ] {
            assert_eq!(received(&mut bootstrap, message.clone()), [], "{message:?}");
        }
        assert_eq!(bootstrap.status(), before);
        assert_eq!(*bootstrap.pledge(), Pledge::default());
    }
}

/// The highest round that is promised is none that could not be exceeded.
#[test]
fn no_hostile_round_is_the_last() {
    for round in [1 << 32, (1 << 32) - 1, u64::MAX - 1, u64::MAX] {
        let (config, rng) = (BootstrapConfig::new(2), Rng::seeded(1));
        let mut bootstrap =
            Bootstrap::new(id(0), config, Pledge::default(), None, rng, Instant::ZERO);
        let ballot = PledgeBallot { round, priority: 255, proposer: Some(id(1)) };
        received(&mut bootstrap, BootstrapMessage::Prepare { ballot: ballot.clone() });
        let pledge = bootstrap.pledge().clone();
        let mut out = Outbox::new();
        let now = Instant::from_millis(2);
        bootstrap.handle(now, BootstrapInput::Persisted(pledge.clone()), &mut out);
        bootstrap.handle(now, BootstrapInput::Saw(in_sight(2, DiskId::NONE)), &mut out);
        bootstrap.wake(Instant::from_millis(5_000), &mut out);
        assert!(bootstrap.pledge().promised > pledge.promised, "no round is above {round}");
    }
}

#[test]
fn a_node_that_only_joins_says_so() {
    let (config, rng) = (BootstrapConfig::new(1), Rng::seeded(1));
    let mut bootstrap = Bootstrap::new(id(0), config, Pledge::default(), None, rng, Instant::ZERO);
    let me = Candidate {
        priority: 100,
        address: "n0:1".to_owned(),
        disk: DiskId::NONE,
        kind: Kind::Voter,
    };
    let sight = Sight { candidates: [(id(0), me)].into(), seeds: vec![Some(id(0))], cluster: None };
    let mut out = Outbox::new();
    bootstrap.handle(Instant::ZERO, BootstrapInput::Saw(sight), &mut out);
    bootstrap.wake(Instant::from_millis(60_000), &mut out);
    assert!(out.is_empty());
    assert_eq!(bootstrap.status(), BootstrapStatus::OnlyJoins);
}

/// A node without seeds that is to found alone does so at once, and asks nobody.
#[test]
fn a_node_alone_founds_at_once() {
    let (config, rng) = (BootstrapConfig::new(1), Rng::seeded(1));
    let config = BootstrapConfig { settle: Duration::ZERO, ..config };
    let mut bootstrap = Bootstrap::new(id(0), config, Pledge::default(), None, rng, Instant::ZERO);
    let me = Candidate {
        priority: 100,
        address: "n0:1".to_owned(),
        disk: DiskId::NONE,
        kind: Kind::Voter,
    };
    let sight = Sight { candidates: [(id(0), me)].into(), ..Sight::default() };
    let mut out = Outbox::new();
    bootstrap.handle(Instant::ZERO, BootstrapInput::Saw(sight), &mut out);
    bootstrap.wake(Instant::ZERO, &mut out);
    let founded = |output: &BootstrapOutput| matches!(output, BootstrapOutput::Founded(_));
    assert!(out.as_slice().iter().any(founded), "{:?}", out.as_slice());
    assert!(matches!(bootstrap.status(), BootstrapStatus::Formed(_)));
}

#[cfg(mutants)]
#[test]
fn every_seeded_bug_of_the_bootstrap_is_caught() {
    let mut missed = Vec::new();
    for name in [
        "bootstrap-half-of-the-seeds",
        "bootstrap-seeds-not-asked",
        "bootstrap-promises-backwards",
        "bootstrap-forgets-accepted",
        "bootstrap-pledge-not-durable",
    ] {
        quorate_core::choose_mutant(Some(name));
        let caught = (0..4_000).any(|seed| {
            let mut birth = stormy(seed);
            birth.run(20_000);
            birth.violation.is_some()
        });
        quorate_core::choose_mutant(None);
        if !caught {
            missed.push(name);
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
