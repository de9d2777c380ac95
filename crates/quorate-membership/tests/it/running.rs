//! Real memberships on loopback: sockets, tasks, folders. Each test waits for a condition, for far
//! longer than it takes.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use quorate_core::NodeId;
use quorate_membership::{
    Config, End, Event, LeaveError, Membership, Options, OrderError, Running, StartError, State,
    Tags, Told,
};
use quorate_tokio::{Key, Keyring};
use tokio::net::UdpSocket;

/// Far longer than anything takes: only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("within the test's patience")
}

fn id(name: &str) -> NodeId {
    NodeId::new(name).expect("a name of one letter")
}

fn options(name: &str) -> Options {
    // At a pace at which a machine that is busy with other tests is not taken for dead.
    let pace = Config { pause_tolerance: Duration::from_secs(2), ..Config::local() };
    Options::new("test").id(id(name)).pace(pace)
}

async fn start(options: Options) -> Running {
    patiently(Membership::start(options)).await.expect("it starts")
}

fn at(node: &Running) -> String {
    node.local_addr().to_string()
}

/// Waits until `node` sees what is wanted.
async fn until(node: &Running, wanted: impl Fn(&Running) -> bool) {
    let mut events = node.events();
    let seen = async {
        while !wanted(node) {
            // Not all that changes is told as an event.
            let _ = tokio::time::timeout(Duration::from_millis(20), events.next()).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, seen).await;
    assert!(waited.is_ok(), "{} sees {:#?}\n{:#?}", node.id(), node.members(), node.metrics());
}

async fn sees(node: &Running, other: &str, state: State) {
    until(node, |node| node.members().state(&id(other)) == Some(state)).await;
}

/// Waits until all of `nodes` see all of them alive.
async fn all_see_all(nodes: &[&Running]) {
    for node in nodes {
        for other in nodes {
            sees(node, other.id().as_str(), State::Alive).await;
        }
    }
}

/// Three that see each other; `with` adds to the options.
async fn three(with: impl Fn(Options) -> Options) -> [Running; 3] {
    let a = start(with(options("a"))).await;
    let b = start(with(options("b").seeds([at(&a)]))).await;
    let c = start(with(options("c").seeds([at(&a)]))).await;
    all_see_all(&[&a, &b, &c]).await;
    [a, b, c]
}

#[tokio::test]
async fn three_form_and_agree() {
    let [a, b, c] = three(|options| options).await;
    until(&a, |a| {
        let hash = a.metrics().view_hash;
        hash == b.metrics().view_hash && hash == c.metrics().view_hash
    })
    .await;
    let metrics = a.metrics();
    assert!(metrics.transfers.datagrams_sent > 0 && metrics.counters.sent > 0);
    assert_eq!(metrics.undecodable, 0);
    assert!(metrics.transfers.rejected_frames.is_empty(), "{metrics:?}");
    assert_eq!(metrics.health_multiplier, 1);
    let members = a.members();
    assert_eq!(members.me(), a.id());
    assert_eq!(members.get(b.id()).unwrap().info.address, at(&b));
    until(&a, |a| a.members().get(b.id()).is_some_and(|b| b.rtt.is_some())).await;
}

#[tokio::test]
async fn one_that_dies_is_unreachable_first_and_then_dead() {
    let [a, b, c] = three(|options| options).await;
    let mut events = a.events();
    drop(c);
    let mut seen = Vec::new();
    patiently(async {
        while !seen.contains(&Event::Dead { id: id("c") }) {
            let told = events.next().await.expect("it runs");
            let Told::Event(event) = told else { panic!("nothing was missed") };
            if event == (Event::Dead { id: id("c") }) {
                assert_eq!(a.members().state(&id("c")), Some(State::Dead), "shown before told");
            }
            seen.push(event);
        }
    })
    .await;
    assert_eq!(seen, [Event::Unreachable { id: id("c") }, Event::Dead { id: id("c") }]);
    sees(&b, "c", State::Dead).await;
    all_see_all(&[&a, &b]).await;
}

#[tokio::test]
async fn one_that_leaves_has_left_and_can_join_again_at_once_at_the_same_port() {
    let [a, b, c] = three(|options| options).await;
    let (port, events) = (c.local_addr(), c.events());
    assert_eq!(patiently(c.leave()).await, Ok(()));
    for node in [&a, &b] {
        sees(node, "c", State::Left).await;
    }
    // It is over, and says so.
    assert_eq!(patiently(c.ended()).await, End::Asked);
    assert_eq!(patiently(c.leave()).await, Err(LeaveError::Ended));
    assert_eq!(c.set_tags(Tags::default()).await, Err(OrderError::Ended));
    let mut events = events;
    patiently(async { while events.next().await.is_some() {} }).await;
    assert_eq!(c.events().next().await, None);

    let again = start(options("c").bind(port).seeds([at(&a)])).await;
    assert_eq!(again.local_addr(), port);
    all_see_all(&[&a, &b, &again]).await;
}

#[tokio::test]
async fn the_last_of_several_handles_ends_it() {
    let a = start(options("a")).await;
    let (other, port) = (a.clone(), a.local_addr());
    drop(a);
    assert_eq!(other.members().alive().count(), 1);
    let mut events = other.events();
    drop(other);
    patiently(async { while events.next().await.is_some() {} }).await;
    // Its port is free: the end is told when all is closed.
    UdpSocket::bind(port).await.unwrap();
}

#[tokio::test]
async fn tags_travel() {
    let [a, b, c] = three(|options| options).await;
    let tags = Tags { zone: "north".to_owned(), ..Tags::default() };
    b.set_tags(tags).await.unwrap();
    for node in [&a, &b, &c] {
        until(node, |node| node.members().get(b.id()).unwrap().info.tags.zone == "north").await;
    }
    let long = Tags { zone: "x".repeat(65), ..Tags::default() };
    assert!(matches!(b.set_tags(long).await, Err(OrderError::Tags(_))));
}

#[tokio::test]
async fn a_broadcast_is_told_to_all_once() {
    let nodes = three(|options| options).await;
    let mut events = nodes.each_ref().map(Running::events);
    nodes[1].broadcast(b"deploy 7".to_vec()).await.unwrap();
    nodes[1].broadcast(b"deploy 8".to_vec()).await.unwrap();
    // The one that tells needs not be told.
    for at in [0, 2] {
        let events = &mut events[at];
        let mut told = Vec::new();
        while told.len() < 2 {
            match patiently(events.next()).await.expect("it runs") {
                Told::Event(Event::Broadcast { from, payload }) => {
                    assert_eq!(from, id("b"));
                    told.push(payload);
                }
                other => panic!("{other:?}"),
            }
        }
        told.sort_unstable();
        assert_eq!(told, [b"deploy 7", b"deploy 8"]);
    }
    let long = nodes[0].broadcast(vec![0; 513]).await;
    assert_eq!(long, Err(OrderError::TooLong { bytes: 513 }));
}

#[tokio::test]
async fn a_second_process_of_one_name_is_refused_while_the_first_answers() {
    let [a, b, c] = three(|options| options).await;
    let twin = start(options("b").seeds([at(&a), at(&c)])).await;
    assert_eq!(patiently(twin.ended()).await, End::DuplicateId);
    all_see_all(&[&a, &b, &c]).await;
    assert_eq!(a.members().get(b.id()).unwrap().info.address, at(&b));
}

fn keys() -> [Key; 2] {
    [1, 2].map(|of| {
        let mut bytes = [of; Key::BYTES];
        bytes[0] = !of;
        Key::from_bytes(bytes).expect("not all bytes are equal")
    })
}

#[tokio::test]
async fn keys_are_changed_while_it_runs_and_nobody_is_lost() {
    let [old, new] = keys();
    let nodes = three(|options| options.keyring(Keyring::new(&old))).await;
    let mut events = nodes.each_ref().map(Running::events);
    let rings = || nodes.iter().map(|node| node.keyring().expect("it was given"));
    let steps: [&dyn Fn(&Keyring); 3] = [
        &|ring| assert_eq!(ring.install(&new), Ok(new.id())),
        &|ring| assert_eq!(ring.use_key(new.id()), Ok(())),
        &|ring| assert_eq!(ring.remove(old.id()), Ok(())),
    ];
    for step in steps {
        for ring in rings() {
            step(ring);
            // Everybody probes somebody in every state of the change.
            let before = nodes.each_ref().map(|node| node.metrics().counters.received);
            for (node, before) in nodes.iter().zip(before) {
                until(node, |node| node.metrics().counters.received > before + 5).await;
            }
        }
    }
    assert!(rings().all(|ring| ring.ids() == [new.id()]));
    for (node, events) in nodes.iter().zip(&mut events) {
        assert!(node.metrics().transfers.rejected_frames.is_empty(), "{:?}", node.metrics());
        let told = tokio::time::timeout(Duration::ZERO, events.next()).await;
        assert!(told.is_err(), "nobody was even suspected: {told:?}");
    }
}

#[tokio::test]
async fn with_another_key_nobody_is_seen_and_both_sides_count_it() {
    let [one, other] = keys();
    let a = start(options("a").keyring(Keyring::new(&one))).await;
    let b = start(options("b").keyring(Keyring::new(&other)).seeds([at(&a)])).await;
    let plain = start(options("c").seeds([at(&a), at(&b)])).await;
    let refused = |why: &'static str| {
        move |node: &Running| node.metrics().transfers.rejected_frames.contains_key(why)
    };
    until(&a, refused("unknown_key")).await;
    until(&a, refused("plain")).await;
    until(&b, refused("plain")).await;
    // B seeks A; A never heard of B, so this is the other direction.
    let c = start(options("d").keyring(Keyring::new(&one)).seeds([at(&b)])).await;
    until(&b, refused("unknown_key")).await;
    for node in [&a, &b, &plain, &c] {
        assert_eq!(node.members().iter().count(), 1, "itself");
    }
}

