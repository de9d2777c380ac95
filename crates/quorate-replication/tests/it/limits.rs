//! Bounds, refusals, and peers that say anything.

use std::time::Duration;

use bytes::Bytes;
use quorate_core::{
    ClusterTime, Configuration, Entry, Instant, LogId, LogIndex, LogView, Outbox, Payload,
    Recovered, Rng, Term, TermGate,
};
use quorate_replication::{
    Config, ConfigError, EpochTable, Input, Message, Output, ProposalId, Replicator, SnapshotHead,
};

use crate::desk::{Desk, append, appended, id, proposal};

#[test]
fn a_full_backlog_refuses_and_takes_again_after_the_commit() {
    let config = Config { uncommitted_entries: 3, ..Config::default() };
    let mut a = Desk::founded("a", &["a", "b"], config);
    a.lead(1, &["b"]);
    let text = a.tell_all((1..=3).map(proposal));
    assert!(text.starts_with("proposed 1 at 1-3\nproposed 2 at 1-4\nrefused 3: too many"));
    a.persisted(1, 4);
    a.receive("b", appended(1, 0, 4, 1));
    assert!(a.propose(4).starts_with("proposed 4 at 1-5\n"));
}

#[test]
fn a_large_command_is_refused_and_the_largest_lawful_one_is_not() {
    let config = Config { command_bytes: 10, uncommitted_bytes: 10, ..Config::default() };
    let mut a = Desk::founded("a", &["a"], config);
    a.lead(1, &[]);
    a.persisted(1, 2);
    let command = |len| Input::Propose { id: ProposalId(1), command: vec![0; len].into() };
    assert!(a.tell(command(11)).starts_with("refused 1: the command is larger"));
    assert!(a.tell(command(10)).starts_with("proposed 1 at 1-3\n"));
    assert!(a.tell(command(1)).starts_with("refused 1: too many"));
}

#[test]
fn waiting_reads_are_bounded() {
    let mut a = Desk::founded("a", &["a", "b"], Config { waiting_reads: 2, ..Config::default() });
    a.lead(1, &["b"]);
    assert_eq!(a.read(1) + &a.read(2) + &a.read(3), "read 3 refused\n");
}

#[test]
fn what_the_own_disk_does_not_take_is_bounded_though_others_commit_it() {
    let config = Config { uncommitted_entries: 100, ..Config::default() };
    let mut a = Desk::founded("a", &["a", "b", "c"], config);
    a.lead(1, &["b"]);
    // The disk hangs; b and c have everything at once.
    let mut taken = 0;
    for number in 1..1_000 {
        if a.propose(number).starts_with("refused") {
            break;
        }
        taken += 1;
        a.receive("b", appended(1, 0, 2 + number, number));
        a.receive("c", appended(1, 0, 2 + number, number));
        assert_eq!(a.replicator.log().commit(), LogIndex(2 + number));
    }
    assert_eq!(taken, 99, "together with the leader's own first entry");
    // It works again.
    a.persisted(1, 101);
    assert!(a.propose(1_000).starts_with("proposed 1000 at 1-102\n"));
}

#[test]
fn a_backlog_that_is_not_committed_asks_for_no_snapshot() {
    let config = Config { compact_log_entries: 10, ..Config::default() };
    let mut a = Desk::founded("a", &["a", "b", "c"], config);
    a.lead(1, &["b"]);
    a.tell_all((1..=40).map(proposal));
    a.persisted(1, 42);
    let mut asked = 0;
    for matched in 3..=42 {
        let text = a.receive("b", appended(1, 0, matched, 2));
        if text.contains("snapshot wanted") {
            asked += 1;
            let log = a.replicator.log();
            let snapshot = log.snapshot_of(log.commit(), Bytes::new()).unwrap();
            a.tell(Input::Snapshotted(snapshot));
        }
    }
    assert_eq!(asked, 4, "one for every ten entries that it spares");
}

