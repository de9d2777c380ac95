//! Values of the command line.

use std::fs;
use std::ops::Range;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;

use quorate_sim::Plan;
use quorate_sim::cluster::{KvOperation, Profile};

use crate::sh::time;

/// One more than the largest seed, which a plan's file must be able to hold.
pub(super) const SEEDS_END: u64 = 1 << 63;

/// Seeds as `0..1000`.
pub(super) fn seeds(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("write A..B, for example 0..1000")?;
    let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is no seed"));
    let (from, to) = (number(from)?, number(to)?);
    if from >= to {
        return Err(format!("no seed is from {from} up to {to}: the second number is not run"));
    }
    if to > SEEDS_END {
        return Err(format!("seeds end at {SEEDS_END}"));
    }
    Ok(from..to)
}

/// A time in which something can be run.
pub(super) fn budget(text: &str) -> Result<Duration, String> {
    match time(text)? {
        Duration::ZERO => Err("nothing runs in no time: write 45s, 10m or 1h".to_owned()),
        time => Ok(time),
    }
}

/// How many threads.
pub(super) fn jobs() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=256)
}

/// How many memberships.
pub(super) fn members() -> RangedU64ValueParser<u32> {
    RangedU64ValueParser::new().range(4..=100_000)
}

/// How runs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Mixed,
    Short,
    Long,
    Birth,
}

impl Kind {
    pub(super) fn profile(self) -> Profile {
        match self {
            Self::Mixed => Profile::mixed(),
            Self::Short => Profile::short(),
            Self::Long => Profile::long(),
            Self::Birth => Profile::birth(),
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Short => "short",
            Self::Long => "long",
            Self::Birth => "birth",
        }
    }

    /// The option that asks for it, for a command to copy.
    pub(super) const fn option(self) -> &'static str {
        match self {
            Self::Mixed => "",
            Self::Short => " --short",
            Self::Long => " --long",
            Self::Birth => " --birth",
        }
    }
}

/// The plan of a seed, or in a file.
pub(super) fn plan(text: &str, profile: &Profile) -> Result<Plan<KvOperation>, String> {
    match text.parse() {
        Ok(seed) if seed < SEEDS_END => return Ok(profile.plan(seed)),
        Ok(seed) => return Err(format!("{seed} is no seed: they end at {SEEDS_END}")),
        Err(_) => {}
    }
    let plan = fs::read_to_string(text)
        .map_err(|error| format!("`{text}` is no seed, and as a file with a plan: {error}"))?;
    Plan::from_toml(&plan).map_err(|error| format!("{text}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_and_times_are_read_or_refused_in_words() {
        assert_eq!(seeds("3..9"), Ok(3..9));
        assert_eq!(seeds("3-9").unwrap_err(), "write A..B, for example 0..1000");
        assert_eq!(seeds("x..9").unwrap_err(), "`x` is no seed");
        let none = seeds("5..5").unwrap_err();
        assert_eq!(none, "no seed is from 5 up to 5: the second number is not run");
        assert!(seeds("9223372036854775807..9223372036854775808").is_ok());
        let late = seeds("0..9223372036854775809").unwrap_err();
        assert_eq!(late, "seeds end at 9223372036854775808");
        assert_eq!(budget("45s"), Ok(Duration::from_secs(45)));
        assert!(budget("0s").unwrap_err().starts_with("nothing runs in no time"));
    }

    #[test]
    fn what_is_neither_a_seed_nor_a_plan_is_refused_in_words() {
        let error = |text| plan(text, &Profile::short()).unwrap_err();
        assert_eq!(
            error("9223372036854775808"),
            "9223372036854775808 is no seed: they end at 9223372036854775808"
        );
        assert!(error("-4").starts_with("`-4` is no seed, and as a file with a plan: "));
    }
}
