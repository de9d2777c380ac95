//! Bytes made to hurt: claimed lengths, depth, elements without bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use quorate_core::{ClusterId, Record};
use quorate_wire::{
    DecodeError, FrameDecoder, FrameError, FrameKind, HEADER_BYTES, Head, Limit, decode,
    decode_frame, encode, encode_frame,
};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// `length` as bincode writes it, then bytes up to 20 in all.
fn claim(length: u64) -> Vec<u8> {
    let mut body = encode(&length).expect("a number has an encoding");
    body.resize(20, 1);
    body
}

/// The most address space this process ever had, in bytes; zero where the system does not tell.
fn address_space_peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok());
    kib.unwrap_or(0) << 10
}

#[test]
fn a_claimed_gibibyte_in_twenty_bytes_allocates_nothing() {
    // Just below the limit of a record: bincode alone would make room first and look then.
    let claimed = (1 << 30) - 64;
    let body = claim(claimed);
    let left = body.len() - 5;
    let overclaimed = DecodeError::Overclaimed { claimed, left };
    let before = address_space_peak();
    assert_eq!(decode::<Bytes>(&body), Err(overclaimed.clone()));
    assert_eq!(decode::<String>(&body), Err(overclaimed.clone()));
    assert_eq!(decode::<Vec<u8>>(&body), Err(overclaimed.clone()));
    assert_eq!(decode::<Vec<[u64; 16]>>(&body), Err(overclaimed.clone()));
    assert_eq!(decode::<BTreeMap<u64, u64>>(&body), Err(overclaimed));
    // Other tests of this process may make room meanwhile, none of them this much.
    assert!(address_space_peak() - before < 1 << 29);
}

#[test]
fn no_length_is_believed() {
    for claimed in [16, 1 << 20, 1 << 32, 1 << 62, u64::MAX - 1, u64::MAX] {
        let body = claim(claimed);
        assert!(matches!(
            decode::<Bytes>(&body),
            Err(DecodeError::Overclaimed { .. }) | Err(DecodeError::Trailing { .. })
        ));
        assert!(decode::<String>(&body).is_err());
        assert!(decode::<Vec<Vec<Bytes>>>(&body).is_err());
        assert!(decode::<BTreeMap<String, Bytes>>(&body).is_err());
        let mut entries = encode(&3_u32).unwrap();
        entries.extend_from_slice(&body);
        assert!(decode::<Record>(&entries).is_err());
    }
}

/// Accepts what the decoder hands over, and fails if it was copied or promised too early.
#[derive(Debug)]
struct Spy<const BYTES: bool>;

impl<'de, const BYTES: bool> Deserialize<'de> for Spy<BYTES> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = SpyVisitor::<BYTES>(PhantomData);
        if BYTES {
            deserializer.deserialize_byte_buf(visitor)
        } else {
            deserializer.deserialize_seq(visitor)
        }
    }
}

struct SpyVisitor<const BYTES: bool>(PhantomData<Spy<BYTES>>);

impl<'de, const BYTES: bool> Visitor<'de> for SpyVisitor<BYTES> {
    type Value = Spy<BYTES>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("borrowed bytes or a sequence with a modest hint")
    }

    fn visit_borrowed_bytes<E>(self, _: &'de [u8]) -> Result<Self::Value, E> {
        Ok(Spy)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        assert_eq!(items.size_hint(), Some(3), "a hint is what decoders make room for");
        while items.next_element::<u8>()?.is_some() {}
        Ok(Spy)
    }
}

