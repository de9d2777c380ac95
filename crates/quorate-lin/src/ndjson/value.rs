use std::collections::BTreeMap;
use std::fmt;

/// A JSON value that can be compared exactly, as histories in files hold it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// `null` inside a list or an object; alone it means absent and is no value.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Number(i128),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Self>),
    /// An object; the order of its fields does not matter.
    Object(BTreeMap<String, Self>),
}

impl Value {
    /// The value without loss, or `None` if it holds a number that may have been rounded.
    pub(crate) fn exact(json: serde_json::Value) -> Option<Self> {
        Some(match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(number) => Self::Number(number.as_i128()?),
            serde_json::Value::String(text) => Self::Text(text),
            serde_json::Value::Array(items) => {
                Self::List(items.into_iter().map(Self::exact).collect::<Option<_>>()?)
            }
            serde_json::Value::Object(fields) => Self::Object(
                fields
                    .into_iter()
                    .map(|(name, value)| Some((name, Self::exact(value)?)))
                    .collect::<Option<_>>()?,
            ),
        })
    }

    /// Appending as key-value stores know it: text grows by text, lists by an item. What is absent
    /// becomes the text, or a list of the one item. Anything else is impossible.
    pub(crate) fn append(value: Option<&Self>, more: &Self) -> Option<Self> {
        match (value, more) {
            (None, Self::Text(more)) => Some(Self::Text(more.clone())),
            (None, more) => Some(Self::List(vec![more.clone()])),
            (Some(Self::Text(text)), Self::Text(more)) => Some(Self::Text(format!("{text}{more}"))),
            (Some(Self::List(items)), more) => {
                Some(Self::List(items.iter().chain([more]).cloned().collect()))
            }
            (
                Some(
                    Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Object(_),
                ),
                _,
            ) => None,
        }
    }
}

/// As in JSON.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
            Self::List(items) => f.debug_list().entries(items).finish(),
            Self::Object(fields) => f.debug_map().entries(fields).finish(),
        }
    }
}
