//! Frames and handshakes as they go in life.

use quorate_core::{BootEpoch, ClusterId, LeaseTerms};
use quorate_wire::{
    ClusterTag, DATAGRAM_HEADER_BYTES, FrameDecoder, FrameError, FrameKind, HEADER_BYTES, Head,
    Limit, Refusal, Rejections, Versions, confirm, decode_datagram, decode_frame, encode_datagram,
    encode_datagram_raw, encode_frame, negotiate,
};

use crate::samples::{hello, node};

fn framed(kind: FrameKind, cluster: ClusterId) -> Vec<u8> {
    let mut out = Vec::new();
    encode_frame(kind, cluster, &5_u8, &mut out).expect("a byte is in every limit");
    out
}

#[test]
fn a_frame_of_another_cluster_is_refused_and_of_none_heard() {
    let (home, away) = (ClusterId(7), ClusterId(8));
    let refused =
        FrameError::ForeignCluster { ours: ClusterTag::of(home), theirs: ClusterTag::of(away) };
    assert_eq!(
        decode_frame(&framed(FrameKind::Datagram, away), home, Versions::SUPPORTED),
        Err(refused)
    );
    assert!(
        decode_frame(&framed(FrameKind::Datagram, ClusterId::NONE), home, Versions::SUPPORTED)
            .is_ok()
    );
    assert!(
        decode_frame(&framed(FrameKind::Datagram, away), ClusterId::NONE, Versions::SUPPORTED)
            .is_ok()
    );

    let mut decoder = FrameDecoder::new(ClusterId::NONE);
    decoder.open(1);
    decoder.push(&framed(FrameKind::Message, away));
    assert!(decoder.next_frame().unwrap().is_some());
    decoder.join(home);
    decoder.push(&framed(FrameKind::Message, away));
    assert_eq!(decoder.next_frame().unwrap_err().reason(), "foreign_cluster");
}

#[test]
fn only_a_node_without_a_cluster_has_no_tag() {
    assert_eq!(ClusterTag::of(ClusterId::NONE), ClusterTag::NONE);
    let equal_halves = ClusterId((5 << 64) | 5);
    assert_ne!(ClusterTag::of(equal_halves), ClusterTag::NONE);
    assert_ne!(ClusterTag::of(ClusterId(7)), ClusterTag::of(ClusterId(7 | 1 << 90)));
}

#[test]
fn a_damaged_frame_raises_no_false_alarm() {
    let home = ClusterId(7);
    let whole = framed(FrameKind::Datagram, home);
    let mut counted = Rejections::default();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        let error = decode_frame(&bytes, home, Versions::SUPPORTED).unwrap_err();
        counted.frame(&error);
        assert!(
            matches!(
                error,
                FrameError::BadMagic
                    | FrameError::BadChecksum
                    | FrameError::WrongLength
                    | FrameError::TooLong { .. }
            ),
            "{at}: {error}"
        );
    }
    counted.body();
    assert_eq!(counted.total(), 1 + (HEADER_BYTES + 1) as u64);
    let counted: Vec<_> = counted.iter().collect();
    let expected = [
        ("bad_body", 1),
        ("bad_checksum", 17),
        ("bad_magic", 4),
        ("too_long", 2),
        ("wrong_length", 2),
    ];
    assert_eq!(counted, expected);
}

#[test]
fn features_that_must_be_known_are() {
    let mut head = Head::new(FrameKind::Datagram, ClusterId(7));
    let mut out = Vec::new();
    head.features = 0x00ff;
    head.encode(&5_u8, &mut out).unwrap();
    assert_eq!(decode_frame(&out, ClusterId(7), Versions::SUPPORTED).unwrap().head, head);
    head.features = 0x0101;
    out.clear();
    head.encode(&5_u8, &mut out).unwrap();
    let refused = FrameError::UnknownFeatures { bits: 0x0100 };
    assert_eq!(decode_frame(&out, ClusterId(7), Versions::SUPPORTED), Err(refused));
}

#[test]
fn a_kind_of_the_future_is_refused_by_number() {
    let mut frame = framed(FrameKind::Message, ClusterId(7));
    frame[5] = 99;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&frame[..20]), &frame[24..]);
    frame[20..24].copy_from_slice(&crc.to_le_bytes());
    let refused = FrameError::UnknownKind { kind: 99 };
    assert_eq!(decode_frame(&frame, ClusterId(7), Versions::SUPPORTED), Err(refused));
}

#[test]
fn a_socket_may_read_straight_into_the_decoder() {
    use bytes::BufMut;
    let mut decoder = FrameDecoder::new(ClusterId(7));
    assert_eq!(decoder.space().remaining_mut(), HEADER_BYTES + 4096);
    decoder.space().put_slice(&framed(FrameKind::Hello, ClusterId(8)));
    let frame = decoder.next_frame().unwrap().unwrap();
    assert_eq!((frame.head.kind, frame.read::<u8>()), (FrameKind::Hello, Ok(5)));
}

#[test]
fn two_nodes_of_a_cluster_meet() {
    let (a, b) = (hello("a"), hello("b"));
    let welcome = negotiate(&b, &a).unwrap();
    assert_eq!((&welcome.node, welcome.version), (&node("b"), 2));
    assert_eq!(confirm(&a, &welcome), Ok(2));
}

#[test]
fn a_newborn_and_a_member_meet_and_the_answer_names_the_cluster() {
    let (mut newborn, member) = (hello("a"), hello("b"));
    newborn.cluster = ClusterId::NONE;
    assert_eq!(negotiate(&member, &newborn).unwrap().cluster, member.cluster);
    assert_eq!(negotiate(&newborn, &member).unwrap().cluster, ClusterId::NONE);
}

