//! The network between the processes of other tests: it carries, loses, delays and cuts.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use quorate_core::{BootEpoch, ClusterId, NodeId};
use quorate_tests::{Network, Traffic, Weather, now, wait_until};
use quorate_wire::{FrameKind, Hello, Versions, encode_frame};

use crate::PATIENCE;

/// Long enough for what is not cut, on a machine that is not fully loaded; too short a look can
/// only miss what a cut lets through, and never fails a test.
const A_LOOK: Duration = Duration::from_millis(300);

/// A node made of its sockets.
struct Node {
    udp: UdpSocket,
    tcp: TcpListener,
    /// Where the others find it.
    advertised: SocketAddr,
}

fn node(network: &Network, name: &str) -> Node {
    // A port that is free for one is nearly always free for the other.
    let (udp, tcp) = wait_until(PATIENCE, || {
        let udp = UdpSocket::bind("127.0.0.1:0").ok()?;
        let tcp = TcpListener::bind(udp.local_addr().ok()?).ok()?;
        Some((udp, tcp))
    })
    .expect("a port is free");
    udp.set_read_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
    let bound = udp.local_addr().expect("it is bound");
    let advertised = network.attach(name, bound).expect("a place is free");
    Node { udp, tcp, advertised }
}

impl Node {
    fn receive(&self) -> Option<(Vec<u8>, SocketAddr)> {
        let mut buffer = [0; 2_000];
        let (length, from) = self.udp.recv_from(&mut buffer).ok()?;
        Some((buffer[..length].to_vec(), from))
    }

    /// Receives one within `patience`.
    fn receive_within(&self, patience: Duration) -> Option<(Vec<u8>, SocketAddr)> {
        self.udp.set_read_timeout(Some(patience)).expect("a socket takes a timeout");
        let received = self.receive();
        self.udp.set_read_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
        received
    }
}

fn three(network: &Network) -> [Node; 3] {
    ["a", "b", "c"].map(|name| node(network, name))
}

/// What node `name` says first on a stream.
fn hello(name: &str) -> Vec<u8> {
    let hello = Hello {
        versions: Versions::SUPPORTED,
        cluster_name: "test".into(),
        cluster: ClusterId::NONE,
        node: NodeId::new(name).expect("a name"),
        boot: BootEpoch(1),
        disk: quorate_core::DiskId::NONE,
        instance: 1,
        lease: quorate_core::LeaseTerms::NONE,
        advertised: "127.0.0.1:1".into(),
        client: false,
        more: Vec::new().into(),
    };
    let mut frame = Vec::new();
    encode_frame(FrameKind::Hello, ClusterId::NONE, &hello, &mut frame).expect("it is small");
    frame
}

/// A stream from `name` to `to` over which the hello has passed, with both its ends.
fn stream(name: &str, to: &Node) -> (TcpStream, TcpStream) {
    let mut dialler = TcpStream::connect(to.advertised).expect("the network listens");
    dialler.write_all(&hello(name)).expect("it takes a hello");
    let (mut dialled, _) = to.tcp.accept().expect("it is passed on");
    let mut heard = vec![0; hello(name).len()];
    dialled.read_exact(&mut heard).expect("the hello comes through");
    assert_eq!(heard, hello(name));
    for end in [&dialler, &dialled] {
        end.set_read_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
    }
    (dialler, dialled)
}

/// What a stream gives within `patience`.
fn read_within(stream: &mut TcpStream, patience: Duration) -> std::io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(patience))?;
    let mut buffer = [0; 100];
    let length = stream.read(&mut buffer)?;
    Ok(buffer[..length].to_vec())
}

#[test]
fn an_answer_to_the_source_travels_through_the_network_too() {
    let network = Network::new(1).expect("it starts");
    let [a, b, c] = three(&network);
    a.udp.send_to(b"to b", b.advertised).expect("sent");
    let (said, stands_for_a) = b.receive().expect("it comes");
    assert_eq!(said, b"to b");
    c.udp.send_to(b"also", b.advertised).expect("sent");
    let (_, stands_for_c) = b.receive().expect("it comes");
    assert_ne!(stands_for_a, stands_for_c, "senders are told apart");
    b.udp.send_to(b"back", stands_for_a).expect("sent");
    // As if it came from where it was asked: the address that is known of b.
    assert_eq!(a.receive(), Some((b"back".to_vec(), b.advertised)));
    // A cut is between the two that speak, whoever of them asked.
    network.split(&[&["a"], &["b", "c"]]);
    b.udp.send_to(b"cut", stands_for_a).expect("sent");
    a.udp.send_to(b"cut", b.advertised).expect("sent");
    c.udp.send_to(b"on", b.advertised).expect("sent");
    assert_eq!(b.receive().map(|(said, _)| said).as_deref(), Some(&b"on"[..]));
    wait_until(PATIENCE, || (network.traffic().cut == 2).then_some(())).expect("both are cut");
    assert_eq!(a.receive_within(A_LOOK), None);
    network.heal();
    b.udp.send_to(b"healed", stands_for_a).expect("sent");
    assert_eq!(a.receive(), Some((b"healed".to_vec(), b.advertised)));
}

