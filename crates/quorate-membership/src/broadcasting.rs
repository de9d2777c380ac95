//! Messages of users: each is told on by everybody, and reported by everybody once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use quorate_core::{Instant, NodeId, Outbox, mutant};

use crate::membership::Membership;
use crate::packet::Broadcast;
use crate::{Event, Output};

/// Those that are still told, and which were seen.
#[derive(Debug, Default)]
pub(crate) struct Broadcasts {
    /// The number of this node's own last one.
    last: u64,
    /// With how often each was told.
    pending: VecDeque<(Broadcast, u32)>,
    /// What was seen of each author in its latest life.
    seen: BTreeMap<NodeId, Seen>,
}

/// The numbers seen of one life of an author: all below `from`, and some above.
#[derive(Debug)]
struct Seen {
    boot: u64,
    from: u64,
    above: BTreeSet<u64>,
}

impl Broadcasts {
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub(crate) fn drop_all(&mut self) {
        self.pending.clear();
    }

    pub(crate) fn forget(&mut self, author: &NodeId) {
        self.seen.remove(author);
    }

    /// Adds one; `false` if there is no room, and the oldest had to go.
    fn push(&mut self, broadcast: Broadcast) -> bool {
        let fits = self.pending.len() < PENDING_MAX;
        if !fits {
            self.pending.pop_front();
        }
        self.pending.push_back((broadcast, 0));
        fits
    }

    /// Those to be told in one packet, the least told first; after `limit` times one is told no
    /// more. They take `room` bytes at most, but the first goes in any case: else a long one would
    /// wait for ever, and all behind it.
    pub(crate) fn take(&mut self, room: usize, limit: u32) -> Vec<Broadcast> {
        let mut taken: Vec<Broadcast> = Vec::new();
        let mut left = room;
        for _ in 0..self.pending.len() {
            let Some((broadcast, told)) = self.pending.pop_front() else { break };
            let bytes = broadcast.bytes();
            if bytes <= left || taken.is_empty() {
                left = left.saturating_sub(bytes);
                taken.push(broadcast.clone());
                if told + 1 < limit {
                    self.pending.push_back((broadcast, told + 1));
                }
            } else {
                // It comes first in the next packet.
                self.pending.push_front((broadcast, told));
                break;
            }
        }
        taken
    }

    /// Whether this one is new; if so it is known from now on.
    fn is_new(&mut self, broadcast: &Broadcast) -> bool {
        let boot = broadcast.boot.0;
        let fresh = || Seen { boot, from: 0, above: BTreeSet::new() };
        let seen = self.seen.entry(broadcast.from.clone()).or_insert_with(fresh);
        if seen.boot < boot {
            *seen = fresh();
        }
        let number = broadcast.number;
        let known = seen.boot > boot || number < seen.from || seen.above.contains(&number);
        if known {
            return mutant!("broadcast-told-twice");
        }
        seen.above.insert(number);
        loop {
            if seen.above.remove(&seen.from) {
                seen.from += 1;
            } else if let Some(first) = seen.above.first().filter(|_| seen.above.len() > WINDOW) {
                // What is missing for long was lost, and comes too late if it comes.
                seen.from = *first;
            } else {
                return true;
            }
        }
    }
}

impl Membership {
    /// Tells a message of this node's user to all.
    pub(crate) fn broadcast(&mut self, now: Instant, payload: Vec<u8>) {
        if payload.len() > Broadcast::BYTES_MAX || self.leaving.is_some() {
            self.counters.broadcasts_dropped += 1;
            return;
        }
        let number = self.broadcasts.last;
        self.broadcasts.last += 1;
        let (from, boot) = (self.me.clone(), self.boot);
        self.spread_broadcast(now, Broadcast { from, boot, number, payload });
    }

    fn spread_broadcast(&mut self, now: Instant, broadcast: Broadcast) {
        self.counters.broadcasts += 1;
        if !self.broadcasts.push(broadcast) {
            self.counters.broadcasts_dropped += 1;
        }
        self.agenda.gossip_by(now + self.config.gossip_interval);
    }

    /// Takes messages of users; those of unknown authors are dropped.
    pub(crate) fn hear_broadcasts(
        &mut self,
        now: Instant,
        broadcasts: Vec<Broadcast>,
        out: &mut Outbox<Output>,
    ) {
        for broadcast in broadcasts {
            // Only members have a say, so what is remembered of authors is bounded. The last words
            // of one that is gone may come after the news of that.
            let author = &broadcast.from;
            if *author == self.me || self.view.get(author).is_none() {
                continue;
            }
            if self.broadcasts.is_new(&broadcast) {
                let (from, payload) = (broadcast.from.clone(), broadcast.payload.clone());
                out.push(Output::Event(Event::Broadcast { from, payload }));
                self.spread_broadcast(now, broadcast);
            }
        }
    }
}

/// The most messages that are told at a time: 128 KiB.
const PENDING_MAX: usize = 256;

/// How many of one author may be missing behind the newest.
const WINDOW: usize = 256;
