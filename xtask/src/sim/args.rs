//! Values of the command line.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use quorate_sim::Plan;
use quorate_sim::cluster::{KvOperation, Profile};

/// Seeds as `0..1000`.
pub(super) fn seeds(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("write A..B, for example 0..1000")?;
    let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is no seed"));
    Ok(number(from)?..number(to)?)
}

/// A time as `45s`.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.trim_end_matches('s');
    number.parse().map(Duration::from_secs).map_err(|_| format!("`{text}` is no time: write 45s"))
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
    if let Ok(seed) = text.parse() {
        return Ok(profile.plan(seed));
    }
    read_plan(Path::new(text))
}

pub(super) fn read_plan(file: &Path) -> Result<Plan<KvOperation>, String> {
    let say = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = fs::read_to_string(file).map_err(|error| say(&error))?;
    Plan::from_toml(&text).map_err(|error| say(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_and_times_are_read_or_refused_in_words() {
        assert_eq!(seeds("3..9"), Ok(3..9));
        assert_eq!(seeds("3-9").unwrap_err(), "write A..B, for example 0..1000");
        assert_eq!(seeds("x..9").unwrap_err(), "`x` is no seed");
        assert_eq!(seconds("45s"), Ok(Duration::from_secs(45)));
        assert_eq!(seconds("soon").unwrap_err(), "`soon` is no time: write 45s");
    }
}
