//! What befalls nodes: starts and ends, cuts and pauses.

use std::time::Duration;

use crate::crowd::agenda::Act;
use crate::crowd::gossiper::{Birth, Gossiper, address_of};
use crate::crowd::seat::{Seat, Stall};
use crate::crowd::world::Crowd;

impl<G: Gossiper> Crowd<G> {
    /// Adds `count` nodes that all run already and know each other; the first three are seeds.
    /// Of an empty crowd only. They are a while into their rounds, each somewhere else.
    ///
    /// # Panics
    ///
    /// If there are nodes already.
    pub fn warm_start(&mut self, count: u32) {
        assert!(self.seats.is_empty(), "only an empty crowd starts warm");
        self.add(count, 0);
        let seeds: Vec<_> = (0..count.min(SEEDS)).collect();
        let mut nodes: Vec<G> = (0..count).map(|node| self.birth(node, &seeds)).collect();
        G::introduce(&self.setting, &mut nodes.iter_mut().collect::<Vec<_>>(), self.now);
        for (node, process) in nodes.into_iter().enumerate() {
            self.seats[node].node = Some(process);
            self.checks.begun(node as u32, count);
        }
        self.ledger.introduce(0..count);
        self.began(u64::from(count));
        for node in 0..count {
            self.arrange(node);
        }
    }

    /// Adds `count` nodes of `cluster` that do not run yet; the number of the first.
    pub fn add(&mut self, count: u32, cluster: u8) -> u32 {
        let first = self.nodes();
        for node in first..first + count {
            let number = self.addresses.len() as u32;
            self.addresses.push(node);
            self.seats.push(Seat::new(address_of(number)));
        }
        self.ledger.add(count as usize, cluster);
        first
    }

    /// Starts `node`, or starts it again in its next life. It looks for others at the addresses at
    /// which `seeds` are now. O(nodes).
    pub fn start(&mut self, node: u32, seeds: &[u32]) {
        self.end(node);
        let process = self.birth(node, seeds);
        self.seats[node as usize].node = Some(process);
        self.ledger.set_runs(node, true);
        self.checks.begun(node, 0);
        self.began(1);
        self.arrange(node);
    }

    /// Moves `node`, which must not run, to an address that nobody had before.
    ///
    /// # Panics
    ///
    /// If it runs.
    pub fn relocate(&mut self, node: u32) {
        let seat = &mut self.seats[node as usize];
        assert!(seat.node.is_none(), "a process has its address for life");
        seat.address = address_of(self.addresses.len() as u32);
        self.addresses.push(node);
    }

    /// Ends the process of `node` at once. O(nodes).
    pub fn crash(&mut self, node: u32) {
        self.end(node);
    }

    /// Tells `node` to leave: from now on nobody should take it for a member. Its process ends when
    /// it says so. O(nodes).
    pub fn leave(&mut self, node: u32) {
        let now = self.now;
        self.ledger.set_runs(node, false);
        self.act_on(node, |process, port| process.leave(now, port));
    }

    /// The process of `node` stalls for `time`. Packets wait meanwhile, as many as fit.
    pub fn stall(&mut self, node: u32, how: Stall, time: Duration) {
        let until = self.now + time;
        let seat = &mut self.seats[node as usize];
        if seat.node.is_some() {
            seat.stall = Some((how, until));
            seat.troubled = true;
            self.agenda.push(until, Act::GoOn(node));
        }
    }

    /// Cuts the network into groups: packets between different ones are lost.
    pub fn split(&mut self, group_of: impl Fn(u32) -> u8) {
        for (node, seat) in self.seats.iter_mut().enumerate() {
            seat.group = group_of(node as u32);
        }
    }

    /// Undoes all cuts.
    pub fn heal(&mut self) {
        self.split(|_| 0);
    }

    fn birth(&mut self, node: u32, seeds: &[u32]) -> G {
        let seeds: Vec<_> = seeds.iter().map(|seed| self.seats[*seed as usize].address).collect();
        let rng = self.births.fork();
        let seat = &mut self.seats[node as usize];
        seat.boot += 1;
        let birth = Birth {
            node,
            cluster: self.ledger.cluster(node),
            boot: seat.boot,
            address: seat.address,
            seeds: &seeds,
            rng,
            now: self.now,
        };
        G::start(&self.setting, birth)
    }
}

/// How many of the first nodes are seeds of all.
const SEEDS: u32 = 3;
