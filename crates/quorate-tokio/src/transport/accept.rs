//! The connections that others dial: greeted, then only read; or streams of packets.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quorate_core::{Clock as _, DiskId, NodeId};
use quorate_wire::{Hello, Refusal, Welcome, negotiate};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::claims::asks_who;
use super::framing::{self, End, FrameReader, Handshake, Opening};
use super::registry::{Taken, Ticket};
use super::stats::{Live, count};
use super::streams::Caller;
use super::{Shared, TransportEvent, socket};
use crate::BootClock;

/// Accepts connections for as long as the transport lives. Dropping the future drops them all.
///
/// Whoever has not shaken hands yet takes no place from those who have, and when too many have not,
/// the one that has been silent for longest makes room: a peer is through within a round trip.
pub(crate) async fn listen(shared: Arc<Shared>, listener: TcpListener) {
    let strangers_max = STRANGERS_MAX.min(shared.limits.connections_max);
    let mut connections = JoinSet::new();
    let mut strangers: VecDeque<Stranger> = VecDeque::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    strangers.retain(Stranger::is_one);
                    if strangers.len() >= strangers_max
                        && let Some(oldest) = strangers.pop_front()
                    {
                        oldest.task.abort();
                        shared.reject(oldest.from, "overloaded");
                    }
                    let known = Arc::new(AtomicBool::new(false));
                    let serving = serve(Arc::clone(&shared), stream, from, Arc::clone(&known));
                    let task = connections.spawn(serving);
                    strangers.push_back(Stranger { from, task, known });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: the connection stays in the queue of
                    // the kernel, so asking again at once would spin.
                    tracing::warn!(name: "transport.accept", %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended
                    && error.is_panic()
                {
                    tracing::error!(name: "transport.panic", %error, "a connection's task failed");
                }
            }
        }
    }
}

/// A connection that has not shaken hands when it was last looked at.
struct Stranger {
    from: SocketAddr,
    task: AbortHandle,
    known: Arc<AtomicBool>,
}

impl Stranger {
    fn is_one(&self) -> bool {
        !self.known.load(Ordering::Relaxed) && !self.task.is_finished()
    }
}

/// The most connections that may be in their handshake, whatever the limit of those behind it.
const STRANGERS_MAX: usize = 256;

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

async fn serve(shared: Arc<Shared>, stream: TcpStream, from: SocketAddr, known: Arc<AtomicBool>) {
    let _live = Live::new(&shared.counters.inbound);
    let greeted = timeout(shared.limits.handshake_max, greet(&shared, stream)).await;
    let end = match greeted {
        Ok(Ok(Visitor::Guest(guest))) => {
            known.store(true, Ordering::Relaxed);
            shared.hurry(&guest.place.node);
            listen_to(&shared, guest).await
        }
        Ok(Ok(Visitor::Caller(caller))) => {
            known.store(true, Ordering::Relaxed);
            caller.serve(&shared, from).await
        }
        Ok(Err(end)) => end,
        Err(_) => End::Broken("handshake_timeout"),
    };
    if let End::Broken(why) = end {
        shared.reject(from, why);
    }
}

/// Who is at the other end of a connection.
enum Visitor<'a> {
    /// A node that sends messages.
    Guest(Guest<'a>),
    /// Somebody who sends packets.
    Caller(Caller),
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
    disk: DiskId,
    ticket: Ticket,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shared.inbound.lock().release(&self.node, self.ticket);
    }
}

/// Shakes hands, or reads the first packet. An error says what rule the guest broke, if it did not just go away.
async fn greet(shared: &Shared, stream: TcpStream) -> Result<Visitor<'_>, End> {
    let gone = |_| End::Closed;
    socket::tune_inbound(&stream).map_err(gone)?;
    let (read, mut write) = stream.into_split();
    let mut reader = FrameReader::new(read);
    reader.admit_gossip();
    let hello = match reader.next_opening(shared).await? {
        Opening::Hello(hello) => hello,
        Opening::Packet(first) => return Ok(Visitor::Caller(Caller { reader, write, first })),
    };
    match admit(shared, &hello).await {
        Ok(Admitted::Asks(welcome)) => {
            let frame = Handshake::Welcome(&welcome).frame(shared.cluster()).ok_or(End::Closed)?;
            write.write_all(&frame).await.map_err(gone)?;
            Err(End::Closed)
        }
        Ok(Admitted::Enters(welcome, place, replaced)) => {
            let frame = Handshake::Welcome(&welcome).frame(shared.cluster()).ok_or(End::Closed)?;
            write.write_all(&frame).await.map_err(gone)?;
            reader.open(welcome.version);
            Ok(Visitor::Guest(Guest { place, reader, replaced, _write: write }))
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

/// How a hello that breaks no rule is answered.
enum Admitted<'a> {
    /// With our name: that is all it asks for.
    Asks(Welcome),
    /// With a place in the registry.
    Enters(Welcome, Place<'a>, oneshot::Receiver<()>),
}

/// Whether the node that said `hello` may come in.
async fn admit<'a>(shared: &'a Shared, hello: &Hello) -> Result<Admitted<'a>, Refusal> {
    if !shared.messages {
        let text = "this port is for gossip alone".to_owned();
        return Err(Refusal::Other { text });
    }
    let welcome = negotiate(&framing::hello(shared), hello)?;
    if asks_who(hello) {
        return Ok(Admitted::Asks(welcome));
    }
    if hello.client {
        let text = "this port is for nodes; clients use the HTTP API".to_owned();
        return Err(Refusal::Other { text });
    }
    shared.vet(hello).await?;
    // Those whom we dial ourselves always find a place: they are few, and strangers may be many.
    let dialled = shared.peers.lock().contains_key(&hello.node);
    let mut inbound = shared.inbound.lock();
    if !dialled && inbound.is_full_for(&hello.node, shared.limits.connections_max) {
        let connections = u32::try_from(shared.limits.connections_max).unwrap_or(u32::MAX);
        return Err(Refusal::Overloaded { connections });
    }
    let registered = inbound.register(hello, BootClock.now());
    drop(inbound);
    let (ticket, replaced) = registered.map_err(|taken| match taken {
        Taken::For(address) => Refusal::DuplicateId { node: hello.node.clone(), address },
        Taken::JustNow => {
            let text = "a later start of this node has just connected: dial again".to_owned();
            Refusal::Other { text }
        }
    })?;
    let place = Place { shared, node: hello.node.clone(), disk: hello.disk, ticket };
    Ok(Admitted::Enters(welcome, place, replaced))
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
            let event =
                TransportEvent::Message { from: place.node.clone(), disk: place.disk, bytes, room };
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
