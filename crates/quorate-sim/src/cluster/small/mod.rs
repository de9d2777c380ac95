//! Small worlds of the shipped machines, in every state they can reach.

mod booth;
mod election;
mod mail;
mod moment;
mod symmetry;

use std::fmt;

use quorate_core::NodeId;

use self::election::Election;
use self::moment::Moment;
use crate::exhaust::{Counts, Exploration, Limits, explore};

/// Which world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Voters alone.
    Election,
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
    /// A few seconds' worth, for a test.
    #[must_use]
    pub const fn small(scope: Scope) -> Self {
        match scope {
            Scope::Election => Self {
                nodes: 3,
                terms: 2,
                leaps: 2,
                crashes: 1,
                post: Post::Lasting,
                pace: Pace::Leaps,
                pre_vote: false,
                check_quorum: false,
                limits: Limits { states_max: 3_000_000, depth_max: u32::MAX },
            },
        }
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
        write!(f, "{:?}: {}", self.scope, self.found)
    }
}

/// Looks at every state of `scope` within `bounds`.
pub fn exhaust(scope: Scope, bounds: Bounds, progress: impl FnMut(&Counts)) -> ExhaustReport {
    let found = match scope {
        Scope::Election => explore(&mut Election::new(bounds), bounds.limits, progress),
    };
    ExhaustReport { scope, bounds, found }
}

fn ids(nodes: u8) -> Vec<NodeId> {
    let letters = "abcde".split("").filter(|letter| !letter.is_empty());
    let ids = letters.take(usize::from(nodes)).map(NodeId::new);
    ids.collect::<Result<_, _>>().expect("letters are node ids")
}

fn tell(seat: u8, moment: Moment, packet: impl Fn(u32) -> String) -> String {
    use moment::Doing;
    let name = char::from(b'a' + seat);
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

/// A message on one line.
fn brief(message: &impl fmt::Debug) -> String {
    format!("{message:?}")
}

/// The most nodes.
const NODES_MAX: usize = 5;
/// One above the highest term.
const TERMS_MAX: usize = 6;
