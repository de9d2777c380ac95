//! One exchange of messages, the same in every simulator.
//!
//! Each node pings each other one in a fixed rhythm, and answers every ping with a pong. What a
//! node does is written once, here; a simulator adds the timer and the socket. What counts as an
//! event is counted here too, by the nodes: a message that came and a timer that rang. What a
//! simulator does besides is its own affair.

#[cfg(madsim)]
mod in_madsim;
#[cfg(not(madsim))]
mod in_quorate;
#[cfg(not(madsim))]
mod in_turmoil;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quorate_core::ClusterId;
use quorate_wire::{FrameKind, Versions, decode_frame, encode_frame};
use serde::{Deserialize, Serialize};

#[cfg(madsim)]
pub(crate) use in_madsim::run as in_madsim;
#[cfg(not(madsim))]
pub(crate) use {in_quorate::run as in_quorate, in_turmoil::run as in_turmoil};

/// How many nodes take part.
pub(crate) const NODES: u8 = 5;

/// The mean delay of a message.
const LATENCY: Duration = Duration::from_millis(1);

/// Messages that are lost, of all.
const LOSS: f64 = 0.01;

/// What may differ between two runs of the exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// The time between two pings of a node to the same other one.
    pub(crate) every: Duration,
    /// How often a node pings.
    pub(crate) times: u32,
    pub(crate) seed: u64,
}

impl Setting {
    /// How long it takes, in simulated time: the last pings are answered too.
    pub(crate) fn lasting(&self) -> Duration {
        self.every * self.times + Duration::from_millis(100)
    }
}

/// What the nodes of a run counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Timers that rang.
    pub(crate) woken: u64,
    /// Pings sent.
    pub(crate) pings: u64,
    /// Pings that came; so many pongs were sent.
    pub(crate) pings_heard: u64,
    /// Pongs that came.
    pub(crate) pongs_heard: u64,
}

impl Tally {
    /// Messages that came and timers that rang.
    pub(crate) const fn events(&self) -> u64 {
        self.woken + self.pings_heard + self.pongs_heard
    }

    /// The share of messages that did not come.
    pub(crate) fn loss(&self) -> f64 {
        let (sent, heard) = (self.pings + self.pings_heard, self.pings_heard + self.pongs_heard);
        1.0 - heard as f64 / sent as f64
    }
}

/// Counts for all nodes of a run.
#[derive(Debug, Default)]
struct Counters {
    woken: AtomicU64,
    pings: AtomicU64,
    pings_heard: AtomicU64,
    pongs_heard: AtomicU64,
}

impl Counters {
    fn tally(&self) -> Tally {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Tally {
            woken: read(&self.woken),
            pings: read(&self.pings),
            pings_heard: read(&self.pings_heard),
            pongs_heard: read(&self.pongs_heard),
        }
    }
}

