//! Settings from several places, laid over one another; each value remembers where it came from.

use std::collections::BTreeMap;
use std::fmt;

use toml::Value;

use super::ConfigError;
use super::keys::{KEYS, LATER, Shape, find, nearest};
use super::secret::SHOWN;

/// Where a value came from; a later one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Set in code.
    Builder,
    /// A configuration file.
    File,
    /// The environment.
    Environment,
    /// A flag of the command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Builder => "builder",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        })
    }
}

/// Raw settings by full name, with their origin.
#[derive(Clone, Default)]
pub(crate) struct Layers {
    values: BTreeMap<&'static str, (Value, Origin)>,
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_secret = |name| find(name).is_some_and(|key| key.shape == Shape::Secrets);
        let shown = self.values.iter().map(|(name, (value, origin))| {
            let value = if is_secret(name) { SHOWN.to_owned() } else { value.to_string() };
            (name, (value, origin))
        });
        f.debug_map().entries(shown).finish()
    }
}

impl Layers {
    /// Sets `name` unless a later layer already has.
    pub(crate) fn set(
        &mut self,
        name: &str,
        value: Value,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        let Some(key) = find(name) else {
            return Err(ConfigError::UnknownKey {
                key: name.to_owned(),
                hint: nearest(name).map(str::to_owned),
            });
        };
        if self.values.get(key.name).is_none_or(|(_, there)| *there <= origin) {
            self.values.insert(key.name, (value, origin));
        }
        Ok(())
    }

    /// Sets `name` from text, as an environment variable or flag gives it.
    pub(crate) fn set_text(
        &mut self,
        name: &str,
        text: &str,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        let shape = find(name).map_or(Shape::Text, |key| key.shape);
        let wrong = |wanted: &'static str| ConfigError::WrongValue {
            key: name.to_owned(),
            value: text.to_owned(),
            wanted: wanted.to_owned(),
        };
        let value = match shape {
            Shape::Text => Value::String(text.to_owned()),
            Shape::Bool => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Value::Boolean(true),
                "false" | "0" | "no" | "off" => Value::Boolean(false),
                _ => return Err(wrong("true or false")),
            },
            Shape::Number => Value::Integer(text.parse().map_err(|_| wrong("a whole number"))?),
            Shape::List | Shape::Secrets => Value::Array(
                text.split(',')
                    .map(str::trim)
                    .filter(|part| !part.is_empty())
                    .map(|part| Value::String(part.to_owned()))
                    .collect(),
            ),
        };
        self.set(name, value, origin)
    }

    /// Lays a file over the rest.
    pub(crate) fn file(&mut self, text: &str) -> Result<(), ConfigError> {
        let table: toml::Table = text.parse().map_err(|error| unreadable(text, &error))?;
        for (section, value) in table {
            let Value::Table(options) = value else {
                return Err(ConfigError::UnknownKey {
                    hint: nearest(&section).map(str::to_owned),
                    key: section,
                });
            };
            for (option, value) in options {
                self.set(&format!("{section}.{option}"), value, Origin::File)?;
            }
        }
        Ok(())
    }

    /// Lays the environment over the rest: the flat names, and `QUORATE__SECTION__OPTION`.
    pub(crate) fn environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        let variables: BTreeMap<String, String> = variables.into_iter().collect();
        for key in KEYS {
            if let Some(text) = key.flat.and_then(|flat| variables.get(flat)) {
                self.set_text(key.name, text, Origin::Environment)?;
            }
        }
        for (flat, part) in LATER {
            let on = |text: &String| !matches!(text.to_ascii_lowercase().as_str(), "false" | "0");
            if variables.get(*flat).is_some_and(on) {
                let (key, part) = ((*flat).to_owned(), (*part).to_owned());
                return Err(ConfigError::NotInThisVersion { key, part });
            }
        }
        for (variable, text) in &variables {
            if let Some(rest) = variable.strip_prefix("QUORATE__") {
                let name = rest.to_ascii_lowercase().replace("__", ".");
                self.set_text(&name, text, Origin::Environment)?;
            }
        }
        Ok(())
    }

    /// The settings as nested tables, for a typed reading.
    pub(crate) fn tables(&self) -> toml::Table {
        let mut root = toml::Table::new();
        for (name, (value, _)) in &self.values {
            let Some((section, option)) = name.split_once('.') else { continue };
            let entry = root.entry(section).or_insert_with(|| Value::Table(toml::Table::new()));
            if let Value::Table(table) = entry {
                table.insert(option.to_owned(), value.clone());
            }
        }
        root
    }

    /// `text` without what may not be shown.
    pub(crate) fn without_secrets(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, (value, _)) in &self.values {
            if find(name).is_some_and(|key| key.shape == Shape::Secrets) {
                let list =
                    value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
                for secret in list.iter().filter_map(Value::as_str).filter(|s| !s.is_empty()) {
                    text = text.replace(secret, SHOWN);
                }
            }
        }
        text
    }

    /// Where `name` was set; `None` if it has its default.
    pub(crate) fn origin(&self, name: &str) -> Option<Origin> {
        self.values.get(name).map(|(_, origin)| *origin)
    }
}

/// What is wrong with a file. The line that is wrong is shown, unless it may hold a key.
fn unreadable(text: &str, error: &toml::de::Error) -> ConfigError {
    if !text.contains("keyring") {
        return ConfigError::Syntax(error.to_string());
    }
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    ConfigError::Syntax(format!("line {line}: {}", error.message()))
}
