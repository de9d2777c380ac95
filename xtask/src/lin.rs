//! `cargo xtask lin`: decides whether a recorded history is linearizable.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use quorate_lin::{Budget, MODEL_NAMES, Verdict, check_ndjson};
use quorate_tests::now;

use crate::sh::{USAGE, say, time};

/// Decides whether a recorded history is linearizable.
#[derive(Debug, Args)]
#[command(after_long_help = FORMAT)]
pub(crate) struct Lin {
    /// What the history is a history of: register, cas-register, kv, mutex, lock or lease-lock.
    #[arg(long, value_name = "MODEL", default_value = "kv")]
    model: String,
    /// Give up after so long, as 60s or 5m. More helps where many operations overlap on one key.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "60s",
        alias = "seconds",
        allow_negative_numbers = true,
        value_parser = time
    )]
    budget: Duration,
    /// Give up after so many steps, each of which takes up to 100 bytes of memory. Unlike seconds
    /// they are the same on every machine.
    #[arg(long, value_name = "STEPS", default_value = "20000000")]
    steps: u64,
    /// The history, one JSON event a line; - for standard input.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Lin {
    pub(crate) fn run(self) -> ExitCode {
        match self.decide() {
            Ok(code) => code,
            Err(problem) => {
                say(&problem);
                ExitCode::from(USAGE)
            }
        }
    }

    fn decide(&self) -> Result<ExitCode, String> {
        let Some(path) = &self.file else {
            return Err("no history given; name its file, or - for standard input".to_owned());
        };
        if !MODEL_NAMES.contains(&self.model.as_str()) {
            let names = MODEL_NAMES.join(", ");
            return Err(format!("no model {:?}; choose one of {names}", self.model));
        }
        let history = open(path)?;
        let begun = now();
        let mut late = || now() - begun >= self.budget;
        let mut budget = Budget::steps(self.steps).stop_when(&mut late);
        let report = check_ndjson(&self.model, history, &mut budget).map_err(|error| {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("{}: {error}{cause}", path.display())
        })?;
        say(&report.to_string());
        Ok(match report.verdict {
            Verdict::Linearizable(_) => ExitCode::SUCCESS,
            Verdict::NotLinearizable(_) => ExitCode::from(1),
            Verdict::Undecided(_) => {
                say("To decide it, raise --budget and --steps, or record more keys or less time.");
                ExitCode::from(2)
            }
        })
    }
}

fn open(path: &Path) -> Result<Box<dyn BufRead>, String> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    match File::open(path) {
        Ok(file) => Ok(Box::new(BufReader::new(file))),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// How a history is written, for the help.
const FORMAT: &str = r#"Prints the verdict; for a history that is not linearizable also the longest legal order of what
came before, and the operation that no order allows, with times as line numbers.

Exit: 0 linearizable, 1 not, 2 undecided within the budget, 64 unusable.

A history has one event a line, in the order in which they happened:

  {"process":1,"type":"invoke","op":"write","key":"k","value":"red"}
  {"process":2,"type":"invoke","op":"read","key":"k"}
  {"process":2,"type":"ok","value":null}
  {"process":1,"type":"info"}

process  a number; a process has one operation open at a time
type     invoke; then ok (done), fail (had no effect, and never will) or info (nobody knows,
         as if it never completed: it may take effect at any later time, or never)
op       what is called; a completion may leave it out, and the key
key      the object; each key is checked apart, and a missing key is one object
value    what is written, or in the ok of a read what was read; null is absent

model         op                     value of invoke      ok
register      read or get                                 "value": what was read
              write or put           what is written
cas-register  cas, and these         [expected, new]      "swapped": true or false
kv            delete, and these                           "deleted": true or false, if known
              append                 text, or an item
mutex         acquire, release       (the owner is the process)
lock          acquire                                     "value": the token, null if refused
              release                the token            "released": true or false
lease-lock    as lock, but grants may end by themselves

Try it:
  printf '%s\n' '{"process":1,"type":"invoke","op":"read"}' \
    '{"process":1,"type":"ok","value":1}' | cargo xtask lin --model register -
says that no order allows the read, since nobody wrote 1."#;
