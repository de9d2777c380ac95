//! Who believes what of whom, and how many are wrong.

use std::collections::BTreeMap;

use quorate_core::Instant;

use crate::crowd::gossiper::Belief;

/// One who learned something of a watched node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// When.
    pub at: Instant,
    /// Who.
    pub observer: u32,
    /// Of whom.
    pub about: u32,
    /// What.
    pub belief: Belief,
}

/// A byte for each pair of nodes, and what is worth counting of them.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Of each node, what it believes of each.
    rows: Vec<Vec<Belief>>,
    /// Whether the process of each node runs; `None` of one whose beliefs do not count.
    runs: Vec<bool>,
    /// Of which cluster each is.
    clusters: Vec<u8>,
    /// Invariant: how many pairs are wrong, of an observer that runs and another of its cluster.
    astray: u64,
    /// Invariant: how many running observers believe a wrong thing of each.
    misjudged: Vec<u32>,
    watched: Vec<bool>,
    pub(super) sightings: Vec<Sighting>,
    /// How often somebody declared this running node dead, by node.
    pub(super) buried_alive: BTreeMap<u32, u64>,
}

impl Ledger {
    /// Adds nodes that do not run yet. O(nodes).
    pub(super) fn add(&mut self, count: usize, cluster: u8) {
        let total = self.rows.len() + count;
        for row in &mut self.rows {
            row.resize(total, Belief::Unknown);
        }
        self.rows.resize_with(total, || vec![Belief::Unknown; total]);
        self.runs.resize(total, false);
        self.clusters.resize(total, cluster);
        self.misjudged.resize(total, 0);
        self.watched.resize(total, false);
    }

    /// All of these begin at once and believe in each other. They must be new. O(nodes^2), cheap.
    pub(super) fn introduce(&mut self, nodes: std::ops::Range<u32>) {
        let range = nodes.start as usize..nodes.end as usize;
        for node in range.clone() {
            self.rows[node][range.clone()].fill(Belief::Alive);
            self.rows[node][node] = Belief::Unknown;
            self.runs[node] = true;
        }
    }

    pub(super) fn belief(&self, observer: u32, about: u32) -> Belief {
        self.rows[observer as usize][about as usize]
    }

    pub(super) fn runs(&self, node: u32) -> bool {
        self.runs[node as usize]
    }

    pub(super) fn cluster(&self, node: u32) -> u8 {
        self.clusters[node as usize]
    }

    pub(super) const fn astray(&self) -> u64 {
        self.astray
    }

    pub(super) fn misjudged(&self, node: u32) -> u32 {
        self.misjudged[node as usize]
    }

    pub(super) fn watch(&mut self, node: u32) {
        self.watched[node as usize] = true;
    }

    /// A process begins or ends. One that begins believes nothing. O(nodes).
    pub(super) fn set_runs(&mut self, node: u32, runs: bool) {
        for other in 0..self.rows.len() as u32 {
            self.uncount(other, node);
            if other != node {
                self.uncount(node, other);
            }
        }
        self.runs[node as usize] = runs;
        if runs {
            self.rows[node as usize].fill(Belief::Unknown);
        }
        for other in 0..self.rows.len() as u32 {
            self.count(other, node);
            if other != node {
                self.count(node, other);
            }
        }
    }

    /// `observer` believes this from now on; what it believed before.
    pub(super) fn learn(
        &mut self,
        at: Instant,
        observer: u32,
        about: u32,
        belief: Belief,
    ) -> Belief {
        self.uncount(observer, about);
        let place = &mut self.rows[observer as usize][about as usize];
        let before = std::mem::replace(place, belief);
        self.count(observer, about);
        if self.watched[about as usize] && before != belief {
            self.sightings.push(Sighting { at, observer, about, belief });
        }
        before
    }

    fn is_wrong(&self, observer: u32, about: u32) -> bool {
        let (o, a) = (observer as usize, about as usize);
        if o == a || !self.runs[o] || self.clusters[o] != self.clusters[a] {
            return false;
        }
        let belief = self.rows[o][a];
        if self.runs[a] { belief != Belief::Alive } else { belief.is_live() }
    }

    fn count(&mut self, observer: u32, about: u32) {
        let wrong = self.is_wrong(observer, about);
        self.astray += u64::from(wrong);
        self.misjudged[about as usize] += u32::from(wrong);
    }

    fn uncount(&mut self, observer: u32, about: u32) {
        let wrong = self.is_wrong(observer, about);
        self.astray -= u64::from(wrong);
        self.misjudged[about as usize] -= u32::from(wrong);
    }
}
