//! The keys that seal gossip, changed while the node runs and kept in their file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use quorate_tokio::{Key, KeyError, KeyId, Plain};

use crate::{Config, ConfigError, PlainGossip};

/// A handle on the keyring of a node: which keys it opens gossip with, and which one seals.
///
/// Changes are of this node alone. To change the key of a cluster, [`install`](Self::install) the
/// new one on every node, then [`use_key`](Self::use_key) it on every node, then
/// [`remove`](Self::remove) the old one from every node; nothing is lost on the way.
#[derive(Debug, Clone)]
pub struct Keyring {
    ring: quorate_tokio::Keyring,
    kept: Arc<Kept>,
}

/// What must be remembered to write the file again.
#[derive(Debug)]
struct Kept {
    file: Option<PathBuf>,
    /// The keys of the ring, in its order. Held while the file is written, so that changes follow
    /// one another.
    keys: Mutex<Vec<Key>>,
}

/// One key of a ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    /// Its name: derived from the key, the same on every node, and no secret.
    pub id: String,
    /// Whether it seals what this node sends.
    pub in_use: bool,
}

/// Why a keyring could not be had or was not changed. After any of these it is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// The text is no key, or no name of one.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The ring does not allow it.
    #[error(transparent)]
    Ring(#[from] quorate_tokio::KeyringError),
    /// A key of the configuration is none.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A line of the file is no key.
    #[error("{file}, line {line}: {why}")]
    Line {
        /// The file.
        file: String,
        /// Which line, from 1.
        line: usize,
        /// What is wrong; never the key.
        why: KeyError,
    },
    /// The file cannot be read or written.
    #[error("the keyring file {file}: {source}")]
    File {
        /// The file.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// Nobody could read it.
    #[error(
        "the keyring file {file} can be read by others: allow its owner alone (chmod 600 {file})"
    )]
    Readable {
        /// The file.
        file: String,
    },
}

impl Keyring {
    /// The ring that the configuration asks for; `None` without keys.
    pub(super) fn of(config: &Config) -> Result<Option<Self>, KeyringError> {
        let file = config.cluster.keyring_file.clone();
        let keys = match &file {
            Some(file) => read(file)?,
            None => config.keyring_of_config()?,
        };
        if keys.is_empty() && file.is_none() {
            return Ok(None);
        }
        let ring = quorate_tokio::Keyring::of(&keys)?.plain(match config.cluster.plain {
            PlainGossip::Refused => Plain::Refused,
            PlainGossip::Accepted => Plain::Accepted,
            PlainGossip::Sent => Plain::Sent,
        });
        Ok(Some(Self { ring, kept: Arc::new(Kept { file, keys: Mutex::new(keys) }) }))
    }

    pub(super) fn ring(&self) -> quorate_tokio::Keyring {
        self.ring.clone()
    }

