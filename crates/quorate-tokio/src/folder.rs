//! Small values that outlive the process, in a folder of their own.

use std::fmt;
use std::io;
use std::path::Path;

use quorate_core::{ClusterId, Disk};
use quorate_storage::{FileDisk, FolderError};
use quorate_wire::{FrameKind, Versions, decode_frame, encode_frame};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A locked folder with one file for each value, replaced as a whole: after a crash at any moment
/// a file holds the old value or the new one.
///
/// A file is one frame of `quorate-wire`: magic, version, length, checksum, value. All methods wait
/// for the disk: call them from a thread that may (`tokio::task::spawn_blocking`).
pub struct StateFolder(Box<dyn Disk>);

impl StateFolder {
    /// Makes the folder if it is absent, and locks it for as long as this lives.
    ///
    /// # Errors
    ///
    /// [`FolderError::Locked`] if another process uses it, else [`FolderError::Unusable`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FolderError> {
        Ok(Self::on(Box::new(FileDisk::open(path)?)))
    }

    /// On any disk, which others must not use.
    #[must_use]
    pub fn on(disk: Box<dyn Disk>) -> Self {
        Self(disk)
    }

    /// The value in the file `name`; `None` if there is no such file.
    ///
    /// # Errors
    ///
    /// [`ReadError::Damaged`] if the bytes are not those of a value that was written, which is then
    /// lost; [`ReadError::Disk`] if they cannot be read.
    pub fn read<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, ReadError> {
        if !self.0.names()?.iter().any(|known| known == name) {
            return Ok(None);
        }
        let file = self.0.open(name)?;
        let size = file.size()?;
        if size > SIZE_MAX {
            return Err(ReadError::Damaged { why: "it is far too long".to_owned() });
        }
        let mut bytes = vec![0; size as usize];
        file.read_at(0, &mut bytes)?;
        let damaged = |why: String| ReadError::Damaged { why };
        let frame = decode_frame(&bytes, ClusterId::NONE, Versions::SUPPORTED);
        let frame = frame.map_err(|error| damaged(error.to_string()))?;
        frame.read().map(Some).map_err(|error| damaged(error.to_string()))
    }

    /// Replaces the value in the file `name`, durably: a new file is written and synced, then takes
    /// the name, and the folder is synced.
    ///
    /// # Errors
    ///
    /// Those of the file system: the old value or the new one is there, and it is not known which
    /// will be after a crash. `InvalidInput` if the value is above 8 MiB; nothing changes then.
    pub fn write<T: Serialize>(&mut self, name: &str, value: &T) -> io::Result<()> {
        let mut bytes = Vec::new();
        encode_frame(FrameKind::Message, ClusterId::NONE, value, &mut bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let fresh = format!("{name}.new");
        // One that a crash left may be longer than this one will be.
        match self.0.remove(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = self.0.open(&fresh)?;
        file.write_at(0, &bytes)?;
        file.sync()?;
        drop(file);
        self.0.rename(&fresh, name)?;
        self.0.sync_names()
    }
}

impl fmt::Debug for StateFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateFolder").finish_non_exhaustive()
    }
}

/// Why a value was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file holds something else than what was written.
    #[error("the file is damaged: {why}")]
    Damaged {
        /// What is wrong with it.
        why: String,
    },
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Disk(#[from] io::Error),
}

/// Longer than any frame.
const SIZE_MAX: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use quorate_core::Rng;
    use quorate_storage::{CrashMode, SimDisk};

    use super::*;

    type Value = (u64, Vec<String>);

    fn value(n: u64) -> Value {
        (n, (0..n % 50).map(|item| format!("item {item}")).collect())
    }

    #[test]
    fn a_value_is_read_as_it_was_written_and_the_folder_is_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/anew");
        let mut state = StateFolder::open(&path).unwrap();
        assert_eq!(state.read::<Value>("peers").unwrap(), None);
        for n in [49, 3, 0] {
            state.write("peers", &value(n)).unwrap();
            assert_eq!(state.read("peers").unwrap(), Some(value(n)));
        }
        assert!(matches!(StateFolder::open(&path), Err(FolderError::Locked { .. })));
        drop(state);
        assert_eq!(StateFolder::open(&path).unwrap().read("peers").unwrap(), Some(value(0)));
    }

    #[test]
    fn t11_a_crash_at_any_moment_leaves_the_old_value_or_the_new_one() {
        for (seed, mode) in (0..400).zip(CrashMode::ALL.into_iter().cycle()) {
            let (disk, mut rng) = (SimDisk::new(), Rng::seeded(seed));
            let mut state = StateFolder::on(disk.attach());
            let old = value(seed % 40);
            state.write("peers", &value(49)).unwrap();
            state.write("peers", &old).unwrap();
            disk.cut_power_after(rng.below(9));
            let written = state.write("peers", &value(7));
            disk.crash(&mut rng, mode);
            let found = StateFolder::on(disk.attach()).read::<Value>("peers").unwrap();
            let new = found == Some(value(7));
            assert!(new || found == Some(old), "seed {seed}: {found:?}");
            assert!(new || written.is_err(), "what was written is there");
        }
    }

    #[test]
    fn t11_damage_is_told_and_nothing_is_made_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = StateFolder::open(folder.path()).unwrap();
        state.write("peers", &value(9)).unwrap();
        let file = folder.path().join("peers");
        let whole = std::fs::read(&file).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&file, &bytes).unwrap();
            assert!(matches!(state.read::<Value>("peers"), Err(ReadError::Damaged { .. })), "{at}");
            std::fs::write(&file, &whole[..at]).unwrap();
            assert!(matches!(state.read::<Value>("peers"), Err(ReadError::Damaged { .. })), "{at}");
        }
        std::fs::write(&file, &whole).unwrap();
        assert_eq!(state.read("peers").unwrap(), Some(value(9)));
    }
}
