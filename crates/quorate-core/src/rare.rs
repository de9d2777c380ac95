//! Branches that are seldom taken outside, taken often in a simulation.

/// Whether to take the rare branch `name` now: a small buffer where a large one would do, an early
/// timeout, a full queue.
///
/// Every such branch must be right at any time; it is only seldom that anything leads there. In a
/// simulation each of them is on in a quarter of the runs, and taken one time in sixteen then (see
/// `play_rare`, with feature `rare`). Without the feature this is the constant `false`, so that the
/// optimiser removes the branch.
///
/// Nothing that is replicated may depend on it: what one node does, the others would not.
#[cfg(not(feature = "rare"))]
#[inline]
#[must_use]
pub const fn rare(_name: &'static str) -> bool {
    false
}

#[cfg(feature = "rare")]
pub use dice::{play_rare, rare, rare_taken};

#[cfg(feature = "rare")]
mod dice {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use crate::Rng;

    thread_local! {
        /// The dice of this thread's run; `None` outside of simulations.
        static DICE: RefCell<Option<Dice>> = const { RefCell::new(None) };
    }

    struct Dice {
        seed: u64,
        branches: BTreeMap<&'static str, Branch>,
    }

    struct Branch {
        is_on: bool,
        rng: Rng,
        taken: u64,
    }

    /// Whether to take the rare branch `name` now; always `false` on a thread that plays none.
    #[must_use]
    pub fn rare(name: &'static str) -> bool {
        DICE.with_borrow_mut(|dice| dice.as_mut().is_some_and(|dice| dice.roll(name)))
    }

    /// Lets rare branches be taken on this thread from now on, by dice of `seed`; `None` ends it.
    pub fn play_rare(seed: Option<u64>) {
        DICE.set(seed.map(|seed| Dice { seed, branches: BTreeMap::new() }));
    }

    /// How often each rare branch was taken since [`play_rare`].
    #[must_use]
    pub fn rare_taken() -> Vec<(&'static str, u64)> {
        DICE.with_borrow(|dice| {
            let branches = dice.iter().flat_map(|dice| &dice.branches);
            branches.map(|(name, branch)| (*name, branch.taken)).collect()
        })
    }

    impl Dice {
        fn roll(&mut self, name: &'static str) -> bool {
            let seed = self.seed;
            let branch = self.branches.entry(name).or_insert_with(|| {
                let mut rng = Rng::stream(seed, name);
                Branch { is_on: rng.chance(250_000), rng, taken: 0 }
            });
            let takes = branch.is_on && branch.rng.chance(62_500);
            branch.taken += u64::from(takes);
            takes
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_branch_is_rare_in_a_quarter_of_the_runs_and_never_outside() {
            assert!((0..1_000).all(|_| !rare("tested")), "nobody plays");
            let taken = |seed| {
                play_rare(Some(seed));
                (0..1_600).filter(|_| rare("tested")).count()
            };
            let runs: Vec<usize> = (0..400).map(taken).collect();
            assert_eq!(runs, (0..400).map(taken).collect::<Vec<_>>(), "equal seeds, equal dice");
            let on = runs.iter().filter(|taken| **taken > 0).count();
            assert!((70..130).contains(&on), "{on} of 400");
            assert!(runs.iter().all(|taken| *taken == 0 || (60..150).contains(taken)));
            assert_eq!(rare_taken(), [("tested", runs[399] as u64)]);
            play_rare(None);
            assert!((0..1_000).all(|_| !rare("tested")));
        }
    }
}
