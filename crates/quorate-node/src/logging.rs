//! Logs: for a person by default, one JSON object a line on request.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogForm {
    /// For a person.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging to standard error; `QUORATE_LOG` chooses what (default `info`).
pub(crate) fn start(form: LogForm) {
    let filter = EnvFilter::try_from_env("QUORATE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match form {
        LogForm::Text => log.compact().with_ansi(false).init(),
        LogForm::Json => log.json().flatten_event(true).init(),
    }
}
