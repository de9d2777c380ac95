use crate::{Model, Operation};
use std::collections::{BTreeMap, BTreeSet};

/// The operations of one key, laid out for the search.
///
/// Operations that completed are numbered in the order of their completion. Those that did not are
/// grouped into classes of equal input: within a class the search uses the earliest first, because
/// any order that uses a later one stays legal with the two swapped.
pub(crate) struct Partition<M: Model> {
    /// Input and answer of each completed operation.
    pub(crate) calls: Vec<(M::Input, Option<M::Output>)>,
    /// Whether it never changes the state.
    pub(crate) reads: Vec<bool>,
    /// Its bit in a window. Operations that overlap have different bits.
    pub(crate) slots: Vec<u32>,
    pub(crate) classes: Vec<Class<M::Input>>,
    /// By completed operation: those that are invoked by then and not completed before, itself
    /// first. Rows of `open_rows`, ends in `open_ends`.
    open_rows: Vec<u32>,
    open_ends: Vec<usize>,
    completed: Vec<u64>,
    /// Where each operation is in the history: completed ones, then members of the classes.
    origins: Vec<usize>,
}

/// Operations with unknown outcome that do the same.
pub(crate) struct Class<I> {
    pub(crate) input: I,
    /// Number of the first member; the others follow.
    pub(crate) first: u32,
    /// When each member was invoked, ascending.
    pub(crate) invoked: Vec<u64>,
}

impl<M: Model> Partition<M> {
    /// Of all `operations`, those at `members`, none of which failed.
    pub(crate) fn new<K>(
        model: &M,
        operations: &[Operation<K, M::Input, M::Output>],
        members: &[usize],
    ) -> Self {
        let unknown_read = |index: &usize| {
            let operation = &operations[*index];
            operation.completed.is_none() && model.only_reads(&operation.input, None)
        };
        let mut members: Vec<usize> =
            members.iter().copied().filter(|index| !unknown_read(index)).collect();
        members.sort_by_key(|&index| {
            let operation = &operations[index];
            (operation.completed.unwrap_or(u64::MAX), operation.completed.is_none(), index)
        });
        let mut calls: Vec<(M::Input, Option<M::Output>)> = members
            .iter()
            .map(|&index| {
                let operation = &operations[index];
                let output = operation.completed.and(operation.output.as_ref()).cloned();
                (operation.input.clone(), output)
            })
            .collect();
        model.simplify(&mut calls);
        let completed: Vec<u64> =
            members.iter().map_while(|&index| operations[index].completed).collect();
        let unknown = calls.split_off(completed.len());
        let mut origins = members;
        let unknown_origins = origins.split_off(completed.len());
        let classes = classify(unknown, unknown_origins, operations, &mut origins);

        let invoked: Vec<u64> =
            origins[..completed.len()].iter().map(|&index| operations[index].invoked).collect();
        let mut by_invocation: Vec<u32> = (0..).take(invoked.len()).collect();
        by_invocation.sort_by_key(|&op| (invoked[op as usize], op));
        let slots = assign_slots(&by_invocation, &invoked, &completed);
        let (open_rows, open_ends) = open_sets(&by_invocation, &invoked, &completed);
        let reads =
            calls.iter().map(|(input, output)| model.only_reads(input, output.as_ref())).collect();
        Self { calls, reads, slots, classes, open_rows, open_ends, completed, origins }
    }

    /// How many operations completed, and so must be linearized.
    pub(crate) fn known(&self) -> u32 {
        u32::try_from(self.calls.len()).expect("a history has fewer than 2^32 operations")
    }

    /// What may be linearized next when everything that completed before `next` is.
    pub(crate) fn open(&self, next: u32) -> &[u32] {
        let next = next as usize;
        let begin = next.checked_sub(1).map_or(0, |before| self.open_ends[before]);
        &self.open_rows[begin..self.open_ends[next]]
    }

    /// When the completed operation `op` was.
    pub(crate) fn completed(&self, op: u32) -> u64 {
        self.completed[op as usize]
    }

    /// The position in the history of an operation, by the number the search uses for it.
    pub(crate) fn origin(&self, number: u32) -> usize {
        self.origins[number as usize]
    }
}

/// Groups unknown operations by input, the class that was invoked last first: an operation that did
/// take effect mostly did so soon after its invocation.
fn classify<K, I: Ord + Clone, O>(
    unknown: Vec<(I, Option<O>)>,
    unknown_origins: Vec<usize>,
    operations: &[Operation<K, I, O>],
    origins: &mut Vec<usize>,
) -> Vec<Class<I>> {
    let mut groups: BTreeMap<I, Vec<(u64, usize)>> = BTreeMap::new();
    for ((input, _), origin) in unknown.into_iter().zip(unknown_origins) {
        groups.entry(input).or_default().push((operations[origin].invoked, origin));
    }
    let mut groups: Vec<(I, Vec<(u64, usize)>)> = groups.into_iter().collect();
    for (_, members) in &mut groups {
        members.sort_unstable();
    }
    groups.sort_by(|(_, a), (_, b)| b.cmp(a));
    groups
        .into_iter()
        .map(|(input, members)| {
            let first = u32::try_from(origins.len()).expect("fewer than 2^32 operations");
            origins.extend(members.iter().map(|(_, origin)| origin));
            Class { input, first, invoked: members.iter().map(|(invoked, _)| *invoked).collect() }
        })
        .collect()
}

/// Gives each operation the smallest number that no operation overlapping it has.
fn assign_slots(by_invocation: &[u32], invoked: &[u64], completed: &[u64]) -> Vec<u32> {
    let mut slots = vec![0; invoked.len()];
    let mut free = BTreeSet::new();
    let mut used = 0;
    let mut done = 0;
    for &op in by_invocation {
        // Operations are numbered by completion, so those that ended before this one began come
        // first; all of them began earlier and have a slot.
        while completed[done] < invoked[op as usize] {
            free.insert(slots[done]);
            done += 1;
        }
        slots[op as usize] = free.pop_first().unwrap_or_else(|| {
            used += 1;
            used - 1
        });
    }
    slots
}

/// For each completion, the operations that are open then, in the order of their completion.
fn open_sets(by_invocation: &[u32], invoked: &[u64], completed: &[u64]) -> (Vec<u32>, Vec<usize>) {
    let mut rows = Vec::new();
    let mut ends = Vec::with_capacity(completed.len());
    let mut open = BTreeSet::new();
    let mut starting = by_invocation.iter().peekable();
    for (op, &end) in (0..).zip(completed) {
        while let Some(&next) = starting.next_if(|&&next| invoked[next as usize] <= end) {
            open.insert(next);
        }
        rows.extend(&open);
        ends.push(rows.len());
        open.remove(&op);
    }
    (rows, ends)
}
