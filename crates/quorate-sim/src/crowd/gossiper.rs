//! What a protocol must do to live in a crowd, and what it is given to do it with.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use quorate_core::{Instant, Rng};

/// One node of a membership protocol, without sockets and clocks.
///
/// Nodes are numbered from zero, in a crowd and in all that a node tells of others.
pub trait Gossiper: Sized {
    /// What all nodes of a crowd have in common.
    type Setting;

    /// Starts a node.
    fn start(setting: &Self::Setting, birth: Birth<'_>) -> Self;

    /// Makes all these nodes, of one crowd and in the order of their numbers, know each other, as
    /// if they had been together for long. What a port is given here is thrown away.
    fn introduce(setting: &Self::Setting, nodes: &mut [&mut Self], now: Instant);

    /// Something came.
    fn received(&mut self, now: Instant, came: Came<'_>, port: &mut Port);

    /// Lets time pass: does what is due.
    fn wake(&mut self, now: Instant, port: &mut Port);

    /// When [`wake`](Self::wake) is next wanted.
    fn deadline(&self) -> Option<Instant>;

    /// Leaves the crowd; [`Port::gone`] says when it is done.
    fn leave(&mut self, now: Instant, port: &mut Port);

    /// What it holds of `node` now; `None` if nothing, or if the protocol has no such thing.
    fn held(&self, node: u32) -> Option<Held>;

    /// Equal on two nodes exactly if they believe the same; `None` if the protocol has no such sum.
    fn sum(&self) -> Option<u64>;

    /// The most bytes of a datagram it may send.
    fn datagram_max(setting: &Self::Setting) -> usize;

    /// For how long a member must have been suspected before it may be declared dead.
    fn suspicion_min(setting: &Self::Setting) -> std::time::Duration;
}

/// What a node is told when it starts.
#[derive(Debug)]
pub struct Birth<'a> {
    /// Which node it is.
    pub node: u32,
    /// Of which cluster; nodes of different ones share the network and must never mix.
    pub cluster: u8,
    /// How often it has been started, from one on.
    pub boot: u64,
    /// Where it is.
    pub address: SocketAddr,
    /// Where it may find others.
    pub seeds: &'a [SocketAddr],
    /// Its dice.
    pub rng: Rng,
    /// The time.
    pub now: Instant,
}

/// What came, and how.
#[derive(Debug, Clone, Copy)]
pub struct Came<'a> {
    /// From where; it proves nothing.
    pub from: SocketAddr,
    /// By which way.
    pub over: Over,
    /// What.
    pub bytes: &'a [u8],
}

/// What a node believes of another, as it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Belief {
    /// It never heard of it, or forgot it.
    Unknown,
    /// It is a member and answers.
    Alive,
    /// It is a member and does not answer; this may be taken back.
    Unreachable,
    /// It is gone.
    Dead,
    /// It said goodbye.
    Left,
}

impl Belief {
    /// Whether it counts as a member.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Alive | Self::Unreachable)
    }
}

/// What a node holds of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// What it believes.
    pub belief: Belief,
    /// Of which of its lives.
    pub boot: u64,
    /// Of which of its words in that life.
    pub counter: u64,
}

/// By which way bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Fast, and maybe not at all.
    Datagram,
    /// A connection: slower, and again until it is through, if there is a way.
    Stream,
}

/// Where a node puts what it does in a step. Buffers are reused from step to step.
#[derive(Debug, Default)]
pub struct Port {
    pub(super) bytes: Vec<u8>,
    pub(super) sends: Vec<Send>,
    pub(super) news: Vec<(u32, Belief)>,
    pub(super) touched: Vec<u32>,
    pub(super) renamed: u64,
    pub(super) refused: u64,
    pub(super) gone: bool,
    pub(super) is_checked: bool,
    pub(super) busy_nanos: u64,
    pub(super) calls: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Send {
    pub(super) to: SocketAddr,
    pub(super) over: Over,
    /// Where its bytes end; they begin where those of the send before end.
    pub(super) end: usize,
}

impl Port {
    /// Sends what `write` appends to the buffer.
    pub fn send(&mut self, to: SocketAddr, over: Over, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.sends.push(Send { to, over, end: self.bytes.len() });
    }

    /// From now on the node believes this of `node`.
    pub fn news(&mut self, node: u32, belief: Belief) {
        self.news.push((node, belief));
    }

    /// What the node holds of `node` may have changed, though it believes the same.
    pub fn touched(&mut self, node: u32) {
        self.touched.push(node);
    }

    /// Whether [`Self::touched`] is of use: what nobody checks need not be looked for.
    #[must_use]
    pub const fn is_checked(&self) -> bool {
        self.is_checked
    }

    /// The node, which is alive and well, had to take on another identity to be believed.
    pub const fn renamed(&mut self) {
        self.renamed += 1;
    }

    /// Bytes that came could not be read, or were not for this node.
    pub const fn refused(&mut self) {
        self.refused += 1;
    }

    /// Whoever answers knows that the node leaves: its process may end.
    pub const fn gone(&mut self) {
        self.gone = true;
    }

    /// The node was busy for so long, in so many calls. A bench measures that; nothing in a crowd
    /// depends on it.
    pub const fn busy(&mut self, nanos: u64, calls: u64) {
        self.busy_nanos += nanos;
        self.calls += calls;
    }

    /// Empties it; the buffers keep their room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.sends.clear();
        self.news.clear();
        self.touched.clear();
        (self.renamed, self.refused, self.gone) = (0, 0, false);
        (self.busy_nanos, self.calls) = (0, 0);
    }
}

/// The address of that number. Node `n` of a crowd is first found at the address of number `n`.
#[must_use]
pub const fn address_of(number: u32) -> SocketAddr {
    let [_, a, b, c] = number.to_be_bytes();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, a, b, c)), PORT)
}

/// The number of that address; `None` if it is none of a crowd.
#[must_use]
pub const fn number_of(address: SocketAddr) -> Option<u32> {
    match address {
        SocketAddr::V4(v4) => match v4.ip().octets() {
            [10, a, b, c] if v4.port() == PORT => Some(u32::from_be_bytes([0, a, b, c])),
            _ => None,
        },
        SocketAddr::V6(_) => None,
    }
}

const PORT: u16 = 7946;
