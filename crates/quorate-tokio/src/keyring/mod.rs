//! Packets under key: who has no key of the ring can neither read nor forge them.

use std::fmt;
use std::sync::Arc;

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use parking_lot::RwLock;

mod key;

pub use key::{Key, KeyError, KeyId};

/// The keys of a cluster: any of them opens, one of them seals. All clones are one ring, so keys
/// can be changed while it is in use.
///
/// To change the key of a running cluster: [`install`](Self::install) the new one on every node,
/// then [`use_key`](Self::use_key) it on every node, then [`remove`](Self::remove) the old one.
/// Nothing is lost on the way, as at each moment every node opens what any other seals.
///
/// To begin with keys on a running cluster that has none, start its nodes anew, one after the
/// other, three times: with [`Plain::Sent`], [`Plain::Accepted`], and without either. (Or start
/// once, with `Sent`, and change the [mode](Self::set_plain) of all twice.)
///
/// # What a sealed packet is
///
/// ```text
/// 0 version 1   1 key id   5 nonce   29 ciphertext and tag (16)
/// ```
/// XChaCha20-Poly1305; nonces of 24 bytes are drawn at random, so no counter must survive a restart.
/// Version, key id, purpose and cluster name are authenticated, too: what was sealed for one
/// cluster, or for another purpose, does not open in this one. It takes [`Self::OVERHEAD`] bytes
/// more than what it holds.
///
/// # What it does not do
///
/// Who can record a sealed packet can send it again. Claims about members are in a total order and
/// a view only grows in it, so an old one changes nothing; answers are matched to open questions
/// by their number. Who learns a key can read what was recorded under it: there is no forward
/// secrecy.
#[derive(Clone)]
pub struct Keyring(Arc<RwLock<Ring>>);

struct Ring {
    /// Invariant: at least one; no two of one id. The first seals.
    keys: Vec<(KeyId, XChaCha20Poly1305)>,
    plain: Plain,
}

/// What a keyring does about packets that are not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Plain {
    /// Refuses and counts them. The default.
    #[default]
    Refused,
    /// Hears them, from nodes that have no keys yet: anybody can forge one.
    Accepted,
    /// Hears them, and sends like that, too: to nodes that have no keys yet.
    Sent,
}

impl Keyring {
    /// How many bytes sealing adds: version, key id, nonce and tag. With them the longest packet,
    /// of 1,187 bytes, makes a datagram of 1,232, the most that fits IPv6's least link (1,280)
    /// with its headers (48).
    pub const OVERHEAD: usize = 1 + KeyId::BYTES + NONCE_BYTES + TAG_BYTES;
    /// The most keys in a ring: a change needs two.
    pub const KEYS_MAX: usize = 8;

    /// A ring that seals with `key`.
    #[must_use]
    pub fn new(key: &Key) -> Self {
        let keys = vec![(key.id(), key.cipher())];
        Self(Arc::new(RwLock::new(Ring { keys, plain: Plain::Refused })))
    }

