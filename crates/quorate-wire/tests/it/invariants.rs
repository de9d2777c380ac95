//! One property per invariant of the crate.

use bytes::Bytes;
use proptest::prelude::*;
use quorate_core::{ClusterId, Record};
use quorate_wire::{
    FrameDecoder, FrameError, FrameKind, Hello, Limit, Refusal, Versions, Welcome, confirm, decode,
    decode_datagram, decode_frame, encode, encode_frame, negotiate,
};
use serde::{Deserialize, Serialize};

use crate::samples::{Zoo, bytes, hello, record, zoo};

const HOME: ClusterId = ClusterId(7);

/// Bytes of a value with a few of them changed, removed or added: close enough to pass far into the
/// decoder.
fn damaged<T: Serialize>(value: &T, wounds: &[(u8, usize, u8)]) -> Vec<u8> {
    let mut bytes = encode(value).expect("a sample has an encoding");
    for &(how, at, byte) in wounds {
        let at = at % (bytes.len() + 1);
        match how % 3 {
            0 if at < bytes.len() => bytes[at] = byte,
            1 => bytes.truncate(at),
            _ => bytes.insert(at, byte),
        }
    }
    bytes
}

fn wounds() -> impl Strategy<Value = Vec<(u8, usize, u8)>> {
    let byte = prop_oneof![any::<u8>(), 250..=255_u8];
    prop::collection::vec((any::<u8>(), any::<usize>(), byte), 0..4)
}

/// All frames of a stream cut into `cuts`, and the error that ended it.
fn frames(stream: &[u8], cuts: &[usize]) -> (Vec<(FrameKind, Bytes)>, Option<FrameError>) {
    let mut decoder = FrameDecoder::new(HOME);
    decoder.open(1);
    let (mut frames, mut left, mut cuts) = (Vec::new(), stream, cuts.iter().cycle());
    while !left.is_empty() {
        let piece = cuts.next().map_or(left.len(), |cut| left.len().min(*cut));
        let taken = decoder.push(&left[..piece]);
        left = &left[taken..];
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push((frame.head.kind, frame.body)),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
        assert!(decoder.room() > 0, "a decoder without a frame takes at least a byte");
    }
    (frames, None)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Beyond not panicking: whatever is accepted is what bincode itself reads, to the last byte.
    #[test]
    fn w1_any_bytes_are_a_value_or_an_error(
        noise in prop::collection::vec(any::<u8>(), 0..80),
        record in record(),
        zoo in zoo(),
        wounds in wounds(),
    ) {
        let config = bincode::config::standard().with_limit::<0x10_0000>();
        for bytes in [noise, damaged(&record, &wounds), damaged(&zoo, &wounds)] {
            let (ours, twin) =
                (decode::<Record>(&bytes), bincode::serde::decode_from_slice(&bytes, config));
            let twin = twin.ok().filter(|(_, read)| *read == bytes.len()).map(|(value, _)| value);
            prop_assert_eq!(ours.ok(), twin);
            let (ours, twin) =
                (decode::<Zoo>(&bytes), bincode::serde::decode_from_slice(&bytes, config));
            let twin = twin.ok().filter(|(_, read)| *read == bytes.len());
            let twin: Option<Zoo> = twin.map(|(value, _)| value);
            // Debug text, because a float may be NaN.
            prop_assert_eq!(format!("{:?}", ours.ok()), format!("{twin:?}"));
            let _ = (decode::<Hello>(&bytes), decode::<Welcome>(&bytes), decode::<Refusal>(&bytes));
            let _ = decode_datagram(&bytes);
        }
    }

    #[test]
    fn w1_a_damaged_stream_gives_only_frames_that_were_sent(
        bodies in prop::collection::vec(bytes(), 1..5),
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
        cuts in prop::collection::vec(1..70_usize, 1..5),
    ) {
        let mut stream = Vec::new();
        for body in &bodies {
            encode_frame(FrameKind::Message, HOME, body, &mut stream).unwrap();
        }
        let at = at.index(stream.len());
        stream[at] ^= flip;
        // A length that grew within the limit waits for bytes that never come: no error then.
        let (received, _) = frames(&stream, &cuts);
        prop_assert!(received.len() < bodies.len());
        for ((kind, body), sent) in received.iter().zip(&bodies) {
            prop_assert_eq!(*kind, FrameKind::Message);
            prop_assert_eq!(decode::<Bytes>(body), Ok(sent.clone()));
        }
    }

    #[test]
    fn w2_a_value_comes_back_equal(record in record(), zoo in zoo()) {
        let bytes = encode(&record).unwrap();
        prop_assert_eq!(&bytes, &bincode::serde::encode_to_vec(&record, bincode::config::standard()).unwrap());
        prop_assert_eq!(decode::<Record>(&bytes), Ok(record));
        prop_assert_eq!(decode::<Zoo>(&encode(&zoo).unwrap()), Ok(zoo));
    }

    #[test]
    fn w2_frames_come_back_however_the_stream_is_cut(
        sent in prop::collection::vec((3..6_usize, record()), 0..5),
        cuts in prop::collection::vec(1..90_usize, 1..5),
    ) {
        let mut stream = Vec::new();
        for (kind, record) in &sent {
            encode_frame(FrameKind::ALL[*kind], HOME, record, &mut stream).unwrap();
        }
        let (received, error) = frames(&stream, &cuts);
        prop_assert_eq!(error, None);
        let received: Vec<_> = received
            .into_iter()
            .map(|(kind, body)| (kind, Limit::Message.decode::<Record>(&body).unwrap()))
            .collect();
        let sent: Vec<_> =
            sent.into_iter().map(|(kind, record)| (FrameKind::ALL[kind], record)).collect();
        prop_assert_eq!(received, sent);
    }

    #[test]
    fn w3_both_sides_agree_on_the_highest_version_both_speak(
        a in (1..5_u8, 1..5_u8),
        b in (1..5_u8, 1..5_u8),
    ) {
        let (mut one, mut two) = (hello("a"), hello("b"));
        one.versions = Versions { min: a.0, max: a.1 };
        two.versions = Versions { min: b.0, max: b.1 };
        let both = |version: &u8| one.versions.contains(*version) && two.versions.contains(*version);
        let highest = (1..5_u8).filter(both).max();
        for (dials, answers) in [(&one, &two), (&two, &one)] {
            let answer = negotiate(answers, dials);
            prop_assert_eq!(answer.as_ref().ok().map(|welcome| welcome.version), highest);
            match answer {
                Ok(welcome) => prop_assert_eq!(confirm(dials, &welcome), Ok(welcome.version)),
                Err(refusal) => prop_assert_eq!(
                    refusal,
                    Refusal::NoCommonVersion { ours: answers.versions, theirs: dials.versions }
                ),
            }
        }
    }
}

