//! Small plans that break the same promise.

use super::Profile;
use super::operation::{Act, KvOperation};
use super::runner::run_world;
use crate::{Minimised, Minimiser, Plan};

/// Cuts `plan` down as long as `goes_on`; `None` if it breaks no promise.
pub fn minimise(
    plan: &Plan<KvOperation>,
    profile: &Profile,
    goes_on: impl FnMut() -> bool,
) -> Option<Minimised<KvOperation>> {
    let run = |plan: &Plan<KvOperation>| run_world(plan, profile, 0).0;
    Minimiser::new(run).simpler(simpler).goes_on(goes_on).minimise(plan)
}

/// Operations that say less than `operation`.
fn simpler(operation: &KvOperation) -> Vec<KvOperation> {
    let plain = KvOperation {
        wait_ms: 1_000,
        retries: 0,
        stall_ms: 0,
        tagged: false,
        dies: false,
        strong: false,
        burst: false,
        ..operation.clone()
    };
    let first = KvOperation { client: 0, key: 0, ..plain.clone() };
    let set = KvOperation { act: Act::Set, ..first.clone() };
    let set = if operation.act == Act::Get { first.clone() } else { set };
    let one = |change: &dyn Fn(&mut KvOperation)| {
        let mut other = operation.clone();
        change(&mut other);
        other
    };
    vec![
        set,
        first,
        plain,
        one(&|operation| operation.retries = 0),
        one(&|operation| operation.stall_ms = 0),
        one(&|operation| operation.tagged = false),
        one(&|operation| operation.dies = false),
        one(&|operation| operation.strong = false),
        one(&|operation| operation.burst = false),
        one(&|operation| operation.client = 0),
        one(&|operation| operation.key = 0),
    ]
}
