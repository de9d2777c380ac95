//! Frames on a socket: the only place that knows how `quorate-wire` spells them.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use quorate_core::ClusterId;
use quorate_wire::{
    Frame, FrameDecoder, FrameKind, Head, Hello, Limit, Refusal, Versions, Welcome, encode_frame,
};
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;

use super::Shared;

/// The largest message, in bytes.
pub(crate) const MESSAGE_BYTES_MAX: usize = Limit::Message.bytes();

/// Why a stream of frames ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The connection was closed or broke.
    Closed,
    /// The peer broke this rule.
    Broken(&'static str),
}

/// Reads the frames of one connection.
pub(crate) struct FrameReader {
    read: OwnedReadHalf,
    decoder: FrameDecoder,
}

impl FrameReader {
    /// Of a fresh connection: admits the handshake only.
    pub(crate) fn new(read: OwnedReadHalf) -> Self {
        Self { read, decoder: FrameDecoder::new(ClusterId::NONE) }
    }

    /// Admits packets too.
    pub(crate) const fn admit_gossip(&mut self) {
        self.decoder.admit_gossip();
    }

    /// The handshake is over: admits messages in `version`.
    pub(crate) const fn open(&mut self, version: u8) {
        self.decoder.open(version);
    }

    /// The next frame. Cancel-safe: what was read stays in the decoder.
    pub(crate) async fn next(&mut self, shared: &Shared) -> Result<Frame, End> {
        loop {
            // The node may have learned its cluster since the last frame.
            self.decoder.join(shared.cluster());
            match self.decoder.next_frame() {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => {}
                Err(error) => return Err(End::Broken(error.reason())),
            }
            match self.read.read_buf(&mut self.decoder.space()).await {
                Ok(0) | Err(_) => return Err(End::Closed),
                Ok(read) => {
                    shared.counters.bytes_received.fetch_add(read as u64, Ordering::Relaxed);
                }
            }
        }
    }

    /// The first frame of whoever dialled us.
    pub(crate) async fn next_opening(&mut self, shared: &Shared) -> Result<Opening, End> {
        let frame = self.next(shared).await?;
        match frame.head.kind {
            FrameKind::Hello => frame.read().map(Opening::Hello).map_err(|_| End::Broken(BAD_BODY)),
            kind if kind.is_gossip() => {
                shared.read_packet(frame).map(Opening::Packet).map_err(End::Broken)
            }
            _ => Err(End::Broken(UNEXPECTED)),
        }
    }

    /// The answer of a node that we dialled: welcome, or not.
    pub(crate) async fn next_answer(
        &mut self,
        shared: &Shared,
    ) -> Result<Result<Welcome, Refusal>, End> {
        let frame = self.next(shared).await?;
        let answer = match frame.head.kind {
            FrameKind::Welcome => frame.read().map(Ok),
            FrameKind::Refusal => frame.read().map(Err),
            _ => return Err(End::Broken(UNEXPECTED)),
        };
        answer.map_err(|_| End::Broken(BAD_BODY))
    }

    /// The next message.
    pub(crate) async fn next_message(&mut self, shared: &Shared) -> Result<Bytes, End> {
        let frame = self.next(shared).await?;
        if frame.head.kind == FrameKind::Message {
            Ok(frame.body)
        } else {
            Err(End::Broken(UNEXPECTED))
        }
    }

    /// The socket, for a connection on which nothing more is to be read.
    pub(crate) fn into_inner(self) -> OwnedReadHalf {
        self.read
    }
}

/// What a connection begins with.
#[derive(Debug)]
pub(crate) enum Opening {
    /// A node shakes hands, to send messages.
    Hello(Hello),
    /// The content of a packet: others will follow.
    Packet(Bytes),
}

/// What this node says first.
pub(crate) fn hello(shared: &Shared) -> Hello {
    Hello {
        versions: Versions::SUPPORTED,
        cluster_name: shared.cluster_name.clone(),
        cluster: shared.cluster(),
        node: shared.me.clone(),
        boot: shared.boot,
        disk: shared.disk,
        instance: shared.instance,
        lease: shared.lease,
        advertised: shared.advertise.clone(),
        client: false,
        more: Bytes::new(),
    }
}

/// What opens or ends a connection.
#[derive(Debug)]
pub(crate) enum Handshake<'a> {
    Hello(&'a Hello),
    Welcome(&'a Welcome),
    Refusal(&'a Refusal),
}

impl Handshake<'_> {
    /// Its frame; `None` if it is too large, which the check of the configuration excludes.
    pub(crate) fn frame(&self, cluster: ClusterId) -> Option<Vec<u8>> {
        let mut frame = Vec::new();
        match self {
            Self::Hello(hello) => encode_frame(FrameKind::Hello, cluster, hello, &mut frame),
            Self::Welcome(welcome) => {
                encode_frame(FrameKind::Welcome, cluster, welcome, &mut frame)
            }
            Self::Refusal(refusal) => {
                encode_frame(FrameKind::Refusal, cluster, refusal, &mut frame)
            }
        }
        .ok()?;
        Some(frame)
    }
}

/// Appends the frame of a message in `version`; `false` if it is too large.
pub(crate) fn message(version: u8, cluster: ClusterId, body: &[u8], out: &mut Vec<u8>) -> bool {
    Head { version, ..Head::new(FrameKind::Message, cluster) }.encode_raw(body, out).is_ok()
}

/// The frame of a datagram; `None` if it is too large.
pub(crate) fn datagram(content: &[u8]) -> Option<Vec<u8>> {
    let mut datagram = Vec::new();
    quorate_wire::encode_datagram_raw(content, &mut datagram).ok()?;
    Some(datagram)
}

/// The content of a datagram, or the rule it broke.
pub(crate) fn read_datagram(bytes: &[u8]) -> Result<Bytes, &'static str> {
    let content = quorate_wire::decode_datagram(bytes).map_err(|error| error.reason())?;
    Ok(Bytes::copy_from_slice(content))
}

/// One word for counters.
pub(crate) const fn reason(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::DuplicateId { .. } => "duplicate_id",
        Refusal::Itself => "itself",
        Refusal::ForeignCluster { .. } => "foreign_cluster",
        Refusal::ForeignName { .. } => "foreign_name",
        Refusal::NoCommonVersion { .. } => "no_common_version",
        Refusal::Overloaded { .. } => "overloaded",
        Refusal::ForeignLease { .. } => "foreign_lease",
        _ => "refused",
    }
}

pub(crate) const UNEXPECTED: &str = "unexpected";
const BAD_BODY: &str = "bad_body";