/// Messages as a build of version N knows them.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
enum MessageN {
    Ping(u64),
}

/// One version later: a message and a field more.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
enum MessageN1 {
    Ping(u64, String),
    Pong,
}

#[test]
fn w3_a_node_of_the_next_version_talks_to_one_of_this() {
    let (mut old, mut new) = (hello("a"), hello("b"));
    (old.versions, new.versions) = (Versions { min: 1, max: 1 }, Versions { min: 1, max: 2 });

    // The handshake itself is the same in every version.
    let mut wire = Vec::new();
    encode_frame(FrameKind::Hello, new.cluster, &new, &mut wire).unwrap();
    let heard = decode_frame(&wire, old.cluster, old.versions).unwrap().read::<Hello>().unwrap();
    let welcome = negotiate(&old, &heard).unwrap();
    let version = confirm(&new, &welcome).unwrap();
    assert_eq!(version, 1);

    // The new node speaks the old messages, and is understood.
    let mut head = quorate_wire::Head::new(FrameKind::Message, new.cluster);
    head.version = version;
    wire.clear();
    head.encode(&MessageN::Ping(9), &mut wire).unwrap();
    let frame = decode_frame(&wire, old.cluster, old.versions).unwrap();
    assert_eq!(frame.read(), Ok(MessageN::Ping(9)));

    // If it forgot to, it is refused by version, never misread.
    head.version = 2;
    wire.clear();
    head.encode(&MessageN1::Ping(9, "later".to_owned()), &mut wire).unwrap();
    assert_eq!(
        decode_frame(&wire, old.cluster, old.versions).unwrap_err(),
        FrameError::BadVersion { theirs: 2, ours: old.versions }
    );
    let frame = decode_frame(&wire, new.cluster, new.versions).unwrap();
    assert_eq!(frame.read(), Ok(MessageN1::Ping(9, "later".to_owned())));
    wire.clear();
    head.encode(&MessageN1::Pong, &mut wire).unwrap();
    let frame = decode_frame(&wire, new.cluster, new.versions).unwrap();
    assert_eq!(frame.read(), Ok(MessageN1::Pong));
}
