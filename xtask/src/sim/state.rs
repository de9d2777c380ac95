//! `--state`: what many campaigns add up to.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::args::{Kind, SEEDS_END};
use super::campaign::Campaign;

/// The sum of campaigns, in a file. The next one goes on where the last one ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// How runs are: seeds mean other runs for another kind.
    profile: String,
    /// The seed to begin with.
    pub(super) next_seed: u64,
    seeds: u64,
    events: u64,
    simulated_hours: f64,
    /// What the campaigns took, in seconds.
    seconds: f64,
    /// Seeds that broke a promise.
    #[serde(default)]
    broken: Vec<u64>,
}

impl State {
    /// What stands in `file`, which can be written.
    pub(super) fn open(file: &Path, kind: Kind) -> Result<Self, String> {
        let state = Self::read(file, kind)?;
        state.write(file)?;
        Ok(state)
    }

    /// What stands in `file`, or the beginning if there is none.
    fn read(file: &Path, kind: Kind) -> Result<Self, String> {
        let new = Self {
            profile: kind.name().to_owned(),
            next_seed: 0,
            seeds: 0,
            events: 0,
            simulated_hours: 0.0,
            seconds: 0.0,
            broken: Vec::new(),
        };
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(new),
            Err(error) => return Err(format!("{}: {error}", file.display())),
        };
        let state: Self = toml::from_str(&text).map_err(|error| {
            let file = file.display();
            format!("{file} is no state of campaigns; move it away to begin anew: {error}")
        })?;
        if state.profile != new.profile {
            let (file, theirs, ours) = (file.display(), state.profile, new.profile);
            return Err(format!(
                "{file} adds up {theirs} runs, and these would be {ours}: name another file"
            ));
        }
        let is_sum =
            [state.simulated_hours, state.seconds].iter().all(|sum| sum.is_finite() && *sum >= 0.0);
        // Far enough from what a file cannot hold.
        let is_count = [state.next_seed, state.seeds, state.events].iter().all(|n| *n < COUNT_END);
        if !is_sum || !is_count {
            let file = file.display();
            return Err(format!(
                "{file} has numbers that no campaign leaves; move it away to begin anew"
            ));
        }
        Ok(state)
    }

    pub(super) fn add(&mut self, campaign: &Campaign) {
        self.next_seed = campaign.next_seed;
        self.seeds = self.seeds.saturating_add(campaign.summary.seeds);
        self.events = self.events.saturating_add(campaign.summary.events);
        self.simulated_hours += campaign.summary.hours();
        self.seconds += campaign.took.as_secs_f64();
        self.broken.extend(campaign.failure.as_ref().map(|failure| failure.seed));
    }

    /// Writes it beside `file` and puts it in its place, so that no crash leaves half of it.
    pub(super) fn write(&self, file: &Path) -> Result<(), String> {
        let say = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let text = toml::to_string(self).map_err(|error| say(&error))?;
        let mut beside = file.as_os_str().to_owned();
        beside.push(".new");
        fs::write(&beside, text).map_err(|error| say(&error))?;
        fs::rename(&beside, file).map_err(|error| say(&error))
    }

    /// All of it in a line.
    pub(super) fn tell(&self) -> String {
        format!(
            "in all: {} seeds, {} events, {:.1} simulated hours, {} broken; next seed {}",
            self.seeds,
            self.events,
            self.simulated_hours,
            self.broken.len(),
            self.next_seed
        )
    }
}

/// No campaign comes that far.
const COUNT_END: u64 = SEEDS_END / 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_and_a_corrupt_one_is_refused_in_words() {
        let folder = std::env::temp_dir().join(format!("quorate-state-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("state.toml");
        let mut state = State::read(&file, Kind::Short).unwrap();
        assert_eq!(state.next_seed, 0);
        state.next_seed = 77;
        state.write(&file).unwrap();
        assert_eq!(State::read(&file, Kind::Short), Ok(state));
        let error = State::read(&file, Kind::Long).unwrap_err();
        assert!(error.contains("adds up short runs, and these would be long"), "{error}");
        let text = fs::read_to_string(&file).unwrap();
        for (sound, broken) in [
            ("seconds = 0.0", "seconds = nan"),
            ("simulated_hours = 0.0", "simulated_hours = -1.0"),
            ("next_seed = 77", "next_seed = 9223372036854775808"),
        ] {
            assert!(text.contains(sound), "{text}");
            fs::write(&file, text.replace(sound, broken)).unwrap();
            let error = State::read(&file, Kind::Short).unwrap_err();
            assert!(error.contains("move it away to begin anew"), "{broken}: {error}");
        }
        fs::write(&file, "next_seed = 'x'").unwrap();
        let error = State::read(&file, Kind::Short).unwrap_err();
        assert!(error.contains("is no state of campaigns"), "{error}");
        assert!(State::open(&folder.join("missing").join("state.toml"), Kind::Short).is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
