//! What an operator asks for when members are to change.

use std::collections::BTreeSet;

use quorate_core::{Change, Configuration, DiskId, Kind, Member, NodeId, Rng};

use super::settings::Settings;
use crate::{MemberAct, Seat};

/// The change that `act` means for `configuration`, about the node on `seat`; where it fits nobody,
/// another one that does.
pub(super) fn change(
    settings: &Settings,
    configuration: &Configuration,
    act: MemberAct,
    seat: Option<Seat>,
    rng: &mut Rng,
) -> Option<Change> {
    let acts = [act, MemberAct::Promote, MemberAct::Add, MemberAct::Remove];
    acts.into_iter().find_map(|act| fitting(settings, configuration, act, seat, rng))
}

fn fitting(
    settings: &Settings,
    configuration: &Configuration,
    act: MemberAct,
    seat: Option<Seat>,
    rng: &mut Rng,
) -> Option<Change> {
    let target = seat.map(|seat| settings.ids[seat.index()].clone());
    let may_return = rng.chance(300_000);
    match act {
        MemberAct::Add => {
            let is_new = |id: &NodeId| configuration.member(id).is_none();
            let strangers: Vec<&NodeId> = settings.ids.iter().filter(|id| is_new(id)).collect();
            let id = (*rng.pick(&strangers)?).clone();
            let kind = if rng.chance(100_000) { Kind::Observer } else { Kind::Learner };
            let place = settings.seat(&id)?;
            let priority = settings.priorities[place.index()];
            let address = settings.addresses.of(place).to_string();
            Some(Change::Add { id, member: Member { kind, priority, address, disk: DiskId::NONE } })
        }
        MemberAct::Promote => {
            let mut learners = of_kind(configuration, Kind::Learner);
            rng.shuffle(&mut learners);
            let count = 1 + rng.index(2);
            let ids: BTreeSet<NodeId> = learners.into_iter().take(count).collect();
            (!ids.is_empty()).then_some(Change::Promote { ids })
        }
        MemberAct::Remove => {
            let id = target.filter(|id| configuration.member(id).is_some())?;
            Some(Change::Remove { id, may_return })
        }
        MemberAct::Replace => {
            let old = target.filter(|id| configuration.votes(id))?;
            let new = rng.pick(&of_kind(configuration, Kind::Learner))?.clone();
            Some(Change::Replace { old, new, may_return })
        }
    }
}

fn of_kind(configuration: &Configuration, kind: Kind) -> Vec<NodeId> {
    let members = configuration.members.iter().filter(|(_, member)| member.kind == kind);
    members.map(|(id, _)| id.clone()).collect()
}
