//! How a journal uses its disk.

/// How a journal uses its disk. May differ from one start to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub(crate) segment_bytes: u64,
    pub(crate) spares_max: usize,
}

impl Options {
    /// The size of a segment, in bytes: 512 B to 2 GiB, rounded up to a multiple of 512. Larger
    /// ones are changed less often and take longer to rewrite at a start; two of them are taken at
    /// least. Default 8 MiB. A record that does not fit gets a segment of its own.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes.clamp(512, 2 << 30).next_multiple_of(512);
        self
    }

    /// How many segments that are no longer needed are kept for reuse: at least one, the reserve
    /// with which a node starts on a full disk. Default 2.
    #[must_use]
    pub fn spares_max(mut self, count: usize) -> Self {
        self.spares_max = count.max(1);
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 8 << 20, spares_max: 2 }
    }
}
