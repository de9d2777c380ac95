//! Packets over TCP, where datagrams do not get through.
//!
//! A connection of its own for each address, dialled when there is something to send and closed
//! when it was idle for a while. It carries packets in both directions: whatever is sent to the
//! address that a packet came from goes back on the connection it came on, so a node that nobody
//! can dial is answered all the same.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use quorate_core::{Clock as _, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::framing::{End, FrameReader};
use super::stats::{Live, count};
use super::{Shared, TransportEvent, socket};
use crate::BootClock;

/// All streams of a transport, by the address at their other end.
#[derive(Debug)]
pub(crate) struct Streams {
    open: Mutex<Open>,
    /// One permit for each dial under way.
    dials: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Open {
    streams: BTreeMap<SocketAddr, Stream>,
    next: u64,
}

/// A stream that is open or being dialled. Dropping it ends it once what waits was written.
#[derive(Debug)]
struct Stream {
    ticket: u64,
    queue: mpsc::Sender<Order>,
    used: Instant,
    /// Whether we dialled it; those have a limit of their own, so that strangers take no room from
    /// those whom we want to reach.
    dialled: bool,
    /// The task of one that we dialled.
    task: Option<AbortHandle>,
}

/// What a stream is to do.
#[derive(Debug)]
enum Order {
    /// Write this frame.
    Write(Bytes),
    /// End once all before was written.
    Close,
}

impl Streams {
    pub(crate) fn new() -> Self {
        Self { open: Mutex::default(), dials: Arc::new(Semaphore::new(DIALS_MAX)) }
    }

    /// Queues a frame for whoever is at `to`, and dials if there is no stream. `false` if it was
    /// dropped.
    pub(crate) fn send(
        &self,
        shared: &Arc<Shared>,
        runtime: &Handle,
        to: SocketAddr,
        frame: Bytes,
    ) -> bool {
        let mut order = Order::Write(frame);
        let mut open = self.open.lock();
        if let Some(stream) = open.streams.get_mut(&to) {
            match stream.queue.try_send(order) {
                Ok(()) => {
                    stream.used = BootClock.now();
                    return true;
                }
                Err(mpsc::error::TrySendError::Full(_)) => return false,
                // It just ended: dial anew.
                Err(mpsc::error::TrySendError::Closed(unsent)) => order = unsent,
            }
        }
        let Ok(permit) = Arc::clone(&self.dials).try_acquire_owned() else { return false };
        let (ticket, queue, orders) = open.add(to, true, shared.limits.streams_max);
        let queued = queue.try_send(order).is_ok();
        let dial = dial(Arc::clone(shared), to, ticket, orders, permit);
        let task = runtime.spawn(dial).abort_handle();
        if let Some(stream) = open.streams.get_mut(&to) {
            stream.task = Some(task);
        }
        queued
    }

    /// Takes up a connection that somebody dialled and sent a good packet on.
    fn accept(&self, from: SocketAddr, streams_max: usize) -> (u64, mpsc::Receiver<Order>) {
        let (ticket, _, orders) = self.open.lock().add(from, false, streams_max);
        (ticket, orders)
    }

    fn used(&self, at: SocketAddr, ticket: u64) {
        if let Some(stream) = self.open.lock().streams.get_mut(&at)
            && stream.ticket == ticket
        {
            stream.used = BootClock.now();
        }
    }

    fn forget(&self, at: SocketAddr, ticket: u64) {
        let mut open = self.open.lock();
        if open.streams.get(&at).is_some_and(|stream| stream.ticket == ticket) {
            open.streams.remove(&at);
        }
    }

    /// Ends all streams once what waits was written; returns when that is done.
    pub(crate) async fn close(&self) {
        let streams = std::mem::take(&mut self.open.lock().streams);
        for stream in streams.values() {
            // An error means that it ended already.
            let _ = stream.queue.send(Order::Close).await;
        }
        for stream in streams.values() {
            stream.queue.closed().await;
        }
    }

