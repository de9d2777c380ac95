//! Which disks may be harmed, so that a good copy of all that was acknowledged stays in a quorum.

use super::checks::majority;
use crate::{DiskLoss, Fault, Seat, SeatSet};

/// What became of the disks, and what may still be done to them.
///
/// Everything a node told others rests on its disk: entries, votes, terms, pledges. A disk that was
/// harmed may have lost any of it, and can only notice or not. If it notices, its node stays away
/// for good: so fewer than half of the members may be harmed. An empty disk is another one, as every
/// handshake says, so its node counts like one that stays away until it is a member anew. If a disk
/// does not notice, the cluster has one
/// copy less than it counts on, which no promise covers: such a run is *beyond*, and ends.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Atlas {
    harmed: SeatSet,
    /// Whether a disk lost, unnoticed, what it had promised to keep.
    is_beyond: bool,
}

impl Atlas {
    /// Whether `fault` may strike `seat` of a cluster whose members `ever` hold all that were,
    /// where a majority of each half must keep whole disks: `halves` holds its voters, and those
    /// of them that still do.
    ///
    /// Before the birth of the cluster every node's word is needed, so every disk and every address
    /// is spared.
    pub(super) fn permits(
        self,
        seat: Seat,
        fault: &Fault,
        ever: SeatSet,
        halves: &[(SeatSet, SeatSet)],
        is_born: bool,
    ) -> bool {
        match fault {
            _ if !is_born => false,
            Fault::Move { .. } => true,
            // Nothing tells an older copy from the disk it is of, so only those may come back on
            // one who hold nothing that counts, nor ever did.
            Fault::Crash { disk: DiskLoss::Older, .. }
            | Fault::Cut { disk: DiskLoss::Older, .. } => !ever.contains(seat),
            _ => {
                let others = SeatSet::only(seat);
                let lives = |(half, whole): &(SeatSet, SeatSet)| {
                    !half.contains(seat) || whole.minus(others).len() >= majority(*half)
                };
                halves.iter().all(lives)
            }
        }
    }

    pub(super) const fn harm(&mut self, seat: Seat) {
        self.harmed = self.harmed.union(SeatSet::only(seat));
    }

    /// Whether the disk of `seat` may have lost something.
    pub(super) const fn is_harmed(self, seat: Seat) -> bool {
        self.harmed.contains(seat)
    }

    /// Those whose disks are whole.
    pub(super) const fn whole(self, members: SeatSet) -> SeatSet {
        members.minus(self.harmed)
    }

    pub(super) const fn go_beyond(&mut self) {
        self.is_beyond = true;
    }

    pub(super) const fn is_beyond(self) -> bool {
        self.is_beyond
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_of_the_members_keeps_whole_disks() {
        let members = SeatSet::first(5);
        let rot = Fault::Rot { target: crate::Target::Leader, bits: 1 };
        let mut atlas = Atlas::default();
        for seat in [Seat(0), Seat(3)] {
            assert!(atlas.permits(seat, &rot, members, &[(members, atlas.whole(members))], true));
            assert!(
                !atlas.permits(seat, &rot, members, &[(members, atlas.whole(members))], false),
                "not before the birth"
            );
            atlas.harm(seat);
        }
        assert!(!atlas.permits(Seat(1), &rot, members, &[(members, atlas.whole(members))], true));
        assert!(
            atlas.permits(Seat(3), &rot, members, &[(members, atlas.whole(members))], true),
            "again, the same one"
        );
        assert!(
            atlas.permits(Seat(6), &rot, members, &[(members, atlas.whole(members))], true),
            "who is no member holds nothing"
        );
        assert_eq!(atlas.whole(members).len(), 3);
    }
}
