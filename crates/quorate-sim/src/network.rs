//! What becomes of a message between two nodes.

use quorate_core::Rng;

use crate::{FaultKind, Harm, Latency, Seat, SeatSet};

/// A stream from one node to another, as its sender sees it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stream {
    /// Rises with every connection and every loss, so that late news of an older one is told apart.
    pub(crate) number: u32,
    pub(crate) is_up: bool,
    /// The life of the process at the other end.
    pub(crate) life: u32,
    /// Its receiver has let go of it, and its sender does not know.
    pub(crate) is_half: bool,
}

/// The directed link between two nodes.
#[derive(Debug, Clone)]
struct Link {
    latency: Latency,
    loss: u32,
    /// How many messages may be on the way at once.
    room: u32,
    in_flight: u32,
    /// When the message sent last arrives: streams keep their order.
    last: u64,
}

/// What the network does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Lost,
    /// Kept until the partition ends.
    Held,
    Arrives {
        at: u64,
        again: Option<u64>,
    },
}

/// All links, and the faults on them.
#[derive(Debug)]
pub(crate) struct Network {
    nodes: usize,
    base: Latency,
    links: Vec<Link>,
    pub(crate) streams: Vec<Stream>,
    /// For each sender, whom it cannot reach.
    blocked: Vec<SeatSet>,
    /// Whether what is sent into a partition arrives after its end.
    pub(crate) holds: bool,
    /// Nodes that no request reaches, and nodes that no answer leaves.
    pub(crate) clients_in: SeatSet,
    pub(crate) clients_out: SeatSet,
    pub(crate) reorder: Option<(u32, u64)>,
    pub(crate) copies: Option<(u32, u64)>,
    pub(crate) corrupt: Option<(u32, Harm)>,
    /// Nodes whose messages wait, and nodes to which they wait.
    pub(crate) clogged_from: SeatSet,
    pub(crate) clogged_to: SeatSet,
    latency_rng: Rng,
    loss_rng: Rng,
    order_rng: Rng,
    copies_rng: Rng,
    datagrams_rng: Rng,
    harm_rng: Rng,
}

impl Network {
    pub(crate) fn new(nodes: u8, base: Latency, seed: u64) -> Self {
        let nodes = usize::from(nodes);
        let link = Link { latency: base, loss: 0, room: u32::MAX, in_flight: 0, last: 0 };
        Self {
            nodes,
            base,
            links: vec![link; nodes * nodes],
            streams: vec![Stream::default(); nodes * nodes],
            blocked: vec![SeatSet::NONE; nodes],
            holds: false,
            clients_in: SeatSet::NONE,
            clients_out: SeatSet::NONE,
            reorder: None,
            copies: None,
            corrupt: None,
            clogged_from: SeatSet::NONE,
            clogged_to: SeatSet::NONE,
            latency_rng: Rng::stream(seed, "network latency"),
            loss_rng: Rng::stream(seed, "network loss"),
            order_rng: Rng::stream(seed, "network order"),
            copies_rng: Rng::stream(seed, "network copies"),
            datagrams_rng: Rng::stream(seed, "network datagrams"),
            harm_rng: Rng::stream(seed, "network harm"),
        }
    }

    const fn place(&self, from: Seat, to: Seat) -> usize {
        from.index() * self.nodes + to.index()
    }

    pub(crate) fn stream(&self, from: Seat, to: Seat) -> Stream {
        self.streams[self.place(from, to)]
    }

    pub(crate) fn stream_mut(&mut self, from: Seat, to: Seat) -> &mut Stream {
        let place = self.place(from, to);
        &mut self.streams[place]
    }

    /// Ends all faults of the network.
    pub(crate) fn clear(&mut self) {
        for link in &mut self.links {
            link.latency = self.base;
            link.loss = 0;
            link.room = u32::MAX;
        }
        self.blocked.fill(SeatSet::NONE);
        self.holds = false;
        self.clients_in = SeatSet::NONE;
        self.clients_out = SeatSet::NONE;
        self.reorder = None;
        self.copies = None;
        self.corrupt = None;
        self.clogged_from = SeatSet::NONE;
        self.clogged_to = SeatSet::NONE;
    }

    const fn is_clogged(&self, from: Seat, to: Seat) -> bool {
        self.clogged_from.contains(from) || self.clogged_to.contains(to)
    }

    pub(crate) fn block(&mut self, from: Seat, to: SeatSet) {
        let blocked = &mut self.blocked[from.index()];
        *blocked = blocked.union(to.minus(SeatSet::only(from)));
    }

    pub(crate) fn is_blocked(&self, from: Seat, to: Seat) -> bool {
        self.blocked[from.index()].contains(to)
    }

    /// Whether a stream between the two can be opened and kept.
    pub(crate) fn is_cut(&self, a: Seat, b: Seat) -> bool {
        self.is_blocked(a, b) || self.is_blocked(b, a)
    }

    pub(crate) fn set_loss(&mut self, from: SeatSet, to: SeatSet, chance: u32) {
        self.each(from, to, |link| link.loss = link.loss.max(chance));
    }

    pub(crate) fn set_latency(&mut self, from: SeatSet, to: SeatSet, latency: Latency) {
        self.each(from, to, |link| link.latency = latency);
    }

