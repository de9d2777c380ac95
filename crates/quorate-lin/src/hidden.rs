use crate::Model;
use crate::demand::Demand;
use crate::partition::Partition;
use std::collections::BTreeMap;

/// By completed operation: whether nobody can tell where it was, as with a write of a value that
/// nobody read or compared.
///
/// That is so if it matters to no operation at all. Asking all of them is `O(operations)`, so only
/// inputs are asked about that leave a state nobody needs; a register has one or two.
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
