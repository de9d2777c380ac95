//! Nodes that differ in nothing but their names: of the states that differ only so, one is enough.

use std::hash::{Hash, Hasher};

use super::moment::Moment;
use super::{Bounds, Pace};
use crate::exhaust::{Actor, Memory, Origin, fingerprint};

/// An actor whose nodes can change places.
pub(super) trait Relabel: Actor<Start = u8, Input = Moment> {
    /// The number of the same message between the nodes that stand where `order` puts these.
    fn relabel(&mut self, packet: u32, order: &[u8]) -> u32;
}

/// What a node's state is for the node in its place: found by running that node through the same
/// inputs, so it needs no knowledge of what is inside.
///
/// One asymmetry stays: a node sends to its peers in the order of their names, so a crash between
/// two sends favours the first name. That loses nothing, because what was sent need not arrive.
#[derive(Debug)]
pub(super) struct Symmetry {
    /// Every order of the seats, the given one first; just that one if the dice matter.
    orders: Vec<Vec<u8>>,
    /// By state: what it is in each order, and the least of these.
    states: Vec<Option<(Vec<u32>, u32)>>,
    /// By message: the fingerprint of what it is in each order.
    packets: Vec<Option<Vec<u128>>>,
}

/// The nodes and messages of a state in another order.
#[derive(Debug)]
pub(super) struct Turned<'a> {
    symmetry: &'a Symmetry,
    order: usize,
    seats: &'a [u32],
    packets: &'a [u32],
}

impl Symmetry {
    pub(super) fn new(bounds: &Bounds) -> Self {
        let given: Vec<u8> = (0..bounds.nodes).collect();
        let mut orders = vec![given.clone()];
        // Between two deadlines the dice of a node show, and each node has its own.
        if bounds.pace == Pace::Leaps {
            arrange(&mut given.clone(), 0, &mut orders);
            orders.sort_unstable();
            orders.dedup();
        }
        Self { orders, states: Vec::new(), packets: Vec::new() }
    }

    /// The least number among those of all orders, of which a few are enough.
    pub(super) fn least<A: Relabel>(
        &mut self,
        memory: &mut Memory<A>,
        seats: &[u32],
        packets: &[u32],
        number: impl Fn((&[u8], Turned<'_>)) -> u128,
    ) -> u128 {
        for state in seats {
            self.know_state(memory, *state);
        }
        for packet in packets {
            self.know_packet(memory, *packet);
        }
        // Only orders in which the least of each node's own states rise: all, if they are equal.
        let rise = |order: &&Vec<u8>| {
            let mut keys = [0; super::NODES_MAX];
            for (to, state) in order.iter().zip(seats) {
                keys[usize::from(*to)] = self.key(*state);
            }
            keys[..order.len()].is_sorted()
        };
        let symmetry = &*self;
        let numbers = (0..).zip(&self.orders).filter(|(_, order)| rise(order));
        let numbers = numbers
            .map(|(at, order)| number((order, Turned { symmetry, order: at, seats, packets })));
        numbers.min().expect("some order sorts them")
    }

    fn key(&self, state: u32) -> u32 {
        self.states[state as usize].as_ref().map_or(0, |(_, least)| *least)
    }

    fn know_state<A: Relabel>(&mut self, memory: &mut Memory<A>, state: u32) {
        let at = state as usize;
        if self.states.get(at).is_some_and(Option::is_some) {
            return;
        }
        let images: Vec<u32> =
            (0..self.orders.len()).map(|order| self.image(memory, state, order)).collect();
        let least = images.iter().copied().min().unwrap_or(state);
        if self.states.len() <= at {
            self.states.resize(memory.len(), None);
        }
        self.states[at] = Some((images, least));
    }

    fn image<A: Relabel>(&self, memory: &mut Memory<A>, state: u32, order: usize) -> u32 {
        let known = self.states.get(state as usize).and_then(Option::as_ref);
        if let Some((images, _)) = known {
            return images[order];
        }
        let to = &self.orders[order];
        match *memory.origin(state) {
            Origin::Start(seat) => memory.start(to[usize::from(seat)]),
            Origin::Step(before, moment) => {
                let before = self.image(memory, before, order);
                let moment = moment.with_packet(|number| memory.actor_mut().relabel(number, to));
                memory.step(before, moment).state
            }
        }
    }

    fn know_packet<A: Relabel>(&mut self, memory: &mut Memory<A>, packet: u32) {
        let at = packet as usize;
        if self.packets.get(at).is_some_and(Option::is_some) {
            return;
        }
        let relabel = |order: &Vec<u8>| fingerprint(&memory.actor_mut().relabel(packet, order));
        let images = self.orders.iter().map(relabel).collect();
        if self.packets.len() <= at {
            self.packets.resize(at + 1, None);
        }
        self.packets[at] = Some(images);
    }
}

impl Hash for Turned<'_> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Symmetry { orders, states, packets } = self.symmetry;
        let mut seats = [0; super::NODES_MAX];
        for (to, state) in orders[self.order].iter().zip(self.seats) {
            let images = states[*state as usize].as_ref();
            seats[usize::from(*to)] = images.map_or(0, |(images, _)| images[self.order]);
        }
        seats.hash(hasher);
        // A set in any order: a sum, which no sorting has to come before.
        let numbers = self.packets.iter().filter_map(|packet| packets[*packet as usize].as_ref());
        let sum = numbers.fold(0_u128, |sum, images| sum.wrapping_add(images[self.order]));
        hasher.write_u64(sum as u64);
        hasher.write_u64((sum >> 64) as u64);
    }
}

/// Adds every arrangement of what stands behind `fixed`.
fn arrange(seats: &mut Vec<u8>, fixed: usize, out: &mut Vec<Vec<u8>>) {
    if fixed == seats.len() {
        out.push(seats.clone());
    }
    for other in fixed..seats.len() {
        seats.swap(fixed, other);
        arrange(seats, fixed + 1, out);
        seats.swap(fixed, other);
    }
}
