//! A folder of the real file system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use quorate_core::{Disk, DiskFile};

/// Why a data folder cannot be used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// Another process uses it. Stop that one, or give this node a folder of its own.
    #[error("data folder {} is locked by another process: stop it or choose another folder", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The file system refused. Check that the folder exists, is writable and supports locks.
    #[error("data folder {} cannot be used: check its owner and permissions", path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}

/// A [`Disk`] in a folder of its own, locked for as long as it lives.
///
/// The lock is an advisory one of the operating system on the file `lock`: it ends with the
/// process, however that ends. Folders on network file systems may not honour it.
#[derive(Debug)]
pub struct FileDisk {
    path: PathBuf,
    folder: File,
    /// Held, never read: the lock goes when it is closed.
    _lock: File,
}

impl FileDisk {
    /// Makes the folder if it is absent, and locks it.
    ///
    /// # Errors
    ///
    /// [`FolderError::Locked`] if another process holds it, else [`FolderError::Unusable`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FolderError> {
        let path = path.as_ref();
        let unusable = |source| FolderError::Unusable { path: path.to_owned(), source };
        make_folder(path).map_err(unusable)?;
        let folder = File::open(path).map_err(unusable)?;
        let lock = read_write(&path.join(LOCK)).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), folder, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(FolderError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn place(&self, name: &str) -> io::Result<PathBuf> {
        let plain = !name.is_empty() && name != LOCK && !name.contains(['/', '\\', '\0']);
        if !plain || name.starts_with('.') {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(self.path.join(name))
    }
}

impl Disk for FileDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for item in fs::read_dir(&self.path)? {
            let item = item?;
            // A name that is no text is not ours.
            if let Ok(name) = item.file_name().into_string()
                && name != LOCK
                && item.file_type()?.is_file()
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn open(&mut self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile(read_write(&self.place(name)?)?)))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.place(from)?, self.place(to)?)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        fs::remove_file(self.place(name)?)
    }

    fn sync_names(&mut self) -> io::Result<()> {
        self.folder.sync_all()
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

fn read_write(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// Makes `path` with its parents, and each new name durable: a folder that vanished with the power
/// would take a voter's promises with it.
fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Err(io::ErrorKind::InvalidInput.into()),
    };
    make_folder(parent)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(parent)?.sync_all()
}

const LOCK: &str = "lock";
