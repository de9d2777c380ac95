//! Frames out of a stream that cuts them anywhere.

use bytes::buf::Limit as Space;
use bytes::{Buf, BufMut, BytesMut};
use quorate_core::ClusterId;

use crate::frame::{Frame, FrameError, HEADER_BYTES, body_length, verify};
use crate::{Limit, Versions};

/// How much room [`FrameDecoder::space`] makes ready at once: a read is rarely larger.
const READ_BYTES: usize = 64 << 10;

/// Takes the bytes of a connection and gives its frames.
///
/// A fresh one admits only the handshake, at most 4 KiB a frame, and on demand as little of
/// [gossip](Self::admit_gossip); [`open`](Self::open) admits the rest. It holds at most one frame and what arrived with it, so memory stays below the limit of
/// the largest frame admitted. After an error the stream has lost its place: the connection is to
/// be closed, and every further call gives the same error.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: BytesMut,
    cluster: ClusterId,
    versions: Versions,
    opened: bool,
    gossip: bool,
    broken: Option<FrameError>,
}

impl FrameDecoder {
    /// For a fresh connection of a node of `cluster`.
    #[must_use]
    pub fn new(cluster: ClusterId) -> Self {
        Self {
            buffer: BytesMut::new(),
            cluster,
            // Until `open` every other kind is refused for its place, whatever its version.
            versions: Versions { min: 0, max: u8::MAX },
            opened: false,
            gossip: false,
            broken: None,
        }
    }

    /// Admits gossip too, which needs no handshake, in the versions of this build and at most 4 KiB
    /// a frame.
    pub const fn admit_gossip(&mut self) {
        self.gossip = true;
    }

    /// The handshake agreed on `version`: admits every kind of frame in it, up to 8 MiB.
    pub const fn open(&mut self, version: u8) {
        self.opened = true;
        self.versions = Versions { min: version, max: version };
    }

    /// This node now belongs to `cluster`.
    pub const fn join(&mut self, cluster: ClusterId) {
        self.cluster = cluster;
    }

    const fn limit(&self) -> Limit {
        if self.opened { Limit::Message } else { Limit::Handshake }
    }

    /// How many bytes it would take now; at least one once [`next_frame`](Self::next_frame) gave
    /// `None`.
    #[must_use]
    pub fn room(&self) -> usize {
        (HEADER_BYTES + self.limit().bytes()).saturating_sub(self.buffer.len())
    }

    /// Takes as many of `bytes` as there is room for and returns how many. Take the frames out
    /// before pushing the rest. A broken decoder takes all and keeps nothing.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        if self.broken.is_some() {
            return bytes.len();
        }
        let taken = bytes.len().min(self.room());
        self.buffer.extend_from_slice(&bytes[..taken]);
        taken
    }

    /// Where a socket may read into, instead of [`push`](Self::push): bounded by the room. Take
    /// all frames out first, else it may be full, and a read of nothing looks like the end.
    pub fn space(&mut self) -> Space<&mut BytesMut> {
        let room = self.room();
        self.buffer.reserve(room.min(READ_BYTES));
        (&mut self.buffer).limit(room)
    }

    /// The next complete frame; `None` until more bytes arrive. Its body shares the buffer's
    /// memory, nothing is copied.
    ///
    /// # Errors
    ///
    /// [`FrameError`]; count it and close the connection.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        self.cut().inspect_err(|error| {
            self.buffer = BytesMut::new();
            self.broken = Some(error.clone());
        })
    }

    fn cut(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(length) = body_length(&self.buffer, self.limit())? else { return Ok(None) };
        if self.buffer.len() < HEADER_BYTES + length {
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(HEADER_BYTES + length).freeze();
        let head = verify(&frame, self.cluster, self.versions)?;
        if !self.opened && !head.kind.is_handshake() {
            if !(self.gossip && head.kind.is_gossip()) {
                return Err(FrameError::Unexpected { kind: head.kind });
            }
            let ours = Versions::SUPPORTED;
            if !ours.contains(head.version) {
                return Err(FrameError::BadVersion { theirs: head.version, ours });
            }
        }
        frame.advance(HEADER_BYTES);
        Ok(Some(Frame { head, body: frame }))
    }
}
