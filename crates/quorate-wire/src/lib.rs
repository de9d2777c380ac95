//! Turns messages into bytes that survive any wire, and bytes from anybody into messages or errors.
//!
//! A message is encoded by bincode (the only crate of quorate that names it) and travels in a
//! frame: magic, version, kind, feature bits, cluster, length and a checksum. A connection opens
//! with a [`Hello`], which [`negotiate`] answers by a [`Welcome`] or a [`Refusal`] that names the
//! fix. Decoding costs no more memory than the bytes that have really arrived can fill.
//!
//! # Example
//!
//! ```
//! use quorate_core::{ClusterId, Term};
//! use quorate_wire::{FrameKind, Versions, decode_frame, encode_frame};
//!
//! let mut out = Vec::new();
//! encode_frame(FrameKind::Message, ClusterId(7), &Term(3), &mut out).unwrap();
//! let frame = decode_frame(&out, ClusterId(7), Versions::SUPPORTED).unwrap();
//! assert_eq!(frame.read::<Term>().unwrap(), Term(3));
//! assert!(decode_frame(&out, ClusterId(8), Versions::SUPPORTED).is_err());
//! ```
//!
//! # Invariants
//!
//! - **W1** Decoding any bytes never panics and never allocates beyond what those bytes justify.
//! - **W2** What was encoded decodes to an equal value, however the stream cuts it.
//! - **W3** Versions N and N+1 interoperate: they agree on the highest version both speak.
//! - **W4** The bytes of every frame, handshake and journal record are unchanged.
//!
//! # Not here
//!
//! Sockets and timeouts (`quorate-tokio`), files (`quorate-storage`), encryption, and the meaning
//! of messages (the protocol crates).
//!
//! # Sources
//!
//! The bincode 2 format (little-endian, variable-length integers); RFC 3720, appendix B.4
//! (CRC32C); hashicorp/memberlist for negotiating a range of versions.

mod codec;
mod datagram;
mod de;
mod frame;
mod handshake;
mod rejections;
mod stream;
mod versions;

pub use codec::{DecodeError, EncodeError, Limit, decode, encode, encode_into};
pub use datagram::{DATAGRAM_HEADER_BYTES, decode_datagram, encode_datagram, encode_datagram_raw};
pub use frame::{
    ClusterTag, Frame, FrameError, FrameKind, HEADER_BYTES, Head, decode_frame, encode_frame,
};
pub use handshake::{Hello, Refusal, Welcome, confirm, negotiate};
pub use rejections::Rejections;
pub use stream::FrameDecoder;
pub use versions::Versions;
