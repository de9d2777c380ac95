//! Packets over streams and under keys, between transports on loopback.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use quorate_core::ClusterId;
use quorate_tokio::{
    Key, Keyring, PACKET_BYTES_MAX, Plain, TransportConfig, TransportEvent, TransportStats,
};
use quorate_wire::{FrameKind, Head};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

use crate::net::{Node, config, patiently};

fn key(of: u8) -> Key {
    let mut bytes = [of; Key::BYTES];
    bytes[0] = !of;
    Key::from_bytes(bytes).unwrap()
}

async fn keyed(name: &str, ring: &Keyring) -> Node {
    Node::start(TransportConfig { keyring: Some(ring.clone()), ..config(name) }).await
}

/// The next packet over a stream.
async fn streamed(node: &mut Node) -> (SocketAddr, Bytes) {
    node.until(|event| match event {
        TransportEvent::StreamPacket { from, bytes } => Some((*from, bytes.clone())),
        _ => None,
    })
    .await
}

async fn until_stats(node: &Node, reached: impl Fn(&TransportStats) -> bool) {
    patiently(async {
        while !reached(&node.transport.stats()) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn rejected(node: &Node, why: &str) -> u64 {
    node.transport.stats().rejected_frames.get(why).copied().unwrap_or(0)
}

/// A frame of a packet as a node without keys sends it.
fn plain(content: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let head = Head::new(FrameKind::Datagram, ClusterId::NONE);
    head.encode_raw(content, &mut frame).unwrap();
    frame
}

/// Hangs up? Reads until the node closed the connection.
async fn hung_up(mut stream: TcpStream) {
    let _ = patiently(stream.read_to_end(&mut Vec::new())).await;
}

#[tokio::test]
async fn t9_answers_go_back_on_the_stream_that_the_question_came_on() {
    for ring in [None, Some(Keyring::new(&key(1)))] {
        let with_ring = |name| TransportConfig { keyring: ring.clone(), ..config(name) };
        let mut a = Node::start(with_ring("a")).await;
        let mut b = Node::start(with_ring("b")).await;
        let at = b.transport.local_addr();
        for round in 0..50_u8 {
            a.transport.send_over_stream(at, &[round; PACKET_BYTES_MAX]);
            let (from, question) = streamed(&mut b).await;
            assert_eq!(question, [round; PACKET_BYTES_MAX].as_slice());
            assert_ne!(from, a.transport.local_addr(), "it is the other end of the stream");
            b.transport.send_over_stream(from, &[round, 1]);
            assert_eq!(streamed(&mut a).await, (at, Bytes::copy_from_slice(&[round, 1])));
        }
        let (a, b) = (a.transport.stats(), b.transport.stats());
        assert_eq!((a.streams, b.streams), (1, 1), "one connection for all of it");
        assert_eq!((a.stream_packets_sent, a.stream_packets_received), (50, 50));
        assert_eq!(a.stream_packets_dropped + b.stream_packets_dropped, 0);
        assert!(a.stream_bytes_sent > 50 * PACKET_BYTES_MAX as u64);
        assert!(b.rejected_frames.is_empty(), "{b:?}");
    }
}

#[tokio::test]
async fn packets_and_messages_share_a_port() {
    let (mut a, mut b) = (Node::named("a").await, Node::named("b").await);
    a.join(&b).await;
    a.transport.send_over_stream(b.transport.local_addr(), b"gossip");
    assert_eq!(streamed(&mut b).await.1, "gossip");
    a.reaches(&mut b).await;
}

#[tokio::test]
async fn a_port_for_packets_alone_has_no_udp_and_takes_no_messages() {
    let alone = |name| TransportConfig { datagrams: false, messages: false, ..config(name) };
    let (a, mut b) = (Node::start(alone("a")).await, Node::start(alone("b")).await);
    let at = b.transport.local_addr();
    let udp = UdpSocket::bind(at).await.expect("nobody holds UDP");
    a.transport.send_datagram(at, b"lost");
    assert_eq!(a.transport.stats().datagrams_dropped, 1);
    a.transport.send_over_stream(at, b"gossip");
    assert_eq!(streamed(&mut b).await.1, "gossip");
    a.transport.set_peer(b.name.clone(), b.address());
    assert_eq!(b.rejected().await, "refused");
    drop(udp);
}

#[tokio::test]
async fn a_host_where_nobody_listens_says_so_for_each_try() {
    let mut a = Node::named("a").await;
    // Bound, so that nobody else takes it, and not listened on.
    let silent = TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let at = silent.local_addr().unwrap();
    for _ in 0..2 {
        a.transport.send_over_stream(at, b"anybody?");
        a.until(|event| match event {
            TransportEvent::StreamRefused { address } => (*address == at).then_some(()),
            _ => None,
        })
        .await;
        until_stats(&a, |stats| stats.streams == 0).await;
    }
    assert_eq!(a.transport.stats().stream_packets_dropped, 2);
}

#[tokio::test]
async fn an_idle_stream_closes_and_the_next_packet_opens_another() {
    let mut hasty = config("a");
    hasty.limits.stream_idle = Duration::from_millis(20);
    let (a, mut b) = (Node::start(hasty).await, Node::named("b").await);
    let at = b.transport.local_addr();
    a.transport.send_over_stream(at, b"one");
    let first = streamed(&mut b).await.0;
    until_stats(&a, |stats| stats.streams == 0).await;
    until_stats(&b, |stats| stats.streams == 0).await;
    a.transport.send_over_stream(at, b"two");
    let (second, bytes) = streamed(&mut b).await;
    assert_eq!(bytes, "two");
    assert_ne!(first, second);
    assert!(b.transport.stats().rejected_frames.is_empty());
}

#[tokio::test]
async fn t4_streams_beyond_the_limit_take_the_place_of_the_idlest() {
    let mut narrow = config("b");
    narrow.limits.streams_max = 2;
    let mut b = Node::start(narrow).await;
    let at = b.transport.local_addr();
    let mut callers = Vec::new();
    for n in 0..4_u8 {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(&plain(&[n])).await.unwrap();
        assert_eq!(streamed(&mut b).await.1, [n].as_slice());
        callers.push(stream);
    }
    let mut last = callers.split_off(2);
    for early in callers {
        hung_up(early).await;
    }
    until_stats(&b, |stats| stats.streams == 2).await;
    for (n, stream) in last.iter_mut().enumerate() {
        stream.write_all(&plain(&[9, n as u8])).await.unwrap();
        assert_eq!(streamed(&mut b).await.1, [9, n as u8].as_slice());
    }
    // Those that we dial have room of their own.
    let mut a = Node::named("a").await;
    b.transport.send_over_stream(a.transport.local_addr(), b"hello");
    assert_eq!(streamed(&mut a).await.1, "hello");
    assert_eq!(b.transport.stats().streams, 3);
}

#[tokio::test]
async fn t4_what_waits_for_a_stream_is_bounded() {
    let a = Node::named("a").await;
    // It listens and never reads; the kernel takes some, the queue a little, the rest is dropped.
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = deaf.local_addr().unwrap();
    for _ in 0..100 {
        a.transport.send_over_stream(at, &[7; PACKET_BYTES_MAX]);
    }
    // Nothing ran in between, so all but the queue's length was dropped.
    assert_eq!(a.transport.stats().stream_packets_dropped, 36);
}

#[tokio::test]
async fn t4_a_caller_that_does_not_read_is_hung_up_on() {
    let mut hasty = config("b");
    hasty.limits.write_max = Duration::from_millis(50);
    let mut b = Node::start(hasty).await;
    let mut deaf = TcpStream::connect(b.transport.local_addr()).await.unwrap();
    deaf.write_all(&plain(b"talk to me")).await.unwrap();
    let from = streamed(&mut b).await.0;
    patiently(async {
        while b.transport.stats().streams > 0 {
            b.transport.send_over_stream(from, &[7; PACKET_BYTES_MAX]);
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(b.transport.stats().stream_packets_dropped > 0);
}

#[tokio::test]
async fn t3_garbage_on_a_stream_costs_a_counter_and_its_own_connection() {
    let mut hasty = config("b");
    hasty.limits.handshake_max = Duration::from_millis(50);
    hasty.limits.stream_idle = Duration::from_millis(20);
    let ring = Keyring::new(&key(1));
    hasty.keyring = Some(ring.clone());
    let mut b = Node::start(hasty).await;
    let at = b.transport.local_addr();
    let sealed = |content: &[u8]| {
        let sealed = ring.seal(b"quorate packet of test", content).unwrap();
        let mut frame = Vec::new();
        Head::new(FrameKind::Sealed, ClusterId::NONE).encode_raw(&sealed, &mut frame).unwrap();
        frame
    };
    let flipped = {
        let mut frame = sealed(b"x");
        let body = frame.split_off(24);
        let mut body = body;
        *body.last_mut().unwrap() ^= 1;
        let mut frame = Vec::new();
        Head::new(FrameKind::Sealed, ClusterId::NONE).encode_raw(&body, &mut frame).unwrap();
        frame
    };
    let mut message = Vec::new();
    quorate_wire::encode_frame(FrameKind::Message, ClusterId(7), &7_u64, &mut message).unwrap();
    // At the beginning of a connection, and after a good packet.
    for opening in [Vec::new(), sealed(b"good")] {
        for (garbage, why) in [
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "bad_magic"),
            (plain(b"forged"), "plain"),
            (flipped.clone(), "forged"),
            (message.clone(), "unexpected"),
        ] {
            let before = rejected(&b, why);
            let mut stream = TcpStream::connect(at).await.unwrap();
            stream.write_all(&[&opening[..], &garbage].concat()).await.unwrap();
            hung_up(stream).await;
            until_stats(&b, |stats| stats.rejected_frames.get(why) > Some(&before)).await;
        }
    }
    // Half a packet and then nothing: given up like a stalled handshake, or like an idle stream.
    let whole = sealed(b"half");
    let mut stalled = TcpStream::connect(at).await.unwrap();
    stalled.write_all(&whole[..10]).await.unwrap();
    hung_up(stalled).await;
    until_stats(&b, |stats| stats.rejected_frames.contains_key("handshake_timeout")).await;
    let mut slow = TcpStream::connect(at).await.unwrap();
    slow.write_all(&whole).await.unwrap();
    slow.write_all(&whole[..10]).await.unwrap();
    hung_up(slow).await;
    let a = keyed("a", &ring).await;
    a.transport.send_over_stream(at, b"still there?");
    b.until(|event| match event {
        TransportEvent::StreamPacket { bytes, .. } => (bytes == "still there?").then_some(()),
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn t8_without_the_key_nobody_is_heard_and_both_sides_count_it() {
    let (ring, other) = (Keyring::new(&key(1)), Keyring::new(&key(2)));
    let (mut a, mut b) = (keyed("a", &ring).await, keyed("b", &other).await);
    let mut none = Node::named("c").await;
    let (to_a, to_b) = (a.transport.local_addr(), b.transport.local_addr());
    a.transport.send_datagram(to_b, b"x");
    assert_eq!(b.rejected().await, "unknown_key");
    b.transport.send_datagram(to_a, b"x");
    assert_eq!(a.rejected().await, "unknown_key");
    none.transport.send_datagram(to_a, b"x");
    assert_eq!(a.rejected().await, "plain");
    a.transport.send_over_stream(none.transport.local_addr(), b"x");
    assert_eq!(none.rejected().await, "no_key");
    // A sealed datagram with a broken seal.
    let mut forged = ring.seal(b"quorate packet of test", b"x").unwrap();
    *forged.last_mut().unwrap() ^= 1;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&forged, to_a).await.unwrap();
    assert_eq!(a.rejected().await, "forged");
    assert_eq!(a.transport.stats().datagrams_received, 0);
}

#[tokio::test]
async fn a_change_of_keys_loses_nothing_while_packets_flow() {
    let (old, new) = (key(1), key(2));
    let rings = [Keyring::new(&old), Keyring::new(&old)];
    let (a, mut b) = (keyed("a", &rings[0]).await, keyed("b", &rings[1]).await);
    let at = b.transport.local_addr();
    let steps: [&dyn Fn(&Keyring); 3] = [
        &|ring| assert_eq!(ring.install(&new), Ok(new.id())),
        &|ring| assert_eq!(ring.use_key(new.id()), Ok(())),
        &|ring| ring.remove(old.id()).unwrap(),
    ];
    let mut sent = 0_u32;
    for step in steps {
        for ring in &rings {
            step(ring);
            for _ in 0..20 {
                sent += 1;
                a.transport.send_over_stream(at, &sent.to_le_bytes());
                assert_eq!(streamed(&mut b).await.1, sent.to_le_bytes().as_slice());
            }
        }
    }
    assert!(b.transport.stats().rejected_frames.is_empty(), "{:?}", b.transport.stats());
    assert_eq!(rings[1].ids(), [new.id()]);
}

#[tokio::test]
async fn keys_come_to_a_running_cluster_by_way_of_plain_packets() {
    let ring = Keyring::new(&key(1)).plain(Plain::Sent);
    let (mut a, mut b) = (keyed("a", &ring).await, Node::named("b").await);
    a.transport.send_over_stream(b.transport.local_addr(), b"plain");
    let (from, bytes) = streamed(&mut b).await;
    assert_eq!(bytes, "plain");
    b.transport.send_over_stream(from, b"plain too");
    assert_eq!(streamed(&mut a).await.1, "plain too");
    ring.set_plain(Plain::Refused);
    b.transport.send_over_stream(from, b"no more");
    assert_eq!(a.rejected().await, "plain");
}

#[tokio::test]
async fn closing_writes_what_waits_for_streams() {
    let (a, mut b) = (Node::named("a").await, Node::named("b").await);
    for n in 0..20_u8 {
        a.transport.send_over_stream(b.transport.local_addr(), &[n]);
    }
    assert!(a.transport.close(crate::net::PATIENCE).await);
    for n in 0..20_u8 {
        assert_eq!(streamed(&mut b).await.1, [n].as_slice());
    }
}
