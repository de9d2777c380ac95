//! Garbage on both ports.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use quorate_core::{BootEpoch, ClusterId, DiskId};
use quorate_wire::{FrameKind, Hello, Versions, encode_datagram_raw, encode_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::net::{Node, config, id, patiently};
use crate::transport::datagram;

pub(crate) fn frame<T: serde::Serialize>(kind: FrameKind, body: &T) -> Vec<u8> {
    let mut out = Vec::new();
    encode_frame(kind, ClusterId(7), body, &mut out).unwrap();
    out
}

pub(crate) fn hello(name: &str) -> Hello {
    Hello {
        versions: Versions::SUPPORTED,
        cluster_name: "test".to_owned(),
        cluster: ClusterId(7),
        node: id(name),
        boot: BootEpoch(1),
        disk: DiskId::NONE,
        instance: 42,
        lease: quorate_core::LeaseTerms::NONE,
        advertised: "127.0.0.1:1".to_owned(),
        client: false,
        more: Bytes::new(),
    }
}

/// Dials `node` and shakes hands as `name`.
async fn enter(node: &Node, name: &str) -> TcpStream {
    let mut stream = TcpStream::connect(node.transport.local_addr()).await.unwrap();
    stream.write_all(&frame(FrameKind::Hello, &hello(name))).await.unwrap();
    let mut head = [0; 24];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[5], FrameKind::Welcome as u8);
    stream
}

/// Writes `bytes` and waits until the node has hung up.
async fn throw(mut stream: TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes).await;
    let mut rest = Vec::new();
    let _ = patiently(stream.read_to_end(&mut rest)).await;
}

async fn throw_at(node: &Node, bytes: &[u8]) {
    throw(TcpStream::connect(node.transport.local_addr()).await.unwrap(), bytes).await;
}

fn rejected(node: &Node, why: &str) -> u64 {
    node.transport.stats().rejected_frames.get(why).copied().unwrap_or(0)
}

#[tokio::test]
async fn t3_garbage_costs_a_counter_and_its_own_connection() {
    let (mut a, mut b) = (Node::named("a").await, Node::named("b").await);
    a.join(&b).await;

    throw_at(&b, b"GET / HTTP/1.1\r\n\r\n").await;
    assert_eq!(b.rejected().await, "bad_magic");
    let mut flipped = frame(FrameKind::Hello, &hello("x"));
    *flipped.last_mut().unwrap() ^= 1;
    throw_at(&b, &flipped).await;
    assert_eq!(b.rejected().await, "bad_checksum");
    throw_at(&b, &frame(FrameKind::Message, &7_u64)).await;
    assert_eq!(b.rejected().await, "unexpected");
    throw_at(&b, &frame(FrameKind::Hello, &7_u8)).await;
    assert_eq!(b.rejected().await, "bad_body");

    // Behind a good handshake, too.
    throw(enter(&b, "x").await, &[0; 100]).await;
    assert_eq!(rejected(&b, "bad_magic"), 2);
    throw(enter(&b, "x").await, &frame(FrameKind::Client, &7_u64)).await;
    assert_eq!(rejected(&b, "unexpected"), 2);
    let mut oversized = frame(FrameKind::Message, &7_u64);
    oversized[16..20].copy_from_slice(&(u32::MAX).to_le_bytes());
    throw(enter(&b, "x").await, &oversized).await;
    assert_eq!(b.rejected().await, "too_long");
    a.reaches(&mut b).await;
    assert_eq!(b.transport.stats().messages_received, 1);
}

#[tokio::test]
async fn t3_garbage_datagrams_cost_a_counter() {
    let (a, mut b) = (Node::named("a").await, Node::named("b").await);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = b.transport.local_addr();
    let mut changed = Vec::new();
    encode_datagram_raw(b"gossip", &mut changed).unwrap();
    changed[7] ^= 1;
    for (bytes, why) in [
        (b"garbage".to_vec(), "bad_magic"),
        (Vec::new(), "wrong_length"),
        (changed, "bad_checksum"),
    ] {
        socket.send_to(&bytes, to).await.unwrap();
        assert_eq!(b.rejected().await, why);
    }
    a.transport.send_datagram(to, b"gossip");
    assert_eq!(datagram(&mut b).await.1, "gossip");
}

