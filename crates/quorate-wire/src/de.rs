//! Reads the bincode format so that no claim inside it is believed before it is checked.
//!
//! Integers are bincode's. Its serde layer is not used for decoding, because it fills a buffer of a
//! claimed length before it looks whether the bytes exist, follows any depth, and counts through
//! 2^64 elements that take no bytes.

use bincode::config::Configuration;
use bincode::de::read::{BorrowReader, Reader};
use bincode::de::{BorrowDecoder, Decode, DecoderImpl};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use crate::codec::{CONFIG, DecodeError};

/// The deepest nesting accepted; messages stay below 32.
const DEPTH: usize = 128;

/// The longest reason kept, in characters: a peer's text must not flood a log.
const REASON: usize = 200;

/// The body of a message while it is read.
pub(crate) struct Body<'de> {
    decoder: DecoderImpl<Input<'de>, Configuration, ()>,
    depth: usize,
}

impl<'de> Body<'de> {
    pub(crate) fn new(bytes: &'de [u8]) -> Self {
        Self { decoder: DecoderImpl::new(Input { left: bytes }, CONFIG, ()), depth: 0 }
    }

    /// How many bytes are unread.
    pub(crate) fn left(&mut self) -> usize {
        self.decoder.borrow_reader().left.len()
    }

    fn integer<T: Decode<()>>(&mut self) -> Result<T, DecodeError> {
        T::decode(&mut self.decoder).map_err(DecodeError::from)
    }

    /// A length of things that take at least a byte each, so never more than the bytes left.
    fn length(&mut self) -> Result<usize, DecodeError> {
        let claimed: u64 = self.integer()?;
        let left = self.left();
        match usize::try_from(claimed) {
            Ok(length) if length <= left => Ok(length),
            _ => Err(DecodeError::Overclaimed { claimed, left }),
        }
    }

    /// A byte string, borrowed: it is copied only once it is known to be there.
    fn bytes(&mut self) -> Result<&'de [u8], DecodeError> {
        let length = self.length()?;
        Ok(self.decoder.borrow_reader().take_bytes(length)?)
    }

    fn text(&mut self) -> Result<&'de str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(DecodeError::custom)
    }

    /// Runs `read` one level deeper.
    fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        if self.depth == DEPTH {
            return Err(DecodeError::TooDeep { limit: DEPTH });
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }
}

macro_rules! integers {
    ($($deserialize:ident $visit:ident,)*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            visitor.$visit(self.integer()?)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Body<'de> {
    type Error = DecodeError;

    integers! {
        deserialize_bool visit_bool,
        deserialize_i8 visit_i8,
        deserialize_i16 visit_i16,
        deserialize_i32 visit_i32,
        deserialize_i64 visit_i64,
        deserialize_i128 visit_i128,
        deserialize_u8 visit_u8,
        deserialize_u16 visit_u16,
        deserialize_u32 visit_u32,
        deserialize_u64 visit_u64,
        deserialize_u128 visit_u128,
        deserialize_f32 visit_f32,
        deserialize_f64 visit_f64,
        deserialize_char visit_char,
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, DecodeError> {
        Err(DecodeError::custom("the format does not describe itself"))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_borrowed_bytes(self.bytes()?)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.integer::<bool>()? {
            self.nested(|body| visitor.visit_some(body))
        } else {
            visitor.visit_none()
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.nested(|body| visitor.visit_newtype_struct(body))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let length = self.length()?;
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.nested(|body| visitor.visit_seq(Items { body, left: length }))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let length = self.length()?;
        self.nested(|body| visitor.visit_map(Items { body, left: length }))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_tuple(fields.len(), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.nested(|body| visitor.visit_enum(body))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_any(visitor)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The elements of a sequence or a map.
struct Items<'a, 'de> {
    body: &'a mut Body<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.body).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        seed.deserialize(&mut *self.body)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> EnumAccess<'de> for &mut Body<'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self), DecodeError> {
        let index: u32 = self.integer()?;
        let variant =
            seed.deserialize(IntoDeserializer::<DecodeError>::into_deserializer(index))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for &mut Body<'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, DecodeError> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_tuple(fields.len(), visitor)
    }
}

/// The bytes still unread. bincode's own reader does not tell how many there are.
struct Input<'de> {
    left: &'de [u8],
}

impl Reader for Input<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<(), bincode::error::DecodeError> {
        bytes.copy_from_slice(self.take_bytes(bytes.len())?);
        Ok(())
    }

    fn peek_read(&mut self, n: usize) -> Option<&[u8]> {
        self.left.get(..n)
    }

    fn consume(&mut self, n: usize) {
        self.left = self.left.get(n..).unwrap_or_default();
    }
}

impl<'de> BorrowReader<'de> for Input<'de> {
    fn take_bytes(&mut self, length: usize) -> Result<&'de [u8], bincode::error::DecodeError> {
        let Some((taken, left)) = self.left.split_at_checked(length) else {
            let additional = length - self.left.len();
            return Err(bincode::error::DecodeError::UnexpectedEnd { additional });
        };
        self.left = left;
        Ok(taken)
    }
}

impl From<bincode::error::DecodeError> for DecodeError {
    fn from(error: bincode::error::DecodeError) -> Self {
        match error {
            bincode::error::DecodeError::UnexpectedEnd { .. } => Self::Truncated,
            other => Self::custom(other),
        }
    }
}

impl Error for DecodeError {
    fn custom<T: std::fmt::Display>(reason: T) -> Self {
        Self::Malformed { reason: reason.to_string().chars().take(REASON).collect() }
    }
}
