//! Two and more nodes on loopback: delivery, loss, restarts, refusals.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use quorate_core::{BootEpoch, ClusterId, Lane, LeaseTerms};
use quorate_tokio::{BindError, SendError, Transport, TransportConfig, TransportEvent};
use quorate_wire::Refusal;
use tokio::net::TcpSocket;

use crate::net::{Node, PATIENCE, config, id, patiently};

#[tokio::test]
async fn t5_messages_arrive_as_sent_in_the_order_of_their_lane() {
    let (mut a, mut b) = (Node::named("a").await, Node::named("b").await);
    a.join(&b).await;
    b.join(&a).await;
    const EACH: usize = 200;
    for n in 0..EACH {
        for lane in Lane::ALL {
            // Sizes from nothing to several reads, so that frames are cut everywhere.
            let mut body = format!("{lane:?} {n} ").into_bytes();
            body.resize(body.len() + n * n % 9_000, n as u8);
            a.transport.send(&b.name, lane, body.into()).unwrap();
        }
    }
    let mut seen = [0; Lane::ALL.len()];
    for _ in 0..EACH * Lane::ALL.len() {
        let (from, body) = b.message().await;
        assert_eq!(from, a.name);
        let lane =
            Lane::ALL.into_iter().position(|l| body.starts_with(format!("{l:?} ").as_bytes()));
        let n = &mut seen[lane.unwrap()];
        let head = format!("{:?} {n} ", Lane::ALL[lane.unwrap()]);
        assert!(body.starts_with(head.as_bytes()), "in order");
        assert_eq!(body.len(), head.len() + *n * *n % 9_000);
        assert!(body[head.len()..].iter().all(|byte| *byte == *n as u8));
        *n += 1;
    }
    b.send(&a, Lane::Ack, "thanks");
    assert_eq!(a.message().await.1, "thanks");
    let (sent, received) = (a.transport.stats(), b.transport.stats());
    assert_eq!(sent.messages_sent, 1_000);
    assert_eq!(received.messages_received, 1_000);
    assert_eq!((sent.outbound, sent.inbound), (1, 1));
    assert!(sent.bytes_sent > 1_000 && received.bytes_received >= sent.bytes_sent);
    assert!(sent.dropped.values().all(|n| *n == 0), "{sent:?}");
    assert!(received.rejected_frames.is_empty(), "{received:?}");
}

#[tokio::test]
async fn a_message_of_the_largest_size_arrives_and_a_larger_one_is_refused() {
    let (mut a, mut b) = (Node::named("a").await, Node::named("b").await);
    a.join(&b).await;
    let largest = Bytes::from(vec![7; 8 << 20]);
    a.transport.send(&b.name, Lane::Urgent, largest.clone()).unwrap();
    assert_eq!(b.message().await.1, largest);
    let larger = Bytes::from(vec![7; (8 << 20) + 1]);
    assert_eq!(a.transport.send(&b.name, Lane::Snapshot, larger), Err(SendError::TooLarge));
    let nobody = a.transport.send(&id("x"), Lane::Ack, Bytes::new());
    assert_eq!(nobody, Err(SendError::UnknownPeer));
    let dropped = a.transport.stats().dropped;
    assert_eq!((dropped[&Lane::Snapshot], dropped[&Lane::Ack]), (1, 1));
    a.reaches(&mut b).await;
}

#[tokio::test]
async fn a_peer_that_restarts_elsewhere_is_found_again_and_its_crash_is_seen_at_once() {
    let (mut a, mut b) = (Node::named("a").await, Node::named("b").await);
    a.join(&b).await;
    b.join(&a).await;
    a.reaches(&mut b).await;
    drop(b);
    // Its host lives and says that nobody listens.
    a.until(|event| match event {
        TransportEvent::Lost { peer, refused: true } => (*peer == id("b")).then_some(()),
        _ => None,
    })
    .await;
    let mut b = Node::start(TransportConfig { boot: BootEpoch(2), seed: 2, ..config("b") }).await;
    a.transport.set_peer(b.name.clone(), b.address());
    let boot = a
        .until(|event| match event {
            TransportEvent::Connected { boot, .. } => Some(*boot),
            _ => None,
        })
        .await;
    assert_eq!(boot, BootEpoch(2));
    b.join(&a).await;
    a.reaches(&mut b).await;
    b.reaches(&mut a).await;
}

#[tokio::test]
async fn a_peer_that_restarts_in_place_is_dialled_until_it_is_back() {
    let (mut a, b) = (Node::named("a").await, Node::named("b").await);
    a.join(&b).await;
    let bind = b.transport.local_addr();
    drop(b);
    a.until(|event| matches!(event, TransportEvent::Lost { .. }).then_some(())).await;
    let mut b = Node::back_at(bind, TransportConfig { boot: BootEpoch(2), ..config("b") }).await;
    a.connected(&b.name).await;
    a.reaches(&mut b).await;
}

