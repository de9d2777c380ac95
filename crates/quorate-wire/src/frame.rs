//! The frame: what every message wears on the wire.
//!
//! ```text
//!  0 magic "qrte"   4 version   5 kind   6 features   8 cluster tag   16 length   20 crc   24 body
//! ```
//! Numbers are little-endian. The CRC32C covers all of the frame but itself. This layout is the
//! same in every version, so that a version can be refused by name.

use std::fmt;

use bytes::{Buf, Bytes};
use quorate_core::ClusterId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{DecodeError, EncodeError, Limit, Versions};

/// The length of what precedes a frame's body.
pub const HEADER_BYTES: usize = 24;

const MAGIC: [u8; 4] = *b"qrte";
const LENGTH_AT: usize = 16;
const CRC_AT: usize = 20;
/// A receiver that does not know one of these features must not read the frame.
const MUST_KNOW: u16 = 0xff00;
/// The features this build knows.
const KNOWN: u16 = 0;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum FrameKind {
    /// [`Hello`](crate::Hello), the first frame of whoever dialled.
    Hello = 1,
    /// [`Welcome`](crate::Welcome), the answer that opens the connection.
    Welcome = 2,
    /// [`Refusal`](crate::Refusal), the answer that ends it.
    Refusal = 3,
    /// A message between nodes.
    Message = 4,
    /// A client's request, or the answer to it.
    Client = 5,
    /// Gossip: by UDP, or on a connection where only TCP is open.
    Datagram = 6,
    /// Gossip on a connection, under a key.
    Sealed = 7,
}

impl FrameKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Hello,
        Self::Welcome,
        Self::Refusal,
        Self::Message,
        Self::Client,
        Self::Datagram,
        Self::Sealed,
    ];

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// Whether it belongs to the opening of a connection. Its bytes are the same in every version.
    #[must_use]
    pub const fn is_handshake(self) -> bool {
        matches!(self, Self::Hello | Self::Welcome | Self::Refusal)
    }

    /// Whether it is gossip, which needs no handshake.
    #[must_use]
    pub const fn is_gossip(self) -> bool {
        matches!(self, Self::Datagram | Self::Sealed)
    }

    /// The largest body.
    #[must_use]
    pub const fn limit(self) -> Limit {
        match self {
            Self::Hello | Self::Welcome | Self::Refusal => Limit::Handshake,
            Self::Message | Self::Client => Limit::Message,
            Self::Datagram | Self::Sealed => Limit::Datagram,
        }
    }
}

/// A cluster's id folded to 64 bits: what a frame carries to keep strangers out. The handshake
/// compares the ids themselves.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClusterTag(u64);

impl ClusterTag {
    /// The tag of a node without a cluster.
    pub const NONE: Self = Self(0);

    /// The tag of `cluster`: its halves xored; only [`ClusterId::NONE`] has the tag zero.
    #[must_use]
    pub const fn of(cluster: ClusterId) -> Self {
        let folded = (cluster.0 >> 64) as u64 ^ cluster.0 as u64;
        Self(if folded == 0 && cluster.0 != 0 { 1 } else { folded })
    }

    /// Whether a node of one tag may hear the other. A node without a cluster hears everybody and
    /// is heard by everybody: else none could ever join.
    #[must_use]
    pub const fn hears(self, other: Self) -> bool {
        self.0 == other.0 || self.0 == 0 || other.0 == 0
    }
}

impl fmt::Display for ClusterTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for ClusterTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a frame says about its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// What the body is.
    pub kind: FrameKind,
    /// The version of the body; 0 in the handshake.
    pub version: u8,
    /// Feature bits. The upper eight must be known to the receiver, the lower eight need not.
    pub features: u16,
    /// The sender's cluster; [`ClusterTag::NONE`] while it has none.
    pub cluster: ClusterTag,
}

impl Head {
    /// The head of a frame in the newest version of this build, without features.
    #[must_use]
    pub const fn new(kind: FrameKind, cluster: ClusterId) -> Self {
        let version = if kind.is_handshake() { 0 } else { Versions::SUPPORTED.max };
        Self { kind, version, features: 0, cluster: ClusterTag::of(cluster) }
    }

