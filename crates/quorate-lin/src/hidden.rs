use crate::Model;
use crate::demand::Demand;
use crate::partition::Partition;
use std::collections::BTreeMap;

/// By completed operation: whether nobody can tell where it was, as with a write of a value that
/// nobody read or compared.
///
/// That is so if what it leaves is not needed and it matters to no operation at all. `O(operations)`
/// for each different input that leaves such a state; registers have at most two.
pub(crate) fn hidden<M: Model>(
    model: &M,
    partition: &Partition<M>,
    demand: &Demand<M::State>,
) -> Vec<bool> {
    let mut known: BTreeMap<&M::Input, bool> = BTreeMap::new();
    let calls = partition.calls.iter().zip(&partition.reads);
    calls
        .map(|((input, output), reads)| {
            let output = output.as_ref();
            !reads
                && model.needs(input, output).is_none()
                && model.leaves(input, output).is_some_and(|state| !demand.is_needed(&state))
                && *known.entry(input).or_insert_with(|| !matters(model, partition, input))
        })
        .collect()
}

fn matters<M: Model>(model: &M, partition: &Partition<M>, earlier: &M::Input) -> bool {
    let known = partition.calls.iter().map(|(input, output)| (input, output.as_ref()));
    let unknown = partition.classes.iter().map(|class| (&class.input, None));
    known.chain(unknown).any(|(input, output)| model.may_matter(earlier, input, output))
}
