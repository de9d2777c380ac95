//! The harness's clock.

use std::time::{Duration, Instant};

/// The time now.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the harness watches real processes")]
pub fn now() -> Instant {
    Instant::now()
}

/// Asks `condition` until it yields something; `None` after `deadline`.
///
/// The pause between two questions is short against any process's start and long against a
/// question.
#[expect(clippy::disallowed_methods, reason = "a pause between two questions, not a wait")]
pub fn wait_until<T>(deadline: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let end = now() + deadline;
    loop {
        if let Some(found) = condition() {
            return Some(found);
        }
        if now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Looks again and again for as long as `period`, a few times a second. For what must not happen:
/// a machine that is too busy sees less, and never wrongly.
pub fn watch(period: Duration, mut look: impl FnMut()) {
    let end = now() + period;
    while now() < end {
        look();
        wait_until(LOOK_EVERY, || None::<()>);
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(200);
