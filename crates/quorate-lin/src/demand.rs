use crate::Model;
use crate::partition::Partition;
use std::collections::BTreeMap;

/// Which states are still waited for, and by how many operations they can still be brought about.
///
/// Somebody who read "b" has to be placed while the state is "b". Once the state has moved on and
/// nothing is left that leads to "b" again, the search is lost, although it may go on for thousands
/// of operations before it meets that read. Counting tells at once.
pub(crate) struct Demand<S> {
    /// Numbers of the states that some operation needs.
    states: BTreeMap<S, u32>,
    /// By operation, the state it needs and the one it leaves.
    needs: Vec<u32>,
    leaves: Vec<u32>,
    /// By state, the completed operations that need it, ascending.
    waiting: Vec<Vec<u32>>,
    /// By state, how many of these are not linearized, of those below `goal`.
    wanted: Vec<u32>,
    /// By state, how many operations that leave it are neither linearized nor used.
    sources: Vec<u32>,
    /// As `sources`: those that may leave any state.
    wild: u32,
    goal: u32,
}

impl<S: Ord + Clone> Demand<S> {
    /// Nothing linearized, and nothing wanted by operations from `goal` on.
    pub(crate) fn new<M: Model<State = S>>(model: &M, partition: &Partition<M>, goal: u32) -> Self {
        let mut demand = Self {
            states: BTreeMap::new(),
            needs: Vec::new(),
            leaves: Vec::new(),
            waiting: Vec::new(),
            wanted: Vec::new(),
            sources: Vec::new(),
            wild: 0,
            goal,
        };
        for (number, (input, output)) in (0..).zip(&partition.calls) {
            let id = model.needs(input, output.as_ref()).map(|state| demand.number(state));
            demand.needs.push(id.unwrap_or(NONE));
            if let Some(id) = id {
                demand.waiting[id as usize].push(number);
            }
        }
        let known = partition.calls.iter().map(|(input, output)| (input, output.as_ref(), 1));
        let unknown =
            partition.classes.iter().map(|class| (&class.input, None, class.invoked.len()));
        for (input, output, count) in known.chain(unknown) {
            let leaves = if model.only_reads(input, output) {
                NONE
            } else {
                let left = model.leaves(input, output);
                left.map_or(WILD, |state| demand.states.get(&state).copied().unwrap_or(NONE))
            };
            demand.leaves.extend(std::iter::repeat_n(leaves, count));
        }
        demand.needs.resize(demand.leaves.len(), NONE);
        demand.count();
        demand
    }

    /// Forgets what was linearized, and what operations from `goal` on want.
    pub(crate) fn restart(&mut self, goal: u32) {
        self.goal = goal;
        self.count();
    }

    /// An operation was linearized.
    pub(crate) fn take(&mut self, number: u32) {
        if let Some(wanted) = self.wanted.get_mut(self.needs[number as usize] as usize)
            && number < self.goal
        {
            *wanted -= 1;
        }
        match self.leaves[number as usize] {
            NONE => {}
            WILD => self.wild -= 1,
            id => self.sources[id as usize] -= 1,
        }
    }

    /// It was not, after all.
    pub(crate) fn put_back(&mut self, number: u32) {
        if let Some(wanted) = self.wanted.get_mut(self.needs[number as usize] as usize)
            && number < self.goal
        {
            *wanted += 1;
        }
        match self.leaves[number as usize] {
            NONE => {}
            WILD => self.wild += 1,
            id => self.sources[id as usize] += 1,
        }
    }

    /// Whether any completed operation needs `state`.
    pub(crate) fn is_needed(&self, state: &S) -> bool {
        self.states.contains_key(state)
    }

    /// The number of a state that was just left, if somebody needs it and it cannot come back.
    pub(crate) fn lost(&self, state: &S) -> Option<u32> {
        self.states.get(state).copied().filter(|&id| self.is_lost(id))
    }

    /// The same for what the operation `number`, just linearized, left.
    pub(crate) fn lost_after(&self, number: u32) -> Option<u32> {
        Some(self.leaves[number as usize]).filter(|&id| id < WILD && self.is_lost(id))
    }

    /// Completed operations that need the state with this number, ascending.
    pub(crate) fn waiting(&self, id: u32) -> &[u32] {
        &self.waiting[id as usize]
    }

    fn is_lost(&self, id: u32) -> bool {
        self.wild == 0 && self.wanted[id as usize] > 0 && self.sources[id as usize] == 0
    }

    fn number(&mut self, state: S) -> u32 {
        let next = u32::try_from(self.waiting.len()).expect("fewer than 2^32 operations");
        let id = *self.states.entry(state).or_insert(next);
        if id == next {
            self.waiting.push(Vec::new());
        }
        id
    }

    fn count(&mut self) {
        let goal = self.goal;
        let below = |ops: &Vec<u32>| ops.partition_point(|&op| op < goal) as u32;
        self.wanted = self.waiting.iter().map(below).collect();
        self.sources = vec![0; self.waiting.len()];
        self.wild = 0;
        for &id in &self.leaves {
            match id {
                NONE => {}
                WILD => self.wild += 1,
                id => self.sources[id as usize] += 1,
            }
        }
    }
}

/// No state, or one that nobody needs.
const NONE: u32 = u32::MAX;
/// Any state.
const WILD: u32 = u32::MAX - 1;