#[test]
fn clusters_never_merge() {
    let (ours, mut theirs) = (hello("a"), hello("b"));
    theirs.cluster = ClusterId(1);
    let refused = Refusal::ForeignCluster { ours: ours.cluster, theirs: theirs.cluster };
    assert_eq!(negotiate(&ours, &theirs), Err(refused.clone()));
    let mut welcome = negotiate(&hello("b"), &ours).unwrap();
    welcome.cluster = ClusterId(1);
    assert_eq!(confirm(&ours, &welcome), Err(refused));

    theirs.cluster_name = "forge".to_owned();
    let refused = Refusal::ForeignName { ours: "shop".to_owned(), theirs: "forge".to_owned() };
    assert_eq!(negotiate(&ours, &theirs), Err(refused));
}

#[test]
fn all_go_by_the_same_leases() {
    let (ours, mut theirs) = (hello("a"), hello("b"));
    theirs.lease.nanos -= 1;
    let refused = Refusal::ForeignLease { ours: ours.lease, theirs: theirs.lease };
    assert_eq!(negotiate(&ours, &theirs), Err(refused));
    theirs.lease = LeaseTerms { drift_millionths: 9_999, ..ours.lease };
    assert!(negotiate(&ours, &theirs).is_err());
    theirs.client = true;
    assert!(negotiate(&ours, &theirs).is_ok(), "a client takes part in nothing");
}

#[test]
fn an_id_lives_once() {
    let (ours, mut copy) = (hello("a"), hello("a"));
    assert_eq!(negotiate(&ours, &copy), Err(Refusal::Itself));
    copy.instance += 1;
    let refused = Refusal::DuplicateId { node: node("a"), address: "a:7946".to_owned() };
    assert_eq!(negotiate(&ours, &copy), Err(refused.clone()));
    copy.boot = BootEpoch(9);
    assert_eq!(negotiate(&ours, &copy), Err(refused.clone()));
    let welcome = negotiate(&copy, &hello("b")).unwrap();
    assert_eq!(confirm(&ours, &welcome), Err(refused));
    copy.client = true;
    assert!(negotiate(&ours, &copy).is_ok());
}

#[test]
fn a_welcome_in_a_version_never_offered_is_no_welcome() {
    let (ours, theirs) = (hello("a"), hello("b"));
    for version in [0, 3] {
        let mut welcome = negotiate(&theirs, &ours).unwrap();
        welcome.version = version;
        assert!(matches!(confirm(&ours, &welcome), Err(Refusal::NoCommonVersion { .. })));
    }
}

#[test]
fn a_refusal_fits_its_frame_whatever_the_peer_is_called() {
    let (ours, mut theirs) = (hello("a"), hello("b"));
    theirs.cluster_name = "\u{1f980}".repeat(900);
    let refusal = negotiate(&ours, &theirs).unwrap_err();
    encode_frame(FrameKind::Refusal, ours.cluster, &refusal, &mut Vec::new()).unwrap();
}

#[test]
fn a_refusal_names_the_fix() {
    let text = |refusal: Refusal| refusal.to_string();
    assert_eq!(
        text(Refusal::DuplicateId { node: node("a"), address: "h:1".to_owned() }),
        "node id `a` is taken by the live node at \"h:1\": \
         give this node another node id, or stop the other process"
    );
    assert_eq!(
        text(Refusal::ForeignName { ours: "shop".to_owned(), theirs: "for\nge".to_owned() }),
        "cluster name \"for\\nge\" met cluster name \"shop\": \
         set the same cluster name, or correct the seeds"
    );
    assert_eq!(
        text(Refusal::NoCommonVersion {
            ours: Versions { min: 2, max: 3 },
            theirs: Versions { min: 1, max: 1 }
        }),
        "message versions 1 met versions 2 to 3: upgrade the older node one release at a time"
    );
    assert_eq!(
        text(Refusal::Overloaded { connections: 512 }),
        "all 512 connections are in use: retry later, or raise the limit there"
    );
    assert_eq!(
        text(Refusal::ForeignLease { ours: hello("a").lease, theirs: LeaseTerms::NONE }),
        "leases of none met leases of 120ms with a drift of 10000 millionths: \
         set the same election.lease and election.drift (and timing preset) on all nodes; \
         to change them stop all, then start all"
    );
}

#[test]
fn a_datagram_is_five_bytes_longer_than_its_content_and_not_to_be_changed() {
    let mut whole = Vec::new();
    encode_datagram_raw(b"hello", &mut whole).unwrap();
    assert_eq!(whole.len(), 5 + DATAGRAM_HEADER_BYTES);
    assert_eq!(decode_datagram(&whole), Ok(b"hello".as_slice()));
    let mut encoded = Vec::new();
    encode_datagram(&5_u8, &mut encoded).unwrap();
    assert_eq!(encoded, [b'Q', 0x3c, 0xcc, 0xe0, 0x17, 5], "its bytes are fixed");
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        decode_datagram(&bytes).unwrap_err();
        decode_datagram(&whole[..at]).unwrap_err();
    }
    let large = vec![0; Limit::Datagram.bytes() + 1];
    assert!(encode_datagram_raw(&large, &mut whole).is_err());
    assert_eq!(whole.len(), 5 + DATAGRAM_HEADER_BYTES, "nothing was appended");
}
