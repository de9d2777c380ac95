//! Running programs and saying what is done.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// Runs cargo in the root; whether it succeeded.
pub(crate) fn cargo(arguments: &[&str]) -> bool {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    say(&format!("$ cargo {}", arguments.join(" ")));
    Command::new(cargo)
        .args(arguments)
        .current_dir(root())
        .status()
        .is_ok_and(|status| status.success())
}

/// Prints a line for the person at the terminal.
#[expect(clippy::print_stdout, reason = "xtask talks to a person")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
