//! What travels between members, and how many bytes it takes.

use quorate_core::{ClusterId, NodeId};
use serde::{Deserialize, Serialize};

use crate::claim::{Incarnation, Info, Tags, Update};

/// One datagram: who speaks, what for, and claims about members that ride along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// The version of this format.
    pub version: u8,
    /// The hash of the cluster's name: clusters of different names never mix.
    pub name: u64,
    /// The sender's cluster; [`ClusterId::NONE`] until that is born.
    pub cluster: ClusterId,
    /// The sender.
    pub from: NodeId,
    /// The sender's incarnation.
    pub incarnation: Incarnation,
    /// The hash of the sender's view: equal views, equal hashes.
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
        seq: u32,
        /// The sender's process: an announce that comes back from a seed which is the sender
        /// itself is told from that of another process with its id. Nobody else reads it.
        instance: u64,
        /// The digest of the sender's seed list; zero if it has none.
        seeds: u64,
    },
    /// The answer to an announce.
    Welcome {
        /// That of the announce.
        seq: u32,
        /// The digest of the sender's seed list; zero if it has none.
        seeds: u64,
    },
    /// Are you there, `target`?
    Ping {
        /// To be repeated in the answer.
        seq: u32,
        /// Who is meant: another node at the same address must not answer.
        target: NodeId,
    },
    /// I am; or, from a relay, the one you asked for is.
    Ack {
        /// That of the ping or of the request.
        seq: u32,
    },
    /// Ping `target` for me.
    PingReq {
        /// To be repeated in the answer.
        seq: u32,
        /// Who is to be pinged, at the address the relay knows.
        target: NodeId,
    },
    /// I pinged it and have no answer yet. Shows that the relay and the way to it are well.
    Nack {
        /// That of the request.
        seq: u32,
    },
    /// Nothing: only claims.
    Gossip,
    /// Our views differ; here is mine in 64 sums. Show me yours where they differ.
    Digest {
        /// The hash of each part of the view; always 64.
        parts: Vec<u64>,
    },
    /// Show me these parts of your view.
    Pull {
        /// One bit for each part.
        parts: u64,
    },
    /// The answer to the announce of a node of another cluster, or of another cluster name: its
    /// operator should know.
    Foreign {
        /// The name of the sender's cluster.
        name: String,
    },
    /// A page of my view.
    Page {
        /// The parts that were asked for and would have been too much at once: pull them next.
        left: u64,
    },
}

impl Packet {
    /// The version that this crate speaks.
    pub const VERSION: u8 = 1;
    /// The most bytes of an encoded packet, so that with all headers it fits every link (IPv6
    /// guarantees 1,280) and no datagram is ever cut.
    pub const BYTES_MAX: usize = 1_200;

    /// How many bytes the packet takes in the encoding of `quorate-wire`. O(updates).
    #[must_use]
    pub fn bytes(&self) -> usize {
        let Self { version: _, name, cluster, from, incarnation, view, body, updates } = self;
        let head = 1 + number(*name) + wide(cluster.0) + text(from.as_str());
        let updates: usize =
            number(updates.len() as u64) + updates.iter().map(Update::bytes).sum::<usize>();
        head + incarnation.bytes() + number(*view) + body.bytes() + updates
    }

    /// Whether an honest node could have sent it.
    pub(crate) fn is_sound(&self) -> bool {
        // A node sends no more than it would accept, so one bound guards both directions.
        self.bytes() <= Self::BYTES_MAX
            && self.incarnation.counter <= Incarnation::COUNTER_MAX
            && self.updates.iter().all(Update::is_sound)
            && match &self.body {
                Body::Digest { parts } => parts.len() == crate::view::PARTS,
                _ => true,
            }
    }
}

impl Body {
    fn bytes(&self) -> usize {
        1 + match self {
            Self::Announce { seq, instance, seeds } => {
                small(*seq) + number(*instance) + number(*seeds)
            }
            Self::Welcome { seq, seeds } => small(*seq) + number(*seeds),
            Self::Ping { seq, target } | Self::PingReq { seq, target } => {
                small(*seq) + text(target.as_str())
            }
            Self::Ack { seq } | Self::Nack { seq } => small(*seq),
            Self::Gossip => 0,
            Self::Digest { parts } => {
                number(parts.len() as u64) + parts.iter().map(|part| number(*part)).sum::<usize>()
            }
            Self::Pull { parts } => number(*parts),
            Self::Foreign { name } => text(name),
            Self::Page { left } => number(*left),
        }
    }
}

impl Update {
    pub(crate) fn bytes(&self) -> usize {
        text(self.id.as_str()) + 1 + small(self.gone_secs) + self.info.bytes()
    }
}

impl Info {
    fn bytes(&self) -> usize {
        self.incarnation.bytes() + text(&self.address) + self.tags.bytes()
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
        2 + text(&self.api_address) + text(&self.zone) + wide(self.cluster.0) + count + extra
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
