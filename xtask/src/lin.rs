//! `cargo xtask lin`: decides whether a recorded history is linearizable.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use quorate_lin::{Budget, MODEL_NAMES, Verdict, check_ndjson};
use quorate_tests::now;

use crate::sh::say;

/// Decides whether a history is linearizable. One JSON event a line, in real-time order:
/// {"process":3,"type":"invoke|ok|fail|info","op":"read|write|cas|..","key":"k","value":..}
///
/// Exit: 0 linearizable, 1 not, 2 undecided within the budget, 64 unusable input.
#[derive(Debug, Args)]
pub(crate) struct Lin {
    /// The object's model.
    #[arg(long, default_value = "kv", value_parser = clap::builder::PossibleValuesParser::new(MODEL_NAMES))]
    model: String,
    /// Give up after so many seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The history.
    file: PathBuf,
}

impl Lin {
    pub(crate) fn run(self) -> ExitCode {
        let file = match File::open(&self.file) {
            Ok(file) => file,
            Err(error) => {
                say(&format!("{}: {error}", self.file.display()));
                return ExitCode::from(64);
            }
        };
        let end = now() + std::time::Duration::from_secs(self.seconds);
        let mut late = || now() >= end;
        let mut budget = Budget::steps(u64::MAX).stop_when(&mut late);
        match check_ndjson(&self.model, BufReader::new(file), &mut budget) {
            Ok(report) => {
                say(&report.to_string());
                match report.verdict {
                    Verdict::Linearizable(_) => ExitCode::SUCCESS,
                    Verdict::NotLinearizable(_) => ExitCode::from(1),
                    Verdict::Undecided(_) => ExitCode::from(2),
                }
            }
            Err(error) => {
                say(&format!("{}: {error}", self.file.display()));
                ExitCode::from(64)
            }
        }
    }
}