    /// All keys; the first is in use.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyStatus> {
        let ids = self.ring.ids().into_iter().enumerate();
        ids.map(|(n, id)| KeyStatus { id: id.to_string(), in_use: n == 0 }).collect()
    }

    /// What becomes of gossip that is not sealed.
    #[must_use]
    pub fn plain(&self) -> PlainGossip {
        match (self.ring.sends_plain(), self.ring.accepts_plain()) {
            (true, _) => PlainGossip::Sent,
            (false, true) => PlainGossip::Accepted,
            (false, false) => PlainGossip::Refused,
        }
    }

    /// Whether changes outlive the process: they do where the keys are in a file.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.kept.file.is_some()
    }

    /// Opens gossip with this key too, from now on; the name of the key. Writes the file, so it
    /// may take as long as the disk.
    ///
    /// # Errors
    ///
    /// [`KeyringError`]; nothing changed then.
    pub fn install(&self, key: &str) -> Result<String, KeyringError> {
        let key: Key = key.parse()?;
        let mut keys = self.kept.keys.lock();
        let id = self.ring.install(&key)?;
        keys.push(key);
        self.kept.write(&keys).inspect_err(|_| {
            keys.pop();
            // It was installed a moment ago, and is not in use.
            let _ = self.ring.remove(id);
        })?;
        tracing::info!(key = %id, "a key of gossip is installed");
        Ok(id.to_string())
    }

    /// Seals with this key from now on. Every node must have it installed before.
    ///
    /// # Errors
    ///
    /// As [`install`](Self::install).
    pub fn use_key(&self, id: &str) -> Result<(), KeyringError> {
        let id: KeyId = id.parse()?;
        let mut keys = self.kept.keys.lock();
        let before = self.ring.ids();
        self.ring.use_key(id)?;
        sort(&mut keys, &self.ring.ids());
        self.kept.write(&keys).inspect_err(|_| {
            sort(&mut keys, &before);
            // It was in use until a moment ago.
            let _ = before.first().map(|id| self.ring.use_key(*id));
        })?;
        tracing::info!(key = %id, "gossip is sealed with another key");
        Ok(())
    }

    /// Does not open gossip with this key any more. No node may use it any longer.
    ///
    /// # Errors
    ///
    /// As [`install`](Self::install); the key in use cannot be removed.
    pub fn remove(&self, id: &str) -> Result<(), KeyringError> {
        let id: KeyId = id.parse()?;
        let mut keys = self.kept.keys.lock();
        self.ring.remove(id)?;
        let (gone, mut left): (Vec<Key>, _) = keys.drain(..).partition(|key| key.id() == id);
        let written = self.kept.write(&left);
        if written.is_err() {
            for key in gone {
                // There was room for it until a moment ago.
                let _ = self.ring.install(&key);
                left.push(key);
            }
        }
        *keys = left;
        written?;
        tracing::info!(key = %id, "a key of gossip is removed");
        Ok(())
    }

    /// Changes what becomes of gossip that is not sealed, until the process ends.
    pub fn set_plain(&self, plain: PlainGossip) {
        self.ring.set_plain(match plain {
            PlainGossip::Refused => Plain::Refused,
            PlainGossip::Accepted => Plain::Accepted,
            PlainGossip::Sent => Plain::Sent,
        });
    }
}

/// Puts `keys` in the order of `ids`.
fn sort(keys: &mut [Key], ids: &[KeyId]) {
    keys.sort_by_key(|key| ids.iter().position(|id| *id == key.id()));
}

impl Kept {
    /// Writes the file anew: whole or not at all.
    fn write(&self, keys: &[Key]) -> Result<(), KeyringError> {
        let Some(file) = &self.file else { return Ok(()) };
        let write = || {
            // In the same folder, because only so it can take the other's place in one step.
            let draft = file.with_extension("new");
            let mut new = private(&draft)?;
            new.write_all(b"# One key a line; the first is in use.\n")?;
            for key in keys {
                new.write_all(key.reveal().as_bytes())?;
                new.write_all(b"\n")?;
            }
            new.sync_all()?;
            fs::rename(&draft, file)?;
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
        };
        write().map_err(|source| file_error(file, source))
    }
}

/// A new file that its owner alone can read.
fn private(path: &Path) -> io::Result<File> {
    // One that a crash left behind may have other rights.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The keys of a file, one a line; what follows a `#` is none.
fn read(file: &Path) -> Result<Vec<Key>, KeyringError> {
    let text = fs::read_to_string(file).map_err(|source| file_error(file, source))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = fs::metadata(file).map_err(|source| file_error(file, source))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(KeyringError::Readable { file: file.display().to_string() });
        }
    }
    let lines = text.lines().enumerate().map(|(n, line)| (n + 1, line.trim()));
    let keys = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    keys.map(|(line, text)| {
        let file = || file.display().to_string();
        text.parse().map_err(|why| KeyringError::Line { file: file(), line, why })
    })
    .collect()
}