#[tokio::test]
async fn where_udp_is_blocked_tcp_alone_does() {
    let [a, b, c] = three(|options| options.datagrams(false)).await;
    for node in [&a, &b, &c] {
        UdpSocket::bind(node.local_addr()).await.expect("nobody holds UDP");
        let transfers = node.metrics().transfers;
        assert_eq!((transfers.datagrams_sent, transfers.datagrams_received), (0, 0));
        assert_eq!(transfers.datagrams_dropped, 0, "none was even tried");
        assert!(transfers.stream_packets_sent > 0 && transfers.stream_packets_received > 0);
    }
    until(&a, |a| a.members().get(b.id()).is_some_and(|b| b.rtt.is_some())).await;
    drop(c);
    sees(&a, "c", State::Dead).await;
    sees(&b, "c", State::Dead).await;
    assert_eq!(patiently(b.leave()).await, Ok(()));
    sees(&a, "b", State::Left).await;
}

#[tokio::test]
async fn one_that_no_datagram_reaches_is_a_member_all_the_same() {
    let a = start(options("a")).await;
    let b = start(options("b").datagrams(false).seeds([at(&a)])).await;
    all_see_all(&[&a, &b]).await;
    until(&a, |a| a.members().get(b.id()).is_some_and(|b| b.by_stream)).await;
    let probed = a.metrics().counters.probes;
    until(&a, |a| a.metrics().counters.probes > probed + 10).await;
    all_see_all(&[&a, &b]).await;
    assert_eq!(a.metrics().counters.deaths + b.metrics().counters.deaths, 0);
}

