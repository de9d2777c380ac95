//! The walk through all states, breadth first.

use super::report::{Broken, Counts, Exploration};
use super::table::Table;
use super::world::SmallWorld;
use crate::Violation;

/// When to give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most states to keep; each takes about 40 bytes, and more while it waits. Default 20
    /// million, at most 2^31.
    pub states_max: u32,
    /// The most actions in a row. Default: no limit.
    pub depth_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { states_max: 20_000_000, depth_max: u32::MAX }
    }
}

/// Looks at every state of `world`, those that take fewer actions first, until a promise breaks.
///
/// The way to a broken promise is as short as any. `progress` is called once per depth. Memory:
/// a fingerprint and the way back per state, and the states of two depths.
pub fn explore<W: SmallWorld>(
    world: &mut W,
    limits: Limits,
    mut progress: impl FnMut(&Counts),
) -> Exploration {
    let mut walk = Walk::new();
    let start = world.initial();
    walk.reach(world.fingerprint(&start), NOWHERE);
    if let Err(violation) = world.check(&start) {
        return walk.broken(world, 0, violation);
    }
    let (mut here, mut actions) = (vec![(0, start)], Vec::new());
    while !here.is_empty() && walk.counts.depth < limits.depth_max {
        let mut next = Vec::new();
        for (number, state) in here.drain(..) {
            actions.clear();
            world.actions(&state, &mut actions);
            let mut is_final = true;
            for (ordinal, action) in (0..).zip(&actions) {
                let Some(reached) = world.apply(&state, action) else {
                    walk.counts.beyond += 1;
                    continue;
                };
                walk.counts.transitions += 1;
                let (target, new) = walk.reach(world.fingerprint(&reached), (number, ordinal));
                is_final &= target == number;
                if !new {
                    continue;
                }
                if let Err(violation) = world.check(&reached) {
                    return walk.broken(world, target, violation);
                }
                if walk.table.len() as u64 >= u64::from(limits.states_max) {
                    return walk.end(false);
                }
                next.push((target, reached));
            }
            walk.counts.finals += u64::from(is_final);
        }
        walk.counts.depth += u32::from(!next.is_empty());
        here = next;
        progress(&walk.counts);
    }
    walk.end(here.is_empty())
}

/// Goes the way of a counter-example again: what happens in words, and what is broken at its end.
pub fn replay<W: SmallWorld>(world: &mut W, path: &[u32]) -> (Vec<String>, Result<(), Violation>) {
    let (mut state, mut words, mut actions) = (world.initial(), Vec::new(), Vec::new());
    for ordinal in path {
        actions.clear();
        world.actions(&state, &mut actions);
        let Some(action) = actions.get(*ordinal as usize) else { break };
        words.push(world.describe(action));
        let Some(reached) = world.apply(&state, action) else { break };
        state = reached;
    }
    let held = world.check(&state);
    (words, held)
}

/// What is kept of the states seen.
struct Walk {
    table: Table,
    /// From where, and by which of its actions, each state was reached first.
    came_by: Vec<(u32, u32)>,
    counts: Counts,
}

impl Walk {
    fn new() -> Self {
        Self { table: Table::new(), came_by: Vec::new(), counts: Counts::default() }
    }

    fn reach(&mut self, fingerprint: u128, by: (u32, u32)) -> (u32, bool) {
        let (number, new) = self.table.number(fingerprint);
        if new {
            self.came_by.push(by);
            self.counts.states += 1;
        }
        (number, new)
    }

    fn end(self, complete: bool) -> Exploration {
        Exploration { counts: self.counts, complete, broken: None }
    }

    fn broken<W: SmallWorld>(
        self,
        world: &mut W,
        mut number: u32,
        violation: Violation,
    ) -> Exploration {
        let mut path = Vec::new();
        while self.came_by[number as usize] != NOWHERE {
            let (before, ordinal) = self.came_by[number as usize];
            path.push(ordinal);
            number = before;
        }
        path.reverse();
        let (actions, _) = replay(world, &path);
        let broken = Some(Broken { violation, actions, path });
        Exploration { counts: self.counts, complete: false, broken }
    }
}

/// From where the first state was reached.
const NOWHERE: (u32, u32) = (u32::MAX, u32::MAX);