#[test]
fn a_dead_peer_costs_bounded_messages_and_no_memory() {
    let mut a = Desk::founded("a", &["a", "b", "c"], Config::default());
    a.lead(1, &["b"]);
    a.persisted(1, 2);
    let mut to_c = 0;
    let mut matched = 2;
    for number in 0..20_000 {
        let mut text = a.propose(number);
        matched += 1;
        text += &a.persisted(1, matched);
        text += &a.receive("b", appended(1, 0, matched, matched - 1));
        text += &a.after(1);
        to_c += text.lines().filter(|line| line.contains("-> c")).count();
    }
    // 64 appends fill the window; then one question per patience of 1.6 s.
    assert!(to_c < 64 + 30, "{to_c} messages to a dead peer in 20 s");
    assert_eq!(a.replicator.log().commit(), LogIndex(20_002));
}

#[test]
fn the_wait_for_a_slow_peer_grows_until_it_is_served() {
    // A round trip of 500 ms where answers are expected after 20 ms.
    let config = Config { resend_after: Duration::from_millis(20), ..Config::default() };
    let mut a = Desk::founded("a", &["a", "b"], config);
    let mut sent = a.lead(1, &["b"]);
    a.persisted(1, 2);
    let mut appends = 0;
    for _ in 0..40 {
        appends += sent.lines().filter(|line| line.contains("-> b")).count();
        sent = a.after(500) + &a.receive("b", appended(1, 1, 2, 1));
    }
    assert_eq!(a.replicator.log().commit(), LogIndex(2));
    assert!(appends < 150, "{appends} messages in 20 s");
}

#[test]
fn malformed_entries_change_nothing() {
    let mut b = Desk::founded("b", &["a", "b", "c"], Config::default());
    let malformed = [
        append(1, (0, 1), 1, &[1, 0]),
        append(1, (0, 1), 1, &[2]),
        append(1, (0, u64::MAX), 1, &[]),
        Message::Append {
            term: Term(1),
            prev: LogId::new(0, 1),
            commit: LogIndex(1),
            attempt: 0,
            entries: crate::desk::entries(3, &[1]),
        },
    ];
    for message in malformed {
        assert_eq!(b.receive("a", message), "distrusts a: malformed entries\n");
    }
    assert_eq!(b.terms(), [0]);
    // Time goes back within the entries, or from the one that is here already.
    b.receive("a", append(1, (0, 1), 1, &[1]));
    for times in [[3, 2], [1, 3]] {
        let mut entries = crate::desk::entries(3, &[1, 1]);
        for (entry, time) in entries.iter_mut().zip(times) {
            entry.time = ClusterTime(time);
        }
        let (prev, commit) = (LogId::new(1, 2), LogIndex(1));
        let message = Message::Append { term: Term(1), prev, commit, attempt: 0, entries };
        let text = b.receive("a", message);
        assert!(text.ends_with("distrusts a: malformed entries\n"), "{times:?}: {text}");
    }
    assert_eq!(b.terms(), [0, 1]);
}

#[test]
fn settings_that_clash_are_named() {
    assert_eq!(Config::default().validate(), Ok(()));
    let check = |config: Config| config.validate().unwrap_err();
    let zero = check(Config { batch_bytes: 0, ..Config::default() });
    assert_eq!(zero, ConfigError::Zero { name: "batch_bytes" });
    let command = check(Config { uncommitted_bytes: 1, ..Config::default() });
    assert!(matches!(command, ConfigError::CommandAboveBacklog { .. }));
    let chunk = check(Config { snapshot_chunk_bytes: 2 << 20, ..Config::default() });
    assert!(matches!(chunk, ConfigError::ChunkTooLarge { .. }));
    let late = check(Config { commit_notice_after: Duration::from_secs(1), ..Config::default() });
    assert!(matches!(late, ConfigError::NoticeTooLate { .. }));
}

