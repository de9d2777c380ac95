//! One key: how it is written, and what it is called.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::SealError;

/// A secret of 32 bytes that all nodes of a cluster share.
///
/// Written as 64 hexadecimal digits or in base64 (44 characters; both alphabets, padding or not).
/// Its `Debug` shows its [`id`](Self::id) alone, and its memory is wiped when it is dropped.
///
/// ```
/// use quorate_tokio::Key;
///
/// let key: Key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f".parse()?;
/// assert_eq!(format!("{key:?}"), format!("Key({})", key.id()));
/// # Ok::<(), quorate_tokio::KeyError>(())
/// ```
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// How long a key is, in bytes.
    pub const BYTES: usize = 32;

    /// A fresh key from the randomness of the operating system.
    ///
    /// # Errors
    ///
    /// [`SealError`] if there is none.
    pub fn generate() -> Result<Self, SealError> {
        let mut bytes = Zeroizing::new([0; Self::BYTES]);
        super::randomness(bytes.as_mut_slice())?;
        Ok(Self(bytes))
    }

    /// The key of these bytes.
    ///
    /// # Errors
    ///
    /// [`KeyError::Placeholder`] if all of them are equal.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(bytes);
        if bytes.iter().all(|byte| *byte == bytes[0]) {
            return Err(KeyError::Placeholder);
        }
        Ok(Self(bytes))
    }

    /// What it is called on the wire and by operators: derived from the key, so that nobody has to
    /// number keys and the same key has one name everywhere. Tells nothing about the key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        // The tag of an empty message under a nonce that no random one meets.
        let payload = Payload { msg: &[], aad: b"quorate key id" };
        let tag = self.cipher().encrypt(&XNonce::from(*ID_NONCE), payload);
        // It only fails for a message of many gigabytes.
        let id = tag.ok().and_then(|tag| tag.first_chunk().copied());
        KeyId(id.unwrap_or_default())
    }

    /// The key in hexadecimal digits, to be written to a secret store; the text is wiped when
    /// dropped.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('?');
        let mut text = Zeroizing::new(String::with_capacity(2 * Self::BYTES));
        for byte in self.0.iter() {
            text.push(digit(byte >> 4));
            text.push(digit(byte & 15));
        }
        text
    }

    pub(super) fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.0.as_slice().try_into().expect("a key has 32 bytes"))
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let bytes = unhex(text).or_else(|| unbase64(text)).ok_or(KeyError::NoKey)?;
        let fits: Result<[u8; Self::BYTES], _> = bytes.as_slice().try_into();
        Self::from_bytes(fits.map_err(|_| KeyError::Length { bytes: bytes.len() })?)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id())
    }
}

/// What a key is called: eight hexadecimal digits that are derived from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub(super) [u8; 4]);

impl KeyId {
    pub(super) const BYTES: usize = 4;
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let digits = text.len() == 2 * Self::BYTES && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u32::from_str_radix(text, 16).ok().filter(|_| digits);
        number.map(|number| Self(number.to_be_bytes())).ok_or(KeyError::NoId)
    }
}

/// Why a text is no [`Key`] or [`KeyId`]. None of these shows the text: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It is neither hexadecimal nor base64.
    #[error(
        "no key: write 64 hexadecimal digits, or 32 bytes in base64 as `openssl rand -base64 32` does"
    )]
    NoKey,
    /// It is too short or too long.
    #[error(
        "a key has 32 bytes, not {bytes}: make one with `openssl rand -base64 32` or `openssl rand -hex 32`"
    )]
    Length {
        /// How many bytes the text holds.
        bytes: usize,
    },
    /// All its bytes are equal.
    #[error("all bytes of the key are equal: replace the placeholder by a random key")]
    Placeholder,
    /// It is not the name of a key.
    #[error("no key id: write the eight hexadecimal digits that the keyring shows")]
    NoId,
}

/// The bytes of an even number of hexadecimal digits. 64 of them could also be base64, of a key of
/// 48 bytes, which there is not.
fn unhex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    if text.is_empty() || !text.len().is_multiple_of(2) {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    for pair in text.as_bytes().chunks(2) {
        bytes.push(digit(pair[0])? << 4 | digit(pair[1])?);
    }
    Some(bytes)
}

fn unbase64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let alphabets = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
    alphabets.into_iter().find_map(|engine| engine.decode(text).ok()).map(Zeroizing::new)
}

const ID_NONCE: &[u8; 24] = b"quorate: the name of key";

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn a_key_is_read_from_hexadecimal_and_from_every_base64() {
        let key: Key = HEX.parse().unwrap();
        for text in [
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
            &HEX.to_uppercase(),
            &format!(" {HEX}\n"),
            &key.reveal(),
        ] {
            assert_eq!(*text.parse::<Key>().unwrap().reveal(), HEX, "{text}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_with_what_to_write_and_without_the_text() {
        for (text, error) in [
            ("", KeyError::Length { bytes: 0 }),
            ("my secret!", KeyError::NoKey),
            (&HEX[..62], KeyError::Length { bytes: 31 }),
            ("c2hvcnQ=", KeyError::Length { bytes: 5 }),
            (&"0".repeat(64), KeyError::Placeholder),
        ] {
            let refused = text.parse::<Key>().unwrap_err();
            assert_eq!(refused, error);
            assert!(text.is_empty() || !refused.to_string().contains(text));
        }
        assert_eq!("xyz".parse::<KeyId>(), Err(KeyError::NoId));
        assert_eq!("+1234567".parse::<KeyId>(), Err(KeyError::NoId));
    }

    #[test]
    fn an_id_is_the_same_everywhere_and_can_be_written() {
        let key: Key = HEX.parse().unwrap();
        assert_eq!(key.id().to_string(), "8373c616");
        assert_eq!(key.id().to_string().parse(), Ok(key.id()));
        assert_ne!(Key::generate().unwrap().id(), key.id());
    }

    #[test]
    fn no_debug_shows_a_key() {
        let key = Key::generate().unwrap();
        assert_eq!(format!("{key:?}"), format!("Key({})", key.id()));
        assert!(!key.reveal().contains(&key.id().to_string()), "derived, not cut out of it");
    }
}
