//! The connection to one peer: dialled, written on, dialled again.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use quorate_core::{BootEpoch, Clock, DiskId, Lane, NodeId, Rng};
use quorate_wire::{Refusal, Welcome, confirm};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::backoff::Backoff;
use super::claims::Claim;
use super::framing::{self, End, FrameReader, Handshake};
use super::lanes::Lanes;
use super::stats::{Live, count};
use super::{Shared, TransportEvent, socket};
use crate::BootClock;

/// What a dialer is after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A connection to this address, `host:port`.
    Dial(String),
    /// An end, once what waits was written.
    Close,
}

/// Keeps the connection to one peer.
pub(crate) struct Dialer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: NodeId,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) hurry: Arc<Notify>,
    /// Which process is at the other end, for as long as there is one.
    pub(crate) answered: Arc<Mutex<Option<Claim>>>,
    pub(crate) rng: Rng,
}

/// Why there is no connection.
enum Failed {
    /// The peer's host answered that nobody listens.
    NobodyListens,
    /// The peer, or who is there instead, does not want us.
    Refused(SocketAddr, Refusal),
    /// Anything else: no route, no answer, a broken handshake.
    Other,
}

/// What the node was told last, so that it is told of changes only.
#[derive(Debug, Clone, PartialEq)]
enum Told {
    Nothing,
    Connected(BootEpoch, DiskId),
    Lost { refused: bool },
    Refused(SocketAddr, Refusal),
}

impl Dialer {
    /// Dials until the target says to close, the transport is dropped or the node is gone.
    pub(crate) async fn run(self, targets: watch::Receiver<Target>) {
        // The only error is that nobody takes events any more.
        let _ = self.dial_on(targets).await;
    }

    async fn dial_on(&self, mut targets: watch::Receiver<Target>) -> io::Result<()> {
        let limits = &self.shared.limits;
        let mut backoff = Backoff::new(self.rng.clone(), limits.backoff_min, limits.backoff_max);
        let mut told = Told::Nothing;
        loop {
            let Target::Dial(address) = targets.borrow_and_update().clone() else { return Ok(()) };
            let attempt = tokio::select! {
                attempt = self.connect(&address) => attempt,
                Ok(()) = targets.changed() => continue,
                // What was sent into a gap is sent again by the kernel in its own time only.
                () = self.hurried(ATTEMPT_LEAST) => continue,
            };
            let news = match attempt {
                Ok(connection) => {
                    self.tell(&mut told, Told::Connected(connection.boot, connection.disk)).await?;
                    let began = BootClock.now();
                    *self.answered.lock() = Some(Claim {
                        boot: connection.boot,
                        instance: connection.instance,
                        address,
                    });
                    let why = self.serve(connection, &mut targets).await;
                    *self.answered.lock() = None;
                    tracing::debug!(name: "transport.lost", peer = %self.peer, why, "lost");
                    if *targets.borrow() == Target::Close {
                        return Ok(());
                    }
                    if BootClock.now() - began >= limits.backoff_max {
                        backoff.restart();
                    }
                    Told::Lost { refused: false }
                }
                Err(Failed::NobodyListens) => Told::Lost { refused: true },
                Err(Failed::Other) => Told::Lost { refused: false },
                Err(Failed::Refused(at, refusal)) => {
                    backoff.exhaust();
                    Told::Refused(at, refusal)
                }
            };
            self.tell(&mut told, news).await?;
            self.forget_waiting();
            self.pause(backoff.pause(), &mut targets).await;
        }
    }

    /// Tells the node, unless it knows.
    async fn tell(&self, told: &mut Told, news: Told) -> io::Result<()> {
        if *told == news {
            return Ok(());
        }
        *told = news.clone();
        let peer = self.peer.clone();
        let event = match news {
            Told::Nothing => return Ok(()),
            Told::Connected(boot, disk) => TransportEvent::Connected { peer, boot, disk },
            Told::Lost { refused } => TransportEvent::Lost { peer, refused },
            Told::Refused(address, refusal) => TransportEvent::Refused { peer, address, refusal },
        };
        self.shared.tell(event).await
    }

    /// Returns when the peer is known to be alive, but not before `least`.
    async fn hurried(&self, least: Duration) {
        tokio::time::sleep(least).await;
        self.hurry.notified().await;
    }