    /// A ring of several keys; the first seals.
    ///
    /// # Errors
    ///
    /// [`KeyringError`]: none, too many, or two of one name.
    pub fn of<'a>(keys: impl IntoIterator<Item = &'a Key>) -> Result<Self, KeyringError> {
        let mut keys = keys.into_iter();
        let ring = Self::new(keys.next().ok_or(KeyringError::Empty)?);
        keys.try_for_each(|key| ring.install(key).map(drop))?;
        Ok(ring)
    }

    /// The ring with another answer to packets that are not sealed.
    #[must_use]
    pub fn plain(self, plain: Plain) -> Self {
        self.set_plain(plain);
        self
    }

    /// Changes the answer to packets that are not sealed.
    pub fn set_plain(&self, plain: Plain) {
        self.0.write().plain = plain;
    }

    /// Opens with `key` too, from now on; says what it is called.
    ///
    /// # Errors
    ///
    /// [`KeyringError::Installed`], [`KeyringError::Full`]; nothing changes then.
    pub fn install(&self, key: &Key) -> Result<KeyId, KeyringError> {
        let (id, cipher) = (key.id(), key.cipher());
        let mut ring = self.0.write();
        if ring.keys.iter().any(|(known, _)| *known == id) {
            return Err(KeyringError::Installed { id });
        }
        if ring.keys.len() >= Self::KEYS_MAX {
            return Err(KeyringError::Full);
        }
        ring.keys.push((id, cipher));
        Ok(id)
    }

    /// Seals with this key from now on. It must be installed on all nodes, else those without it
    /// do not hear this node any more.
    ///
    /// # Errors
    ///
    /// [`KeyringError::Unknown`]; nothing changes then.
    pub fn use_key(&self, id: KeyId) -> Result<(), KeyringError> {
        let mut ring = self.0.write();
        let at = ring.position(id)?;
        ring.keys.swap(0, at);
        Ok(())
    }

    /// Does not open with this key any more; it is wiped from memory.
    ///
    /// # Errors
    ///
    /// [`KeyringError::InUse`], [`KeyringError::Unknown`]; nothing changes then.
    pub fn remove(&self, id: KeyId) -> Result<(), KeyringError> {
        let mut ring = self.0.write();
        match ring.position(id)? {
            0 => Err(KeyringError::InUse { id }),
            at => {
                ring.keys.remove(at);
                Ok(())
            }
        }
    }

    /// The names of all keys; the first seals.
    #[must_use]
    pub fn ids(&self) -> Vec<KeyId> {
        self.0.read().keys.iter().map(|(id, _)| *id).collect()
    }

    /// Whether packets that are not sealed are heard.
    #[must_use]
    pub fn accepts_plain(&self) -> bool {
        self.0.read().plain != Plain::Refused
    }

    /// Whether packets are sent without sealing them.
    #[must_use]
    pub fn sends_plain(&self) -> bool {
        self.0.read().plain == Plain::Sent
    }

    /// Whether `bytes` look sealed, rather than like a frame.
    #[must_use]
    pub fn is_sealed(bytes: &[u8]) -> bool {
        bytes.first().is_some_and(|version| (VERSION..=VERSION_MAX).contains(version))
    }

    /// Seals `content` for `purpose`.
    ///
    /// # Errors
    ///
    /// [`SealError`]; nothing may be sent then.
    pub fn seal(&self, purpose: &[u8], content: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        randomness(&mut nonce)?;
        self.seal_with(nonce, purpose, content)
    }

    fn seal_with(
        &self,
        nonce: [u8; NONCE_BYTES],
        purpose: &[u8],
        content: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let ring = self.0.read();
        let (id, cipher) = &ring.keys[0];
        let head = head(*id);
        let payload = Payload { msg: content, aad: &associated(head, purpose) };
        let sealed = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError)?;
        let mut bytes = Vec::with_capacity(Self::OVERHEAD + content.len());
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        Ok(bytes)
    }

    /// What `bytes` hold, if a key of this ring sealed them for `purpose`.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; count it and drop the bytes.
    pub fn open(&self, purpose: &[u8], bytes: &[u8]) -> Result<Vec<u8>, OpenError> {
        let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or(OpenError::Cut)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(OpenError::Cut)?;
        if head[0] != VERSION {
            return Err(OpenError::Version { theirs: head[0] });
        }
        let id = KeyId([head[1], head[2], head[3], head[4]]);
        let ring = self.0.read();
        let (_, cipher) = (ring.keys.iter())
            .find(|(known, _)| *known == id)
            .ok_or(OpenError::UnknownKey { id })?;
        let payload = Payload { msg: sealed, aad: &associated(*head, purpose) };
        cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| OpenError::Forged)
    }
}

