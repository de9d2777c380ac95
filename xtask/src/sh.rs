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

/// The same in the build that holds the seeded bugs, which has a folder of its own.
pub(crate) fn cargo_seeded(arguments: &[&str]) -> bool {
    say(&format!("$ RUSTFLAGS='{SEEDED}' cargo {}", arguments.join(" ")));
    let folder = root().join("target").join("mutants");
    let mut command = cargo_command();
    succeeds(command.args(arguments).env("RUSTFLAGS", SEEDED).env("CARGO_TARGET_DIR", folder))
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

/// Compiles the seeded bugs in.
const SEEDED: &str = "--cfg mutants";

/// Prints a line for the person at the terminal.
#[expect(clippy::print_stdout, reason = "xtask talks to a person")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
