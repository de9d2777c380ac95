//! The connections that others dial: greeted, then only read.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::NodeId;
use quorate_wire::{Hello, Refusal, Welcome, negotiate};
use rustix::process::{Resource, getrlimit};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::framing::{self, End, FrameReader, Handshake};
use super::registry::Ticket;
use super::stats::{Live, count};
use super::{Shared, TransportEvent, socket};

/// Accepts connections for as long as the transport lives. Dropping the future drops them all.
pub(crate) async fn listen(shared: Arc<Shared>, listener: TcpListener) {
    let most = shared.limits.connections_max.min(files_max() / 4).max(1);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // Beyond the limit some are still told so; beyond that, hung up on.
                Ok((_, from)) if connections.len() >= most + REFUSED_AT_ONCE => {
                    shared.reject(from, "overloaded");
                }
                Ok((stream, from)) => {
                    let full = connections.len() >= most;
                    connections.spawn(serve(Arc::clone(&shared), stream, from, full));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: the connection stays in the queue of
                    // the kernel, so asking again at once would spin.
                    tracing::warn!(name: "transport.accept", %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(name: "transport.panic", %error, "a connection's task failed");
                }
            }
        }
    }
}

/// How many files the process may have open. Strangers get a quarter at most: a journal that finds
/// the table full cannot open its next segment.
fn files_max() -> usize {
    let soft = getrlimit(Resource::Nofile).current;
    soft.and_then(|files| files.try_into().ok()).unwrap_or(usize::MAX)
}

/// How many connections above the limit may be in the middle of being refused.
const REFUSED_AT_ONCE: usize = 32;

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

async fn serve(shared: Arc<Shared>, stream: TcpStream, from: SocketAddr, full: bool) {
    let _live = Live::new(&shared.counters.inbound);
    let greeted = timeout(shared.limits.handshake_max, greet(&shared, stream, full)).await;
    let end = match greeted {
        Ok(Ok(guest)) => {
            shared.hurry(&guest.place.node);
            listen_to(&shared, guest).await
        }
        Ok(Err(end)) => end,
        Err(_) => End::Broken("handshake_timeout"),
    };
    if let End::Broken(why) = end {
        shared.reject(from, why);
    }
}

/// A peer that was welcomed.
struct Guest<'a> {
    place: Place<'a>,
    reader: FrameReader,
    replaced: oneshot::Receiver<()>,
    /// Never written to again; closing it would look like an end to the peer.
    _write: OwnedWriteHalf,
}

/// A place in the registry, given back however the connection ends.
struct Place<'a> {
    shared: &'a Shared,
    node: NodeId,
    ticket: Ticket,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shared.inbound.lock().release(&self.node, self.ticket);
    }
}

/// Shakes hands. An error says what rule the guest broke, if it did not just go away.
async fn greet(shared: &Shared, stream: TcpStream, full: bool) -> Result<Guest<'_>, End> {
    let gone = |_| End::Closed;
    socket::tune_inbound(&stream).map_err(gone)?;
    let (read, mut write) = stream.into_split();
    let mut reader = FrameReader::new(read);
    let hello = reader.next_hello(shared).await?;
    match admit(shared, &hello, full) {
        Ok((welcome, place, replaced)) => {
            let frame = Handshake::Welcome(&welcome).frame(shared.cluster()).ok_or(End::Closed)?;
            write.write_all(&frame).await.map_err(gone)?;
            reader.open(welcome.version);
            Ok(Guest { place, reader, replaced, _write: write })
        }
        Err(refusal) => {
            if let Some(frame) = Handshake::Refusal(&refusal).frame(shared.cluster())
                && write.write_all(&frame).await.is_ok()
            {
                let _ = write.shutdown().await;
            }
            let ours = matches!(refusal, Refusal::DuplicateId { .. }) && hello.node == shared.me;
            if !ours {
                return Err(End::Broken(framing::reason(&refusal)));
            }
            // At most once a second: whoever claims to be us must not crowd out messages.
            if shared.counters.rejected(&hello.advertised, "duplicate_of_us") {
                let (address, boot) = (hello.advertised, hello.boot);
                shared.tell(TransportEvent::DuplicateOfUs { address, boot }).await.map_err(gone)?;
            }
            Err(End::Closed)
        }
    }
}

/// Whether the node that said `hello` may come in, and if so, its place in the registry.
fn admit<'a>(
    shared: &'a Shared,
    hello: &Hello,
    full: bool,
) -> Result<(Welcome, Place<'a>, oneshot::Receiver<()>), Refusal> {
    let welcome = negotiate(&framing::hello(shared), hello)?;
    if hello.client {
        let text = "this port is for nodes; clients use the HTTP API".to_owned();
        return Err(Refusal::Other { text });
    }
    if full {
        let connections = u32::try_from(shared.limits.connections_max).unwrap_or(u32::MAX);
        return Err(Refusal::Overloaded { connections });
    }
    let registered = shared.inbound.lock().register(hello);
    let (ticket, replaced) =
        registered.map_err(|address| Refusal::DuplicateId { node: hello.node.clone(), address })?;
    Ok((welcome, Place { shared, node: hello.node.clone(), ticket }, replaced))
}

/// Reads messages until the connection ends.
async fn listen_to(shared: &Shared, guest: Guest<'_>) -> End {
    let Guest { place, mut reader, replaced, _write } = guest;
    let messages = async {
        loop {
            let bytes = match reader.next_message(shared).await {
                Ok(bytes) => bytes,
                Err(end) => return end,
            };
            count(&shared.counters.messages_received, 1);
            let room = shared.room(bytes.len()).await;
            let event = TransportEvent::Message { from: place.node.clone(), bytes, room };
            if shared.tell(event).await.is_err() {
                return End::Closed;
            }
        }
    };
    tokio::select! {
        end = messages => end,
        // The other connection serves this peer now; this one is closed in silence.
        _ = replaced => End::Closed,
    }
}