    pub(crate) fn set_room(&mut self, from: SeatSet, to: SeatSet, room: u32) {
        self.each(from, to, |link| link.room = link.room.min(room));
    }

    /// A message of a stream has left the network.
    pub(crate) fn left(&mut self, from: Seat, to: Seat) {
        let place = self.place(from, to);
        let link = &mut self.links[place];
        link.in_flight = link.in_flight.saturating_sub(1);
    }

    /// Whether the message in `bytes` is to be harmed, and how. What can be done to bytes alone is
    /// done here; only a datagram can go astray.
    pub(crate) fn harm(&mut self, bytes: &mut Vec<u8>, is_datagram: bool) -> Option<Harm> {
        let (chance, harm) = self.corrupt?;
        if !is_datagram && matches!(harm, Harm::Stray | Harm::Foreign) {
            return None;
        }
        if bytes.is_empty() || !self.harm_rng.chance(chance) {
            return None;
        }
        match harm {
            Harm::Flip => {
                let place = self.harm_rng.index(bytes.len());
                bytes[place] ^= 1 << self.harm_rng.below(8);
            }
            Harm::Cut => bytes.truncate(self.harm_rng.index(bytes.len())),
            Harm::Stray | Harm::Foreign => {}
        }
        Some(harm)
    }

    /// Some node, for a datagram that goes astray.
    pub(crate) const fn somewhere(&mut self) -> Seat {
        Seat(self.harm_rng.index(self.nodes) as u8)
    }

    fn each(&mut self, from: SeatSet, to: SeatSet, mut change: impl FnMut(&mut Link)) {
        for (place, link) in self.links.iter_mut().enumerate() {
            let (sender, target) = (place / self.nodes, place % self.nodes);
            if from.contains(Seat(sender as u8)) && to.contains(Seat(target as u8)) {
                change(link);
            }
        }
    }

    /// The time that something small takes from `from` to `to`.
    pub(crate) fn delay(&mut self, from: Seat, to: Seat) -> u64 {
        let place = self.place(from, to);
        self.links[place].latency.draw(&mut self.latency_rng)
    }

    /// Decides on a datagram sent at `time`: when it arrives, and when again. Nothing holds it back
    /// and nothing keeps its order; besides what strikes every message, a few are always lost.
    pub(crate) fn send_datagram(
        &mut self,
        time: u64,
        from: Seat,
        to: Seat,
        mut strike: impl FnMut(FaultKind),
    ) -> (Option<u64>, Option<u64>) {
        if self.is_clogged(from, to) {
            // Held back for a while, which for a datagram is as good as lost.
            return (None, None);
        }
        let place = self.place(from, to);
        let link = &self.links[place];
        let rng = &mut self.datagrams_rng;
        if self.blocked[from.index()].contains(to) || rng.chance(DATAGRAM_LOSS) {
            return (None, None);
        }
        if link.loss > 0 && rng.chance(link.loss) {
            strike(FaultKind::Loss);
            return (None, None);
        }
        let mut at = time + link.latency.draw(rng);
        if let Some((chance, by)) = self.reorder
            && rng.chance(chance)
        {
            strike(FaultKind::Reorder);
            at += rng.below(by.max(1));
        }
        let again = self.copies.filter(|(chance, _)| rng.chance(*chance)).map(|(_, by)| {
            strike(FaultKind::Copies);
            at + 1 + rng.below(by.max(1))
        });
        (Some(at), again)
    }

    /// Decides on a message sent at `time`; `strike` hears of every fault that changed its course.
    pub(crate) fn send(
        &mut self,
        time: u64,
        from: Seat,
        to: Seat,
        may_copy: bool,
        mut strike: impl FnMut(FaultKind),
    ) -> Fate {
        if self.is_blocked(from, to) {
            return if self.holds { Fate::Held } else { Fate::Lost };
        }
        if self.is_clogged(from, to) {
            return Fate::Held;
        }
        let place = self.place(from, to);
        let link = &mut self.links[place];
        if link.in_flight >= link.room {
            strike(FaultKind::Overflow);
            return Fate::Lost;
        }
        if link.loss > 0 && self.loss_rng.chance(link.loss) {
            strike(FaultKind::Loss);
            return Fate::Lost;
        }
        let mut at = time + link.latency.draw(&mut self.latency_rng);
        match self.reorder {
            Some((chance, by)) if self.order_rng.chance(chance) => {
                strike(FaultKind::Reorder);
                at += self.order_rng.below(by.max(1));
            }
            _ => {
                at = at.max(link.last + 1);
                link.last = at;
            }
        }
        link.in_flight += 1;
        let again = match self.copies {
            Some((chance, by)) if may_copy && self.copies_rng.chance(chance) => {
                strike(FaultKind::Copies);
                // Most copies follow soon; the late ones are the interesting ones.
                let by = if self.copies_rng.chance(500_000) { by } else { by / 1_000 };
                Some(at + 1 + self.copies_rng.below(by.max(1)))
            }
            _ => None,
        };
        Fate::Arrives { at, again }
    }
}

/// Datagrams that are lost in fair weather, per million.
const DATAGRAM_LOSS: u32 = 2_000;
