//! Holds effects back until what they rest on is durable.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::mutant;

/// Names a record on its way to the disk. Tokens rise; a durable one makes all before it durable.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Token(pub u64);

/// A queue of effects, each behind the record it rests on (law 5 of [`crate::Machine`]).
///
/// Its length is bounded by what its owner does between two durable records.
#[derive(Debug)]
pub struct Hold<E> {
    /// Effects from here on rest on this record.
    barrier: Token,
    /// Invariant: never falls, and never above the last token issued.
    durable: Token,
    /// Invariant: tokens rise from front to back, and all are above `durable`.
    held: VecDeque<(Token, E)>,
}

impl<E> Hold<E> {
    /// Holds nothing; everything up to `durable` counts as written.
    #[must_use]
    pub const fn new(durable: Token) -> Self {
        Self { barrier: durable, durable, held: VecDeque::new() }
    }

    /// Effects pushed from now on rest on the record `token`.
    pub fn rest_on(&mut self, token: Token) {
        self.barrier = self.barrier.max(token);
    }

    /// Passes `effect` on at once if what it rests on is durable, else holds it.
    pub fn push(&mut self, effect: E, mut pass: impl FnMut(E)) {
        if self.barrier <= self.durable || mutant!("send-before-durable") {
            pass(effect);
        } else {
            self.held.push_back((self.barrier, effect));
        }
    }

    /// Records up to `token` are durable: passes on what rested on them, in order.
    pub fn release(&mut self, token: Token, mut pass: impl FnMut(E)) {
        self.durable = self.durable.max(token);
        let due = |token: Token| token <= self.durable || mutant!("hold-released-early");
        while self.held.front().is_some_and(|(token, _)| due(*token)) {
            if let Some((_, effect)) = self.held.pop_front() {
                pass(effect);
            }
        }
    }

    /// What is held, in order, each with the record it rests on.
    pub fn held(&self) -> impl Iterator<Item = (Token, &E)> {
        self.held.iter().map(|(token, effect)| (*token, effect))
    }

    /// How many effects are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}
