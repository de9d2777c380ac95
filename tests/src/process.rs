//! A `quorated` process.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use crate::{spawn, wait_until};

/// A running `quorated`, killed when dropped. Its log goes to a file.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

/// The `quorated` binary: `QUORATED` names it, else it lies beside the test's own.
///
/// # Panics
///
/// If there is none; the text says how to build it.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("QUORATED") {
        return path.into();
    }
    let own = std::env::current_exe().unwrap_or_default();
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("quorated"))
        .find(|path| path.is_file())
        .expect("no quorated beside this binary: run `cargo build --bin quorated` first")
}

impl Daemon {
    /// Starts `program`, a `quorated`, with `arguments`; its log is added to `log`. `limit` is one of
    /// the shell, such as `-n 128` for files or `-Sn 128` for files it may not exceed unasked.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn start(
        program: &Path,
        arguments: &[String],
        log: &Path,
        limit: Option<&str>,
    ) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(limit.map_or(program, |_| Path::new("sh")));
        if let Some(limit) = limit {
            command.args(["-c", "ulimit $0 && exec \"$@\"", limit]).arg(program);
        }
        command
            .args(arguments)
            .env("QUORATE_LOG", std::env::var("QUORATE_LOG").unwrap_or_else(|_| "info".into()))
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        Ok(Self { child: spawn(&mut command)?, log: log.to_owned() })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) {
        // An error means that it has gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal by name, as `kill` knows it.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        let mut kill = Command::new("kill");
        let status = spawn(kill.arg(format!("-{name}")).arg(self.pid().to_string()))?.wait()?;
        if status.success() { Ok(()) } else { Err(io::Error::other("no such process")) }
    }

    /// How it ended, if it ends by `deadline`.
    pub fn ended(&mut self, deadline: Duration) -> Option<ExitStatus> {
        wait_until(deadline, || self.child.try_wait().ok().flatten())
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs `quorated` with `arguments` until it ends by itself, with its output.
///
/// # Errors
///
/// Those of the operating system; `TimedOut` if it does not end within 20 s.
pub fn run_to_end(arguments: &[&str], environment: &[(&str, &str)]) -> io::Result<Output> {
    let mut child = spawn(
        Command::new(binary())
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    )?;
    let ended = wait_until(Duration::from_secs(20), || child.try_wait().ok().flatten()).is_some();
    if !ended {
        let _ = child.kill();
        let _ = child.wait();
        return Err(io::Error::new(io::ErrorKind::TimedOut, "quorated did not end"));
    }
    child.wait_with_output()
}
