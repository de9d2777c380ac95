use crate::Model;
use crate::partition::Partition;
use crate::search::{Found, Longest, Search};

/// The decision for one key: a search, and, once that has failed, the place where it must fail.
///
/// The search gives up on a configuration as soon as something later cannot be answered any more
/// (see `demand.rs`), so how far it came says little about where the history went wrong. So the
/// same search is asked about shorter beginnings of the history until the first completion is known
/// that no order can include. As a rule one more search does.
pub(crate) struct Decision<M: Model> {
    search: Search<M>,
    doubt: Option<Doubt>,
}

/// What a decision is.
pub(crate) enum Outcome {
    /// Legal in this order.
    Legal(Vec<u32>),
    /// Illegal: nothing gets past the completion of an operation.
    Illegal(Longest),
}

/// The history is illegal, but where?
struct Doubt {
    /// A legal order of all that completed before some operation.
    legal: Longest,
    /// No order includes everything that completed up to and with this operation.
    illegal: u32,
    /// Whether the first guess, that it is `illegal` itself, was tried.
    guessed: bool,
}

impl<M: Model> Decision<M> {
    pub(crate) fn new(model: &M, partition: Partition<M>) -> Self {
        Self { search: Search::new(model, partition), doubt: None }
    }

    pub(crate) const fn partition(&self) -> &Partition<M> {
        &self.search.partition
    }

    /// Whether it is certain that there is no legal order.
    pub(crate) const fn is_illegal(&self) -> bool {
        self.doubt.is_some()
    }

    /// How many completed operations the deepest attempt so far has linearized.
    pub(crate) fn progress(&self) -> u32 {
        self.doubt.as_ref().map_or_else(|| self.search.progress(), |doubt| doubt.legal.blocked)
    }

    /// Goes on for about `limit` steps. Returns what it came to, if it did, and the steps taken.
    pub(crate) fn run(&mut self, model: &M, limit: u64) -> (Option<Outcome>, u64) {
        let (found, steps) = self.search.run(model, limit);
        let outcome = match (found, self.doubt.take()) {
            (None, doubt) => {
                self.doubt = doubt;
                return (None, steps);
            }
            (Some(Found::Order(path)), None) => return (Some(Outcome::Legal(path)), steps),
            (Some(Found::Order(path)), Some(mut doubt)) => {
                doubt.legal = Longest::complete(self.search.goal(), path);
                self.narrow(model, doubt)
            }
            (Some(Found::Nothing { longest, bound }), None) => {
                let doubt = Doubt { illegal: bound, legal: longest, guessed: false };
                self.narrow(model, doubt)
            }
            (Some(Found::Nothing { longest, bound }), Some(mut doubt)) => {
                doubt.illegal = doubt.illegal.min(bound);
                if longest.blocked > doubt.legal.blocked {
                    doubt.legal = longest;
                }
                self.narrow(model, doubt)
            }
        };
        (outcome, steps)
    }

    /// Asks about a shorter beginning, unless the place is known.
    fn narrow(&mut self, model: &M, mut doubt: Doubt) -> Option<Outcome> {
        let (legal, illegal) = (doubt.legal.blocked, doubt.illegal);
        if legal == illegal {
            return Some(Outcome::Illegal(doubt.legal));
        }
        let goal = if doubt.guessed { illegal - (illegal - legal) / 2 } else { illegal };
        doubt.guessed = true;
        self.search.restart(model, goal);
        self.doubt = Some(doubt);
        None
    }
}
