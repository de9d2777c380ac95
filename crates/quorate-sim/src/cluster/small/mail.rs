//! Messages on their way, as a set of numbers.

use std::collections::BTreeMap;
use std::fmt::Debug;

use super::Post;

/// Every message that was ever sent, numbered in the order of its first sending.
#[derive(Debug)]
pub(super) struct Packets<M> {
    all: Vec<Packet<M>>,
    numbers: BTreeMap<String, u32>,
}

/// A message with its way.
#[derive(Debug)]
pub(super) struct Packet<M> {
    pub(super) from: u8,
    pub(super) to: u8,
    pub(super) message: M,
}

impl<M: Debug> Packets<M> {
    pub(super) const fn new() -> Self {
        Self { all: Vec::new(), numbers: BTreeMap::new() }
    }

    pub(super) fn number(&mut self, from: u8, to: u8, message: M) -> u32 {
        let next = self.all.len() as u32;
        let key = format!("{from} {to} {message:?}");
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.all.push(Packet { from, to, message });
        }
        number
    }

    /// The same message between the nodes that stand where `order` puts these.
    pub(super) fn relabel(&mut self, number: u32, order: &[u8]) -> u32
    where
        M: Clone,
    {
        let Packet { from, to, message } = self.get(number);
        let place = |seat: u8| order[usize::from(seat)];
        let (from, to, message) = (place(*from), place(*to), message.clone());
        self.number(from, to, message)
    }

    pub(super) fn get(&self, number: u32) -> &Packet<M> {
        &self.all[number as usize]
    }
}

/// What is on its way. Equal messages between the same two nodes count as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mail {
    /// Ascending.
    numbers: Vec<u32>,
    /// How many may still be lost, and how many delivered twice.
    losses: u8,
    duplicates: u8,
    /// Nothing is ever lost for good, and everything may come again.
    is_lasting: bool,
}

impl Mail {
    pub(super) const fn new(post: Post) -> Self {
        let (losses, duplicates) = match post {
            Post::Lasting => (0, 0),
            Post::Counted { losses, duplicates } => (losses, duplicates),
        };
        let is_lasting = matches!(post, Post::Lasting);
        Self { numbers: Vec::new(), losses, duplicates, is_lasting }
    }

    pub(super) fn send(&mut self, number: u32) {
        if let Err(at) = self.numbers.binary_search(&number) {
            self.numbers.insert(at, number);
        }
    }

    /// Takes a message out, or leaves a copy if it comes `again`.
    pub(super) fn deliver(&mut self, number: u32, again: bool) {
        if again {
            self.duplicates -= 1;
        } else if !self.is_lasting {
            self.remove(number);
        }
    }

    pub(super) fn lose(&mut self, number: u32) {
        self.losses -= 1;
        self.remove(number);
    }

    fn remove(&mut self, number: u32) {
        if let Ok(at) = self.numbers.binary_search(&number) {
            self.numbers.remove(at);
        }
    }

    pub(super) const fn may_lose(&self) -> bool {
        self.losses > 0
    }

    pub(super) const fn may_duplicate(&self) -> bool {
        self.duplicates > 0
    }

    /// What may still go wrong with it.
    pub(super) const fn left(&self) -> (u8, u8) {
        (self.losses, self.duplicates)
    }

    pub(super) fn numbers(&self) -> &[u32] {
        &self.numbers
    }
}
