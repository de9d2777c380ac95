//! What waits to be sent to one peer.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;
use quorate_core::Lane;
use tokio::sync::Notify;

/// One queue per lane, each bounded by bytes; the most urgent lane leaves first.
#[derive(Debug)]
pub(crate) struct Lanes {
    waiting: Mutex<Waiting>,
    /// Told when something was added.
    added: Notify,
    limits: [usize; LANES],
}

#[derive(Debug, Default)]
struct Waiting {
    queues: [VecDeque<Bytes>; LANES],
    /// Invariant: the sum of [`cost`] over the queue of the same index.
    bytes: [usize; LANES],
}

impl Lanes {
    pub(crate) fn new(limits: [usize; LANES]) -> Self {
        Self { waiting: Mutex::default(), added: Notify::new(), limits }
    }

    /// Puts `message` at the end of its lane; `false` if the lane is full. An empty lane takes a
    /// message of any size, so that no message is undeliverable by the lane's limit.
    pub(crate) fn push(&self, lane: Lane, message: Bytes) -> bool {
        let lane = lane as usize;
        let mut waiting = self.waiting.lock();
        let after = waiting.bytes[lane] + cost(&message);
        if after > self.limits[lane] && !waiting.queues[lane].is_empty() {
            return false;
        }
        waiting.bytes[lane] = after;
        waiting.queues[lane].push_back(message);
        drop(waiting);
        self.added.notify_one();
        true
    }

    /// Moves messages into `taken`, the most urgent first, until they hold `room` bytes; at least
    /// one if any waits.
    pub(crate) fn take(&self, room: usize, taken: &mut Vec<Bytes>) {
        let mut waiting = self.waiting.lock();
        let Waiting { queues, bytes } = &mut *waiting;
        let mut used = 0;
        for (queue, bytes) in queues.iter_mut().zip(bytes) {
            while let Some(message) = queue.front() {
                if used > 0 && used + cost(message) > room {
                    return;
                }
                used += cost(message);
                *bytes -= cost(message);
                taken.extend(queue.pop_front());
            }
        }
    }

    /// Forgets everything and says how many messages that were, by lane.
    pub(crate) fn clear(&self) -> [u64; LANES] {
        let Waiting { queues, .. } = std::mem::take(&mut *self.waiting.lock());
        queues.map(|queue| queue.len() as u64)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.lock().queues.iter().all(VecDeque::is_empty)
    }

    /// Returns once something waits. Cancel-safe: a notification that is not used stays stored.
    pub(crate) async fn filled(&self) {
        while self.is_empty() {
            self.added.notified().await;
        }
    }
}

/// How many lanes there are.
pub(crate) const LANES: usize = Lane::ALL.len();

/// What a message counts as: its bytes and a fixed share, so that empty ones are bounded too.
const fn cost(message: &Bytes) -> usize {
    const SHARE: usize = 64;
    message.len() + SHARE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(first: u8, len: usize) -> Bytes {
        let mut bytes = vec![first; len];
        bytes[0] = first;
        bytes.into()
    }

    #[test]
    fn the_most_urgent_lane_leaves_first_and_each_in_order() {
        let lanes = Lanes::new([10_000; LANES]);
        for (n, lane) in Lane::ALL.into_iter().rev().enumerate() {
            assert!(lanes.push(lane, message(10 * n as u8, 10)));
            assert!(lanes.push(lane, message(10 * n as u8 + 1, 10)));
        }
        let mut taken = Vec::new();
        lanes.take(usize::MAX, &mut taken);
        let order: Vec<u8> = taken.iter().map(|message| message[0]).collect();
        assert_eq!(order, [40, 41, 30, 31, 20, 21, 10, 11, 0, 1]);
        assert!(lanes.is_empty());
    }

    #[test]
    fn a_full_lane_drops_the_newest_and_leaves_the_others_alone() {
        let lanes = Lanes::new([1_000; LANES]);
        assert!(lanes.push(Lane::Live, message(1, 600)));
        assert!(!lanes.push(Lane::Live, message(2, 600)));
        assert!(lanes.push(Lane::Urgent, message(3, 600)));
        // An oversized message passes an empty lane, else it could never leave.
        assert!(lanes.push(Lane::Snapshot, message(4, 5_000)));
        assert!(!lanes.push(Lane::Snapshot, message(5, 1)));
        assert_eq!(lanes.clear(), [1, 0, 1, 0, 1]);
        assert!(lanes.push(Lane::Live, message(6, 600)));
    }

    #[test]
    fn one_write_takes_a_bounded_share() {
        let lanes = Lanes::new([100_000; LANES]);
        for n in 0..10 {
            assert!(lanes.push(Lane::Live, message(n, 1_000)));
        }
        let mut taken = Vec::new();
        lanes.take(3_500, &mut taken);
        assert_eq!(taken.len(), 3);
        taken.clear();
        lanes.take(1, &mut taken);
        assert_eq!(taken.len(), 1, "one at least");
    }
}
