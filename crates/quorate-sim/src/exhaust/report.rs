//! What an exploration found.

use std::fmt;

use crate::Violation;

/// How much was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// States that differ.
    pub states: u64,
    /// Actions followed, those that led to a known state included.
    pub transitions: u64,
    /// Actions that led beyond the bounds, and were not followed.
    pub beyond: u64,
    /// States from which nothing leads to another one.
    pub finals: u64,
    /// The most actions it takes to reach a state by the shortest way.
    pub depth: u32,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} states, {} transitions ({} more beyond the bounds), depth {}, {} final",
            self.states, self.transitions, self.beyond, self.depth, self.finals
        )
    }
}

/// A way to a broken promise; none is shorter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The promise.
    pub violation: Violation,
    /// What happened, in order, in words.
    pub actions: Vec<String>,
    /// The same as numbers into the actions of each state, for [`replay`](super::replay).
    pub path: Vec<u32>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { invariant, message } = &self.violation;
        write!(f, "{invariant} broken after {} actions: {message}", self.actions.len())?;
        for (number, action) in self.actions.iter().enumerate() {
            write!(f, "\n  {:>2}. {action}", number + 1)?;
        }
        Ok(())
    }
}

/// The outcome of [`explore`](super::explore).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exploration {
    /// How much was looked at.
    pub counts: Counts,
    /// Whether every state within the bounds was; false if a limit or a broken promise ended it.
    pub complete: bool,
    /// The broken promise that ended it.
    pub broken: Option<Broken>,
}

impl fmt::Display for Exploration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extent = if self.complete { "all of it" } else { "a part of it" };
        write!(f, "{extent}: {}", self.counts)?;
        if let Some(broken) = &self.broken {
            write!(f, "\n{broken}")?;
        }
        Ok(())
    }
}
