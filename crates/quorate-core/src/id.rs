//! Identities: one newtype each, so that two numbers side by side cannot be swapped.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The lasting name of a node: 1 to 64 of `[A-Za-z0-9._-]`, ordered by its bytes.
///
/// A node keeps its name when its address changes. Cloning is cheap (a reference count).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(Arc<str>);

// By hand, since every message names nodes: derived by way of `String`, each name would be copied.
impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = NodeId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the id of a node")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<NodeId, E> {
        NodeId::new(name).map_err(E::custom)
    }
}

/// A text that is no [`NodeId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no node id: use 1 to 64 of the characters A-Z a-z 0-9 . _ -")]
pub struct InvalidNodeId(String);

impl NodeId {
    /// The longest name, in bytes.
    pub const LEN_MAX: usize = 64;

    /// Checks `name` and makes it an id.
    ///
    /// # Errors
    ///
    /// [`InvalidNodeId`] if `name` is empty, too long or holds another character.
    pub fn new(name: &str) -> Result<Self, InvalidNodeId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if name.is_empty() || name.len() > Self::LEN_MAX || !name.bytes().all(allowed) {
            return Err(InvalidNodeId(name.chars().take(80).collect()));
        }
        Ok(Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for NodeId {
    type Error = InvalidNodeId;

    fn try_from(name: String) -> Result<Self, InvalidNodeId> {
        Self::new(&name)
    }
}

impl FromStr for NodeId {
    type Err = InvalidNodeId;

    fn from_str(name: &str) -> Result<Self, InvalidNodeId> {
        Self::new(name)
    }
}

impl From<NodeId> for String {
    fn from(id: NodeId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        pub struct $name(pub u64);

        impl $name {
            /// The value before any other.
            pub const ZERO: Self = Self(0);

            /// The following value.
            ///
            /// # Panics
            ///
            /// Never in practice: after 2^64 steps.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.checked_add(1).expect("2^64 steps outlive any cluster"))
            }

            /// The value before this one; zero stays zero.
            #[must_use]
            pub const fn previous(self) -> Self {
                Self(self.0.saturating_sub(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

number! {
    /// A period with at most one leader. Also the fencing token of a bare election.
    Term, "t"
}
number! {
    /// The place of an entry in the log; the first entry is at 1.
    LogIndex, "i"
}
number! {
    /// How often this data folder has been started; part of a node's incarnation.
    BootEpoch, "b"
}

/// What a data folder is called for its whole life: drawn at random when it is first used, and
/// durable in it before its node says anything.
///
/// A node that lost its disk comes back under its name and on another disk. It is not who made the
/// promises of the lost one (votes, acknowledged entries), so its word must not count in their
/// place. A copy of a folder has the number of the original.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct DiskId(pub u64);

impl DiskId {
    /// Not known. As the disk of a member of a configuration: any disk may speak for it.
    pub const NONE: Self = Self(0);
}

impl fmt::Display for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "d{:x}", self.0)
    }
}

/// The identity of an entry: no two entries of a cluster share one. Ordered by term, then index,
/// which is the order of freshness (Ongaro and Ousterhout 2014, section 5.4.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct LogId {
    /// The term of the leader that appended the entry.
    pub term: Term,
    /// Its place in the log.
    pub index: LogIndex,
}

impl LogId {
    /// Before the first entry.
    pub const ZERO: Self = Self { term: Term::ZERO, index: LogIndex::ZERO };

    /// An identity from its two numbers.
    #[must_use]
    pub const fn new(term: u64, index: u64) -> Self {
        Self { term: Term(term), index: LogIndex(index) }
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.term, self.index)
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.term, self.index)
    }
}

/// The identity of a cluster, drawn once at its birth. Clusters never merge.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct ClusterId(pub u128);

impl ClusterId {
    /// No cluster yet.
    pub const NONE: Self = Self(0);
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
