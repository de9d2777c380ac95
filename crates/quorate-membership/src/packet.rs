//! What travels between members, and how many bytes it takes.

use quorate_core::{BootEpoch, ClusterId, NodeId};
use serde::{Deserialize, Serialize};

use crate::claim::{Incarnation, Info, Protocol, Tags, Update};
use crate::coordinate::Coordinate;
use crate::view::{PARTS, short_hash, text_hash};

/// One packet: who speaks, what for, and claims about members that ride along.
///
/// It begins with its version, in every version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// The version of this format.
    pub version: u8,
    /// The hash of the cluster's name: clusters of different names never mix.
    #[serde(with = "crate::raw")]
    pub name: u32,
    /// The hash of the sender's cluster; zero until that is born. Claims carry the whole of it.
    #[serde(with = "crate::raw")]
    pub cluster: u32,
    /// The sender.
    pub from: NodeId,
    /// The sender's incarnation.
    pub incarnation: Incarnation,
    /// The hash of the sender's view: equal views, equal hashes.
    #[serde(with = "crate::raw")]
    pub view: u64,
    /// What it wants.
    pub body: Body,
    /// What it tells by the way.
    pub updates: Vec<Update>,
}

/// What a packet wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// Here I am; who is there? Needs no knowledge of the receiver.
    Announce {
        /// To be repeated in the answer.
        #[serde(with = "crate::raw")]
        seq: u32,
        /// The sender's process: an announce that comes back from a seed which is the sender
        /// itself is told from that of another process with its id. Nobody else reads it.
        #[serde(with = "crate::raw")]
        instance: u64,
        /// The digest of the sender's seed list; zero if it has none.
        #[serde(with = "crate::raw")]
        seeds: u64,
        /// The sender's cluster.
        cluster: ClusterId,
    },
    /// The answer to an announce.
    Welcome {
        /// That of the announce.
        #[serde(with = "crate::raw")]
        seq: u32,
        /// The digest of the sender's seed list; zero if it has none.
        #[serde(with = "crate::raw")]
        seeds: u64,
        /// The sender's cluster.
        cluster: ClusterId,
    },
    /// Are you there?
    Ping {
        /// To be repeated in the answer.
        #[serde(with = "crate::raw")]
        seq: u32,
        /// The hash of who is meant: another node at the same address must not answer.
        #[serde(with = "crate::raw")]
        target: u32,
    },
    /// I am; or, from a relay or an observer, the one you asked for is.
    Ack {
        /// That of the ping or of the request.
        #[serde(with = "crate::raw")]
        seq: u32,
    },
    /// As [`Ack`](Self::Ack), now and then, with the place of the sender.
    AckAt {
        /// That of the ping.
        #[serde(with = "crate::raw")]
        seq: u32,
        /// Where the sender is.
        coordinate: Coordinate,
    },
    /// Ping `target` for me, once.
    PingReq {
        /// To be repeated in the answer.
        #[serde(with = "crate::raw")]
        seq: u32,
        /// Who is to be pinged, at the address the relay knows.
        target: NodeId,
    },
    /// I do not reach `target`: do you? Answered with [`Ack`](Self::Ack) or [`Nack`](Self::Nack).
    Observe {
        /// To be repeated in the answer.
        #[serde(with = "crate::raw")]
        seq: u32,
        /// Who is to be pinged, at the address the observer knows.
        target: NodeId,
    },
    /// I pinged it and have no answer. From a relay it shows that the relay and the way to it are
    /// well; from an observer it is a vote.
    Nack {
        /// That of the request.
        #[serde(with = "crate::raw")]
        seq: u32,
    },
    /// Nothing: only claims, and what users have to say.
    Gossip {
        /// Messages of users.
        broadcasts: Vec<Broadcast>,
    },
    /// Our views differ; here is mine in 64 sums. Show me yours where they differ.
    Digest {
        /// The hash of each part of the view; always 64.
        parts: Vec<Sum>,
    },
    /// Show me these parts of your view.
    Pull {
        /// One bit for each part.
        #[serde(with = "crate::raw")]
        parts: u64,
    },
    /// A page of my view.
    Page {
        /// The parts that were asked for and would have been too much at once: pull them next.
        #[serde(with = "crate::raw")]
        left: u64,
    },
    /// The answer to the announce of a node of another cluster, or of another cluster name, or that
    /// speaks another version: its operator should know.
    Foreign {
        /// The name of the sender's cluster.
        name: String,
        /// What the sender reads.
        protocol: Protocol,
    },
    /// The answer to the announce of a node whose id another process has, which answers.
    Refused {
        /// That of the announce.
        #[serde(with = "crate::raw")]
        seq: u32,
        /// Where the other one is.
        holder: String,
    },
}

/// The hash of one part of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum(#[serde(with = "crate::raw")] pub u64);

/// A message of a user to all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broadcast {
    /// Who said it.
    pub from: NodeId,
    /// In which life.
    pub boot: BootEpoch,
    /// The how manieth it was.
    pub number: u64,
    /// What; at most [`Self::BYTES_MAX`].
    #[serde(with = "serde_bytes")]
    pub payload: Vec<u8>,
}

impl Broadcast {
    /// The longest payload, in bytes.
    pub const BYTES_MAX: usize = 512;

    pub(crate) fn bytes(&self) -> usize {
        let payload = number(self.payload.len() as u64) + self.payload.len();
        text(self.from.as_str()) + number(self.boot.0) + number(self.number) + payload
    }
}

