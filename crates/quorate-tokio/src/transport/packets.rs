//! The bytes of packets: plain in a frame, or under key.

use bytes::Bytes;
use quorate_core::ClusterId;
use quorate_wire::{DecodeError, EncodeError, Frame, FrameKind, Head, Limit};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::framing;
use crate::{Keyring, SealError};

/// A value as the content of a packet, in the encoding of `quorate-wire`.
///
/// # Errors
///
/// [`EncodeError`] if it is above 64 KiB or of a type without a fixed shape. What should travel in a
/// datagram has [`PACKET_BYTES_MAX`](crate::PACKET_BYTES_MAX) bytes at most.
pub fn encode_packet<T: Serialize>(value: &T) -> Result<Vec<u8>, EncodeError> {
    Limit::Datagram.encode(value)
}

/// The value that is the content of a packet, which may come from anybody.
///
/// # Errors
///
/// [`DecodeError`]; count it and drop the packet.
pub fn decode_packet<T: DeserializeOwned>(content: &[u8]) -> Result<T, DecodeError> {
    Limit::Datagram.decode(content)
}

/// How packets are made and read.
#[derive(Debug)]
pub(crate) struct Packets {
    keyring: Option<Keyring>,
    /// What seals are for: a packet of another cluster with the same key does not open.
    purpose: Vec<u8>,
}

/// Why a packet is not sent; one word for counters.
pub(crate) type Reason = &'static str;

impl Packets {
    pub(crate) fn new(keyring: Option<Keyring>, cluster_name: &str) -> Self {
        let purpose = [b"quorate packet of ", cluster_name.as_bytes()].concat();
        Self { keyring, purpose }
    }

    /// Whether nothing is read that is not sealed.
    pub(crate) fn are_sealed(&self) -> bool {
        self.keyring.as_ref().is_some_and(|ring| !ring.accepts_plain())
    }

    /// The ring that seals what is sent.
    fn sealing(&self) -> Option<&Keyring> {
        self.keyring.as_ref().filter(|ring| !ring.sends_plain())
    }

    /// A datagram with `content`. Sealed ones wear no frame: its checksum and magic would say
    /// nothing that the seal does not, and the room is scarce.
    pub(crate) fn datagram(&self, content: &[u8]) -> Result<Vec<u8>, Reason> {
        match self.sealing() {
            Some(ring) => ring.seal(&self.purpose, content).map_err(unsealed),
            // The content says which cluster it is of: an announce must get through to the nodes
            // of another one, so that they can say so.
            None => framing::datagram(content).ok_or(TOO_LARGE),
        }
    }

    /// The content of a datagram, or the rule it broke.
    pub(crate) fn read_datagram(&self, bytes: &[u8]) -> Result<Bytes, Reason> {
        if Keyring::is_sealed(bytes) {
            return self.open(bytes);
        }
        let content = framing::read_datagram(bytes)?;
        self.admit_plain().map(|()| content)
    }

    /// The frame of a packet with `content` on a stream.
    pub(crate) fn frame(&self, content: &[u8]) -> Result<Bytes, Reason> {
        let mut frame = Vec::new();
        let framed = match self.sealing() {
            Some(ring) => {
                let sealed = ring.seal(&self.purpose, content).map_err(unsealed)?;
                Head::new(FrameKind::Sealed, ClusterId::NONE).encode_raw(&sealed, &mut frame)
            }
            None => Head::new(FrameKind::Datagram, ClusterId::NONE).encode_raw(content, &mut frame),
        };
        framed.map(|()| Bytes::from(frame)).map_err(|_| TOO_LARGE)
    }

    /// The content of a frame of a stream, or the rule it broke.
    pub(crate) fn read_frame(&self, frame: Frame) -> Result<Bytes, Reason> {
        match frame.head.kind {
            FrameKind::Datagram => self.admit_plain().map(|()| frame.body),
            FrameKind::Sealed => self.open(&frame.body),
            _ => Err(framing::UNEXPECTED),
        }
    }

    fn open(&self, bytes: &[u8]) -> Result<Bytes, Reason> {
        let ring = self.keyring.as_ref().ok_or("no_key")?;
        let opened = ring.open(&self.purpose, bytes);
        opened.map(Bytes::from).map_err(|error| error.reason())
    }

    fn admit_plain(&self) -> Result<(), Reason> {
        let admitted = self.keyring.as_ref().is_none_or(Keyring::accepts_plain);
        if admitted { Ok(()) } else { Err("plain") }
    }
}

const fn unsealed(_: SealError) -> Reason {
    "no_randomness"
}

const TOO_LARGE: Reason = "too_large";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Key, Plain};

    fn ring(of: u8) -> Keyring {
        let mut bytes = [of; Key::BYTES];
        bytes[0] = !of;
        Keyring::new(&Key::from_bytes(bytes).unwrap())
    }

    fn read(to: &Packets, from: &Packets) -> Result<Bytes, Reason> {
        let datagram = to.read_datagram(&from.datagram(b"hi").unwrap());
        let mut decoder = quorate_wire::FrameDecoder::new(ClusterId(7));
        decoder.admit_gossip();
        decoder.push(&from.frame(b"hi").unwrap());
        let streamed = to.read_frame(decoder.next_frame().unwrap().unwrap());
        assert_eq!(datagram, streamed, "both ways are treated alike");
        datagram
    }

    #[test]
    fn t8_each_cause_of_not_being_heard_is_told_apart() {
        let hears = Ok(Bytes::from_static(b"hi"));
        let none = Packets::new(None, "shop");
        let with = |ring: &Keyring| Packets::new(Some(ring.clone()), "shop");
        let (a, b) = (ring(1), ring(2));
        assert_eq!(read(&none, &none), hears);
        assert_eq!(read(&with(&a), &with(&a)), hears);
        assert_eq!(read(&none, &with(&a)), Err("no_key"));
        assert_eq!(read(&with(&a), &none), Err("plain"));
        assert_eq!(read(&with(&a), &with(&b)), Err("unknown_key"));
        assert_eq!(read(&with(&a), &Packets::new(Some(a.clone()), "other")), Err("forged"));
        // Keys come to a cluster that runs without: at each step all hear all.
        let (mut before, mut after) = (none, with(&a.clone().plain(Plain::Sent)));
        for mode in [Plain::Accepted, Plain::Refused] {
            assert_eq!(read(&before, &after), hears);
            assert_eq!(read(&after, &before), hears);
            before = after;
            after = with(&ring(1).plain(mode));
        }
    }

    #[test]
    fn the_longest_packet_fits_the_least_link_of_ipv6() {
        let content = [7; crate::PACKET_BYTES_MAX];
        let most = 1_280 - 40 - 8;
        assert_eq!(Packets::new(Some(ring(1)), "").datagram(&content).unwrap().len(), most);
        assert!(Packets::new(None, "").datagram(&content).unwrap().len() <= most);
    }
}
