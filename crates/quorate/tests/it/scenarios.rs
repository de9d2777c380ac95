//! Situations in which a node once went wrong.

use quorate::{Answer, NodeInput};
use quorate_core::Instant;
use quorate_replication::Config;

use crate::desk::{Desk, set};

#[test]
fn a_write_beside_a_snapshot_is_acknowledged_when_both_are_durable() {
    let mut node = Desk::with(&["a"], Config { compact_log_entries: 3, ..Config::default() });
    node.sync();
    node.pass(Instant::from_millis(2_000), true);
    let deadline = Instant::from_millis(9_000);
    node.ask(1, deadline, set("k", "v"));
    node.pass(Instant::from_millis(2_001), false);
    let first = node.written;
    node.ask(2, deadline, set("k", "w"));
    node.pass(Instant::from_millis(2_002), false);
    let second = node.written;
    // The first write commits, and the log is compacted up to it.
    node.handle(NodeInput::Persisted(first));
    node.pass(Instant::from_millis(2_003), false);
    assert!(node.written > second, "a snapshot is on its way behind the second write");
    // One sync makes both durable.
    node.sync();
    node.pass(Instant::from_millis(2_004), false);
    assert!(matches!(node.answers(2)[..], [Answer::Written { .. }]), "{:?}", node.answers(2));
}
