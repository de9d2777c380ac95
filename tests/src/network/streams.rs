//! Streams: passed on as they are, held while the way is cut.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::ClusterId;
use quorate_membership::Packet;
use quorate_wire::{Frame, FrameDecoder, FrameKind, Hello};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::links::{Links, is_cut};

/// Accepts what is dialled to `node`, which is bound to `bound`.
pub(super) async fn listen(
    links: Arc<Links>,
    node: String,
    bound: SocketAddr,
    listener: TcpListener,
) {
    let mut streams = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                let (links, node) = (Arc::clone(&links), node.clone());
                streams.spawn(async move {
                    // An error is an end, which both sides see.
                    let _ = carry(&links, &node, bound, stream).await;
                });
            },
            Some(_) = streams.join_next() => {}
        }
    }
}

/// Passes on one stream until an end of it closes, or a cut has lasted for too long.
async fn carry(
    links: &Links,
    node: &str,
    bound: SocketAddr,
    mut dialler: TcpStream,
) -> io::Result<()> {
    dialler.set_nodelay(true)?;
    let mut said = Vec::new();
    let from = whose(&mut dialler, &mut said).await?;
    // The kernel has taken the connection; on a real network the first packet were lost, sent again
    // after a second, and given up.
    if links.is_cut(&from, node) {
        tokio::time::sleep(OPEN_AGAIN).await;
        if links.is_cut(&from, node) {
            tokio::time::sleep(OPEN_AGAIN).await;
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    let mut dialled = TcpStream::connect(bound).await?;
    dialled.set_nodelay(true)?;
    dialled.write_all(&said).await?;
    let (ours, theirs) = (dialler.into_split(), dialled.into_split());
    tokio::try_join!(
        pump(links, &from, node, ours.0, theirs.1),
        pump(links, &from, node, theirs.0, ours.1),
    )?;
    Ok(())
}

/// The node that dialled, by its hello or its first packet; what was read on the way is in `said`.
/// The text is empty for a stranger, and for packets under a key.
async fn whose(dialler: &mut TcpStream, said: &mut Vec<u8>) -> io::Result<String> {
    let mut decoder = FrameDecoder::new(ClusterId::NONE);
    decoder.admit_gossip();
    let mut buffer = [0; 4 << 10];
    loop {
        match decoder.next_frame() {
            Ok(Some(frame)) => return Ok(sender(&frame).unwrap_or_default()),
            Ok(None) => {}
            Err(_) => return Ok(String::new()),
        }
        let read = dialler.read(&mut buffer).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        said.extend_from_slice(&buffer[..read]);
        decoder.push(&buffer[..read]);
    }
}

fn sender(frame: &Frame) -> Option<String> {
    match frame.head.kind {
        FrameKind::Hello => Some(frame.read::<Hello>().ok()?.node.to_string()),
        FrameKind::Datagram => {
            let packet: Packet = quorate_wire::decode(&frame.body).ok()?;
            Some(packet.from.to_string())
        }
        _ => None,
    }
}

/// Passes on one direction. While the way is cut nothing moves; what waits for longer than a kernel
/// would wait for an acknowledgement ends the stream.
async fn pump(
    links: &Links,
    one: &str,
    other: &str,
    mut read: OwnedReadHalf,
    mut write: OwnedWriteHalf,
) -> io::Result<()> {
    let mut cuts = links.cuts();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = read.read(&mut buffer).await?;
        let healed = cuts.wait_for(|groups| !is_cut(groups, one, other));
        timeout(UNACKNOWLEDGED_MAX, healed).await?.map_err(io::Error::other)?;
        if length == 0 {
            return write.shutdown().await;
        }
        write.write_all(&buffer[..length]).await?;
    }
}

/// After how long a kernel tries again to open a connection.
const OPEN_AGAIN: Duration = Duration::from_secs(1);

/// How long data may lie unacknowledged; nodes tell their kernels the same.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);