fn with_folder(name: &str, folder: &Path) -> Options {
    options(name).data_folder(folder)
}

#[tokio::test]
async fn a_folder_is_for_one_process_and_for_one_node() {
    let folder = tempfile::tempdir().unwrap();
    let a = start(with_folder("a", folder.path())).await;
    let second = Membership::start(with_folder("a", folder.path())).await.unwrap_err();
    assert!(matches!(second, StartError::Folder(_)), "{second:?}");
    assert!(second.to_string().contains("locked by another process"), "{second}");
    patiently(a.leave()).await.unwrap();
    let other = Membership::start(with_folder("b", folder.path())).await.unwrap_err();
    assert!(matches!(other, StartError::OtherNode { .. }), "{other:?}");
    // Without a name it is the node of the folder, in a later life.
    let unnamed = Options::new("test").data_folder(folder.path());
    let again = start(unnamed).await;
    assert_eq!(again.id(), a.id());
    let life = |node: &Running| node.members().get(node.id()).unwrap().info.incarnation.boot;
    assert!(life(&again) > life(&a));
}

#[tokio::test]
async fn m11_a_node_finds_back_through_the_peers_it_knew_when_its_seed_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let a = start(options("a")).await;
    let b = start(options("b").seeds([at(&a)])).await;
    let c = start(with_folder("c", folder.path()).seeds([at(&a)])).await;
    all_see_all(&[&a, &b, &c]).await;
    let seed = at(&a);
    // The seed dies, then C; B is the only way back, and no seed of C.
    drop(a);
    sees(&c, "a", State::Dead).await;
    let mut events = c.events();
    drop(c);
    patiently(async { while events.next().await.is_some() {} }).await;
    sees(&b, "c", State::Dead).await;
    let c = start(with_folder("c", folder.path()).seeds([seed])).await;
    assert!(c.damaged().is_empty());
    all_see_all(&[&b, &c]).await;
}

