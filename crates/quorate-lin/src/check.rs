use crate::decision::{Decision, Outcome};
use crate::partition::Partition;
use crate::verdict::{CounterExample, Undecided, Verdict, Witness};
use crate::{Budget, History, Model};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;

/// Decides whether `history` is linearizable with respect to `model`, each key apart.
///
/// The keys take turns of about a thousand steps, so a hard key does not keep an illegal one from
/// being found; the first illegal key ends the check. For histories of quorate's kind (twenty
/// clients on twenty keys, one operation in twenty of unknown outcome) the cost is one or two steps
/// an operation; the problem is NP-complete, so others can use any budget up. Memory is
/// `O(operations)` and some for each step.
pub fn check<K: Clone + Ord + Debug, M: Model>(
    model: &M,
    history: &History<K, M::Input, M::Output>,
    budget: &mut Budget<'_>,
) -> Verdict<K> {
    let mut waiting: VecDeque<(&K, Decision<M>)> = partitions(model, history);
    let mut orders = BTreeMap::new();
    while let Some((key, mut decision)) = waiting.pop_front() {
        let left = budget.left();
        if left == 0 || budget.stopped() {
            waiting.push_front((key, decision));
            return Verdict::Undecided(undecided(&waiting, budget.spent(), left > 0));
        }
        let (outcome, steps) = decision.run(model, left.min(SLICE));
        budget.spend(steps);
        let origins = |path: &[u32]| -> Vec<usize> {
            path.iter().map(|&number| decision.partition().origin(number)).collect()
        };
        match outcome {
            Some(Outcome::Legal(path)) => drop(orders.insert(key, origins(&path))),
            Some(Outcome::Illegal(longest)) => {
                let illegal = decision.partition().origin(longest.blocked);
                return Verdict::NotLinearizable(Box::new(CounterExample::new(
                    model,
                    history.operations(),
                    key.clone(),
                    origins(&longest.path),
                    illegal,
                )));
            }
            // The others cannot change the verdict any more.
            None if decision.is_illegal() => waiting.push_front((key, decision)),
            None => waiting.push_back((key, decision)),
        }
    }
    Verdict::Linearizable(Witness::new(orders.into_values().collect()))
}

/// A decision for each key, in the order of keys.
fn partitions<'h, K: Ord, M: Model>(
    model: &M,
    history: &'h History<K, M::Input, M::Output>,
) -> VecDeque<(&'h K, Decision<M>)> {
    let mut failed = vec![false; history.operations().len()];
    for &index in history.failed() {
        failed[index] = true;
    }
    let mut keys: BTreeMap<&K, Vec<usize>> = BTreeMap::new();
    for (index, operation) in history.operations().iter().enumerate() {
        if !failed[index] {
            keys.entry(&operation.key).or_default().push(index);
        }
    }
    keys.into_iter()
        .map(|(key, members)| {
            let partition = Partition::new(model, history.operations(), &members);
            (key, Decision::new(model, partition))
        })
        .collect()
}

fn undecided<K: Clone + Ord, M: Model>(
    waiting: &VecDeque<(&K, Decision<M>)>,
    steps: u64,
    stopped: bool,
) -> Undecided<K> {
    let mut progress: Vec<_> = waiting
        .iter()
        .map(|(key, decision)| ((*key).clone(), decision.progress(), decision.partition().known()))
        .collect();
    progress.sort_unstable();
    let illegal = waiting.iter().find(|(_, decision)| decision.is_illegal());
    Undecided::new(progress, illegal.map(|(key, _)| (*key).clone()), steps, stopped)
}

/// Steps of a turn: long enough that turning costs nothing, short enough to look at the budget.
const SLICE: u64 = 1_024;
