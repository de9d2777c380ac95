//! The seam to files: small enough to simulate every way in which a disk fails.

use std::io;

/// A flat folder of files. Names hold no separator.
///
/// Nothing counts until it is synced: a file's bytes by [`DiskFile::sync`], a name (created,
/// renamed, removed) by [`Disk::sync_names`]. Errors are those of `std::io`; a full disk is
/// [`io::ErrorKind::StorageFull`].
pub trait Disk: Send {
    /// The names of all files, in order.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Opens the file `name` for reading and writing, making it if it is absent.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    fn open(&mut self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Renames a file over whatever bears the new name.
    ///
    /// # Errors
    ///
    /// Those of the file system; `NotFound` if `from` is absent.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// Those of the file system; `NotFound` if it is absent.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Makes created, renamed and removed names durable (fsync of the directory).
    ///
    /// # Errors
    ///
    /// Those of the file system. Never retried: what was durable is unknown afterwards.
    fn sync_names(&mut self) -> io::Result<()>;
}

/// An open file of a [`Disk`].
pub trait DiskFile: Send {
    /// Its length in bytes.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    fn size(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    ///
    /// Those of the file system; `UnexpectedEof` beyond the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes `bytes` at `offset`, growing the file as needed. Not durable before [`Self::sync`].
    ///
    /// # Errors
    ///
    /// Those of the file system; after one, any part of `bytes` may have been written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes the bytes written so far, and the length, durable (fdatasync).
    ///
    /// # Errors
    ///
    /// Those of the file system. Never retried: the page cache may hold pages that the disk does
    /// not.
    fn sync(&mut self) -> io::Result<()>;
}