impl Ring {
    fn position(&self, id: KeyId) -> Result<usize, KeyringError> {
        let at = self.keys.iter().position(|(known, _)| *known == id);
        at.ok_or(KeyringError::Unknown { id })
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("ids", &self.ids()).finish_non_exhaustive()
    }
}

/// Why a keyring was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// A ring without keys could not seal.
    #[error("a keyring needs at least one key")]
    Empty,
    /// The ring is full.
    #[error("a keyring holds 8 keys at most: remove those that nobody uses any more")]
    Full,
    /// The key is there already.
    #[error("key {id} is installed already")]
    Installed {
        /// Its name.
        id: KeyId,
    },
    /// There is no such key.
    #[error("no key {id} is installed: install it first")]
    Unknown {
        /// The name asked for.
        id: KeyId,
    },
    /// It seals what this node sends.
    #[error("key {id} is in use: use another one on every node before you remove it")]
    InUse {
        /// Its name.
        id: KeyId,
    },
}

/// Nothing was sealed: the operating system gave no randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct SealError;

/// Why sealed bytes were not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Too short to be sealed at all.
    #[error("too short for a sealed packet: it was cut on its way")]
    Cut,
    /// Sealed in a way that this build does not know.
    #[error("sealed in version {theirs}, unknown here: upgrade this node")]
    Version {
        /// The way.
        theirs: u8,
    },
    /// Sealed with a key that is not in the ring.
    #[error("sealed with key {id}, which is not installed here")]
    UnknownKey {
        /// Its name.
        id: KeyId,
    },
    /// Changed on its way, or sealed for another cluster or purpose.
    #[error("the seal is broken: forged, or of another cluster with the same key")]
    Forged,
}

impl OpenError {
    /// One word for counters.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Cut => "cut_seal",
            Self::Version { .. } => "unknown_seal",
            Self::UnknownKey { .. } => "unknown_key",
            Self::Forged => "forged",
        }
    }
}

const fn head(id: KeyId) -> [u8; HEAD_BYTES] {
    let [a, b, c, d] = id.0;
    [VERSION, a, b, c, d]
}

/// What is authenticated without being sent, or besides: the head, and what it is for.
fn associated(head: [u8; HEAD_BYTES], purpose: &[u8]) -> Vec<u8> {
    [head.as_slice(), purpose].concat()
}

fn randomness(bytes: &mut [u8]) -> Result<(), SealError> {
    getrandom::fill(bytes).map_err(|_| SealError)
}

