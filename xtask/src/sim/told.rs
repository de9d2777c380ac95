//! `--scenario`: a named story in place of what is drawn.

use std::process::ExitCode;

use comfy_table::{Table, presets};
use quorate_sim::cluster::{Profile, Scenario, scenarios};

use super::Sim;
use crate::sh::say;

/// Variations of a scenario that are looked at more closely.
const LOOKED_AT: u64 = 20;

/// The scenario of this name, if it can be played.
pub(super) fn scenario(name: &str) -> Result<&'static Scenario, String> {
    let known = || scenarios().iter().map(|known| known.name).collect::<Vec<_>>().join(", ");
    let scenario = Scenario::named(name)
        .ok_or_else(|| format!("there is no scenario `{name}`: choose from {}", known()))?;
    match scenario.awaits {
        Some(part) => Err(format!("n/a: `{name}` waits for {part}")),
        None => Ok(scenario),
    }
}

/// How many nodes a run may have.
pub(super) fn nodes(text: &str) -> Result<u8, String> {
    let nodes = text.parse().ok().filter(|nodes| (1..=32).contains(nodes));
    nodes.ok_or_else(|| format!("`{text}` is no number of nodes: write 1 to 32"))
}

/// Lists all scenarios.
pub(super) fn list() -> ExitCode {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    for scenario in scenarios() {
        let shows = match scenario.awaits {
            Some(part) => format!("n/a: waits for {part}"),
            None => format!("shows that {}", scenario.shows),
        };
        table.add_row([scenario.name, &format!("{}\n{shows}", scenario.story)]);
    }
    say(&table.to_string());
    ExitCode::SUCCESS
}

impl Sim {
    /// How runs are: as asked for, or so that the seeded bug can show itself.
    pub(super) fn profile(&self, mutant: Option<&str>) -> Profile {
        let told = self.scenario.and_then(|told| told.profile(self.nodes.unwrap_or(told.nodes)));
        let mut profile = told.unwrap_or_else(|| self.kind(mutant).profile());
        if let Some(nodes) = self.nodes {
            profile.set_nodes(nodes);
        }
        profile
    }

    /// The options that ask for it, for a command to copy.
    pub(super) fn options(&self, mutant: Option<&str>) -> String {
        let kind = self.kind(mutant).option();
        let mut options = self
            .scenario
            .map_or_else(|| kind.to_owned(), |scenario| format!(" --scenario {}", scenario.name));
        if let Some(nodes) = self.nodes {
            options += &format!(" --nodes {nodes}");
        }
        options
    }

    /// Whether some variations of the scenario show what they must.
    pub(super) fn shows_what_it_must(&self) -> bool {
        let Some(scenario) = self.scenario else { return true };
        // Stories are told of so many nodes, and what they show is known of these alone.
        if self.nodes.is_some_and(|nodes| nodes != scenario.nodes) {
            return true;
        }
        let failed = (0..LOOKED_AT).find_map(|seed| {
            scenario.try_out(seed, scenario.nodes).err().map(|error| (seed, error))
        });
        match failed {
            None => say(&format!("{LOOKED_AT} of {LOOKED_AT} show that {}", scenario.shows)),
            Some((seed, ref error)) => {
                say(&format!("seed {seed} does not show that {}: {error}", scenario.shows));
            }
        }
        failed.is_none()
    }
}
