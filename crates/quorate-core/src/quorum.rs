//! How many are enough: pure functions over one voter set.

/// How many of `voters` make a majority; 1 for none, so that an empty set never decides.
#[must_use]
pub const fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

/// What the votes of one voter set amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoteResult {
    /// A majority granted.
    Won,
    /// A majority can no longer be reached.
    Lost,
    /// Both are still possible.
    Open,
}

/// The result of an election among `voters`, of which `granted` said yes and `refused` no.
#[must_use]
pub const fn vote_result(voters: usize, granted: usize, refused: usize) -> VoteResult {
    let needed = majority(voters);
    if granted >= needed {
        VoteResult::Won
    } else if voters < needed + refused {
        VoteResult::Lost
    } else {
        VoteResult::Open
    }
}

/// The highest value that a majority has reached, given what each voter reached (0 for nothing).
///
/// Sorts `reached` in place; 0 for an empty set. `O(n log n)`.
#[must_use]
pub fn committed_index(reached: &mut [u64]) -> u64 {
    reached.sort_unstable_by(|a, b| b.cmp(a));
    reached.get(majority(reached.len()) - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The naive twin: try every value downwards and count.
    fn committed_naively(reached: &[u64]) -> u64 {
        let mut candidates = reached.to_vec();
        candidates.sort_unstable();
        candidates
            .into_iter()
            .rev()
            .find(|c| reached.iter().filter(|r| *r >= c).count() * 2 > reached.len())
            .unwrap_or(0)
    }

    #[test]
    fn the_committed_index_equals_its_naive_twin() {
        let mut rng = crate::Rng::seeded(3);
        for _ in 0..2_000 {
            let len = rng.index(8);
            let mut reached: Vec<u64> = (0..len).map(|_| rng.below(5)).collect();
            assert_eq!(committed_naively(&reached), committed_index(&mut reached));
        }
    }

    #[test]
    fn an_election_is_decided_exactly_when_the_rest_cannot_turn_it() {
        for voters in 0..8_usize {
            for granted in 0..=voters {
                for refused in 0..=voters - granted {
                    let open = voters - granted - refused;
                    let expected = if granted * 2 > voters {
                        VoteResult::Won
                    } else if (granted + open) * 2 <= voters {
                        VoteResult::Lost
                    } else {
                        VoteResult::Open
                    };
                    assert_eq!(vote_result(voters, granted, refused), expected);
                }
            }
        }
    }
}
