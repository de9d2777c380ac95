//! Several processes of one name: which of them stays.

use quorate_core::BootEpoch;
use quorate_tokio::{TransportConfig, TransportEvent};
use quorate_wire::{FrameKind, Hello, Refusal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::hostile::{frame, hello};
use crate::net::{Node, config, id, patiently};
use crate::transport::refused;

#[tokio::test]
async fn t6_a_taken_name_is_told_so_and_its_bearer_learns_of_it() {
    let mut hub = Node::named("hub").await;
    let mut first = Node::named("a").await;
    first.join(&hub).await;
    let taken = Refusal::DuplicateId { node: id("a"), address: first.address() };
    let mut twin = Node::start(TransportConfig { seed: 99, ..config("a") }).await;
    twin.transport.set_peer(hub.name.clone(), hub.address());
    assert_eq!(refused(&mut twin).await, taken);
    first.reaches(&mut hub).await;

    // Nor does it help to have been started more often, here or at the first one itself.
    let config = TransportConfig { seed: 98, boot: BootEpoch(5), ..config("a") };
    let mut newer = Node::start(config).await;
    newer.transport.set_peer(hub.name.clone(), hub.address());
    assert_eq!(refused(&mut newer).await, taken);
    newer.transport.set_peer(id("whoever"), first.address());
    assert_eq!(refused(&mut newer).await, taken);
    let (address, boot) = first
        .until(|event| match event {
            TransportEvent::DuplicateOfUs { address, boot } => Some((address.clone(), *boot)),
            _ => None,
        })
        .await;
    assert_eq!((address, boot), (newer.address(), BootEpoch(5)));
    first.reaches(&mut hub).await;
}

/// One that was dialled is known by its answer, also while it dials nobody.
#[tokio::test]
async fn a_later_start_is_refused_where_the_earlier_one_was_dialled() {
    let (mut hub, first) = (Node::named("hub").await, Node::named("a").await);
    hub.join(&first).await;
    let mut newer =
        Node::start(TransportConfig { seed: 98, boot: BootEpoch(5), ..config("a") }).await;
    newer.transport.set_peer(hub.name.clone(), hub.address());
    let taken = Refusal::DuplicateId { node: id("a"), address: first.address() };
    assert_eq!(refused(&mut newer).await, taken);
}

/// Its connection is still there, as after the death of its machine; but nobody answers.
#[tokio::test]
async fn a_restarted_peer_replaces_what_is_left_of_its_earlier_self() {
    let mut hub = Node::named("hub").await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let advertised = nobody.local_addr().unwrap().to_string();
    let mut old = TcpStream::connect(hub.transport.local_addr()).await.unwrap();
    let hello = Hello { advertised, ..hello("a") };
    old.write_all(&frame(FrameKind::Hello, &hello)).await.unwrap();
    assert!(old.read(&mut [0; 200]).await.unwrap() > 0, "it is welcomed");
    // A host that takes the connection and says nothing is as good as none.
    let silent = tokio::spawn(async move {
        let (stream, _) = nobody.accept().await.unwrap();
        drop(stream);
    });
    let mut new = Node::start(TransportConfig { boot: BootEpoch(2), ..config("a") }).await;
    new.join(&hub).await;
    new.reaches(&mut hub).await;
    let mut rest = Vec::new();
    let _ = patiently(old.read_to_end(&mut rest)).await;
    silent.await.unwrap();
    // And where nobody listens at all.
    let mut newest = Node::start(TransportConfig { boot: BootEpoch(3), ..config("a") }).await;
    drop(new);
    newest.join(&hub).await;
    newest.reaches(&mut hub).await;
}