#[tokio::test]
async fn a_handshake_that_stalls_is_given_up() {
    let mut hasty = config("b");
    hasty.limits.handshake_max = Duration::from_millis(50);
    let mut b = Node::start(hasty).await;
    // Half a hello, and nothing more.
    throw_at(&b, &frame(FrameKind::Hello, &hello("x"))[..10]).await;
    assert_eq!(b.rejected().await, "handshake_timeout");
}

#[tokio::test]
async fn t4_connections_beyond_the_limit_are_told_so() {
    let mut narrow = config("b");
    narrow.limits.connections_max = 2;
    let mut b = Node::start(narrow).await;
    let (_x, y) = (enter(&b, "x").await, enter(&b, "y").await);
    let mut a = Node::named("a").await;
    a.transport.set_peer(b.name.clone(), b.address());
    assert_eq!(b.rejected().await, "overloaded");
    drop(y);
    a.connected(&b.name).await;
    a.reaches(&mut b).await;
}

#[tokio::test]
async fn t4_strangers_that_say_nothing_keep_no_peer_out() {
    let mut narrow = config("b");
    narrow.limits.connections_max = 4;
    narrow.limits.handshake_max = Duration::from_secs(600);
    let b = Node::start(narrow).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(b.transport.local_addr()).await.unwrap());
    }
    let mut a = Node::named("a").await;
    a.join(&b).await;
}

#[tokio::test]
async fn t4_strangers_that_shake_hands_keep_no_known_peer_out() {
    let mut narrow = config("b");
    narrow.limits.connections_max = 2;
    let mut b = Node::start(narrow).await;
    let _strangers = (enter(&b, "x").await, enter(&b, "y").await);
    let mut a = Node::named("a").await;
    b.transport.set_peer(a.name.clone(), a.address());
    a.join(&b).await;
    a.reaches(&mut b).await;
}

#[tokio::test]
async fn a_second_dial_of_the_same_process_replaces_the_first() {
    let b = Node::named("b").await;
    let first = enter(&b, "x").await;
    let mut second = enter(&b, "x").await;
    // The first is hung up on, without a word and without a rule broken.
    throw(first, &[]).await;
    second.write_all(&frame(FrameKind::Message, &7_u64)).await.unwrap();
    let mut b = b;
    assert_eq!(b.message().await.0, id("x"));
    assert!(b.transport.stats().rejected_frames.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn t3_no_bytes_end_anything_but_their_connection(
        noise in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                prop::collection::vec(any::<u8>(), 0..60).prop_map(|body| {
                    let mut bytes = b"qrte".to_vec();
                    bytes.extend(body);
                    bytes
                }),
                any::<prop::sample::Index>().prop_map(|at| {
                    let mut bytes = frame(FrameKind::Message, &[7_u64; 4]);
                    let at = at.index(bytes.len());
                    bytes[at] ^= 0x41;
                    bytes
                }),
            ],
            1..4,
        ),
        inside: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut a, mut b) = (Node::named("a").await, Node::named("b").await);
            a.join(&b).await;
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            for bytes in &noise {
                socket.send_to(bytes, b.transport.local_addr()).await.unwrap();
                let mut stream = if inside {
                    enter(&b, "x").await
                } else {
                    TcpStream::connect(b.transport.local_addr()).await.unwrap()
                };
                let _ = stream.write_all(bytes).await;
                let _ = stream.shutdown().await;
                let _ = patiently(stream.read_to_end(&mut Vec::new())).await;
            }
            a.reaches(&mut b).await;
            b.join(&a).await;
        });
    }
}

#[tokio::test]
async fn a_client_is_told_where_to_go() {
    let mut b = Node::named("b").await;
    let mut stream = TcpStream::connect(b.transport.local_addr()).await.unwrap();
    let client = Hello { client: true, ..hello("x") };
    stream.write_all(&frame(FrameKind::Hello, &client)).await.unwrap();
    let mut answer = Vec::new();
    patiently(stream.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer[5], FrameKind::Refusal as u8);
    assert_eq!(b.rejected().await, "refused");
}
