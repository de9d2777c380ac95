//! A file system that is full soon.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::spawn;

/// A tiny file system of its own, which no other process sees and which is gone with this value.
///
/// It is mounted in a namespace of a helper process; this one and its children reach it through
/// `/proc`. The helper ends with its standard input, so nothing is left behind even by a test that
/// is killed.
#[derive(Debug)]
pub struct SmallDisk {
    helper: Child,
    said: BufReader<ChildStdout>,
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one of `kilobytes`.
    ///
    /// # Errors
    ///
    /// Where the system permits no namespaces or no mounts in them; the text says what it said.
    pub fn mount(kilobytes: u32) -> io::Result<Self> {
        // Any folder does: it is covered in the namespace of the helper alone.
        const SCRIPT: &str =
            "mount -t tmpfs -o size=$1k,nr_inodes=64 tmpfs /tmp && echo mounted || exit 1
            while read -r size; do mount -o remount,size=${size}k /tmp && echo grown; done";
        let mut helper = spawn(
            Command::new("unshare")
                .args(["--mount", "--map-root-user", "sh", "-c", SCRIPT, "sh"])
                .arg(kilobytes.to_string())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
        )?;
        let said = helper.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let path = ["/proc", &helper.id().to_string(), "root", "tmp"].iter().collect();
        let mut disk = Self { helper, said: BufReader::new(said), path };
        match disk.heard("mounted") {
            Ok(()) => Ok(disk),
            Err(error) => {
                let mut why = String::new();
                if let Some(mut text) = disk.helper.stderr.take() {
                    io::Read::read_to_string(&mut text, &mut why)?;
                }
                Err(io::Error::other(format!("{error}: {}", why.trim())))
            }
        }
    }

    /// Where this process and its children find it.
    #[must_use]
    pub const fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Writes a file until there is no room for another byte.
    ///
    /// # Errors
    ///
    /// Those of the file system, a full one excepted.
    pub fn fill(&self) -> io::Result<()> {
        let mut file = fs::File::create(self.path.join("ballast"))?;
        loop {
            match file.write(&[1; 4096]) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes files until there is no room for another name.
    ///
    /// # Errors
    ///
    /// Those of the file system, a full one excepted.
    pub fn fill_names(&self) -> io::Result<()> {
        for n in 0.. {
            match fs::File::create(self.path.join(format!("ballast {n}"))) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes it larger, as an administrator would.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn grow(&mut self, kilobytes: u32) -> io::Result<()> {
        let input = self.helper.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(input, "{kilobytes}")?;
        self.heard("grown")
    }

    fn heard(&mut self, word: &str) -> io::Result<()> {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        if line.trim() == word { Ok(()) } else { Err(io::Error::other("no file system")) }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.helper.stdin.take());
        let _ = self.helper.wait();
    }
}