/// Law 6: whatever peers say, in whatever order, nothing panics, and what is committed stays.
#[test]
fn no_message_can_make_it_panic() {
    for seed in 0..300 {
        let mut rng = Rng::seeded(seed);
        let mut log = Replicator::new(
            id("a"),
            Config { snapshot_bytes: 64, compact_log_entries: 3, ..Config::default() },
            &Recovered::default(),
            Instant::ZERO,
        );
        let mut out = Outbox::new();
        if rng.chance(500_000) {
            let founders = Configuration::of_voters(["a", "b", "c"].map(id));
            log.found(Instant::ZERO, founders, &mut out);
        }
        let (mut gate, mut now) = (TermGate::default(), Instant::ZERO);
        for _ in 0..200 {
            now += Duration::from_millis(rng.below(300));
            let message = anything(&mut rng);
            gate.raise(Term(message.term().0.min(20)));
            let committed = log.log().entry(log.log().commit()).cloned();
            let from = rng.pick(&["b", "c", "x"]).copied().map(id).unwrap();
            log.step(now, Input::Received { from, message }, &gate, &mut out);
            log.wake(now, &gate, &mut out);
            if let Some(entry) = committed {
                assert!(entry.id.index < log.log().first_index() || log.log().holds(entry.id));
            }
            if !log.is_leading() && rng.chance(50_000) {
                lead(&mut log, &mut gate, now, &mut out);
            }
            answer(&mut log, &gate, now, &mut out);
        }
    }
}

fn lead(log: &mut Replicator, gate: &mut TermGate, now: Instant, out: &mut Outbox<Output>) {
    let term = gate.current().next();
    let mut tally = quorate_core::Tally::new(term, id("a"));
    for voter in ["a", "b", "c"].map(id) {
        let (candidate, tip) = (id("a"), LogId::ZERO);
        tally.grant(quorate_core::VoteCertificate { voter, term, candidate, tip });
    }
    if let Ok(mandate) = tally.finish(log.log()) {
        gate.raise(term);
        log.step(now, Input::Lead(mandate), gate, out);
    }
}

/// The owner's part.
fn answer(log: &mut Replicator, gate: &TermGate, now: Instant, out: &mut Outbox<Output>) {
    for output in out.drain().collect::<Vec<_>>() {
        let input = match output {
            Output::Persist(quorate_core::Record::Entries(entries)) => {
                Input::Persisted { tip: entries.last().unwrap().id }
            }
            Output::SnapshotWanted => {
                let commit = log.log().commit();
                let Some(snapshot) = log.log().snapshot_of(commit, Bytes::new()) else { continue };
                Input::Snapshotted(snapshot)
            }
            _ => continue,
        };
        let mut more = Outbox::new();
        log.step(now, input, gate, &mut more);
    }
}

fn anything(rng: &mut Rng) -> Message {
    let number = |rng: &mut Rng| match rng.below(40) {
        0 => u64::MAX,
        1 => u64::MAX - 1,
        _ => rng.below(12),
    };
    let id_of = |rng: &mut Rng| LogId::new(number(rng).min(20), number(rng));
    let (term, attempt) = (Term(number(rng).min(20)), number(rng));
    let (index, commit) = (LogIndex(number(rng)), LogIndex(number(rng)));
    match rng.below(8) {
        0..3 => {
            let prev = if rng.chance(500_000) { LogId::new(0, rng.below(2)) } else { id_of(rng) };
            let mut entries = Vec::new();
            let (mut at, mut of) = (prev.index.0, prev.term.0);
            for _ in 0..rng.below(5) {
                at = at.wrapping_add(u64::from(rng.chance(950_000)));
                of = (of + rng.below(2)).min(term.0);
                let time = ClusterTime(number(rng));
                let payload = Payload::Noop;
                entries.push(Entry {
                    id: LogId::new(of, at),
                    time: time.min(ClusterTime(at)),
                    payload,
                });
            }
            Message::Append { term, prev, commit, attempt, entries }
        }
        3 => Message::Appended { term, attempt: attempt.min(3), matched: index, commit },
        4 => {
            let ends = (0..rng.below(4)).map(|_| id_of(rng)).collect();
            let table = EpochTable { commit, ends };
            Message::Diverged { term, attempt: attempt.min(3), prev: index, table }
        }
        5 => {
            let head = SnapshotHead {
                last: id_of(rng),
                time: ClusterTime::ZERO,
                configuration: Configuration::of_voters(["a", "b", "c"].map(id)),
                state_bytes: number(rng),
            };
            let data = Bytes::from(vec![0; rng.below(9) as usize]);
            Message::SnapshotChunk { term, attempt, head, offset: number(rng), data }
        }
        6 => Message::SnapshotReply { term, attempt, last: id_of(rng), received: number(rng) },
        _ if rng.chance(500_000) => Message::Probe { term, seq: number(rng) },
        _ => Message::ProbeReply { term, seq: number(rng) },
    }
}
