//! `cargo xtask tidy`: the rules of the architecture, checked against the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::sh::{root, say};

/// One protocol each; none may know another.
const PROTOCOLS: &[&str] =
    &["membership", "election", "replication", "dist-state", "failover", "health"];

/// Crates that are told the time and touch nothing: no runtime, socket, file or clock.
const SANS_IO: &[&str] = &[
    "quorate-core",
    "quorate-wire",
    "quorate-membership",
    "quorate-election",
    "quorate-replication",
    "quorate-dist-state",
    "quorate-lin",
];

/// In a crate that touches nothing: the driver that one of its features adds.
const DRIVER: &str = "src/running";

/// The longest file of code, in lines.
const LINES_MAX: usize = 800;

pub(crate) fn run() -> ExitCode {
    let mut broken = Vec::new();
    let crates = crates();
    for folder in &crates {
        manifest(folder, &mut broken);
        sources(folder, &mut broken);
        drivers(folder, &mut broken);
        invariants(folder, &mut broken);
    }
    if broken.is_empty() {
        say(&format!("tidy: {} crates keep the rules", crates.len()));
        return ExitCode::SUCCESS;
    }
    for line in &broken {
        say(&format!("tidy: {line}"));
    }
    ExitCode::FAILURE
}

fn crates() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(root().join("crates"))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("Cargo.toml").is_file())
        .collect();
    folders.sort();
    folders
}

fn name_of(folder: &Path) -> String {
    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Who may depend on whom.
fn manifest(folder: &Path, broken: &mut Vec<String>) {
    let name = name_of(folder);
    let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    let Ok(table) = text.parse::<toml::Table>() else {
        broken.push(format!("{name}: Cargo.toml cannot be read"));
        return;
    };
    let dependencies: Vec<(&String, bool)> = table
        .get("dependencies")
        .and_then(toml::Value::as_table)
        .into_iter()
        .flatten()
        .map(|(dependency, value)| {
            let optional = value.get("optional").and_then(toml::Value::as_bool).unwrap_or(false);
            (dependency, optional)
        })
        .collect();
    let mut forbid = |what: &str, why: &str| {
        if dependencies.iter().any(|(dependency, _)| *dependency == what) {
            broken.push(format!("{name} depends on {what}: {why}"));
        }
    };
    if name != "quorate-wire" {
        forbid("bincode", "quorate-wire alone names it");
    }
    let protocol = name.strip_prefix("quorate-").filter(|short| PROTOCOLS.contains(short));
    if let Some(own) = protocol {
        for other in PROTOCOLS.iter().filter(|other| **other != own) {
            forbid(&format!("quorate-{other}"), "protocols do not know one another");
        }
        for other in ["quorate-wire", "quorate-storage"] {
            forbid(other, "a protocol knows no bytes and no files");
        }
    }
    if name == "quorate" {
        for other in ["axum", "hyper", "quorate-sim", "quorate-lin", "quorate-node"] {
            forbid(other, "the facade knows no HTTP and no simulator");
        }
    }
    let runtime = dependencies.iter().any(|(dependency, optional)| {
        matches!(dependency.as_str(), "tokio" | "quorate-tokio") && !optional
    });
    if runtime && SANS_IO.contains(&name.as_str()) {
        broken.push(format!("{name} depends on a runtime without a feature"));
    }
    if table.get("lints").and_then(|lints| lints.get("workspace")).is_none() {
        broken.push(format!("{name} does not take part in the lint table"));
    }
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// What may stand in the code.
fn sources(folder: &Path, broken: &mut Vec<String>) {
    let name = name_of(folder);
    let mut files = Vec::new();
    rust_files(&folder.join("src"), &mut files);
    rust_files(&folder.join("tests"), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let place = file.strip_prefix(root()).unwrap_or(&file).display().to_string();
        let lines = text.lines().count();
        if lines > LINES_MAX {
            broken.push(format!("{place} has {lines} lines: one idea per file"));
        }
        let in_source = file.starts_with(folder.join("src"));
        let driver = file.starts_with(folder.join(DRIVER));
        if in_source && !driver && SANS_IO.contains(&name.as_str()) {
            for word in ["std::net::Tcp", "std::net::Udp", "std::fs", "std::thread", "tokio::"] {
                let used = text
                    .lines()
                    .any(|line| line.contains(word) && !line.trim_start().starts_with("//"));
                if used {
                    broken.push(format!("{place} uses {word}: only drivers touch the world"));
                }
            }
        }
        // Spelt in two parts, so that this file does not find itself.
        for word in [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[ig", "nore")]
        {
            if text.contains(word) {
                broken.push(format!("{place} holds `{word}`"));
            }
        }
    }
}

/// A driver inside a crate that touches nothing is behind a feature.
fn drivers(folder: &Path, broken: &mut Vec<String>) {
    let library = fs::read_to_string(folder.join("src/lib.rs")).unwrap_or_default();
    let gated = library.contains("#[cfg(feature = \"tokio\")]\nmod running;");
    if folder.join(DRIVER).is_dir() && !gated {
        broken.push(format!("{}: {DRIVER} is not behind feature `tokio`", name_of(folder)));
    }
}

/// Every numbered invariant in a crate's `lib.rs` has a test that bears its number.
fn invariants(folder: &Path, broken: &mut Vec<String>) {
    let name = name_of(folder);
    let library = fs::read_to_string(folder.join("src/lib.rs")).unwrap_or_default();
    let stated: BTreeSet<String> = library
        .lines()
        .filter_map(|line| line.trim_start_matches("//!").trim().strip_prefix("- **"))
        .filter_map(|rest| rest.split_once("**").map(|(id, _)| id.to_lowercase()))
        .filter(|id| id.chars().any(|c| c.is_ascii_digit()) && !id.contains(' '))
        .collect();
    let mut files = Vec::new();
    rust_files(&folder.join("tests"), &mut files);
    rust_files(&folder.join("src"), &mut files);
    let tests: String =
        files.iter().map(|file| fs::read_to_string(file).unwrap_or_default()).collect();
    for id in &stated {
        if !tests.contains(&format!("fn {id}_")) {
            broken.push(format!("{name}: invariant {} has no test `{id}_..`", id.to_uppercase()));
        }
    }
}