/// Adds one. Atomic because one simulator wants its nodes to be `Send`, yet in two steps: a run has
/// one thread, and a locked instruction would weigh on the fastest.
fn count(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// What a node does, whichever simulator it lives in.
#[derive(Debug, Clone)]
struct Node {
    counters: Arc<Counters>,
    round: u64,
}

impl Node {
    const fn new(counters: Arc<Counters>) -> Self {
        Self { counters, round: 0 }
    }

    /// The timer rang: it is time to ping all others.
    fn wake(&mut self) {
        count(&self.counters.woken);
        self.round += 1;
    }

    /// The ping to another node, written to the empty buffer `out`.
    fn ping(&self, out: &mut Vec<u8>) {
        count(&self.counters.pings);
        let mut content = [0x5a; CONTENT_BYTES];
        content[..8].copy_from_slice(&self.round.to_le_bytes());
        Note { word: Word::Ping, content }.encode(out);
    }

    /// Takes a message; returns the answer it wants.
    fn hear(&self, bytes: &[u8]) -> Option<Note> {
        let note = Note::decode(bytes);
        match note.word {
            Word::Ping => {
                count(&self.counters.pings_heard);
                Some(Note { word: Word::Pong, ..note })
            }
            Word::Pong => {
                count(&self.counters.pongs_heard);
                None
            }
        }
    }
}

/// A message: as a frame of quorate's wire it has 64 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    word: Word,
    /// Bytes at a stretch, as what travels in quorate's own messages: number by number they would
    /// cost more than anything else in the exchange.
    #[serde(with = "serde_bytes")]
    content: [u8; CONTENT_BYTES],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Word {
    Ping,
    Pong,
}

impl Note {
    /// Writes it to the empty buffer `out`.
    fn encode(&self, out: &mut Vec<u8>) {
        encode_frame(FrameKind::Datagram, CLUSTER, self, out).expect("it fits into a datagram");
    }

    fn decode(bytes: &[u8]) -> Self {
        let frame =
            decode_frame(bytes, CLUSTER, Versions::SUPPORTED).expect("messages are lost whole");
        frame.read().expect("nobody else sends")
    }
}

/// Only the messages of a run, encoded and decoded without a simulator: what every simulator spends
/// on them too. Counts what a run without loss would.
pub(crate) fn without_simulator(setting: &Setting) -> Tally {
    let counters = Arc::new(Counters::default());
    let mut node = Node::new(Arc::clone(&counters));
    let (mut there, mut back) = (Vec::new(), Vec::new());
    for _ in 0..setting.times * u32::from(NODES) {
        node.wake();
        for _ in 1..NODES {
            there.clear();
            node.ping(&mut there);
            back.clear();
            if let Some(pong) = node.hear(black_box(&there)) {
                pong.encode(&mut back);
            }
            node.hear(black_box(&back));
        }
    }
    counters.tally()
}

const CLUSTER: ClusterId = ClusterId(7);

/// Room for a frame, in bytes.
const FRAME_BYTES: usize = 64;

/// What fills the frame: 24 bytes are its head, 2 say which word follows and how long it is.
const CONTENT_BYTES: usize = 38;

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Setting = Setting { every: Duration::from_millis(10), times: 2_000, seed: 3 };

    /// Every node pings as often as it should, almost all of it comes, and again with the same seed.
    fn check(run: fn(&Setting) -> Tally) {
        let tally = run(&SHORT);
        let woken = u64::from(SHORT.times) * u64::from(NODES);
        assert_eq!((tally.woken, tally.pings), (woken, woken * u64::from(NODES - 1)));
        assert!((0.008..0.012).contains(&tally.loss()), "{} lost: {tally:?}", tally.loss());
        let answered = tally.pongs_heard as f64 / tally.pings_heard as f64;
        assert!((0.985..0.995).contains(&answered), "{answered} answered: {tally:?}");
        assert_eq!(run(&SHORT), tally);
        assert_ne!(run(&Setting { seed: 4, ..SHORT }), tally);
    }

    #[cfg(not(madsim))]
    #[test]
    fn the_exchange_happens_in_quorate() {
        check(in_quorate);
    }

    #[cfg(not(madsim))]
    #[test]
    fn the_exchange_happens_in_turmoil() {
        check(in_turmoil);
    }

    #[cfg(madsim)]
    #[test]
    fn the_exchange_happens_in_madsim() {
        check(in_madsim);
    }

    #[test]
    fn the_exchange_without_a_simulator_loses_nothing() {
        let tally = without_simulator(&SHORT);
        assert_eq!(tally.loss(), 0.0);
        assert_eq!(tally.events(), 2_000 * 5 * 9);
    }

    #[test]
    fn a_message_has_64_bytes() {
        let mut bytes = Vec::new();
        let note = Note { word: Word::Ping, content: [255; CONTENT_BYTES] };
        note.encode(&mut bytes);
        assert_eq!(bytes.len(), FRAME_BYTES);
        assert_eq!(Note::decode(&bytes), note);
    }
}