#[test]
fn datagrams_are_lost_as_the_dice_want_and_come_late() {
    let network = Network::new(1).expect("it starts");
    let [a, b, _] = three(&network);
    let delay = Duration::from_millis(50);
    network.set_weather(Weather {
        loss_millionths: 300_000,
        delay_min: delay,
        delay_max: delay,
        ..Weather::default()
    });
    let (mut lost, mut carried) = (0, 0);
    for n in 1..=100_u64 {
        let sent = now();
        a.udp.send_to(&n.to_le_bytes(), b.advertised).expect("sent");
        let traffic = wait_until(PATIENCE, || {
            let traffic = network.traffic();
            (traffic.carried + traffic.lost == n).then_some(traffic)
        })
        .expect("it is passed on or lost");
        if traffic.carried > carried {
            assert_eq!(b.receive().expect("it comes").0, n.to_le_bytes());
            assert!(now() - sent >= delay, "it came too soon");
        }
        Traffic { carried, lost, .. } = traffic;
    }
    assert!((15..45).contains(&lost), "{lost} of 100 lost");
}

#[test]
fn a_short_cut_holds_a_stream_and_a_long_one_ends_it() {
    let network = Network::new(1).expect("it starts");
    let [_, b, c] = three(&network);
    let (mut from_a, mut at_b) = stream("a", &b);
    let (mut from_c, mut beside) = stream("c", &b);
    from_a.write_all(b"before").expect("sent");
    assert_eq!(read_within(&mut at_b, PATIENCE).expect("it comes"), b"before");
    network.split(&[&["a"], &["b", "c"]]);
    from_a.write_all(b"while cut").expect("the kernel takes it");
    let nothing = read_within(&mut at_b, A_LOOK).expect_err("nothing comes");
    assert!(matches!(nothing.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{nothing}");
    from_c.write_all(b"beside").expect("sent");
    assert_eq!(read_within(&mut beside, PATIENCE).expect("it comes"), b"beside");
    network.heal();
    assert_eq!(read_within(&mut at_b, PATIENCE).expect("it comes"), b"while cut");
    // Nobody acknowledges for too long.
    network.split(&[&["a"], &["b", "c"]]);
    from_a.write_all(b"never").expect("the kernel takes it");
    let end = |read: std::io::Result<Vec<u8>>| match read {
        Ok(bytes) => bytes.is_empty(),
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    };
    assert!(end(read_within(&mut at_b, PATIENCE)) && end(read_within(&mut from_a, PATIENCE)));
    // Nor is another let through; others are.
    let mut again = TcpStream::connect(b.advertised).expect("the kernel takes it");
    again.write_all(&hello("a")).expect("the kernel takes it");
    assert!(end(read_within(&mut again, PATIENCE)), "it is given up");
    drop(stream("c", &b));
    drop(stream("b", &c));
}

#[test]
fn a_node_that_moved_is_the_same_and_a_closed_place_refuses() {
    let network = Network::new(1).expect("it starts");
    let [a, b, _] = three(&network);
    let moved = node(&network, "b");
    network.split(&[&["a"], &["b"]]);
    a.udp.send_to(b"cut", moved.advertised).expect("sent");
    wait_until(PATIENCE, || (network.traffic().cut == 1).then_some(())).expect("it is cut");
    network.heal();
    a.udp.send_to(b"there", moved.advertised).expect("sent");
    assert_eq!(moved.receive().map(|(said, _)| said).as_deref(), Some(&b"there"[..]));
    network.close(b.advertised);
    let refused = wait_until(PATIENCE, || TcpStream::connect(b.advertised).err());
    assert_eq!(refused.map(|error| error.kind()), Some(ErrorKind::ConnectionRefused));
}
