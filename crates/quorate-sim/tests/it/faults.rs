//! Faults that only slow a cluster down, garble it or move it: that each does what it says, and
//! that its end undoes it. A fault that is counted and does nothing would test nothing.

use quorate_sim::{
    Fault, FaultKind, Harm, Latency, Plan, PlannedFault, Report, Seat, SeatSet, Target, Way,
};

use crate::toys::{AskOne, DATAGRAM, MILLISECOND, Pings, SECOND, ping};

const SOME: Target = Target::Seat(Seat(1));
const FROM: u64 = SECOND / 2;
const LASTING: u64 = SECOND / 2;

/// Three nodes for two seconds, and one fault.
fn under(fault: Fault) -> (Report, Pings) {
    let latency = Latency::Exponential { low: MILLISECOND / 10, mean: MILLISECOND };
    ping(&Plan::<AskOne> {
        seed: 11,
        dice: 0,
        rare: false,
        nodes: 3,
        calm_at: 2 * SECOND,
        calm_lasting: SECOND,
        latency,
        disk: latency,
        faults: vec![PlannedFault { at: FROM, fault }],
        operations: Vec::new(),
    })
}

/// How many pings on streams `to` heard from `from` in this part of the run, ends left out.
fn heard(pings: &Pings, to: Option<u8>, from: Option<u8>, (begin, end): (u64, u64)) -> usize {
    let is = |wanted: Option<u8>, seat: Seat| wanted.is_none_or(|wanted| wanted == seat.0);
    let within = |time: u64| time > begin && time < end;
    let all = pings.heard.iter().filter(|(_, _, _, number)| *number < DATAGRAM);
    all.filter(|(time, t, f, _)| within(*time) && is(to, *t) && is(from, *f)).count()
}

/// While the fault lasts, but for what was under way when it began; and after its end.
const DURING: (u64, u64) = (FROM + 20 * MILLISECOND, FROM + LASTING);
const AFTER: (u64, u64) = (FROM + LASTING + 20 * MILLISECOND, 2 * SECOND);

#[test]
fn a_clog_holds_what_is_sent_and_gives_it_back() {
    let (report, pings) = under(Fault::Clog { target: SOME, way: Way::Out, lasting: LASTING });
    assert_eq!(report.tally.faults.of(FaultKind::Clog), 1);
    assert_eq!(heard(&pings, None, Some(1), DURING), 0);
    assert!(heard(&pings, Some(1), None, DURING) > 50, "what is sent to it arrives");
    let from_it = pings.heard.iter().filter(|h| h.1 == Seat(0) && h.2 == Seat(1));
    let numbers: Vec<u64> = from_it.map(|h| h.3).filter(|n| n % 2 == 0 && *n < DATAGRAM).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] + 2 == pair[1]), "none is lost: {numbers:?}");
}

#[test]
fn a_full_queue_drops_what_does_not_fit() {
    let all = SeatSet::first(3);
    let (report, pings) =
        under(Fault::Overflow { from: SeatSet::only(Seat(1)), to: all, room: 0, lasting: LASTING });
    assert!(report.tally.faults.of(FaultKind::Overflow) > 50);
    assert_eq!(heard(&pings, None, Some(1), DURING), 0);
    assert!(heard(&pings, None, Some(1), AFTER) > 50);
}

#[test]
fn a_message_that_is_cut_short_is_counted_and_not_understood() {
    let harm = |chance| Fault::Corrupt { chance, harm: Harm::Cut, lasting: LASTING };
    let (report, pings) = under(harm(1_000_000));
    assert!(report.tally.faults.of(FaultKind::Corrupt) > 50);
    assert_eq!(heard(&pings, None, None, DURING), 0);
    assert!(heard(&pings, None, None, AFTER) > 50);
}

#[test]
fn the_sender_of_a_half_open_stream_speaks_to_nobody_until_it_gives_up() {
    let (_, pings) = under(Fault::Reset { target: SOME, half: true });
    assert_eq!(heard(&pings, Some(1), None, DURING), 0);
    assert_eq!(heard(&pings, None, Some(1), DURING), 0);
    assert!(heard(&pings, Some(0), Some(2), DURING) > 20, "the others are not touched");
}

#[test]
fn a_slow_process_does_one_thing_at_a_time() {
    let cost = 20 * MILLISECOND;
    let (_, pings) = under(Fault::Busy { target: SOME, cost, lasting: LASTING });
    let most = (LASTING / cost) as usize + 1;
    let during = heard(&pings, Some(1), None, DURING);
    assert!((5..=most).contains(&during), "{during}, at most {most}");
    assert!(heard(&pings, Some(1), None, AFTER) > 100, "it catches up");
}

#[test]
fn a_starved_process_has_only_its_timers_or_only_its_messages() {
    let starve = |timers| Fault::Starve { target: SOME, timers, lasting: LASTING };
    let (_, pings) = under(starve(false));
    assert_eq!(heard(&pings, Some(1), None, DURING), 0);
    assert!(heard(&pings, Some(0), Some(1), DURING) > 20, "its timers go on");
    let (_, pings) = under(starve(true));
    assert!(heard(&pings, Some(1), None, DURING) > 20);
    assert!(pings.late.iter().any(|time| *time > FROM && *time < FROM + LASTING));
}

#[test]
fn a_frozen_clock_stands_and_goes_on_and_a_suspend_may_stop_it() {
    let shown = |pings: &Pings, end: u64| {
        let until = pings.clocks.iter().filter(|clock| clock.1 == Seat(1) && clock.0 < end);
        until.map(|clock| clock.2.as_nanos()).max().unwrap_or_default()
    };
    let end = 2 * SECOND;
    let (_, fair) = under(Fault::Jump { target: SOME, by: 0 });
    let lost = |fault| {
        let (_, pings) = under(fault);
        shown(&fair, end).saturating_sub(shown(&pings, end))
    };
    let near = |lost: u64, wanted: u64| lost.abs_diff(wanted) < 30 * MILLISECOND;
    assert!(near(lost(Fault::Freeze { target: SOME, strobe: 0, lasting: LASTING }), LASTING));
    let strobe = 10 * MILLISECOND;
    assert!(near(lost(Fault::Freeze { target: SOME, strobe, lasting: LASTING }), 0));
    let suspend = |counted| Fault::Suspend { target: SOME, counted, lasting: LASTING };
    assert!(near(lost(suspend(false)), LASTING));
    assert!(near(lost(suspend(true)), 0));
}

#[test]
fn a_process_that_is_asked_to_stop_ends_a_moment_later() {
    let (_, pings) = under(Fault::Restart { target: SOME, down: SECOND / 4 });
    let end = FROM + SECOND / 5;
    assert_eq!(pings.crashed, [(end, Seat(1))]);
    assert!(heard(&pings, None, Some(1), (end + SECOND / 2, 2 * SECOND)) > 20);
}