    /// Waits before the next dial; less long if the peer dials us, because then it is alive.
    async fn pause(&self, pause: Duration, targets: &mut watch::Receiver<Target>) {
        // The least pause stays, so that nobody can make us dial in a tight loop.
        let least = self.shared.limits.backoff_min.min(pause);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.hurried(least) => {}
            Ok(()) = targets.changed() => {}
        }
    }

    /// What waits is late already; a message that protocols want still will be sent anew.
    fn forget_waiting(&self) {
        for (lane, messages) in Lane::ALL.into_iter().zip(self.lanes.clear()) {
            self.shared.counters.dropped(lane, messages);
        }
    }

    /// Tries every address that `address` resolves to, in order, and shakes hands.
    async fn connect(&self, address: &str) -> Result<Connection, Failed> {
        let limits = &self.shared.limits;
        let resolved = timeout(limits.dial_max, lookup_host(address)).await;
        let Ok(Ok(candidates)) = resolved else { return Err(Failed::Other) };
        let mut refused = 0;
        let mut tried = 0;
        for candidate in candidates {
            tried += 1;
            let stream = match timeout(limits.dial_max, TcpStream::connect(candidate)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(e)) => {
                    refused += usize::from(e.kind() == io::ErrorKind::ConnectionRefused);
                    continue;
                }
                Err(_) => continue,
            };
            match timeout(limits.handshake_max, self.shake_hands(stream, candidate)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(refused @ Failed::Refused(..))) => return Err(refused),
                Ok(Err(_)) => {}
                Err(_) => self.shared.reject(candidate, "handshake_timeout"),
            }
        }
        // One address without an answer is enough for doubt.
        Err(if tried > 0 && refused == tried { Failed::NobodyListens } else { Failed::Other })
    }

    async fn shake_hands(&self, stream: TcpStream, at: SocketAddr) -> Result<Connection, Failed> {
        let broken = |_| Failed::Other;
        socket::tune_outbound(&stream, self.shared.limits.write_max).map_err(broken)?;
        let (read, mut write) = stream.into_split();
        let ours = framing::hello(&self.shared);
        let frame = Handshake::Hello(&ours).frame(ours.cluster).ok_or(Failed::Other)?;
        write.write_all(&frame).await.map_err(broken)?;
        let mut reader = FrameReader::new(read);
        let why = match reader.next_answer(&self.shared).await {
            Ok(Ok(welcome)) => match confirm(&ours, &welcome) {
                Ok(version) if welcome.node == self.peer => {
                    let read = reader.into_inner();
                    let Welcome { boot, disk, instance, .. } = welcome;
                    return Ok(Connection { read, write, version, boot, disk, instance });
                }
                // Another node lives at this address now; gossip will say where the peer went.
                Ok(_) => "wrong_node",
                Err(refusal) => framing::reason(&refusal),
            },
            Ok(Err(refusal)) => return Err(Failed::Refused(at, refusal)),
            Err(End::Broken(why)) => why,
            Err(End::Closed) => return Err(Failed::Other),
        };
        self.shared.reject(at, why);
        Err(Failed::Other)
    }

    /// Writes until the connection ends or the target changes; says why.
    async fn serve(
        &self,
        mut connection: Connection,
        targets: &mut watch::Receiver<Target>,
    ) -> &'static str {
        let _live = Live::new(&self.shared.counters.outbound);
        let (mut taken, mut buffer) = (Vec::new(), Vec::new());
        let mut closing = false;
        loop {
            if closing && self.lanes.is_empty() {
                let _ = connection.write.shutdown().await;
                return "closed by us";
            }
            let mut unexpected = [0; 16];
            tokio::select! {
                biased;
                // Nothing is ever sent to us here, so whatever can be read is an end.
                read = connection.read.read(&mut unexpected) => {
                    let spoke = read.is_ok_and(|read| read > 0);
                    return if spoke { "the peer spoke" } else { "closed by the peer" };
                }
                Ok(()) = targets.changed() => {
                    closing = *targets.borrow_and_update() == Target::Close;
                    if !closing {
                        // The outer loop must see the change too.
                        targets.mark_changed();
                        return "its address changed";
                    }
                }
                () = self.lanes.filled() => {
                    self.lanes.take(WRITE_BYTES, &mut taken);
                    self.frame(&connection, &mut taken, &mut buffer);
                    let limit = self.shared.limits.write_max;
                    if write_all(&mut connection.write, &buffer, limit).await.is_err() {
                        return "a write failed or took too long";
                    }
                    buffer.clear();
                    // What grew for one large message is given back.
                    buffer.shrink_to(2 * WRITE_BYTES);
                }
            }
        }
    }

    /// Frames all of `taken` for one write.
    fn frame(&self, connection: &Connection, taken: &mut Vec<Bytes>, buffer: &mut Vec<u8>) {
        let cluster = self.shared.cluster();
        let counters = &self.shared.counters;
        count(&counters.messages_sent, taken.len());
        for message in taken.drain(..) {
            let framed = framing::message(connection.version, cluster, &message, buffer);
            debug_assert!(framed, "the size was checked when it was queued");
        }
        count(&counters.bytes_sent, buffer.len());
    }
}

/// Writes all of `bytes`; every piece of progress gets the whole `limit` anew, so that a slow way
/// is not taken for a dead one.
async fn write_all(
    write: &mut OwnedWriteHalf,
    mut bytes: &[u8],
    limit: Duration,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = timeout(limit, write.write(bytes)).await??;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
    }
    Ok(())
}

/// How long an attempt is left alone: longer than any round trip, so that nobody who makes us hurry
/// can keep a connection from being made.
const ATTEMPT_LEAST: Duration = Duration::from_millis(400);

struct Connection {
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
    version: u8,
    boot: BootEpoch,
    disk: DiskId,
    instance: u64,
}

/// How much one write takes: enough to fill packets, little enough that an urgent message does not
/// wait long behind it.
const WRITE_BYTES: usize = 128 << 10;
