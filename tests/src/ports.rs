//! Ports that nobody uses.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

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
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return port;
        }
    }
    panic!("no port between {LOW} and {} is free", LOW + COUNT);
}
