//! Ports that nobody uses.

use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};

/// Held while a port is tried out and while a process begins: until it runs its own program, it has
/// a copy of every open socket of this one, and keeps a port that was let go meanwhile.
static TRYING: Mutex<()> = Mutex::new(());

/// Below the range from which systems draw ports for outgoing connections, so that no client can
/// take one between the look and the use.
const LOW: u16 = 15_000;
const COUNT: u16 = 15_000;

/// A port of 127.0.0.1 that is free for TCP and UDP, and that this process hands out once.
///
/// # Panics
///
/// If none is free.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes that run side by side start at different places.
    let start = (std::process::id() % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = LOW + (start.wrapping_mul(61).wrapping_add(step)) % COUNT;
        let address = (Ipv4Addr::LOCALHOST, port);
        let _trying = TRYING.lock().unwrap_or_else(PoisonError::into_inner);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return port;
        }
    }
    panic!("no port between {LOW} and {} is free", LOW + COUNT);
}

/// Starts a process, and keeps no port busy that [`free_port`] tries out. Returns when the process
/// runs its own program.
///
/// # Errors
///
/// Those of the operating system.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    let _trying = TRYING.lock().unwrap_or_else(PoisonError::into_inner);
    command.spawn()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn a_process_that_begins_keeps_no_free_port_busy() {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    spawn(&mut Command::new("true")).expect("it starts").wait().expect("it ends");
                }
            });
            let busy: Vec<u16> = (0..2_000)
                .map(|_| free_port())
                .filter(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, *port)).is_err())
                .collect();
            done.store(true, Ordering::Relaxed);
            assert!(busy.is_empty(), "{busy:?}");
        });
    }
}
