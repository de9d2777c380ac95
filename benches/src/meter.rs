//! What processes take: processor time and memory, where the system tells.

use std::fs;

/// Processor time of a process so far, in seconds; zero where the system does not tell.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return 0.0 };
    // The name in parentheses may hold spaces; the times stand at 12 and 13 behind it.
    let behind = text.rsplit_once(')').map_or("", |(_, behind)| behind);
    let ticks = |at: usize| behind.split_whitespace().nth(at)?.parse::<u64>().ok();
    (ticks(11).unwrap_or(0) + ticks(12).unwrap_or(0)) as f64 / TICKS_PER_SECOND
}

/// Memory of a process, in MiB; zero where the system does not tell.
pub(crate) fn memory_mib(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// `USER_HZ`, the same on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;
