//! When operations took effect: known only once all answers are.

use std::collections::BTreeMap;

use quorate_lin::{Budget, Register, Verdict};

use super::clients::KvHistory;
use crate::{TraceEvent, TraceKind};

/// The moment of each operation in an order that explains the answers; where there is none, the
/// longest one, and the operation that fits into no order.
pub(super) fn hindsight(history: &KvHistory, trace: &[TraceEvent]) -> Vec<TraceEvent> {
    let began = began(trace);
    let operations = history.operations();
    let mut budget = Budget::steps(LIN_STEPS);
    let mut events = Vec::new();
    let mut tell = |order: &[usize]| {
        let mut at = 0;
        for (place, operation) in order.iter().enumerate() {
            // As late as the latest of those before it began, as early as it itself began.
            at = began.get(&(*operation as u64)).copied().unwrap_or(at).max(at);
            let what = TraceKind::TookEffect {
                operation: *operation as u64,
                order: place as u64 + 1,
                object: format!("k{}", operations[*operation].key),
            };
            events.push(TraceEvent { at, what });
        }
    };
    match quorate_lin::check(&Register::new(), history, &mut budget) {
        Verdict::Linearizable(witness) => witness.orders().iter().for_each(|order| tell(order)),
        Verdict::NotLinearizable(example) => {
            tell(&example.order);
            let operation = example.illegal as u64;
            let ended = |event: &&TraceEvent| matches!(event.what, TraceKind::Ended { operation: ended, .. } if ended == operation);
            let at = trace.iter().find(ended).map_or(0, |event| event.at);
            let what = TraceKind::NoOrder { operation, object: format!("k{}", example.key) };
            events.push(TraceEvent { at, what });
        }
        Verdict::Undecided(_) => {}
    }
    events
}

/// When each operation began.
fn began(trace: &[TraceEvent]) -> BTreeMap<u64, u64> {
    let began = trace.iter().filter_map(|event| match event.what {
        TraceKind::Began { operation, .. } => Some((operation, event.at)),
        _ => None,
    });
    began.collect()
}

/// Work for the checker: a trace is looked at once.
const LIN_STEPS: u64 = 3_000_000;
