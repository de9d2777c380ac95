//! Running programs and saying what is done.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use quorate_tests::SKIPPED;

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// Where the tests that cargo runs note what they skip.
pub(crate) fn skipped_file() -> PathBuf {
    std::env::temp_dir().join(format!("quorate-skipped-{}", std::process::id()))
}

/// Runs cargo in the root; whether it succeeded.
pub(crate) fn cargo(arguments: &[&str]) -> bool {
    say(&format!("$ cargo {}", arguments.join(" ")));
    succeeds(cargo_command().args(arguments))
}

/// The same in the build that holds the seeded bugs.
pub(crate) fn cargo_seeded(arguments: &[&str]) -> bool {
    cargo_apart("mutants", arguments)
}

/// The same in the build in which madsim simulates.
pub(crate) fn cargo_madsim(arguments: &[&str]) -> bool {
    cargo_apart(MADSIM, arguments)
}

/// Where cargo puts what it builds with [`cargo_madsim`].
pub(crate) fn madsim_folder() -> PathBuf {
    folder_apart(MADSIM)
}

/// The same in a build with `--cfg` and `cfg`, which has a folder of its own: else each build would
/// undo the other's.
fn cargo_apart(cfg: &str, arguments: &[&str]) -> bool {
    let flags = format!("--cfg {cfg}");
    say(&format!("$ RUSTFLAGS='{flags}' cargo {}", arguments.join(" ")));
    let mut command = cargo_command();
    command.args(arguments).env("RUSTFLAGS", flags).env("CARGO_TARGET_DIR", folder_apart(cfg));
    succeeds(&mut command)
}

fn folder_apart(cfg: &str) -> PathBuf {
    root().join("target").join(cfg)
}

/// What cargo prints in the root, if it succeeds.
pub(crate) fn cargo_output(arguments: &[&str]) -> Option<String> {
    say(&format!("$ cargo {}", arguments.join(" ")));
    let output = cargo_command().args(arguments).stderr(Stdio::inherit()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn cargo_command() -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.env(SKIPPED, skipped_file()).current_dir(root());
    command
}

fn succeeds(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}

/// What makes madsim a simulator.
const MADSIM: &str = "madsim";

/// Prints a line for the person at the terminal.
#[expect(clippy::print_stdout, reason = "xtask talks to a person")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