#[tokio::test]
async fn t6_a_foreign_name_is_told_so_and_not_heard() {
    let mut home = Node::named("a").await;
    let foreign = TransportConfig { cluster_name: "other".to_owned(), ..config("b") };
    let mut stranger = Node::start(foreign).await;
    stranger.transport.set_peer(home.name.clone(), home.address());
    let refusal = refused(&mut stranger).await;
    let expected = Refusal::ForeignName { ours: "test".to_owned(), theirs: "other".to_owned() };
    assert_eq!(refusal, expected);
    assert_eq!(home.rejected().await, "foreign_name");
    assert_eq!(home.transport.stats().rejected_frames["foreign_name"], 1);
    assert_eq!(stranger.transport.stats().outbound, 0);
}

#[tokio::test]
async fn t6_a_foreign_cluster_is_told_so_and_a_node_without_one_is_welcome() {
    let mut home = Node::named("a").await;
    let mut stranger =
        Node::start(TransportConfig { cluster: ClusterId::NONE, ..config("b") }).await;
    stranger.join(&home).await;
    stranger.reaches(&mut home).await;
    // It learns that it belongs elsewhere: its frames now end the connection, and the next
    // handshake says why.
    stranger.transport.set_cluster(ClusterId(8));
    stranger.send(&home, Lane::Live, "hello");
    let refusal = refused(&mut stranger).await;
    let expected = Refusal::ForeignCluster { ours: ClusterId(7), theirs: ClusterId(8) };
    assert_eq!(refusal, expected);
    assert!(home.transport.stats().rejected_frames["foreign_cluster"] >= 1);
    assert_eq!(home.transport.stats().messages_received, 1, "the greeting alone");
}

#[tokio::test]
async fn t6_a_node_that_goes_by_other_leases_is_told_so_and_not_heard() {
    let mut home = Node::named("a").await;
    let theirs = LeaseTerms::new(Duration::from_millis(60), 10_000);
    let mut stranger = Node::start(TransportConfig { lease: theirs, ..config("b") }).await;
    stranger.transport.set_peer(home.name.clone(), home.address());
    let expected = Refusal::ForeignLease { ours: LeaseTerms::NONE, theirs };
    assert_eq!(refused(&mut stranger).await, expected);
    assert_eq!(home.rejected().await, "foreign_lease");
    assert_eq!(stranger.transport.stats().outbound, 0);
}

#[tokio::test]
async fn a_node_that_dials_itself_learns_it() {
    let mut a = Node::named("a").await;
    let myself = a.address();
    a.transport.set_peer(id("seed"), myself);
    assert_eq!(refused(&mut a).await, Refusal::Itself);
}

#[tokio::test]
async fn another_node_at_the_address_of_a_peer_is_not_taken_for_it() {
    let (mut a, b) = (Node::named("a").await, Node::named("b").await);
    a.transport.set_peer(id("c"), b.address());
    assert_eq!(a.rejected().await, "wrong_node");
    a.transport.send(&id("c"), Lane::Live, "for c".into()).unwrap();
    a.until(|event| matches!(event, TransportEvent::Lost { .. }).then_some(())).await;
    assert_eq!(b.transport.stats().messages_received, 0);
}

#[tokio::test]
async fn t4_what_waits_for_a_peer_that_does_not_read_is_bounded_and_the_rest_counted() {
    let mut small = config("a");
    small.limits.lane_bytes_max = [100_000; Lane::ALL.len()];
    // The receiver's node never takes an event, so its sockets are not read.
    let mut narrow = config("b");
    narrow.limits.events_max = 1;
    narrow.limits.events_bytes_max = 10_000;
    let (mut a, mut b) = (Node::start(small).await, Node::start(narrow).await);
    a.join(&b).await;
    let message = Bytes::from(vec![1; 10_000]);
    let mut sent: u64 = 0;
    let overload = async {
        while a.transport.send(&b.name, Lane::Live, message.clone()).is_ok() {
            sent += 1;
            tokio::task::yield_now().await;
        }
    };
    patiently(overload).await;
    assert_eq!(a.transport.stats().dropped[&Lane::Live], 1);
    // The urgent lane has room of its own.
    a.transport.send(&b.name, Lane::Urgent, "urgent".into()).unwrap();
    // The node wakes up: nothing that was accepted is lost, and the connection is whole.
    let mut received = 0;
    let mut overtaken = None;
    while received < sent {
        let (_, body) = b.message().await;
        if body == "urgent" {
            overtaken = Some(sent - received);
        } else {
            assert_eq!(body, message);
            received += 1;
        }
    }
    assert!(overtaken.is_some_and(|behind| behind > 5), "{overtaken:?} of {sent}");
}

