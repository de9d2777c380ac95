//! What the machine itself can do: the limits that no system passes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use quorate_tests::now;

use crate::load::histogram;

/// What was found, in microseconds.
#[derive(Debug)]
pub(crate) struct Probe {
    /// One writer: a write into a zero-filled file and its fdatasync.
    pub(crate) sync: Histogram<u64>,
    /// The same for three writers at once.
    pub(crate) three_syncs: Histogram<u64>,
    /// A message over loopback and back between two threads that block.
    pub(crate) round_trip: Histogram<u64>,
}

impl Probe {
    /// Takes a second or less.
    pub(crate) fn take() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("probe-").tempdir()?;
        let sync = |name: &str| syncs(&folder.path().join(name));
        let one = sync("one")?;
        let three = thread::scope(|scope| {
            let writers = ["a", "b", "c"].map(|name| scope.spawn(move || sync(name)));
            let mut all = histogram();
            for writer in writers {
                let found = writer.join().map_err(|_| io::Error::other("a writer failed"))??;
                all.add(found).map_err(io::Error::other)?;
            }
            io::Result::Ok(all)
        })?;
        Ok(Self { sync: one, three_syncs: three, round_trip: round_trips()? })
    }
}

/// As a journal writes: a file that has its size already, one record behind the other.
fn syncs(path: &std::path::Path) -> io::Result<Histogram<u64>> {
    let mut file = File::create_new(path)?;
    file.write_all(&vec![0; SYNCS * RECORD.len()])?;
    file.sync_all()?;
    let mut found = histogram();
    for n in 0..SYNCS {
        let begun = now();
        file.write_all_at(&RECORD, (n * RECORD.len()) as u64)?;
        file.sync_data()?;
        found.saturating_record(micros(now() - begun));
    }
    Ok(found)
}

fn round_trips() -> io::Result<Histogram<u64>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut near = TcpStream::connect(listener.local_addr()?)?;
    let (mut far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let echo = thread::spawn(move || {
        let mut message = RECORD;
        while far.read_exact(&mut message).is_ok() && far.write_all(&message).is_ok() {}
    });
    let mut found = histogram();
    let mut message = RECORD;
    for _ in 0..ROUND_TRIPS {
        let begun = now();
        near.write_all(&message)?;
        near.read_exact(&mut message)?;
        found.saturating_record(micros(now() - begun));
    }
    drop(near);
    echo.join().map_err(|_| io::Error::other("the echo failed"))?;
    Ok(found)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// About what one put of the bench takes in a log.
const RECORD: [u8; 512] = [7; 512];
const SYNCS: usize = 500;
const ROUND_TRIPS: usize = 2_000;