const VERSION: u8 = 1;
/// First bytes up to this one are kept for versions to come. A frame begins with a letter.
const VERSION_MAX: u8 = 15;
const HEAD_BYTES: usize = 1 + KeyId::BYTES;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(of: u8) -> Key {
        let mut bytes = [of; Key::BYTES];
        bytes[0] = !of;
        Key::from_bytes(bytes).unwrap()
    }

    #[test]
    fn the_layout_is_unchanged() {
        let ring = Keyring::new(&key(7));
        let sealed = ring.seal_with([9; NONCE_BYTES], b"quorate packet of shop", b"hi").unwrap();
        let hex: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
        let golden = "01 0a0d202d 090909090909090909090909090909090909090909090909 \
                      7a94 37909b0ee3f6f029ed25ef3632084e9a";
        assert_eq!(hex, golden.replace(' ', ""));
        assert_eq!(sealed.len(), Keyring::OVERHEAD + 2);
        assert_eq!(Keyring::OVERHEAD, 45);
        assert_eq!(ring.open(b"quorate packet of shop", &sealed).unwrap(), b"hi");
    }

    #[test]
    fn t8_a_change_of_any_bit_is_refused_and_so_is_another_purpose() {
        let ring = Keyring::new(&key(1));
        let sealed = ring.seal(b"shop", b"a packet of some length").unwrap();
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed[at] ^= 1 << bit;
                let why = ring.open(b"shop", &changed).unwrap_err();
                let expected = match at {
                    0 => matches!(why, OpenError::Version { .. }),
                    1..5 => matches!(why, OpenError::UnknownKey { .. }),
                    _ => why == OpenError::Forged,
                };
                assert!(expected, "byte {at}: {why}");
            }
        }
        for cut in 0..sealed.len() {
            let cut = ring.open(b"shop", &sealed[..cut]).unwrap_err();
            assert!(matches!(cut, OpenError::Cut | OpenError::Forged));
        }
        assert_eq!(ring.open(b"other", &sealed), Err(OpenError::Forged));
        assert_eq!(ring.open(b"shop", &[&sealed[..], &[0]].concat()), Err(OpenError::Forged));
    }

    #[test]
    fn the_key_id_is_authenticated() {
        // Two rings that share both keys: a packet whose key id is exchanged does not open.
        let (a, b) = (key(1), key(2));
        let ring = Keyring::of([&a, &b]).unwrap();
        let mut sealed = ring.seal(b"", b"x").unwrap();
        sealed[1..5].copy_from_slice(&b.id().0);
        assert_eq!(ring.open(b"", &sealed), Err(OpenError::Forged));
    }

    #[test]
    fn no_two_nonces_are_equal() {
        let ring = Keyring::new(&key(1));
        let nonces: std::collections::BTreeSet<_> =
            (0..1_000).map(|_| ring.seal(b"", b"").unwrap()[5..29].to_vec()).collect();
        assert_eq!(nonces.len(), 1_000);
    }

    #[test]
    fn a_key_is_changed_step_by_step_and_at_each_step_all_understand_all() {
        let (old, new) = (key(1), key(2));
        let nodes = [Keyring::new(&old), Keyring::new(&old), Keyring::new(&old)];
        let all_understand_all = || {
            for from in &nodes {
                let sealed = from.seal(b"shop", b"still there?").unwrap();
                assert!(nodes.iter().all(|to| to.open(b"shop", &sealed).is_ok()));
            }
        };
        let steps: [&dyn Fn(&Keyring); 3] = [
            &|node| assert_eq!(node.install(&new), Ok(new.id())),
            &|node| assert_eq!(node.use_key(new.id()), Ok(())),
            &|node| assert_eq!(node.remove(old.id()), Ok(())),
        ];
        for step in steps {
            for node in &nodes {
                step(node);
                all_understand_all();
            }
        }
        assert!(nodes.iter().all(|node| node.ids() == [new.id()]));
        let late = Keyring::new(&old).seal(b"shop", b"").unwrap();
        assert_eq!(nodes[0].open(b"shop", &late), Err(OpenError::UnknownKey { id: old.id() }));
    }

    #[test]
    fn a_ring_is_never_without_a_key_nor_with_too_many() {
        let ring = Keyring::new(&key(1));
        let id = key(1).id();
        assert_eq!(ring.remove(id), Err(KeyringError::InUse { id }));
        assert_eq!(ring.install(&key(1)), Err(KeyringError::Installed { id }));
        let unknown = key(99).id();
        assert_eq!(ring.use_key(unknown), Err(KeyringError::Unknown { id: unknown }));
        assert_eq!(ring.remove(unknown), Err(KeyringError::Unknown { id: unknown }));
        for of in 2..=8 {
            ring.install(&key(of)).unwrap();
        }
        assert_eq!(ring.install(&key(9)), Err(KeyringError::Full));
        assert_eq!(Keyring::of([]).unwrap_err(), KeyringError::Empty);
        assert_eq!(ring.ids()[0], id, "installing uses nothing");
    }

    #[test]
    fn no_debug_shows_a_key() {
        let (a, b) = (key(1), key(2));
        let text = format!("{:?}", Keyring::of([&a, &b]).unwrap());
        assert_eq!(text, format!("Keyring {{ ids: [{:?}, {:?}], .. }}", a.id(), b.id()));
    }
}