fn file_error(file: &Path, source: io::Error) -> KeyringError {
    KeyringError::File { file: file.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const NEW: &str = "101112131415161718191a1b1c1d1e1f000102030405060708090a0b0c0d0e0f";

    fn ring(file: &Path) -> Result<Option<Keyring>, KeyringError> {
        let text = format!("[cluster]\nkeyring_file = '{}'\n", file.display());
        Keyring::of(&Config::builder().file(&text).build().unwrap())
    }

    fn written(folder: &Path, text: &str) -> PathBuf {
        let file = folder.join("keys");
        private(&file).unwrap().write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn what_is_changed_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let file = written(folder.path(), &format!("# ours\n\n{OLD}\n"));
        let first = ring(&file).unwrap().unwrap();
        assert!(first.is_kept());
        let old = first.keys()[0].id.clone();
        let new = first.install(NEW).unwrap();
        first.use_key(&new).unwrap();
        let shown = ring(&file).unwrap().unwrap().keys();
        assert_eq!(shown, first.keys());
        assert_eq!(shown.iter().map(|key| &key.id).collect::<Vec<_>>(), [&new, &old]);
        first.remove(&old).unwrap();
        assert_eq!(ring(&file).unwrap().unwrap().keys().len(), 1);
    }

    #[test]
    fn what_cannot_be_kept_is_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let file = written(folder.path(), &format!("{OLD}\n{NEW}\n"));
        let ring = ring(&file).unwrap().unwrap();
        let before = ring.keys();
        // Where the draft is to be written, something is that cannot be removed like a file.
        fs::create_dir(file.with_extension("new")).unwrap();
        let other = Key::generate().unwrap();
        assert!(matches!(ring.install(&other.reveal()), Err(KeyringError::File { .. })));
        assert!(matches!(ring.use_key(&before[1].id), Err(KeyringError::File { .. })));
        assert_eq!(ring.keys(), before);
        assert!(matches!(ring.remove(&before[1].id), Err(KeyringError::File { .. })));
        assert_eq!(ring.keys(), before);
    }

    #[test]
    fn a_file_that_others_can_read_or_that_holds_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = written(folder.path(), &format!("{OLD}\nnot a key\n"));
        let refused = ring(&file).unwrap_err().to_string();
        assert!(refused.contains("line 2") && !refused.contains("not a key"), "{refused}");
        let file = written(folder.path(), "# none yet\n");
        assert!(matches!(ring(&file), Err(KeyringError::Ring(_))));
        let file = folder.path().join("open");
        fs::write(&file, OLD).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
            assert!(matches!(ring(&file), Err(KeyringError::Readable { .. })));
        }
        assert!(matches!(ring(&folder.path().join("none")), Err(KeyringError::File { .. })));
    }

    #[test]
    fn no_error_and_no_option_shows_a_key() {
        let build = |text: &str| Config::builder().file(text).build();
        let config = build(&format!("[cluster]\nkeyring = ['{OLD}']\n")).unwrap();
        let options: Vec<_> = config.options().collect();
        let shown = format!("{config:?} {options:?} {:?}", Keyring::of(&config).unwrap());
        assert!(!shown.contains(OLD), "{shown}");
        assert!(shown.contains("(secret)"), "{shown}");
        for (text, told) in [
            (format!("[cluster]\nkeyring = '{OLD}'\n"), "sequence"),
            (format!("[cluster]\nkeyring = ['{OLD}\n"), "line 2"),
            (format!("[cluster]\nkeyring = ['{OLD}00']\n"), "key 1 of cluster.keyring"),
            (format!("[cluster]\nkeyring = ['{OLD}']\nkeyring_file = 'f'\n"), "both set"),
            ("[cluster]\nplain = 'sent'\n".to_owned(), "keyring_file"),
        ] {
            let refused = build(&text).unwrap_err().to_string();
            assert!(refused.contains(told) && !refused.contains(OLD), "{refused}");
        }
    }
}
