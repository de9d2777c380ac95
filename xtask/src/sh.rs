//! Running programs and saying what is done.

use std::path::{Path, PathBuf};
use std::process::Command;

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
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    say(&format!("$ cargo {}", arguments.join(" ")));
    Command::new(cargo)
        .args(arguments)
        .env(SKIPPED, skipped_file())
        .current_dir(root())
        .status()
        .is_ok_and(|status| status.success())
}

/// Prints a line for the person at the terminal.
#[expect(clippy::print_stdout, reason = "xtask talks to a person")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
