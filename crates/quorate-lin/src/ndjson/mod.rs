mod event;
mod read;
mod report;
mod value;

pub use read::{LineProblem, ReadError};
pub use report::{MODEL_NAMES, Report, check_ndjson};
pub use value::Value;