#[tokio::test]
async fn a_damaged_folder_is_told_and_the_node_starts_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let a = start(with_folder("a", folder.path())).await;
    patiently(a.leave()).await.unwrap();
    for file in ["node", "peers"] {
        std::fs::write(folder.path().join(file), b"noise").unwrap();
    }
    let again = start(with_folder("a", folder.path())).await;
    assert_eq!(again.damaged(), ["node", "peers"]);
}

#[tokio::test]
async fn m12_it_listens_beyond_loopback_only_with_keys_or_on_purpose() {
    let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let open = || options("a").bind(everywhere).advertise("127.0.0.1:0");
    let refused = Membership::start(open()).await.unwrap_err();
    assert!(matches!(refused, StartError::NoKeyring { .. }), "{refused:?}");
    let text = refused.to_string();
    assert!(text.contains("keyring") && text.contains("insecure(true)"), "both ways out: {text}");
    let [key, _] = keys();
    let sealed = start(open().keyring(Keyring::new(&key))).await;
    let plain = start(open().insecure(true)).await;
    for node in [&sealed, &plain] {
        let port = node.local_addr().port();
        assert_eq!(node.advertised(), format!("127.0.0.1:{port}"), "the port that was taken");
        assert_ne!(port, 0);
    }
    let nowhere = options("a").bind(everywhere).insecure(true);
    let refused = Membership::start(nowhere).await.unwrap_err();
    assert!(matches!(refused, StartError::NoAdvertise { .. }), "{refused:?}");
    let refused = Membership::start(options("a").advertise("nowhere")).await.unwrap_err();
    assert!(matches!(refused, StartError::Config(_)), "{refused:?}");
}

#[cfg(not(feature = "srv"))]
#[tokio::test]
async fn without_the_feature_a_seed_of_srv_says_what_to_build_with() {
    let refused = Membership::start(options("a").seeds(["_quorate._tcp.example.org"])).await;
    let error = refused.unwrap_err();
    assert!(matches!(error, StartError::NoSrv { .. }), "{error:?}");
    assert!(error.to_string().contains("feature `srv`"), "{error}");
}

#[cfg(feature = "srv")]
#[tokio::test]
async fn seeds_are_found_by_a_service_of_dns() {
    let a = start(options("a")).await;
    let names = crate::naming::NameServer::start(a.local_addr()).await;
    let seeds = ["_quorate._tcp.example.org"];
    let b = start(options("b").seeds(seeds).name_servers([names.at])).await;
    all_see_all(&[&a, &b]).await;
}