#[tokio::test]
async fn what_waits_for_a_peer_that_is_gone_is_dropped_and_counted() {
    let mut a = Node::named("a").await;
    // Held, so that nobody else takes it, and nobody listens.
    let held = TcpSocket::new_v4().unwrap();
    held.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    a.transport.set_peer(id("b"), held.local_addr().unwrap().to_string());
    a.transport.send(&id("b"), Lane::Live, "lost".into()).unwrap();
    a.until(|event| matches!(event, TransportEvent::Lost { refused: true, .. }).then_some(()))
        .await;
    let counted = async {
        while a.transport.stats().dropped[&Lane::Live] != 1 {
            tokio::task::yield_now().await;
        }
    };
    patiently(counted).await;
}

#[tokio::test]
async fn a_close_sends_what_waits() {
    let (mut a, mut b) = (Node::named("a").await, Node::named("b").await);
    a.join(&b).await;
    for n in 0..500 {
        a.transport.send(&b.name, Lane::Live, Bytes::from(format!("{n}"))).unwrap();
    }
    // A peer that is not there does not hold it up.
    a.transport.set_peer(id("c"), "192.0.2.1:7946".to_owned());
    assert!(a.transport.close(PATIENCE).await);
    for n in 0..500 {
        assert_eq!(b.message().await.1, format!("{n}"));
    }
}

#[tokio::test]
async fn a_removed_peer_is_hung_up_on_and_can_come_back() {
    let (mut a, mut b) = (Node::named("a").await, Node::named("b").await);
    a.join(&b).await;
    a.transport.remove_peer(&b.name);
    assert_eq!(a.transport.send(&b.name, Lane::Live, Bytes::new()), Err(SendError::UnknownPeer));
    let hung_up = async {
        while b.transport.stats().inbound != 0 {
            tokio::task::yield_now().await;
        }
    };
    patiently(hung_up).await;
    a.join(&b).await;
    a.reaches(&mut b).await;
}

#[tokio::test]
async fn datagrams_arrive_with_their_source() {
    let (a, mut b) = (Node::named("a").await, Node::named("b").await);
    a.transport.send_datagram(b.transport.local_addr(), b"gossip");
    let (from, bytes) = datagram(&mut b).await;
    assert_eq!((from, &bytes[..]), (a.transport.local_addr(), &b"gossip"[..]));
    let (sent, received) = (a.transport.stats(), b.transport.stats());
    assert_eq!((sent.datagrams_sent, received.datagrams_received), (1, 1));
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_the_fix() {
    let a = Node::named("a").await;
    let bind = a.transport.local_addr();
    let error = Transport::bind(TransportConfig { bind, ..config("b") }).await.unwrap_err();
    assert!(matches!(error, BindError::PortInUse { protocol: "TCP", .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&bind.port().to_string()) && text.contains("--bind"), "{text}");

    // The datagram port alone being taken is as much of an obstacle.
    let mut taken = Vec::new();
    let protocol = loop {
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let bind = udp.local_addr().unwrap();
        taken.push(udp);
        let error = Transport::bind(TransportConfig { bind, ..config("b") }).await.unwrap_err();
        let BindError::PortInUse { protocol, .. } = error else { panic!("{error}") };
        // Some connection of another test may hold the port for TCP, rarely.
        if protocol == "UDP" || taken.len() == 100 {
            break protocol;
        }
    };
    assert_eq!(protocol, "UDP");

    let bind = SocketAddr::from(([192, 0, 2, 1], 0));
    let error = Transport::bind(TransportConfig { bind, ..config("b") }).await.unwrap_err();
    assert!(matches!(error, BindError::NoSuchAddress { .. }), "{error}");
    let cluster_name = "x".repeat(5_000);
    let error = Transport::bind(TransportConfig { cluster_name, ..config("b") }).await.unwrap_err();
    assert!(matches!(error, BindError::NamesTooLong), "{error}");
}

#[tokio::test]
async fn a_dropped_transport_frees_its_port() {
    let mut a = Node::named("a").await;
    let bind = a.transport.local_addr();
    let b = Node::named("b").await;
    a.join(&b).await;
    drop(a);
    let again = Node::back_at(bind, config("a")).await;
    assert_eq!(again.transport.local_addr(), bind);
}

pub(crate) async fn refused(node: &mut Node) -> Refusal {
    node.until(|event| match event {
        TransportEvent::Refused { refusal, .. } => Some(refusal.clone()),
        _ => None,
    })
    .await
}

pub(crate) async fn datagram(node: &mut Node) -> (SocketAddr, Bytes) {
    node.until(|event| match event {
        TransportEvent::Datagram { from, bytes } => Some((*from, bytes.clone())),
        _ => None,
    })
    .await
}
