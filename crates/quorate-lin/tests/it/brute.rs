//! Linearizability by its definition: every order of every subset, without any of the arguments
//! that make the real search fast.

use quorate_lin::{History, Model, Operation};
use std::collections::BTreeSet;

pub(crate) fn linearizable<K: Ord, M: Model>(
    model: &M,
    history: &History<K, M::Input, M::Output>,
) -> bool {
    let keys: BTreeSet<&K> = history.operations().iter().map(|operation| &operation.key).collect();
    keys.into_iter().all(|key| linearizable_until(model, history, key, u64::MAX))
}

/// Whether everything on one key that completed by `end` has a legal order, with any of what was invoked by
/// then and completed later with its recorded answer.
pub(crate) fn linearizable_until<K: Ord, M: Model>(
    model: &M,
    history: &History<K, M::Input, M::Output>,
    key: &K,
    end: u64,
) -> bool {
    let mut rest: Vec<_> = (0..history.operations().len())
        .filter(|index| !history.failed().contains(index))
        .map(|index| &history.operations()[index])
        .filter(|operation| operation.key == *key && operation.invoked <= end)
        .collect();
    any_order(model, &model.initial(), end, &mut rest)
}

fn any_order<K, M: Model>(
    model: &M,
    state: &M::State,
    end: u64,
    rest: &mut Vec<&Operation<K, M::Input, M::Output>>,
) -> bool {
    let first_end = rest.iter().filter_map(|operation| operation.completed).min();
    if first_end.is_none_or(|first| first > end) {
        return true;
    }
    for at in 0..rest.len() {
        if first_end.is_some_and(|end| end < rest[at].invoked) {
            continue;
        }
        let operation = rest.swap_remove(at);
        let answer = operation.completed.and(operation.output.as_ref());
        let next = model.step(state, &operation.input, answer);
        let found = next.is_some_and(|next| any_order(model, &next, end, rest));
        rest.push(operation);
        let last = rest.len() - 1;
        rest.swap(at, last);
        if found {
            return true;
        }
    }
    false
}
