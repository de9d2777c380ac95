//! What must hold in every view, checked where something changed.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use quorate_core::Instant;

use crate::crowd::gossiper::{Belief, Held};

/// What a crowd checks while it runs, and a scenario at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promises {
    /// M1 to M5, at each step, for the node that stepped and those it learned something of.
    pub views: bool,
    /// M7: nobody is declared dead whose process runs.
    pub no_false_deaths: bool,
    /// M6, M8, M9: at the end of a scenario, whether all were right soon enough.
    pub bounds: bool,
}

impl Promises {
    /// Nothing: for measurements.
    pub const NONE: Self = Self { views: false, no_false_deaths: false, bounds: false };
    /// All but M7.
    pub const MOST: Self = Self { views: true, no_false_deaths: false, bounds: true };
    /// M1 to M9.
    pub const ALL: Self = Self { views: true, no_false_deaths: true, bounds: true };
}

/// A promise was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Broken {
    /// Which.
    pub invariant: &'static str,
    /// With which seed.
    pub seed: u64,
    /// When.
    pub at: Instant,
    /// How.
    pub message: String,
    /// What the nodes it is about learned before, the latest last.
    pub tail: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invariant, seed, at, message, tail } = self;
        write!(f, "{invariant} with seed {seed} at {at}: {message}")?;
        tail.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// What each node told of each other last, of those pairs that ever changed.
#[derive(Debug)]
pub(super) struct Checks {
    pub(super) promises: Promises,
    suspicion_min: Duration,
    /// By observer and then by whom it is about; `None` of one that was forgotten.
    views: Vec<BTreeMap<u32, Option<Word>>>,
    /// Whether an observer began with the first incarnations of all nodes below that number.
    introduced: Vec<u32>,
    tail: VecDeque<(Instant, u32, u32, Held)>,
}

#[derive(Debug, Clone, Copy)]
struct Word {
    held: Held,
    /// Since when it is unreachable in this incarnation, if it is or was.
    suspected_at: Option<Instant>,
}

impl Checks {
    pub(super) const fn new(promises: Promises, suspicion_min: Duration) -> Self {
        Self {
            promises,
            suspicion_min,
            views: Vec::new(),
            introduced: Vec::new(),
            tail: VecDeque::new(),
        }
    }

    /// A process begins: it knows the first lives of all nodes below `introduced`.
    pub(super) fn begun(&mut self, node: u32, introduced: u32) {
        if self.views.len() <= node as usize {
            self.views.resize_with(node as usize + 1, BTreeMap::new);
            self.introduced.resize(node as usize + 1, 0);
        }
        self.views[node as usize].clear();
        self.introduced[node as usize] = introduced;
    }

    /// The last things that were learned by one of the two or of one of the two.
    pub(super) fn tail(&self, of: &[u32]) -> Vec<String> {
        let about = self.tail.iter().filter(|(_, observer, about, _)| {
            of.contains(observer) || of.contains(about) || of.is_empty()
        });
        let mut lines: Vec<_> = about.rev().take(TAIL_TOLD).collect();
        lines.reverse();
        let line = |(at, observer, about, held): &(Instant, u32, u32, Held)| {
            let Held { belief, boot, counter } = held;
            format!("{at} n{observer:04}: n{about:04} {belief:?} {boot}.{counter}")
        };
        lines.into_iter().map(line).collect()
    }

    /// M1 to M3: `observer` may hold something else of `about` now.
    pub(super) fn held(
        &mut self,
        now: Instant,
        observer: u32,
        about: u32,
        held: Held,
    ) -> Result<(), (&'static str, String)> {
        let view = &mut self.views[observer as usize];
        let known = about < self.introduced[observer as usize];
        let before = view.get(&about).copied().unwrap_or_else(|| known.then_some(Word::INTRODUCED));
        if before.is_some_and(|before| before.held == held) {
            return Ok(());
        }
        if self.tail.len() >= TAIL_KEPT {
            self.tail.pop_front();
        }
        self.tail.push_back((now, observer, about, held));
        let incarnation = |held: Held| (held.boot, held.counter);
        let same = before.filter(|before| incarnation(before.held) == incarnation(held));
        let suspected_at = same.and_then(|same| same.suspected_at);
        let suspected_at = match held.belief {
            Belief::Unreachable => suspected_at.or(Some(now)),
            Belief::Alive => None,
            Belief::Dead | Belief::Left | Belief::Unknown => suspected_at,
        };
        view.insert(about, Some(Word { held, suspected_at }));
        let Some(before) = before else { return Ok(()) };
        let (was, is) = (incarnation(before.held), incarnation(held));
        let who =
            || format!("n{observer:04} had n{about:04} as {:?} at {was:?}", before.held.belief);
        if is < was {
            return Err(("M1", format!("{}, now at {is:?}", who())));
        }
        if !before.held.belief.is_live() && held.belief.is_live() && is <= was {
            return Err(("M3", format!("{}, now {:?}", who(), held.belief)));
        }
        if held.belief == Belief::Dead && before.held.belief.is_live() {
            let held_for = suspected_at.map(|at| now.since(at));
            if held_for.is_none_or(|held_for| held_for < self.suspicion_min) {
                return Err(("M2", format!("{}, dead after {held_for:?} of suspicion", who())));
            }
        }
        Ok(())
    }

    /// A node forgot another one: what comes next is new to it.
    pub(super) fn forgot(&mut self, observer: u32, about: u32) {
        self.views[observer as usize].insert(about, None);
    }
}

impl Word {
    const INTRODUCED: Self =
        Self { held: Held { belief: Belief::Alive, boot: 1, counter: 0 }, suspected_at: None };
}

/// How many changes are kept, and how many of them are told.
const TAIL_KEPT: usize = 4_096;
const TAIL_TOLD: usize = 24;
