//! What the explorer must be told of a world.

use crate::Violation;

/// A world with so few states that all of them can be looked at.
pub trait SmallWorld {
    /// Everything that decides what may happen from here on, and what the checks remember.
    type State: Clone;
    /// One thing that may happen.
    type Action;

    /// Where everything begins.
    fn initial(&mut self) -> Self::State;

    /// Adds what may happen in `state` to `out`, in an order that depends on the state alone.
    fn actions(&mut self, state: &Self::State, out: &mut Vec<Self::Action>);

    /// What `state` becomes; `None` if that lies beyond the bounds of the world.
    fn apply(&mut self, state: &Self::State, action: &Self::Action) -> Option<Self::State>;

    /// Whether `state` keeps every promise.
    ///
    /// # Errors
    ///
    /// The promise that is broken.
    fn check(&self, state: &Self::State) -> Result<(), Violation>;

    /// `action` in words, as a line of a counter-example.
    fn describe(&self, action: &Self::Action) -> String;

    /// A number that stands for `state`. States that differ in what may follow must differ in it;
    /// two that are told apart and need not be only cost time.
    fn fingerprint(&mut self, state: &Self::State) -> u128;
}
