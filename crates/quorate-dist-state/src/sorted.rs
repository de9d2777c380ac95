//! A sorted map as a sequence of pairs that rise by key.

use std::fmt;
use std::marker::PhantomData;

use imbl::OrdMap;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

pub(crate) fn serialize<K, V, S>(map: &OrdMap<K, V>, serializer: S) -> Result<S::Ok, S::Error>
where
    K: Ord + Serialize,
    V: Serialize,
    S: Serializer,
{
    serializer.collect_seq(map.iter())
}

pub(crate) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<OrdMap<K, V>, D::Error>
where
    K: Ord + Clone + Deserialize<'de>,
    V: Clone + Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_seq(Pairs(PhantomData))
}

struct Pairs<K, V>(PhantomData<(K, V)>);

impl<'de, K, V> Visitor<'de> for Pairs<K, V>
where
    K: Ord + Clone + Deserialize<'de>,
    V: Clone + Deserialize<'de>,
{
    type Value = OrdMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pairs that rise by key")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pairs: A) -> Result<OrdMap<K, V>, A::Error> {
        // No room is set aside for the length that is claimed: it may be a lie.
        let mut map = OrdMap::new();
        while let Some((key, value)) = pairs.next_element::<(K, V)>()? {
            if map.get_max().is_some_and(|(last, _)| *last >= key) {
                return Err(A::Error::custom("the keys do not rise"));
            }
            map.insert(key, value);
        }
        Ok(map)
    }
}