#[test]
fn byte_strings_are_borrowed_and_hints_are_covered_by_bytes() {
    decode::<Spy<true>>(&[3, 1, 2, 3]).unwrap();
    decode::<Spy<false>>(&[3, 1, 2, 3]).unwrap();
    assert_eq!(
        decode::<Spy<false>>(&[4, 1, 2, 3]).unwrap_err(),
        DecodeError::Overclaimed { claimed: 4, left: 3 }
    );
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Chain(Option<Box<Self>>);

#[test]
fn depth_ends_in_an_error_before_the_stack_does() {
    assert_eq!(decode::<Chain>(&[1; 1 << 20]), Err(DecodeError::TooDeep { limit: 128 }));
    let mut shallow = vec![1; 40];
    shallow.push(0);
    assert!(decode::<Chain>(&shallow).is_ok());
}

#[test]
fn elements_without_bytes_cannot_spin() {
    let forever = encode(&u64::MAX).unwrap();
    assert!(matches!(decode::<Vec<()>>(&forever), Err(DecodeError::Overclaimed { .. })));
}

#[test]
fn what_follows_the_value_is_an_error() {
    let mut bytes = encode(&7_u64).unwrap();
    bytes.push(0);
    assert_eq!(decode::<u64>(&bytes), Err(DecodeError::Trailing { extra: 1 }));
    assert_eq!(decode::<u64>(&[]), Err(DecodeError::Truncated));
}

/// bincode's own limit counts 8 bytes for each of these, and would refuse them.
#[test]
fn what_fits_the_limit_when_encoded_decodes() {
    let many = vec![1_u64; Limit::Datagram.bytes() - 3];
    let bytes = Limit::Datagram.encode(&many).unwrap();
    assert_eq!(bytes.len(), Limit::Datagram.bytes());
    assert_eq!(Limit::Datagram.decode::<Vec<u64>>(&bytes).unwrap(), many);
    let config = bincode::config::standard().with_limit::<0x1_0000>();
    assert!(bincode::serde::decode_from_slice::<Vec<u64>, _>(&bytes, config).is_err());
}

#[test]
fn beyond_the_limit_both_sides_refuse() {
    for limit in [Limit::Handshake, Limit::Datagram, Limit::Message] {
        let large = Bytes::from(vec![0; limit.bytes()]);
        let mut out = vec![1, 2, 3];
        assert!(limit.encode_into(&large, &mut out).is_err());
        assert_eq!(out, [1, 2, 3]);
        let bytes = encode(&large).unwrap();
        let (length, limit_bytes) = (bytes.len(), limit.bytes());
        let refused = DecodeError::TooLong { length, limit: limit_bytes };
        assert_eq!(limit.decode::<Bytes>(&bytes), Err(refused));
    }
    let mut out = vec![1, 2, 3];
    let large = Bytes::from(vec![0; Limit::Datagram.bytes()]);
    assert!(encode_frame(FrameKind::Datagram, ClusterId(7), &large, &mut out).is_err());
    assert!(Head::new(FrameKind::Hello, ClusterId(7)).encode_raw(&large, &mut out).is_err());
    assert_eq!(out, [1, 2, 3]);
}

#[test]
fn a_frame_that_claims_too_much_is_refused_by_its_header() {
    let mut header = Vec::new();
    encode_frame(FrameKind::Message, ClusterId(7), &(), &mut header).unwrap();
    header[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut decoder = FrameDecoder::new(ClusterId(7));
    decoder.open(1);
    decoder.push(&header);
    let refused = FrameError::TooLong { length: u32::MAX as usize, limit: 8 << 20 };
    assert_eq!(decoder.next_frame(), Err(refused.clone()));
    // It stays refused, and keeps nothing of what else arrives.
    assert_eq!(decoder.push(&[0; 999]), 999);
    assert_eq!(decoder.next_frame(), Err(refused));
}

#[test]
fn a_stranger_gets_no_more_room_than_a_hello() {
    let mut decoder = FrameDecoder::new(ClusterId(7));
    let flood = vec![b'q'; 1 << 20];
    assert_eq!(decoder.push(&flood), HEADER_BYTES + 4096);
    assert_eq!(decoder.next_frame(), Err(FrameError::BadMagic));

    let mut decoder = FrameDecoder::new(ClusterId(7));
    let mut frame = Vec::new();
    encode_frame(FrameKind::Message, ClusterId(7), &Bytes::from(vec![0; 9000]), &mut frame)
        .unwrap();
    decoder.push(&frame);
    assert_eq!(decoder.next_frame(), Err(FrameError::TooLong { length: 9003, limit: 4096 }));
    frame.clear();
    encode_frame(FrameKind::Message, ClusterId(7), &(), &mut frame).unwrap();
    let mut decoder = FrameDecoder::new(ClusterId(7));
    decoder.push(&frame);
    let kind = FrameKind::Message;
    assert_eq!(decoder.next_frame(), Err(FrameError::Unexpected { kind }));
}

#[test]
fn a_stranger_may_gossip_only_where_that_is_admitted_and_in_a_version_spoken_here() {
    let frame = |head: Head| {
        let mut bytes = Vec::new();
        head.encode(&5_u8, &mut bytes).unwrap();
        bytes
    };
    let gossiping = || {
        let mut decoder = FrameDecoder::new(ClusterId(7));
        decoder.admit_gossip();
        decoder
    };
    for kind in FrameKind::ALL {
        let mut decoder = gossiping();
        decoder.push(&frame(Head::new(kind, ClusterId(7))));
        let admitted = kind.is_handshake() || kind.is_gossip();
        assert_eq!(decoder.next_frame().is_ok(), admitted, "{kind:?}");
    }
    let mut decoder = gossiping();
    decoder.push(&frame(Head { version: 9, ..Head::new(FrameKind::Sealed, ClusterId(7)) }));
    assert_eq!(decoder.next_frame().unwrap_err().reason(), "bad_version");
    assert_eq!(gossiping().push(&[b'q'; 1 << 20]), HEADER_BYTES + 4096);
}

#[test]
fn a_datagram_holds_exactly_one_frame() {
    let mut bytes = Vec::new();
    encode_frame(FrameKind::Datagram, ClusterId(7), &5_u8, &mut bytes).unwrap();
    let speaks = quorate_wire::Versions::SUPPORTED;
    for cut in 0..bytes.len() {
        assert!(decode_frame(&bytes[..cut], ClusterId(7), speaks).is_err());
    }
    bytes.push(0);
    assert_eq!(decode_frame(&bytes, ClusterId(7), speaks), Err(FrameError::WrongLength));
}
