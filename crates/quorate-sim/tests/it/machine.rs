//! A user's machine in the simulator: promises, laws, faults.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use quorate_core::{Instant, Machine, Outbox};
use quorate_sim::machine::{self, Ask, Happened, MachineWorld, Start, Wants};
use quorate_sim::{FaultKind, Hunt, hunt};

use crate::toys::short;

/// What is wrong with the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    ConfirmsBeforeItSaves,
    WakesEarly,
    WakesForEver,
    DrawsFromElsewhere,
    Panics,
    NeverTells,
}

/// Knows the highest number that it heard.
struct Highest {
    number: u32,
    next: Instant,
    bug: Bug,
    elsewhere: Rc<Cell<u32>>,
}

enum Input {
    Heard(u32),
    Asked(u64, u32),
}

#[derive(Debug)]
enum Output {
    Tell(u32),
    Save(u32),
    Confirm(u64, u32),
}

impl Machine for Highest {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, _: Instant, input: Input, out: &mut Outbox<Output>) {
        let (Input::Heard(number) | Input::Asked(_, number)) = input;
        let confirmed = self.number.max(number);
        let confirm = match input {
            Input::Asked(id, _) => Some(Output::Confirm(id, confirmed)),
            Input::Heard(_) => None,
        };
        let saves = number > self.number;
        self.number = confirmed;
        assert!(self.bug != Bug::Panics || number < 990, "too high");
        if self.bug == Bug::ConfirmsBeforeItSaves {
            confirm.into_iter().for_each(|confirm| out.push(confirm));
            out.push(Output::Save(self.number));
        } else {
            if saves {
                out.push(Output::Save(self.number));
            }
            confirm.into_iter().for_each(|confirm| out.push(confirm));
        }
    }

    fn wake(&mut self, now: Instant, out: &mut Outbox<Output>) {
        if now < self.next && self.bug != Bug::WakesEarly {
            return;
        }
        if self.bug != Bug::WakesForEver {
            self.next = now + Duration::from_millis(100);
        }
        self.elsewhere.set(self.elsewhere.get() + 1);
        match self.bug {
            Bug::NeverTells => {}
            Bug::DrawsFromElsewhere => out.push(Output::Tell(self.elsewhere.get())),
            _ => out.push(Output::Tell(self.number)),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.next)
    }
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn world(bug: Bug) -> MachineWorld<Highest> {
    let elsewhere = Rc::new(Cell::new(0));
    let start = move |start: &Start| Highest {
        number: start.saved().and_then(number).unwrap_or(0),
        next: start.now,
        bug,
        elsewhere: Rc::clone(&elsewhere),
    };
    let input = |happened: Happened<'_>| match happened {
        Happened::Message { bytes, .. } => Some(Input::Heard(number(bytes)?)),
        Happened::Asked { id, number } => Some(Input::Asked(id, number)),
        _ => None,
    };
    let output = |output, wants: &mut Wants| match output {
        Output::Tell(number) => wants.send_all(number.to_le_bytes()),
        Output::Save(number) => wants.save(number.to_le_bytes()),
        Output::Confirm(id, number) => wants.reply(id, number.to_le_bytes()),
    };
    let mut told = BTreeMap::new();
    MachineWorld::new(start, input, output)
        .always("kept", move |live| {
            told.extend(live.told().iter().map(|told| (told.seat, number(&told.answer))));
            live.iter().all(|(seat, node)| told.get(&seat) <= Some(&Some(node.number)))
        })
        .eventually("known", |core| core.iter().is_sorted_by(|(_, a), (_, b)| a.number == b.number))
}

fn seeds(bug: Bug, count: u64) -> Hunt<Ask> {
    hunt(machine::plans(&short(), 0..count), |_| world(bug))
}

#[test]
fn a_machine_that_keeps_its_promises_does_so_under_every_fault() {
    let hunt = seeds(Bug::None, 150);
    assert!(hunt.found.is_none(), "{hunt}");
    assert_eq!(hunt.runs, 150);
    // Bursts and unruly clients are played by worlds that have such clients; a disk is not harmed
    // where nobody said that a machine can bear it.
    let elsewhere = ["B1", "B2", "D3", "D4", "D5", "N11", "O1", "O4"];
    for kind in FaultKind::played().filter(|kind| !elsewhere.contains(&kind.id())) {
        assert!(hunt.tally.faults.of(kind) > 0, "{} never struck", kind.id());
    }
}

#[test]
fn what_is_wrong_with_a_machine_is_found_and_cut_down() {
    let expected = [
        (Bug::ConfirmsBeforeItSaves, "kept"),
        (Bug::WakesEarly, "patience"),
        (Bug::WakesForEver, "progress"),
        (Bug::DrawsFromElsewhere, "determinism"),
        (Bug::Panics, "panic"),
        (Bug::NeverTells, "known"),
    ];
    for (bug, promise) in expected {
        let hunt = seeds(bug, 200);
        let found = hunt.found.unwrap_or_else(|| panic!("{bug:?} was not found"));
        assert_eq!(found.small.violation.invariant, promise, "{bug:?}");
        let plan = &found.small.plan;
        assert!(plan.faults.len() <= 2 && plan.operations.len() <= 2, "{bug:?}: {plan:?}");
        assert!(found.to_html().contains(promise));
    }
}