    /// Appends a frame with `body` to `out`; after an error `out` is as it was.
    ///
    /// # Errors
    ///
    /// Those of [`Limit::encode_into`], within the limit of the kind.
    pub fn encode<T>(&self, body: &T, out: &mut Vec<u8>) -> Result<(), EncodeError>
    where
        T: Serialize + ?Sized,
    {
        let start = self.open(out);
        let encoded = self.kind.limit().encode_into(body, out);
        self.close(start, out, encoded)
    }

    /// Appends a frame whose body is encoded already.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLarge`] beyond the limit of the kind; then `out` is as it was.
    pub fn encode_raw(&self, body: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let limit = self.kind.limit().bytes();
        if body.len() > limit {
            return Err(EncodeError::TooLarge { limit });
        }
        let start = self.open(out);
        out.extend_from_slice(body);
        self.close(start, out, Ok(()))
    }

    /// Writes the head with room for length and checksum; returns where it starts.
    fn open(&self, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[self.version, self.kind as u8]);
        out.extend_from_slice(&self.features.to_le_bytes());
        out.extend_from_slice(&self.cluster.0.to_le_bytes());
        out.extend_from_slice(&[0; HEADER_BYTES - LENGTH_AT]);
        start
    }

    /// Fills in length and checksum, or takes the frame back.
    fn close(
        &self,
        start: usize,
        out: &mut Vec<u8>,
        encoded: Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let limit = self.kind.limit().bytes();
        let length = u32::try_from(out.len() - start - HEADER_BYTES);
        let fits = length.map_err(|_| EncodeError::TooLarge { limit });
        match encoded.and(fits) {
            Ok(length) => {
                let frame = &mut out[start..];
                frame[LENGTH_AT..CRC_AT].copy_from_slice(&length.to_le_bytes());
                let crc = checksum(frame);
                frame[CRC_AT..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
                Ok(())
            }
            Err(error) => {
                out.truncate(start);
                Err(error)
            }
        }
    }
}

/// Appends a frame of `kind` with `body` to `out`, in the newest version of this build
/// ([`Head::encode`] for another one). After an error `out` is as it was.
///
/// # Errors
///
/// Those of [`Limit::encode_into`], within the limit of the kind.
pub fn encode_frame<T>(
    kind: FrameKind,
    cluster: ClusterId,
    body: &T,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError>
where
    T: Serialize + ?Sized,
{
    Head::new(kind, cluster).encode(body, out)
}

/// A frame whose checksum, version and cluster are in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<B = Bytes> {
    /// What it says about the body.
    pub head: Head,
    /// The body, undecoded.
    pub body: B,
}

impl<B: AsRef<[u8]>> Frame<B> {
    /// Decodes the body.
    ///
    /// # Errors
    ///
    /// Those of [`Limit::decode`], within the limit of the kind.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        self.head.kind.limit().decode(self.body.as_ref())
    }
}

/// Reads `bytes` as exactly one frame of any kind, for a node of `cluster` that speaks `versions`.
///
/// # Errors
///
/// [`FrameError`]; nothing is allocated either way.
pub fn decode_frame(
    bytes: &[u8],
    cluster: ClusterId,
    versions: Versions,
) -> Result<Frame<&[u8]>, FrameError> {
    let length = body_length(bytes, Limit::Message)?.ok_or(FrameError::WrongLength)?;
    if length != bytes.len() - HEADER_BYTES {
        return Err(FrameError::WrongLength);
    }
    let head = verify(bytes, cluster, versions)?;
    Ok(Frame { head, body: &bytes[HEADER_BYTES..] })
}