    /// Ends all streams at once, but for those that others dialled, which belong to the listener.
    pub(crate) fn abort(&self) {
        for stream in std::mem::take(&mut self.open.lock().streams).into_values() {
            if let Some(task) = stream.task {
                task.abort();
            }
        }
    }
}

impl Open {
    /// Makes an entry for `at`. If there are too many of its sort, the one that was not used for
    /// longest goes.
    fn add(
        &mut self,
        at: SocketAddr,
        dialled: bool,
        streams_max: usize,
    ) -> (u64, mpsc::Sender<Order>, mpsc::Receiver<Order>) {
        let same = self.streams.iter().filter(|(_, stream)| stream.dialled == dialled);
        if same.clone().count() >= streams_max.max(1)
            && let Some(idle) = same.min_by_key(|(_, stream)| stream.used).map(|(at, _)| *at)
        {
            self.streams.remove(&idle);
        }
        self.next += 1;
        let ticket = self.next;
        let (queue, orders) = mpsc::channel(QUEUE_MAX);
        let used = BootClock.now();
        let stream = Stream { ticket, queue: queue.clone(), used, dialled, task: None };
        self.streams.insert(at, stream);
        (ticket, queue, orders)
    }
}

/// Dials and serves a stream.
async fn dial(
    shared: Arc<Shared>,
    to: SocketAddr,
    ticket: u64,
    orders: mpsc::Receiver<Order>,
    permit: OwnedSemaphorePermit,
) {
    let _entry = Entry { shared: &shared, at: to, ticket };
    let connected = timeout(shared.limits.stream_dial_max, TcpStream::connect(to)).await;
    drop(permit);
    let stream = match connected {
        Ok(Ok(stream)) => stream,
        failed => {
            count(&shared.counters.stream_packets_dropped, orders.len());
            let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
            if failed.is_ok_and(|connected| connected.is_err_and(refused)) {
                // An error means that the node is gone.
                let _ = shared.tell(TransportEvent::StreamRefused { address: to }).await;
            }
            return;
        }
    };
    if socket::tune_outbound(&stream, shared.limits.write_max).is_err() {
        return;
    }
    let (read, write) = stream.into_split();
    let mut reader = FrameReader::new(read);
    reader.admit_gossip();
    let _live = Live::new(&shared.counters.streams);
    let idle_max = shared.limits.stream_idle;
    let end = Talk { shared: &shared, at: to, ticket, reader, write, orders, idle_max }.run().await;
    if let End::Broken(why) = end {
        shared.reject(to, why);
    }
}

/// A connection that somebody else dialled, and whose first packet was good.
pub(crate) struct Caller {
    pub(crate) reader: FrameReader,
    pub(crate) write: OwnedWriteHalf,
    pub(crate) first: Bytes,
}

impl Caller {
    /// Serves it until it ends.
    pub(crate) async fn serve(self, shared: &Shared, from: SocketAddr) -> End {
        let (ticket, orders) = shared.streams.accept(from, shared.limits.streams_max);
        let _entry = Entry { shared, at: from, ticket };
        let _live = Live::new(&shared.counters.streams);
        shared.hand_on(TransportEvent::StreamPacket { from, bytes: self.first });
        // Longer than the other end waits: it should not send into a connection that closes.
        let idle_max = shared.limits.stream_idle * 3 / 2;
        let (reader, write) = (self.reader, self.write);
        Talk { shared, at: from, ticket, reader, write, orders, idle_max }.run().await
    }
}

/// Takes a stream off the list however its task ends.
struct Entry<'a> {
    shared: &'a Shared,
    at: SocketAddr,
    ticket: u64,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.shared.streams.forget(self.at, self.ticket);
    }
}

/// A connection in use.
struct Talk<'a> {
    shared: &'a Shared,
    at: SocketAddr,
    ticket: u64,
    reader: FrameReader,
    write: OwnedWriteHalf,
    orders: mpsc::Receiver<Order>,
    idle_max: Duration,
}

impl Talk<'_> {
    async fn run(mut self) -> End {
        let end = self.serve().await;
        // Whoever sends from now on dials anew; what waits here has nobody to take it.
        self.orders.close();
        count(&self.shared.counters.stream_packets_dropped, self.orders.len());
        end
    }

    async fn serve(&mut self) -> End {
        let mut orders = Vec::new();
        loop {
            // Only whole packets count as use: one that comes byte by byte has as long as silence.
            let idle = tokio::time::sleep(self.idle_max);
            tokio::select! {
                taken = self.orders.recv_many(&mut orders, QUEUE_MAX) => {
                    let more = self.write_all(&mut orders).await.is_ok_and(|more| more);
                    if !more || taken == 0 {
                        let _ = self.write.shutdown().await;
                        return End::Closed;
                    }
                }
                frame = self.reader.next(self.shared) => match self.take(frame) {
                    Ok(()) => self.shared.streams.used(self.at, self.ticket),
                    Err(end) => return end,
                },
                () = idle => {
                    let _ = self.write.shutdown().await;
                    return End::Closed;
                }
            }
        }
    }

    /// Writes what is to be written; `false` if it was told to close.
    async fn write_all(&mut self, orders: &mut Vec<Order>) -> io::Result<bool> {
        let (mut bytes, mut packets, mut more) = (Vec::new(), 0, true);
        for order in orders.drain(..) {
            match order {
                Order::Write(frame) => {
                    bytes.extend_from_slice(&frame);
                    packets += 1;
                }
                Order::Close => more = false,
            }
        }
        let counters = &self.shared.counters;
        // One limit for all of it, which is little: else whoever reads a byte now and then could
        // hold a connection that is to make room for others.
        let writing = timeout(self.shared.limits.write_max, self.write.write_all(&bytes));
        let written = writing.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if written.is_err() {
            count(&counters.stream_packets_dropped, packets);
        } else {
            count(&counters.stream_packets_sent, packets);
            count(&counters.stream_bytes_sent, bytes.len());
        }
        written.map(|()| more)
    }

    fn take(&self, frame: Result<quorate_wire::Frame, End>) -> Result<(), End> {
        let bytes = self.shared.read_packet(frame?).map_err(End::Broken)?;
        self.shared.hand_on(TransportEvent::StreamPacket { from: self.at, bytes });
        Ok(())
    }
}

/// How many packets may wait for one stream: some 80 KB.
const QUEUE_MAX: usize = 64;

/// How many dials may be under way; each takes a second at most.
const DIALS_MAX: usize = 64;
