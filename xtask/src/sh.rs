//! Running programs and saying what is done.

use std::io::{ErrorKind, Write as _, stdout};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

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
    cargo_apart("mutants", &SEEDED, arguments)
}

/// How the seeded bugs are built: most are found at once, so the time goes into building.
pub(crate) const SEEDED: [(&str, &str); 2] =
    [("RUSTFLAGS", "--cfg mutants"), ("CARGO_PROFILE_DEV_OPT_LEVEL", "1")];

/// The same in the build in which madsim simulates.
pub(crate) fn cargo_madsim(arguments: &[&str]) -> bool {
    cargo_apart(MADSIM, &[("RUSTFLAGS", "--cfg madsim")], arguments)
}

/// Where cargo puts what it builds with [`cargo_madsim`].
pub(crate) fn madsim_folder() -> PathBuf {
    folder_apart(MADSIM)
}

/// The same in a build that `settings` make, which has a folder of its own: else each build would undo
/// the other's.
fn cargo_apart(name: &str, settings: &[(&str, &str)], arguments: &[&str]) -> bool {
    let said: Vec<String> =
        settings.iter().map(|(key, value)| format!("{key}='{value}'")).collect();
    say(&format!("$ {} cargo {}", said.join(" "), arguments.join(" ")));
    let mut command = cargo_command();
    let folder = folder_apart(name);
    command.args(arguments).envs(settings.iter().copied()).env("CARGO_TARGET_DIR", folder);
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

/// The command line, or what it names, cannot be used: as `EX_USAGE` of `sysexits.h`.
pub(crate) const USAGE: u8 = 64;

/// Prints a line for the person at the terminal.
///
/// # Panics
///
/// If standard output fails. A reader that went away, as `head` does, is no failure: what runs is
/// carried on to its exit code.
pub(crate) fn say(line: &str) {
    if let Err(error) = writeln!(stdout(), "{line}") {
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "standard output: {error}");
    }
}

/// A time as `45`, `45s`, `1.5m` or `1h`; without a unit it is seconds.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.char_indices().next_back() {
        Some((place, 's')) => (&text[..place], 1.0),
        Some((place, 'm')) => (&text[..place], 60.0),
        Some((place, 'h')) => (&text[..place], 3600.0),
        _ => (text, 1.0),
    };
    let seconds = number.parse().ok().map(|number: f64| number * unit);
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or_else(|| format!("`{text}` is no time: write 45s, 10m or 1h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_or_refused_in_words() {
        assert_eq!(time("45"), Ok(Duration::from_secs(45)));
        assert_eq!(time("45s"), Ok(Duration::from_secs(45)));
        assert_eq!(time("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(time("1h"), Ok(Duration::from_secs(3600)));
        for wrong in ["", "s", "soon", "45ss", "-5", "nan", "inf", "1e300h", "5\u{e9}"] {
            assert_eq!(
                time(wrong).unwrap_err(),
                format!("`{wrong}` is no time: write 45s, 10m or 1h")
            );
        }
    }
}