/// What a packet is sent for: whose bytes it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Pings, answers, and help with them.
    Probe,
    /// News of members, and messages of users.
    Gossip,
    /// Comparing views.
    Sync,
    /// Looking for others, and answering those who do.
    Join,
}

impl Packet {
    /// The version that this crate speaks.
    pub const VERSION: u8 = 1;
    /// The most bytes of an encoded packet, so that under a key and with all headers it fits every
    /// link (IPv6 guarantees 1,280) and no datagram is ever cut.
    pub const BYTES_MAX: usize = 1_180;

    /// What [`name`](Self::name) is for a cluster of that name.
    #[must_use]
    pub fn name_hash(cluster: &str) -> u32 {
        (text_hash(cluster) >> 32) as u32
    }

    /// How many bytes the packet takes in the encoding of `quorate-wire`. O(updates).
    #[must_use]
    pub fn bytes(&self) -> usize {
        let Self { version: _, name: _, cluster: _, from, incarnation, view: _, body, updates } =
            self;
        let head = 1 + 4 + 4 + text(from.as_str()) + incarnation.bytes() + 8;
        let updates: usize =
            number(updates.len() as u64) + updates.iter().map(Update::bytes).sum::<usize>();
        head + body.bytes() + updates
    }

    /// Whether an honest node could have sent it.
    pub(crate) fn is_sound(&self) -> bool {
        // A node sends no more than it would accept, so one bound guards both directions.
        self.bytes() <= Self::BYTES_MAX
            && self.incarnation.counter <= Incarnation::COUNTER_MAX
            && self.updates.iter().all(Update::is_sound)
            && self.body.is_sound()
    }
}

impl Body {
    /// A ping for `target`.
    #[must_use]
    pub fn ping(seq: u32, target: &NodeId) -> Self {
        Self::Ping { seq, target: short_hash(target) }
    }

    /// What it is sent for.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Ping { .. }
            | Self::Ack { .. }
            | Self::AckAt { .. }
            | Self::PingReq { .. }
            | Self::Observe { .. }
            | Self::Nack { .. } => Class::Probe,
            Self::Gossip { .. } => Class::Gossip,
            Self::Digest { .. } | Self::Pull { .. } | Self::Page { .. } => Class::Sync,
            Self::Announce { .. }
            | Self::Welcome { .. }
            | Self::Foreign { .. }
            | Self::Refused { .. } => Class::Join,
        }
    }

    fn is_sound(&self) -> bool {
        match self {
            Self::Digest { parts } => parts.len() == PARTS,
            Self::AckAt { coordinate, .. } => coordinate.is_sound(),
            Self::Gossip { broadcasts } => broadcasts
                .iter()
                .all(|said| said.payload.len() <= Broadcast::BYTES_MAX && said.number < u64::MAX),
            _ => true,
        }
    }

    fn bytes(&self) -> usize {
        const SEQ: usize = 4;
        1 + match self {
            Self::Announce { cluster, .. } => SEQ + 8 + 8 + wide(cluster.0),
            Self::Welcome { cluster, .. } => SEQ + 8 + wide(cluster.0),
            Self::Ping { .. } => SEQ + 4,
            Self::PingReq { target, .. } | Self::Observe { target, .. } => {
                SEQ + text(target.as_str())
            }
            Self::Ack { .. } | Self::Nack { .. } => SEQ,
            Self::AckAt { coordinate, .. } => SEQ + coordinate.bytes(),
            Self::Gossip { broadcasts } => {
                let each = broadcasts.iter().map(Broadcast::bytes);
                number(broadcasts.len() as u64) + each.sum::<usize>()
            }
            Self::Digest { parts } => number(parts.len() as u64) + 8 * parts.len(),
            Self::Pull { .. } | Self::Page { .. } => 8,
            Self::Foreign { name, protocol } => text(name) + protocol.bytes(),
            Self::Refused { holder, .. } => SEQ + text(holder),
        }
    }
}

impl Update {
    pub(crate) fn bytes(&self) -> usize {
        let accusation = self.accusation.map_or(1, |_| 1 + 4 + 1);
        text(self.id.as_str()) + 1 + small(self.gone_secs) + accusation + self.info.bytes()
    }
}

impl Info {
    fn bytes(&self) -> usize {
        self.incarnation.bytes() + text(&self.address) + self.tags.bytes() + self.protocol.bytes()
    }
}

impl Protocol {
    #[expect(clippy::unused_self, reason = "it reads like its neighbours")]
    const fn bytes(self) -> usize {
        3
    }
}

impl Incarnation {
    const fn bytes(self) -> usize {
        number(self.boot.0) + number(self.counter)
    }
}

impl Tags {
    fn bytes(&self) -> usize {
        let extra: usize = self.extra.iter().map(|(key, value)| text(key) + text(value)).sum();
        let count = number(self.extra.len() as u64);
        let texts = text(&self.api_address) + text(&self.zone);
        2 + texts + wide(self.cluster.0) + 1 + count + extra + small(self.version)
    }
}

const fn text(text: &str) -> usize {
    number(text.len() as u64) + text.len()
}

const fn small(value: u32) -> usize {
    number(value as u64)
}

const fn number(value: u64) -> usize {
    match value {
        0..=250 => 1,
        251..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

const fn wide(value: u128) -> usize {
    if value > u64::MAX as u128 { 17 } else { number(value as u64) }
}
