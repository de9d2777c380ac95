//! Numbers that are random or hashes, in as many bytes as they have: the usual encoding is for
//! small ones, and takes a byte more for these.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) trait Raw: Copy {
    type Bytes: Serialize + for<'de> Deserialize<'de>;
    fn into_bytes(self) -> Self::Bytes;
    fn of_bytes(bytes: Self::Bytes) -> Self;
}

impl Raw for u32 {
    type Bytes = [u8; 4];

    fn into_bytes(self) -> [u8; 4] {
        self.to_le_bytes()
    }

    fn of_bytes(bytes: [u8; 4]) -> Self {
        Self::from_le_bytes(bytes)
    }
}

impl Raw for u64 {
    type Bytes = [u8; 8];

    fn into_bytes(self) -> [u8; 8] {
        self.to_le_bytes()
    }

    fn of_bytes(bytes: [u8; 8]) -> Self {
        Self::from_le_bytes(bytes)
    }
}

pub(crate) fn serialize<T: Raw, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.into_bytes().serialize(serializer)
}

pub(crate) fn deserialize<'de, T: Raw, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(T::of_bytes(T::Bytes::deserialize(deserializer)?))
}
