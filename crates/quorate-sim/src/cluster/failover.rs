//! How long clients wait for a new leader.

use quorate_core::{LogId, Term};

use crate::{Fault, Seat, SeatSet, Shape};

/// Measures from the moment at which a leader crashes, is cut off or stands still to the next write
/// that a later leader confirms. Where the old one leads on, nothing is measured.
#[derive(Debug, Default)]
pub(super) struct Failovers {
    leading: SeatSet,
    /// The highest term led.
    term: Term,
    /// Since when a new leader is wanted, and after which term.
    wanted: Option<(u64, Term)>,
    /// The times, in nanoseconds.
    pub(super) times: Vec<u64>,
}

impl Failovers {
    /// Whether the node on `seat` leads `term` after its step.
    pub(super) fn stepped(&mut self, seat: Seat, leads: bool, term: Term) {
        if leads {
            self.leading = self.leading.with(seat);
            self.term = self.term.max(term);
        } else {
            self.leading = self.leading.minus(SeatSet::only(seat));
        }
    }

    pub(super) const fn crashed(&mut self, seat: Seat, now: u64) {
        self.gone(seat, now);
        self.leading = self.leading.minus(SeatSet::only(seat));
    }

    pub(super) fn struck(&mut self, fault: &Fault, seat: Option<Seat>, now: u64) {
        let takes_away = matches!(
            fault,
            Fault::Partition { shape: Shape::One { .. }, .. } | Fault::Pause { .. }
        );
        if let Some(seat) = seat.filter(|_| takes_away) {
            self.gone(seat, now);
        }
    }

    const fn gone(&mut self, seat: Seat, now: u64) {
        if self.leading.contains(seat) {
            self.wanted = Some((now, self.term));
        }
    }

    /// A client was told that its write stands at `at`.
    pub(super) fn acknowledged(&mut self, at: LogId, now: u64) {
        if let Some((since, term)) = self.wanted
            && at.term > term
        {
            self.times.push(now - since);
            self.wanted = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DiskLoss, Target};

    #[test]
    fn only_a_write_of_a_later_leader_ends_a_failover() {
        let mut failovers = Failovers::default();
        failovers.stepped(Seat(1), true, Term(3));
        failovers.crashed(Seat(0), 5);
        failovers.acknowledged(LogId::new(4, 1), 6);
        assert!(failovers.times.is_empty(), "no leader crashed");
        failovers.crashed(Seat(1), 10);
        failovers.acknowledged(LogId::new(3, 2), 11);
        failovers.acknowledged(LogId::new(4, 3), 25);
        failovers.stepped(Seat(2), true, Term(4));
        let target = Target::Leader;
        failovers.struck(&Fault::Pause { target, lasting: 9 }, Some(Seat(2)), 30);
        let (disk, down) = (DiskLoss::All, 1);
        failovers.struck(&Fault::Crash { target, disk, down }, Some(Seat(2)), 31);
        failovers.acknowledged(LogId::new(5, 4), 40);
        assert_eq!(failovers.times, [15, 10]);
    }
}
