//! Small worlds of the shipped machines, in every state they can reach.
//!
//! Nothing of the protocols is replaced: voters, logs, tallies and holds are those of production,
//! composed as the node composes them. What surrounds them is as bad as it may be:
//!
//! - **Messages** come in any order, late, twice or never ([`Post`]). Equal ones under way between
//!   two nodes count as one.
//! - **Disks** sync records in order, as late as it may be. A crash keeps any first part of what was
//!   written and not synced.
//! - **Crashes** come between two steps, and between any two effects of one.
//! - **Clocks** have nothing to do with each other ([`Pace`]).
//! - **Names**: of states that differ only in which node is which, one is looked at.
//!
//! Not covered: what lies beyond the [`Bounds`]; snapshots, reads, and changes of the configuration;
//! several inputs before one flush of the log; and, in the replication, crashes within an election
//! and elections with more than one voter asked. Of a random wait one value is taken, not each:
//! where clocks leap that makes no difference.

mod booth;
mod election;
mod mail;
mod moment;
mod replica;
mod replication;
mod symmetry;

use std::fmt;

use quorate_core::NodeId;

use self::election::Election;
use self::moment::{Doing, Moment};
use self::replication::Replication;
use crate::exhaust::{Counts, Exploration, Limits, explore};

/// Which world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Voters alone.
    Election,
    /// Logs, with their voters.
    Replication,
}

/// How messages travel. In both ways in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Post {
    /// A message that was sent may come at any later time, any number of times, or never.
    Lasting,
    /// A message comes once, or never; so many may be taken away, so many may come twice.
    Counted {
        /// How many are lost for good.
        losses: u8,
        /// How many come once more.
        duplicates: u8,
    },
}

/// How a node's clock moves between two things that happen to it. Each node has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// It stands still, or leaps past every deadline: whoever waits may lose patience at any
    /// moment, and nobody is half-way through its patience.
    Leaps,
    /// It may also go to the next deadline only, so that nodes stand between two deadlines.
    Steps,
}

/// How small the world is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Nodes, at most 5.
    pub nodes: u8,
    /// The highest term, at most 5.
    pub terms: u8,
    /// Crashes in all, each followed by a start from what the disk kept.
    pub crashes: u8,
    /// How often a clock moves, in all.
    pub leaps: u8,
    /// How many commands clients propose, in all; none in the election.
    pub proposals: u8,
    /// How often, in one term, a leader may begin anew with a peer whose log differs from what it
    /// took it for.
    pub attempts: u8,
    /// How messages travel.
    pub post: Post,
    /// How clocks move.
    pub pace: Pace,
    /// [`quorate_election::Config::pre_vote`].
    pub pre_vote: bool,
    /// [`quorate_election::Config::check_quorum`].
    pub check_quorum: bool,
    /// When to give up.
    pub limits: Limits,
}

impl Bounds {
    /// A few seconds' worth, for a test: one crash, and in the replication no command but the entry
    /// with which each leader begins.
    #[must_use]
    pub const fn small(scope: Scope) -> Self {
        match scope {
            Scope::Election => Self {
                nodes: 3,
                terms: 2,
                leaps: 2,
                proposals: 0,
                attempts: 0,
                crashes: 1,
                post: Post::Lasting,
                pace: Pace::Leaps,
                pre_vote: false,
                check_quorum: false,
                limits: Limits { states_max: 3_000_000, depth_max: u32::MAX },
            },
            Scope::Replication => Self { leaps: 0, attempts: 1, ..Self::small(Scope::Election) },
        }
    }

    /// A minute or two and a gigabyte: one more thing that happens than in the small ones.
    #[must_use]
    pub const fn large(scope: Scope) -> Self {
        let small = Self::small(scope);
        let limits = Limits { states_max: 40_000_000, depth_max: u32::MAX };
        match scope {
            Scope::Election => Self { leaps: 3, limits, ..small },
            Scope::Replication => Self { proposals: 1, attempts: 0, limits, ..small },
        }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { nodes, terms, leaps, crashes, proposals, attempts, post, .. } = self;
        write!(f, "{nodes} nodes, {terms} term(s), {crashes} crash(es), {leaps} leap(s)")?;
        if *proposals > 0 {
            write!(f, ", {proposals} command(s)")?;
        }
        if *attempts > 0 {
            write!(f, ", {attempts} attempt(s)")?;
        }
        match post {
            Post::Lasting => f.write_str(", any loss and replay")?,
            Post::Counted { losses, duplicates } => {
                write!(f, ", {losses} loss(es), {duplicates} duplicate(s)")?;
            }
        }
        let safeguards = [(self.pre_vote, "pre-vote"), (self.check_quorum, "check-quorum")];
        for (_, name) in safeguards.iter().filter(|(is_on, _)| *is_on) {
            write!(f, ", {name}")?;
        }
        Ok(())
    }
}

/// What [`exhaust`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExhaustReport {
    /// Which world.
    pub scope: Scope,
    /// How small it was.
    pub bounds: Bounds,
    /// What was found.
    pub found: Exploration,
}

impl fmt::Display for ExhaustReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.scope {
            Scope::Election => "election",
            Scope::Replication => "replication",
        };
        write!(f, "{name} ({}): {}", self.bounds, self.found)
    }
}

/// Looks at every state of `scope` within `bounds`; `progress` is called once per depth.
///
/// # Panics
///
/// If `bounds` asks for more than 5 nodes or terms, or for no node.
pub fn exhaust(scope: Scope, bounds: Bounds, progress: impl FnMut(&Counts)) -> ExhaustReport {
    let fits = (1..=NODES_MAX).contains(&usize::from(bounds.nodes))
        && usize::from(bounds.terms) < TERMS_MAX;
    assert!(fits, "too large to be small: {bounds}");
    let found = match scope {
        Scope::Election => explore(&mut Election::new(bounds), bounds.limits, progress),
        Scope::Replication => explore(&mut Replication::new(bounds), bounds.limits, progress),
    };
    ExhaustReport { scope, bounds, found }
}

fn ids(nodes: u8) -> Vec<NodeId> {
    let ids = (0..nodes).map(|seat| NodeId::new(&name(seat).to_string()));
    ids.collect::<Result<_, _>>().expect("letters are node ids")
}

/// The letter of a seat.
fn name(seat: u8) -> char {
    char::from(b'a' + seat)
}

/// The seat of a letter.
fn seat(id: &NodeId) -> u8 {
    id.as_str().bytes().next().map_or(0, |letter| letter.saturating_sub(b'a'))
}

fn tell(seat: u8, moment: Moment, packet: impl Fn(u32) -> String) -> String {
    let name = name(seat);
    let what = |doing: Doing| match doing {
        Doing::Receive(number) => format!("receives {}", packet(number)),
        other => other.to_string(),
    };
    match moment {
        Moment::Whole(doing) => format!("{name} {}", what(doing)),
        Moment::Cut { doing, after, kept } => format!(
            "{name} {}, crashes after {after} effect(s) with {kept} unsynced record(s) kept",
            what(doing)
        ),
        Moment::Crash { kept } => {
            format!("{name} crashes with {kept} unsynced record(s) kept, and starts again")
        }
    }
}

/// The most nodes.
const NODES_MAX: usize = 5;
/// One above the highest term.
const TERMS_MAX: usize = 6;
