//! A measurement, and how it comes from one process to another.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::subject::Subject;

/// What one run came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) events: u64,
    /// Processor time.
    pub(crate) cpu: Duration,
    /// Simulated time.
    pub(crate) simulated: Duration,
    /// The share of messages that was lost.
    pub(crate) loss: f64,
    /// How many seeds.
    pub(crate) runs: u64,
}

impl Measured {
    pub(crate) fn events_per_second(&self) -> f64 {
        self.events as f64 / self.cpu.as_secs_f64()
    }

    /// Processor time of an event, in nanoseconds.
    pub(crate) fn event_nanos(&self) -> f64 {
        self.cpu.as_nanos() as f64 / self.events as f64
    }

    /// Simulated seconds in one of the processor's.
    pub(crate) fn pace(&self) -> f64 {
        self.simulated.as_secs_f64() / self.cpu.as_secs_f64()
    }

    pub(crate) fn to_line(self) -> String {
        serde_json::to_string(&self).expect("numbers can be written")
    }
}

/// Lets `program` measure `subject` once, in a process of its own.
///
/// # Errors
///
/// What it said, or that it said nothing that makes sense.
pub(crate) fn in_a_process(
    program: &Path,
    subject: Subject,
    flags: &[(&str, u64)],
) -> Result<Measured, String> {
    let mut command = Command::new(program);
    command.args(["--once", &subject.flag()]).stderr(Stdio::inherit());
    for (flag, value) in flags {
        command.args([*flag, &value.to_string()]);
    }
    let output = command.output().map_err(|error| format!("{}: {error}", program.display()))?;
    if !output.status.success() {
        return Err(format!("{}: {}", subject.name(), output.status));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("{}: {error}", subject.name()))
}

/// Processor time of this process so far, from the kernel itself: madsim puts its own clock in the
/// place of the C library's.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
