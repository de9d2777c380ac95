//! What the transport counts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use quorate_core::{Clock, Instant, Lane};

use super::lanes::LANES;
use crate::BootClock;

/// A picture of the transport's counters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TransportStats {
    /// Live connections that we dialled and that were welcomed.
    pub outbound: u64,
    /// Live connections that others dialled, those in their handshake included.
    pub inbound: u64,
    /// What was turned away, by reason: frames and connections that broke a rule.
    pub rejected_frames: BTreeMap<&'static str, u64>,
    /// Messages dropped unsent, by lane: the lane was full, or the connection was lost.
    pub dropped: BTreeMap<Lane, u64>,
    /// Messages sent over TCP.
    pub messages_sent: u64,
    /// Messages received over TCP.
    pub messages_received: u64,
    /// Bytes sent over TCP, frames included.
    pub bytes_sent: u64,
    /// Bytes received over TCP, frames included.
    pub bytes_received: u64,
    /// Streams of packets that are open, whoever dialled them.
    pub streams: u64,
    /// Packets sent over streams.
    pub stream_packets_sent: u64,
    /// Packets received over streams that were well formed.
    pub stream_packets_received: u64,
    /// Packets for streams dropped, or received and dropped, because a queue was full or there was
    /// no connection.
    pub stream_packets_dropped: u64,
    /// Bytes of packets sent over streams, frames included.
    pub stream_bytes_sent: u64,
    /// Bytes of packets received over streams, frames not included.
    pub stream_bytes_received: u64,
    /// Bytes of datagrams sent, without the headers of UDP and IP.
    pub datagram_bytes_sent: u64,
    /// Bytes of datagrams received that were well formed.
    pub datagram_bytes_received: u64,
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Datagrams received that were well formed.
    pub datagrams_received: u64,
    /// Datagrams dropped, incoming or outgoing, because a queue was full.
    pub datagrams_dropped: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) outbound: AtomicU64,
    pub(crate) inbound: AtomicU64,
    pub(crate) messages_sent: AtomicU64,
    pub(crate) messages_received: AtomicU64,
    pub(crate) bytes_sent: AtomicU64,
    pub(crate) bytes_received: AtomicU64,
    pub(crate) streams: AtomicU64,
    pub(crate) stream_packets_sent: AtomicU64,
    pub(crate) stream_packets_received: AtomicU64,
    pub(crate) stream_packets_dropped: AtomicU64,
    pub(crate) stream_bytes_sent: AtomicU64,
    pub(crate) stream_bytes_received: AtomicU64,
    pub(crate) datagram_bytes_sent: AtomicU64,
    pub(crate) datagram_bytes_received: AtomicU64,
    pub(crate) datagrams_sent: AtomicU64,
    pub(crate) datagrams_received: AtomicU64,
    pub(crate) datagrams_dropped: AtomicU64,
    dropped: [AtomicU64; LANES],
    /// Invariant: keys are the fixed texts of this crate, so a peer cannot make it grow.
    rejected: Mutex<BTreeMap<&'static str, Rule>>,
}

impl Counters {
    pub(crate) fn dropped(&self, lane: Lane, messages: u64) {
        self.dropped[lane as usize].fetch_add(messages, Ordering::Relaxed);
    }

    /// Counts a broken rule; `true` if it is time to tell of this rule again. Tells the log then.
    pub(crate) fn rejected(&self, from: &dyn fmt::Display, why: &'static str) -> bool {
        let now = BootClock.now();
        let mut rejected = self.rejected.lock();
        let rule = rejected.entry(why).or_default();
        rule.count += 1;
        let tell = rule.told.is_none_or(|told| now - told >= TELL_EVERY);
        if tell {
            rule.told = Some(now);
            drop(rejected);
            tracing::debug!(name: "transport.rejected", %from, why, "rejected");
        }
        tell
    }

    pub(crate) fn snapshot(&self) -> TransportStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let rejected = self.rejected.lock();
        TransportStats {
            outbound: read(&self.outbound),
            inbound: read(&self.inbound),
            rejected_frames: rejected.iter().map(|(why, rule)| (*why, rule.count)).collect(),
            dropped: Lane::ALL.into_iter().zip(self.dropped.iter().map(read)).collect(),
            messages_sent: read(&self.messages_sent),
            messages_received: read(&self.messages_received),
            bytes_sent: read(&self.bytes_sent),
            bytes_received: read(&self.bytes_received),
            streams: read(&self.streams),
            stream_packets_sent: read(&self.stream_packets_sent),
            stream_packets_received: read(&self.stream_packets_received),
            stream_packets_dropped: read(&self.stream_packets_dropped),
            stream_bytes_sent: read(&self.stream_bytes_sent),
            stream_bytes_received: read(&self.stream_bytes_received),
            datagram_bytes_sent: read(&self.datagram_bytes_sent),
            datagram_bytes_received: read(&self.datagram_bytes_received),
            datagrams_sent: read(&self.datagrams_sent),
            datagrams_received: read(&self.datagrams_received),
            datagrams_dropped: read(&self.datagrams_dropped),
        }
    }
}

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Ordering::Relaxed);
}

/// Counts one thing for as long as it lives.
#[derive(Debug)]
pub(crate) struct Live<'a>(&'a AtomicU64);

impl<'a> Live<'a> {
    pub(crate) fn new(counter: &'a AtomicU64) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How often one broken rule was counted, and when it was last told of.
#[derive(Debug, Default)]
struct Rule {
    count: u64,
    told: Option<Instant>,
}

/// One line and one event per rule: garbage costs a counter, never a full log.
const TELL_EVERY: Duration = Duration::from_secs(1);
