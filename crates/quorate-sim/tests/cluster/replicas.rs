//! A user's state machine under every fault.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use quorate_core::{Applied, RestoreError, StateMachine};
use quorate_sim::cluster::replicas;
use quorate_sim::machine::{self, Ask};
use quorate_sim::{FaultKind, Hunt, Swarm, hunt};

/// What is wrong with the state machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    ForgetsInSnapshots,
    AddsToWhatItRestores,
    RefusesItsSnapshots,
    DrawsFromElsewhere,
    ReadsItsOwnLife,
    Panics,
}

/// Adds numbers, and counts them.
struct Sum {
    sum: u64,
    count: u64,
    /// How many were applied since it was made, by this very copy.
    here: u64,
    bug: Bug,
    elsewhere: Arc<AtomicU64>,
}

impl Sum {
    const fn new(bug: Bug, elsewhere: Arc<AtomicU64>) -> Self {
        Self { sum: 0, count: 0, here: 0, bug, elsewhere }
    }
}

impl StateMachine for Sum {
    fn apply(&mut self, _: Applied, command: &[u8]) -> Bytes {
        assert!(self.bug != Bug::Panics || command[0] != 77, "not that number");
        self.here += 1;
        self.count += 1;
        self.sum += u64::from(command[0]);
        let drawn = self.elsewhere.fetch_add(1, Ordering::Relaxed);
        let answer = match self.bug {
            Bug::DrawsFromElsewhere => drawn,
            Bug::ReadsItsOwnLife => self.here,
            _ => self.count,
        };
        Bytes::from(answer.to_string())
    }

    fn snapshot(&self) -> Bytes {
        let count = if self.bug == Bug::ForgetsInSnapshots { 0 } else { self.count };
        [self.sum.to_le_bytes(), count.to_le_bytes()].concat().into()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        if self.bug == Bug::RefusesItsSnapshots {
            return Err(RestoreError("never seen".to_owned()));
        }
        let number = |at: usize| {
            let bytes = snapshot.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u64::from_le_bytes).ok_or_else(|| RestoreError("too short".to_owned()))
        };
        let sum = if self.bug == Bug::AddsToWhatItRestores { self.sum } else { 0 };
        (self.sum, self.count) = (sum + number(0)?, number(8)?);
        Ok(())
    }

    fn digest(&self) -> u64 {
        self.sum.rotate_left(32) ^ self.count
    }
}

fn seeds(bug: Bug, count: u64) -> Hunt<Ask> {
    let swarm = Swarm { calm_at: (2_000_000_000, 8_000_000_000), ..Swarm::default() };
    let world = || {
        let elsewhere = Arc::new(AtomicU64::new(0));
        replicas(move || Sum::new(bug, Arc::clone(&elsewhere)), |number| vec![number as u8])
    };
    hunt(machine::plans(&swarm, 0..count), |_| world())
}

#[test]
fn a_state_machine_that_obeys_the_seam_is_the_same_on_all_replicas() {
    let hunt = seeds(Bug::None, 150);
    assert!(hunt.found.is_none(), "{hunt}");
    let elsewhere = ["B1", "B2", "D3", "D4", "D5", "N11", "O1", "O4"];
    for kind in FaultKind::played().filter(|kind| !elsewhere.contains(&kind.id())) {
        assert!(hunt.tally.faults.of(kind) > 0, "{} never struck", kind.id());
    }
}

#[test]
fn what_is_wrong_with_a_state_machine_is_found_and_cut_down() {
    let expected = [
        (Bug::ForgetsInSnapshots, "restore"),
        (Bug::AddsToWhatItRestores, "restore"),
        (Bug::RefusesItsSnapshots, "restore"),
        (Bug::DrawsFromElsewhere, "K5"),
        (Bug::ReadsItsOwnLife, "K5"),
        (Bug::Panics, "panic"),
    ];
    for (bug, promise) in expected {
        let hunt = seeds(bug, 100);
        let found = hunt.found.unwrap_or_else(|| panic!("{bug:?} was not found"));
        assert_eq!(found.small.violation.invariant, promise, "{bug:?}: {}", found.small.violation);
        let plan = &found.small.plan;
        assert!(plan.faults.len() <= 3 && plan.operations.len() <= 12, "{bug:?}: {plan:?}");
    }
}