/// Why bytes are no frame for this node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// It does not begin like a frame.
    #[error("no frame of quorate: something else talks to the cluster port")]
    BadMagic,
    /// A longer body than is accepted here and now.
    #[error("a body of {length} bytes is over the limit of {limit}")]
    TooLong {
        /// What the frame claims.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A datagram that holds less or more than its frame.
    #[error("the datagram does not hold exactly one frame: it was cut on its way")]
    WrongLength,
    /// The bytes changed on their way.
    #[error("the checksum does not match: the bytes changed on their way")]
    BadChecksum,
    /// A version of the messages that is not spoken here.
    #[error("version {theirs} is not spoken here, only {ours}: upgrade the older node")]
    BadVersion {
        /// The version of the frame.
        theirs: u8,
        /// What is spoken here.
        ours: Versions,
    },
    /// A kind this build does not know.
    #[error("frames of kind {kind} are unknown here: upgrade this node")]
    UnknownKind {
        /// Its number.
        kind: u8,
    },
    /// Features this build does not know and must.
    #[error("the frame needs features {bits:#06x}, unknown here: upgrade this node")]
    UnknownFeatures {
        /// The unknown bits.
        bits: u16,
    },
    /// A frame of another cluster.
    #[error("a frame of cluster {theirs} came to cluster {ours}: check the seeds")]
    ForeignCluster {
        /// This node's cluster.
        ours: ClusterTag,
        /// The sender's.
        theirs: ClusterTag,
    },
    /// A kind that has no place here: other than gossip in a datagram, or before the handshake.
    #[error("a frame of kind {kind:?} has no place here")]
    Unexpected {
        /// Its kind.
        kind: FrameKind,
    },
}

impl FrameError {
    /// One word for counters.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::BadMagic => "bad_magic",
            Self::TooLong { .. } => "too_long",
            Self::WrongLength => "wrong_length",
            Self::BadChecksum => "bad_checksum",
            Self::BadVersion { .. } => "bad_version",
            Self::UnknownKind { .. } => "unknown_kind",
            Self::UnknownFeatures { .. } => "unknown_features",
            Self::ForeignCluster { .. } => "foreign_cluster",
            Self::Unexpected { .. } => "unexpected",
        }
    }
}

/// The length of the body of the frame that begins here, as claimed; `None` until the header is
/// complete. Fails as soon as the bytes cannot become an acceptable frame.
pub(crate) fn body_length(bytes: &[u8], limit: Limit) -> Result<Option<usize>, FrameError> {
    let begun = bytes.len().min(MAGIC.len());
    if bytes[..begun] != MAGIC[..begun] {
        return Err(FrameError::BadMagic);
    }
    let Some(mut header) = bytes.get(..HEADER_BYTES) else { return Ok(None) };
    let kind = FrameKind::from_byte(header[5]);
    header.advance(LENGTH_AT);
    let length = header.get_u32_le() as usize;
    let limit = kind.map_or(limit, FrameKind::limit).bytes().min(limit.bytes());
    if length > limit {
        return Err(FrameError::TooLong { length, limit });
    }
    Ok(Some(length))
}

/// Checks a complete frame. The checksum comes first: what a frame with a wrong one says about its
/// version or cluster is noise, and must not raise an alarm about a foreign cluster.
pub(crate) fn verify(
    frame: &[u8],
    cluster: ClusterId,
    versions: Versions,
) -> Result<Head, FrameError> {
    let mut header = &frame[MAGIC.len()..HEADER_BYTES];
    let (version, kind, features) = (header.get_u8(), header.get_u8(), header.get_u16_le());
    let (theirs, _length, crc) =
        (ClusterTag(header.get_u64_le()), header.get_u32_le(), header.get_u32_le());
    if crc != checksum(frame) {
        return Err(FrameError::BadChecksum);
    }
    let known = FrameKind::from_byte(kind);
    let spoken = match known {
        Some(kind) if kind.is_handshake() => version == 0,
        _ => versions.contains(version),
    };
    if !spoken {
        return Err(FrameError::BadVersion { theirs: version, ours: versions });
    }
    let kind = known.ok_or(FrameError::UnknownKind { kind })?;
    let bits = features & MUST_KNOW & !KNOWN;
    if bits != 0 {
        return Err(FrameError::UnknownFeatures { bits });
    }
    let ours = ClusterTag::of(cluster);
    // A handshake passes whoever sent it: its body compares names and ids, and says what to do.
    if !kind.is_handshake() && !ours.hears(theirs) {
        return Err(FrameError::ForeignCluster { ours, theirs });
    }
    Ok(Head { kind, version, features, cluster: theirs })
}

/// The CRC32C of a complete frame, its own field left out.
fn checksum(frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&frame[..CRC_AT]), &frame[HEADER_BYTES..])
}
